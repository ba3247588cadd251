"""The inner loop of the CTC beam search, compiled.

It knows nothing of texts or language models: where it needs a language model it stops,
and ``search.ctc_beam_state`` fills in what it asks for. What it computes is said in
clear code in ``search.naive``.
"""

import math

import numpy as np

from espnet_dynlook.search.compiled import compiled
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
    HYPOTHESES,
    INSIDE,
    LENGTH,
    LM,
    LM_SCORE,
    MATCHES,
    NODE,
    NODES,
    OPEN,
    PARENT,
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
from espnet_dynlook.search.ctc_beam_expand import (
    ADDED,
    EMITS,
    ENTRIES,
    ENTRY,
    LABELLING,
    ORIGIN,
    PLACE,
    SOURCE,
    candidates,
    committed,
)
from espnet_dynlook.search.ctc_beam_pruning import choose_tokens, select
from espnet_dynlook.search.ctc_beam_silence import entries_need, go_on
from espnet_dynlook.search.ngram_arrays import close_words, grown_word, say_tokens


@compiled
def run(rows, at, asked, first_number, settings, graph, lattice, match_scores, frame):
    """Go on through frames until all are done, or something is needed.

    Args:
        rows: Log-probabilities (T, V).
        at: Frame to go on with.
        asked: Whether what that frame needs of the language model is there.
        first_number: Number of the first frame.
        settings: Of the search.
        graph: Of the catalog.
        lattice: What is known; changed.
        match_scores: Of the hypotheses' open entries: paths that end with a blank, or
            with the last token.
        frame: What was worked out for the frame.

    Returns:
        The frame it stopped at, why, and the match scores.
    """
    counts, nodes = lattice.counts, lattice.nodes
    beam = settings.beam
    while at < len(rows):
        if not asked:
            count, common = choose_tokens(rows[at], settings, graph.roots > 0, frame)
            if count > common and not entries_need(
                rows[at], common, count, settings, graph, lattice, frame
            ):
                count = common
            counts[TOKENS], counts[COMMON] = count, common
            most, new = 0, 0
            for h in range(counts[HYPOTHESES] if graph.roots else 0):
                most = max(most, nodes[lattice.hyps[h, NODE], MATCHES])
            for q in range(count if graph.roots else 0):
                first, beyond = begun(graph, frame.tokens[q])
                new = max(new, beyond - first)
            if (
                counts[NODES] + beam > len(nodes)
                or counts[EMISSIONS] + beam > len(lattice.emissions)
                or counts[POOL] + beam * (most + new) > len(lattice.pool)
            ):
                return at, GROW, match_scores
            if needs_language(settings, lattice, frame):
                return at, ASK, match_scores
        asked = False
        match_scores = follow_frame(
            rows[at], first_number + at, settings, graph, lattice, match_scores, frame
        )
        at += 1
    return at, DONE, match_scores


@compiled
def needs_language(settings, lattice, frame):
    """Tell whether a frame needs what the language model has not said yet.

    A model that compiled code can ask is asked at once.
    """
    counts, nodes = lattice.counts, lattice.nodes
    if settings.language == SAY_TOKENS:
        say_tokens(settings.ngram, lattice, frame)
    if settings.language == ASK_TOKENS:
        return counts[TOKENS] > 0
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


@compiled
def follow_frame(row, number, settings, graph, lattice, match_scores, frame):
    """Replace the hypotheses by those after one more frame; return match scores."""
    if lattice.counts[TOKENS] == 0:
        return go_on(row, settings, lattice, match_scores)
    found = candidates(row, settings, graph, lattice, match_scores, frame)
    chosen = best_candidates(found, settings)
    enter_new(chosen, found, settings, lattice, frame)
    return keep(chosen, found, row, number, lattice)


@compiled
def best_candidates(found, settings):
    """Return which candidates are kept."""
    total, rows, own, extras, values, _ = found
    scores = np.empty(total)
    ranks = np.empty(total)
    lifted = False
    for at in range(total):
        if rows[at, LABELLING] >= 0:  # with a blank, and with a label
            sum_up(own, at)
            for m in range(rows[at, ENTRY], rows[at, ENTRY] + rows[at, ENTRIES]):
                blank, label = values[m, ENTRY_BLANK], values[m, ENTRY_LABEL]
                values[m, ENTRY_EVERY] = add(blank, label)
        value = own[at, EVERY]
        rank = value
        for m in range(rows[at, ENTRY], rows[at, ENTRY] + rows[at, ENTRIES]):
            rank = max(rank, values[m, ENTRY_EVERY])
        lifted |= rank > value
        scores[at] = value + extras[at]
        ranks[at] = rank + extras[at]
    return select(scores, ranks, lifted, settings)


@compiled
def enter_new(chosen, found, settings, lattice, frame):
    """Make the labellings of the chosen candidates that are not known."""
    kinds = settings.kinds
    counts, nodes, lms, table, pool, _, _, hyps, _ = lattice
    rows, entries = found.rows, found.entries
    for c in chosen:
        if rows[c, LABELLING] >= 0:
            continue
        origin, token, place = rows[c, ORIGIN], rows[c, ADDED], rows[c, PLACE]
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
            pool[counts[POOL] + m] = entries[rows[c, ENTRY] + m, 0]
        counts[POOL] += rows[c, ENTRIES]
        enter_node(table, nodes, node)
        rows[c, LABELLING] = node


@compiled
def keep(chosen, found, row, number, lattice):
    """Make the chosen candidates the hypotheses; return their match scores."""
    counts, nodes, _, _, _, emissions, probabilities, hyps, hyp_scores = lattice
    _, rows, scores, _, values, _ = found
    needed = 0
    for c in chosen:
        needed += rows[c, ENTRIES]
    kept = np.empty((needed, 3))
    needed = 0
    for at in range(len(chosen)):
        c = chosen[at]
        node = rows[c, LABELLING]
        hyps[at, NODE] = node
        hyps[at, EMISSION] = rows[c, SOURCE]
        hyps[at, SCORES] = needed
        for n in range(6):
            hyp_scores[at, n] = scores[c, n]
        for m in range(rows[c, ENTRIES]):
            for n in range(3):
                kept[needed + m, n] = values[rows[c, ENTRY] + m, n]
        needed += rows[c, ENTRIES]
        if rows[c, EMITS]:
            emission = counts[EMISSIONS]
            counts[EMISSIONS] += 1
            put(emissions, emission, (number, nodes[node, TOKEN], rows[c, SOURCE]))
            probabilities[emission] = math.exp(row[nodes[node, TOKEN]])
            hyps[at, EMISSION] = emission
    counts[HYPOTHESES] = len(chosen)
    return kept


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
