"""The inner loop of the CTC beam search, compiled.

It knows nothing of texts or language models: where it needs a language model it stops,
and ``search.ctc_beam_state`` fills in what it asks for. What it computes is said in
clear code in ``search.naive``.
"""

import math

import numba
import numpy as np

from espnet_dynlook.search.ctc_beam_arrays import (
    ASK,
    BEGINS,
    BLANK,
    CLOSE,
    CLOSE_LM,
    CLOSED,
    COMMON,
    DONE,
    EMISSION,
    EMISSIONS,
    FIRST,
    GAIN,
    GROW,
    HYPOTHESES,
    INSIDE,
    LABEL,
    LM,
    LM_SCORE,
    MATCHES,
    NEVER,
    NODE,
    NODES,
    OPEN,
    PARENT,
    PLAIN_BLANK,
    PLAIN_LABEL,
    POOL,
    SCORES,
    SEPARATES,
    TOKEN,
    TOKENS,
    WORDS,
    add,
    enter_node,
    find_arc,
    find_node,
)


@numba.njit(cache=True)
def choose_tokens(row, settings, named, frame):
    """Choose the tokens of a frame, and what entries get for them.

    The best label of a frame always stays; of what is rarer than the pruning allows,
    the best few may still follow within an entry.

    Args:
        row: Log-probabilities (V,).
        settings: Of the search.
        named: Whether there is a catalog.
        frame: Its ``tokens`` and ``boosts`` are filled.

    Returns:
        How many tokens; how many of them may follow any hypothesis.
    """
    tokens, boosts = frame.tokens, frame.boosts
    boosting = settings.boosting
    slope, cap, floor = boosting[0], boosting[1], boosting[3]
    rarest, sure_blank = settings.pruning[0], settings.pruning[1]
    few = int(boosting[2]) if named else 0
    limit = min(max(settings.candidates, few), len(row))
    least = min(rarest, floor) if named else rarest
    top = np.max(row)
    count = 0
    for token in range(len(row)):  # the best, in order; ties by number
        value = row[token]
        if token == settings.blank or value == NEVER:
            continue
        if value < least and value < top:
            continue
        if count == limit and value <= row[tokens[count - 1]]:
            continue
        at = min(count, limit - 1)
        while at > 0 and row[tokens[at - 1]] < value:
            tokens[at] = tokens[at - 1]
            at -= 1
        tokens[at] = token
        count = min(count + 1, limit)
    common = 0
    if row[settings.blank] < sure_blank:
        while common < min(count, settings.candidates) and (
            row[tokens[common]] >= rarest or row[tokens[common]] == top
        ):
            common += 1
    needed = 0
    while needed < min(count, few) and row[tokens[needed]] >= floor:
        needed += 1
    for at in range(max(common, needed)):
        boosts[at] = -1.0
        if at < needed and top >= boosting[4]:
            boosts[at] = min(slope * (top - row[tokens[at]]), cap)
    return max(common, needed), common


@numba.njit(cache=True)
def committed(h, graph, lattice, match_scores):
    """Return a hypothesis's scores if its open word ends here: all, behind a blank."""
    _, nodes, lms, _, pool, _, _, hyps, hyp_scores = lattice
    node = hyps[h, NODE]
    every = add(hyp_scores[h, BLANK], hyp_scores[h, LABEL])
    blank = hyp_scores[h, BLANK]
    for m in range(nodes[node, MATCHES]):
        entry = pool[nodes[node, FIRST] + m]
        if graph.ends[entry]:
            at = hyps[h, SCORES] + m
            gain = lms[node, GAIN] * graph.weights[entry]
            b, n = match_scores[at, 0], match_scores[at, 1]
            every = max(every, add(b, n) + gain)
            blank = max(blank, b + gain)
    return every, blank


@numba.njit(cache=True)
def select(scores, ranks, beam, reserve, threshold):
    """Choose hypotheses: the best ones, and those that open entries make the best.

    The reserve keeps what is spoken, however large a weight is: only so many places of
    the beam can be taken by entries that are not complete.
    """
    least = np.max(scores) - threshold
    taken = np.zeros(len(scores), dtype=np.bool_)
    chosen = np.empty(min(beam, len(scores)), dtype=np.int64)
    count = 0
    for at in best_of(scores, least, taken):
        if count < beam - reserve:
            chosen[count] = at
            taken[at] = True
            count += 1
    if reserve:
        for at in best_of(ranks, least, taken):
            if count < min(beam, len(chosen)):
                chosen[count] = at
                count += 1
    return chosen[:count]


@numba.njit(cache=True)
def best_of(values, least, taken):
    """Return where values are that are large enough, the largest first."""
    places = np.empty(len(values), dtype=np.int64)
    keys = np.empty(len(values))
    count = 0
    for n in range(len(values)):
        if not taken[n] and values[n] >= least:
            places[count] = n
            keys[count] = -values[n]
            count += 1
    return places[np.argsort(keys[:count], kind="mergesort")]


@numba.njit(cache=True)
def grown(values):
    """Return an array of twice the rows, with the same beginning."""
    more = np.empty((2 * len(values), values.shape[1]), dtype=values.dtype)
    for n in range(len(values)):
        for m in range(values.shape[1]):
            more[n, m] = values[n, m]
    return more


@numba.njit(cache=True)
def put(values, row, numbers):
    """Write a row; a slice would do, but takes seconds to compile."""
    for n in range(len(numbers)):
        values[row, n] = numbers[n]


@numba.njit(cache=True)
def follow_frame(row, number, settings, graph, lattice, match_scores, frame):
    """Replace the hypotheses by those after one more frame; return match scores."""
    counts, nodes, lms, table, pool, emissions, probabilities, hyps, hyp_scores = (
        lattice
    )
    kinds, blank, roots = settings.kinds, settings.blank, graph.roots
    named = roots > 0
    may_begin = row[blank] < settings.boosting[5]
    held = counts[HYPOTHESES]
    if named and not may_begin and len(match_scores) == 0:
        counts[TOKENS] = counts[COMMON]  # there is no entry that could need more
    begins = np.empty((counts[TOKENS], roots), dtype=np.int64)
    for q in range(counts[TOKENS]):
        for root in range(roots):
            begins[q, root] = find_arc(graph.arcs, graph.masks, root, frame.tokens[q])
    most = held * (1 + counts[TOKENS])
    # Of what may follow: parent, token, labelling if known, source of its emission,
    # whether it emits here, where its match scores begin and how many there are; the
    # token's place.
    made = np.empty((most, 8), dtype=np.int64)
    made_scores = np.empty((most, 4))
    extras = np.empty(most)  # what the language model adds
    values = np.empty((64, 2))
    entries = np.empty((64, 1), dtype=np.int64)
    used = 0
    place = np.full(counts[NODES], -1, dtype=np.int64)
    own = np.empty(held)  # the best single way into each that is kept
    for h in range(held):
        node = hyps[h, NODE]
        place[node] = h
        last = nodes[node, TOKEN]
        stay = row[last] if last >= 0 else NEVER
        plain = add(hyp_scores[h, PLAIN_BLANK], hyp_scores[h, PLAIN_LABEL])
        every = add(hyp_scores[h, BLANK], hyp_scores[h, LABEL])
        made_scores[h, PLAIN_BLANK] = plain + row[blank]
        made_scores[h, PLAIN_LABEL] = hyp_scores[h, PLAIN_LABEL] + stay
        made_scores[h, BLANK] = every + row[blank]
        made_scores[h, LABEL] = hyp_scores[h, LABEL] + stay
        extras[h] = lms[node, LM_SCORE]
        own[h] = max(made_scores[h, PLAIN_BLANK], made_scores[h, PLAIN_LABEL])
        size = nodes[node, MATCHES]
        put(made, h, (h, -1, node, hyps[h, EMISSION], 0, used, size, 0))
        while used + size > len(values):
            values, entries = grown(values), grown(entries)
        for m in range(size):
            b = match_scores[hyps[h, SCORES] + m, 0]
            n = match_scores[hyps[h, SCORES] + m, 1]
            values[used + m, 0] = add(b, n) + row[blank]
            values[used + m, 1] = n + stay
        used += size
    total = held
    for h in range(held):
        node = hyps[h, NODE]
        last = nodes[node, TOKEN]
        is_open = nodes[node, OPEN]
        size = nodes[node, MATCHES]
        plain = add(hyp_scores[h, PLAIN_BLANK], hyp_scores[h, PLAIN_LABEL])
        every = add(hyp_scores[h, BLANK], hyp_scores[h, LABEL])
        closed_every, closed_blank = committed(h, graph, lattice, match_scores)
        for q in range(counts[TOKENS]):
            token = frame.tokens[q]
            kind = kinds[token]
            closes = kind != INSIDE and is_open == 1
            starts = kind == BEGINS or (kind == INSIDE and is_open == 0)
            again = token == last  # only behind a blank
            source = hyp_scores[h, PLAIN_BLANK] if again else plain
            if source == NEVER:
                continue
            if closes:
                base = closed_blank if again else closed_every
            else:
                base = hyp_scores[h, BLANK] if again else every
            begin = used
            while used + size + roots > len(values):
                values, entries = grown(values), grown(entries)
            for m in range(size):
                entry = pool[nodes[node, FIRST] + m]
                child = find_arc(graph.arcs, graph.masks, entry, token)
                if child < 0:
                    continue
                b = match_scores[hyps[h, SCORES] + m, 0]
                n = match_scores[hyps[h, SCORES] + m, 1]
                value = (b if again else add(b, n)) + row[token]
                if closes:
                    value += lms[node, GAIN] * graph.weights[entry]
                if frame.boosts[q] > 0:
                    value += frame.boosts[q] * graph.weights[child]
                put(values, used, (NEVER, value))
                entries[used, 0] = child
                used += 1
            continued = used
            if starts:
                for root in range(roots):
                    child = begins[q, root]
                    if child < 0:
                        continue
                    value = base + row[token]
                    if frame.boosts[q] > 0 and may_begin:
                        value += frame.boosts[q] * graph.weights[child]
                    put(values, used, (NEVER, value))
                    entries[used, 0] = child
                    used += 1
            wanted = continued > begin or (may_begin and used > continued)
            if q >= counts[COMMON] and not wanted:
                used = begin
                continue  # a token that only entries need, and none does
            found = find_node(table, nodes, node, token)
            if found >= 0 and place[found] >= 0:
                at = place[found]
                value = source + row[token]
                made_scores[at, PLAIN_LABEL] = add(made_scores[at, PLAIN_LABEL], value)
                made_scores[at, LABEL] = add(made_scores[at, LABEL], base + row[token])
                for m in range(used - begin):
                    there = made[at, 5] + m
                    values[there, 1] = add(values[there, 1], values[begin + m, 1])
                used = begin
                if value > own[at]:
                    made[at, 1], made[at, 3], made[at, 4] = token, hyps[h, EMISSION], 1
                continue
            size_here = used - begin
            source_here = hyps[h, EMISSION]
            new = (h, token, found, source_here, 1, begin, size_here, q)
            put(made, total, new)
            label = base + row[token]
            put(made_scores, total, (NEVER, source + row[token], NEVER, label))
            extra = lms[node, LM_SCORE]
            if closes:
                extra += lms[node, CLOSE]
            if len(frame.token_lm):
                extra += frame.token_lm[h, q]
            extras[total] = extra
            total += 1
    scores = np.empty(total)
    ranks = np.empty(total)
    lifted = False
    for at in range(total):
        value = add(made_scores[at, BLANK], made_scores[at, LABEL])
        rank = value
        for m in range(made[at, 5], made[at, 5] + made[at, 6]):
            rank = max(rank, add(values[m, 0], values[m, 1]))
        lifted |= rank > value
        scores[at] = value + extras[at]
        ranks[at] = rank + extras[at]
    beam = settings.beam
    reserve = (beam + 3) // 4 if lifted and beam > 1 else 0
    chosen = select(scores, ranks, beam, reserve, settings.pruning[2])
    needed = 0
    for at in chosen:
        needed += made[at, 6]
    kept = np.empty((needed, 2))
    old = hyps.copy()
    needed = 0
    for at in range(len(chosen)):
        c = chosen[at]
        node = made[c, 2]
        parent = old[made[c, 0], NODE]
        if node < 0:
            token = made[c, 1]
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
            nodes[node, MATCHES] = made[c, 6]
            put(lms, node, (lms[parent, LM_SCORE], 0.0, 0.0))
            if closes:
                nodes[node, LM] = nodes[parent, CLOSE_LM]
                lms[node, LM_SCORE] += lms[parent, CLOSE]
            if len(frame.token_lm):
                nodes[node, LM] = frame.next_lm[made[c, 0], made[c, 7]]
                lms[node, LM_SCORE] += frame.token_lm[made[c, 0], made[c, 7]]
            nodes[node, CLOSE_LM] = nodes[node, LM]  # until its word is closed
            for m in range(made[c, 6]):
                pool[counts[POOL] + m] = entries[made[c, 5] + m, 0]
            counts[POOL] += made[c, 6]
            enter_node(table, nodes, node)
        hyps[at, NODE] = node
        hyps[at, EMISSION] = made[c, 3]
        hyps[at, SCORES] = needed
        for n in range(4):
            hyp_scores[at, n] = made_scores[c, n]
        for m in range(made[c, 6]):
            kept[needed + m, 0] = values[made[c, 5] + m, 0]
            kept[needed + m, 1] = values[made[c, 5] + m, 1]
        needed += made[c, 6]
        if made[c, 4]:
            emission = counts[EMISSIONS]
            counts[EMISSIONS] += 1
            put(emissions, emission, (number, nodes[node, TOKEN], made[c, 3]))
            probabilities[emission] = math.exp(row[nodes[node, TOKEN]])
            hyps[at, EMISSION] = emission
    counts[HYPOTHESES] = len(chosen)
    return kept


@numba.njit(cache=True)
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
            counts[TOKENS], counts[COMMON] = count, common
            most = 0
            for h in range(counts[HYPOTHESES]):
                most = max(most, nodes[lattice.hyps[h, NODE], MATCHES])
            if (
                counts[NODES] + beam > len(nodes)
                or counts[EMISSIONS] + beam > len(lattice.emissions)
                or counts[POOL] + beam * (most + graph.roots) > len(lattice.pool)
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


@numba.njit(cache=True)
def needs_language(settings, lattice, frame):
    """Tell whether a frame needs what the language model has not said yet."""
    counts, nodes = lattice.counts, lattice.nodes
    if settings.language != 1:
        return settings.language == 2 and counts[TOKENS] > 0
    ends_word = False
    for q in range(counts[TOKENS]):
        ends_word |= settings.kinds[frame.tokens[q]] != INSIDE
    if ends_word:
        for h in range(counts[HYPOTHESES]):
            node = lattice.hyps[h, NODE]
            if nodes[node, OPEN] == 1 and nodes[node, CLOSED] == 0:
                return True
    return False


@numba.njit(cache=True)
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
