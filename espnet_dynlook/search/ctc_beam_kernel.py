"""The inner loop of the CTC beam search, compiled.

It knows nothing of texts or language models: where it needs a language model it stops,
and ``search.ctc_beam_state`` fills in what it asks for. What it computes is said in
clear code in ``search.naive``.
"""

import math

import numpy as np

from espnet_dynlook.search.compiled import bare, compiled
from espnet_dynlook.search.ctc_beam_arrays import (
    ASK,
    ASK_TOKENS,
    ASK_WORDS,
    BEGINS,
    CLOSE,
    CLOSE_LM,
    CLOSED,
    COMMON,
    DONE,
    EMISSION,
    EMISSIONS,
    ENTRY_BLANK,
    ENTRY_EVERY,
    ENTRY_LABEL,
    EVERY,
    FIRST,
    GROW,
    GROW_SCRATCH,
    HALF,
    HYPOTHESES,
    INSIDE,
    LENGTH,
    LM,
    LM_SCORE,
    MATCHED,
    MATCHES,
    NODE,
    NODES,
    OPEN,
    PARENT,
    PLACE,
    POOL,
    SAY_TOKENS,
    SAY_WORDS,
    SCORES,
    SEPARATES,
    TOKEN,
    TOKENS,
    WORD,
    WORDS,
    add,
    begun,
    enter_node,
    find_node,
    put,
    sum_up,
)
from espnet_dynlook.search.ctc_beam_expand import candidates, committed
from espnet_dynlook.search.ctc_beam_pruning import choose_tokens, select
from espnet_dynlook.search.ctc_beam_scratch import (
    ADDED,
    EMITS,
    ENTRIES,
    ENTRY,
    LABELLING,
    ORIGIN,
    PLACED,
    PLAINLY,
    RANKED,
    SOURCE,
)
from espnet_dynlook.search.ctc_beam_silence import entries_need, go_on
from espnet_dynlook.search.ngram_arrays import close_words, grown_word, say_tokens


@bare
def run(rows, at, asked, first_number, settings, graph, lattice, frame, scratch):
    """Go on through frames until all are done, or something is needed.

    Args:
        rows: Log-probabilities (T, V).
        at: Frame to go on with.
        asked: Whether what that frame needs of the language model is there.
        first_number: Number of the first frame.
        settings: Of the search.
        graph: Of the catalog.
        lattice: What is known; changed.
        frame: What was worked out for the frame.
        scratch: With the match scores; changed.

    Returns:
        The frame it stopped at, and why.
    """
    while at < len(rows):
        if not asked:
            count, common = choose_tokens(rows[at], settings, graph.roots > 0, frame)
            if count > common and not entries_need(
                rows[at], common, count, settings, graph, lattice, frame, scratch
            ):
                count = common
            lattice.counts[TOKENS], lattice.counts[COMMON] = count, common
            if count > 0:
                if not has_room(settings.beam, graph, lattice, frame):
                    return at, GROW
                if needs_language(settings, lattice, frame):
                    return at, ASK
        asked = False
        if not follow_frame(
            rows[at], first_number + at, settings, graph, lattice, frame, scratch
        ):
            return at, GROW_SCRATCH
        at += 1
    return at, DONE


@bare
def has_room(beam, graph, lattice, frame):
    """Tell whether the lattice has room for what a frame may add."""
    counts, nodes = lattice.counts, lattice.nodes
    most, new = 0, 0
    if graph.roots:
        for h in range(counts[HYPOTHESES]):
            most = max(most, nodes[lattice.hyps[h, NODE], MATCHES])
        for q in range(counts[TOKENS]):
            first, beyond = begun(graph, frame.tokens[q])
            new = max(new, beyond - first)
    return (
        counts[NODES] + beam <= len(nodes)
        and counts[EMISSIONS] + beam <= len(lattice.emissions)
        and counts[POOL] + beam * (most + new) <= len(lattice.pool)
    )


@bare
def needs_language(settings, lattice, frame):
    """Tell whether a frame needs what the language model has not said yet.

    A model that compiled code can ask is asked at once.
    """
    if settings.language == 0:
        return False
    counts, nodes = lattice.counts, lattice.nodes
    if settings.language == SAY_TOKENS:
        say_tokens(settings.ngram, lattice, frame)
    if settings.language == ASK_TOKENS:
        return True
    if settings.language != ASK_WORDS and settings.language != SAY_WORDS:
        return False
    ends_word = False
    for q in range(counts[TOKENS]):
        ends_word |= settings.kinds[frame.tokens[q]] != INSIDE
    if not ends_word:
        return False
    if settings.language == SAY_WORDS:
        close_words(settings.ngram, lattice)
        return False
    for h in range(counts[HYPOTHESES]):
        node = lattice.hyps[h, NODE]
        if nodes[node, OPEN] == 1 and nodes[node, CLOSED] == 0:
            return True
    return False


@bare
def follow_frame(row, number, settings, graph, lattice, frame, scratch):
    """Replace the hypotheses by those after one more frame.

    Returns:
        False: nothing was done, since the scratch arrays are too small.
    """
    if lattice.counts[TOKENS] == 0:
        go_on(row, settings, lattice, scratch)
        return True
    total = candidates(row, settings, graph, lattice, frame, scratch)
    if total < 0:
        return False
    chosen = best_candidates(total, settings, lattice.counts[HYPOTHESES], scratch)
    enter_new(chosen, settings, lattice, frame, scratch)
    keep(chosen, row, number, lattice, scratch)
    return True


@bare
def best_candidates(total, settings, held, scratch):
    """Choose candidates; return how many are kept.

    Args:
        total: How many there are.
        settings: Of the search.
        held: The first so many are there with a blank, and with a label.
        scratch: Has the candidates; its ``chosen`` is filled.
    """
    rows, own, values = scratch.rows, scratch.scores, scratch.values
    lifted = False
    for at in range(total):
        first, beyond = rows[at, ENTRY], rows[at, ENTRY] + rows[at, ENTRIES]
        if at < held:
            sum_up(own, at)
            for m in range(first, beyond):
                blank, label = values[m, ENTRY_BLANK], values[m, ENTRY_LABEL]
                values[m, ENTRY_EVERY] = add(blank, label)
        value = own[at, EVERY]
        rank = value
        for m in range(first, beyond):
            rank = max(rank, values[m, ENTRY_EVERY])
        lifted |= rank > value
        scratch.totals[at] = value + scratch.extras[at]
        scratch.ranks[at] = rank + scratch.extras[at]
    # Their roots: what was entered can only have become more. The second one counts
    # only where entries lift something.
    bounds = scratch.heaps[PLAINLY, 0], scratch.heaps[RANKED, 0]
    return select(total, lifted, bounds, settings, scratch)


@bare
def enter_new(number, settings, lattice, frame, scratch):
    """Make the labellings of the chosen candidates that are not known."""
    kinds = settings.kinds
    counts, nodes, lms, table, pool, _, _, hyps, _ = lattice
    rows, entries = scratch.rows, scratch.entries
    for n in range(number):
        c = scratch.chosen[n]
        if rows[c, LABELLING] >= 0:
            continue
        origin, token, place = rows[c, ORIGIN], rows[c, ADDED], rows[c, PLACED]
        parent = hyps[origin, NODE]
        rows[c, LABELLING] = find_node(table, nodes, parent, token)
        if rows[c, LABELLING] >= 0:
            continue
        closes = kinds[token] != INSIDE and nodes[parent, OPEN] == 1
        node = counts[NODES]
        counts[NODES] += 1
        nodes[node, PARENT] = parent
        nodes[node, TOKEN] = token
        nodes[node, OPEN] = kinds[token] != SEPARATES
        nodes[node, WORDS] = nodes[parent, WORDS] + closes
        nodes[node, LM] = nodes[parent, LM]
        nodes[node, CLOSED] = 0
        nodes[node, FIRST] = counts[POOL]
        nodes[node, MATCHES] = rows[c, ENTRIES]
        nodes[node, PLACE] = -1
        put(lms, node, (lms[parent, LM_SCORE], 0.0, 0.0))
        if closes:
            nodes[node, LM] = nodes[parent, CLOSE_LM]
            lms[node, LM_SCORE] += lms[parent, CLOSE]
        if len(frame.token_lm):
            nodes[node, LM] = frame.next_lm[origin, place]
            lms[node, LM_SCORE] += frame.token_lm[origin, place]
        nodes[node, CLOSE_LM] = nodes[node, LM]  # until its word is closed
        if settings.language == SAY_WORDS:
            goes_on = kinds[token] != BEGINS and nodes[parent, OPEN] == 1
            word, length = 0, 0
            if goes_on:
                word, length = nodes[parent, WORD], nodes[parent, LENGTH]
            nodes[node, WORD] = grown_word(settings.ngram, word, token)
            nodes[node, LENGTH] = length + settings.ngram.tokens[token, 3]
        for m in range(rows[c, ENTRIES]):
            pool[counts[POOL] + m] = entries[rows[c, ENTRY] + m]
        counts[POOL] += rows[c, ENTRIES]
        enter_node(table, nodes, node)
        rows[c, LABELLING] = node


@bare
def keep(number, row, frame, lattice, scratch):
    """Make the chosen candidates the hypotheses.

    Args:
        number: How many they are.
        row: Log-probabilities (V,).
        frame: Number of the frame.
        lattice: Its hypotheses are replaced.
        scratch: With the candidates; the match scores are replaced.
    """
    counts, nodes, _, _, _, emissions, probabilities, hyps, hyp_scores = lattice
    rows, scores, values = scratch.rows, scratch.scores, scratch.values
    kept = scratch.matches[1 - counts[HALF]]
    used = 0
    for at in range(number):
        c = scratch.chosen[at]
        node = rows[c, LABELLING]
        hyps[at, NODE] = node
        hyps[at, EMISSION] = rows[c, SOURCE]
        hyps[at, SCORES] = used
        for n in range(6):
            hyp_scores[at, n] = scores[c, n]
        for m in range(rows[c, ENTRIES]):
            for n in range(3):
                kept[used + m, n] = values[rows[c, ENTRY] + m, n]
        used += rows[c, ENTRIES]
        if rows[c, EMITS]:
            emission = counts[EMISSIONS]
            counts[EMISSIONS] += 1
            put(emissions, emission, (frame, nodes[node, TOKEN], rows[c, SOURCE]))
            probabilities[emission] = math.exp(row[nodes[node, TOKEN]])
            hyps[at, EMISSION] = emission
    counts[HYPOTHESES], counts[MATCHED], counts[HALF] = number, used, 1 - counts[HALF]


@compiled
def final_scores(graph, lattice, match_scores):
    """Return what each hypothesis is worth if the utterance ends here (H, 2).

    Its bias committed; without and with the language model.
    """
    found = np.empty((lattice.counts[HYPOTHESES], 2))
    for h in range(len(found)):
        node = lattice.hyps[h, NODE]
        found[h, 0], _ = committed(h, graph, lattice, match_scores)
        found[h, 1] = found[h, 0] + lattice.lms[node, LM_SCORE]
        if lattice.nodes[node, OPEN] == 1:
            found[h, 1] += lattice.lms[node, CLOSE]
    return found
