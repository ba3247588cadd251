"""What may follow the hypotheses of a CTC beam search in a frame."""

from typing import NamedTuple

import numpy as np

from espnet_dynlook.search.compiled import compiled
from espnet_dynlook.search.ctc_beam_arrays import (
    BEGINS,
    BLANK,
    CLOSE,
    COMMON,
    EMISSION,
    ENTRY_BLANK,
    ENTRY_EVERY,
    ENTRY_LABEL,
    EVERY,
    FIRST,
    GAIN,
    HYPOTHESES,
    INSIDE,
    LABEL,
    LM_SCORE,
    MATCHES,
    NEVER,
    NODE,
    NODES,
    OPEN,
    PARENT,
    PLAIN,
    PLAIN_BLANK,
    PLAIN_LABEL,
    SCORES,
    TOKEN,
    TOKENS,
    add,
    begun,
    find_arc,
    put,
)

# Columns of candidates: the hypothesis they come from; its new token, -1 for none;
# their labelling, -1 if it was not looked up; the last emission before this frame, and
# whether there is one in it; where their open entries begin, and how many; the place of
# the token among those of the frame.
ORIGIN, ADDED, LABELLING, SOURCE, EMITS, ENTRY, ENTRIES, PLACE = range(8)


class Candidates(NamedTuple):
    """Hypotheses as they may be after a frame, those without a new token first.

    Attributes:
        number: How many there are.
        rows: Where they come from.
        scores: Their log-probabilities.
        extras: What the language model adds.
        values: Of their open entries: log-probabilities of paths that end with a blank
            or with the last token, and their sum.
        entries: Nodes of the phrase graph that these are in.
    """

    number: int
    rows: np.ndarray
    scores: np.ndarray
    extras: np.ndarray
    values: np.ndarray
    entries: np.ndarray


@compiled
def candidates(row, settings, graph, lattice, match_scores, frame):
    """Return what may follow the hypotheses in a frame.

    Args:
        row: Log-probabilities (V,).
        settings: Of the search.
        graph: Of the catalog.
        lattice: What is known before the frame.
        match_scores: Of the hypotheses' open entries.
        frame: What was worked out for it.
    """
    counts = lattice.counts
    may_begin = begins_entries(row, settings)
    most = counts[HYPOTHESES] * (1 + counts[TOKENS])
    found = Candidates(
        counts[HYPOTHESES],
        np.empty((most, 8), dtype=np.int64),
        np.empty((most, 6)),
        np.empty(most),
        np.empty((64, 3)),
        np.empty((64, 1), dtype=np.int64),
    )
    found, used = unchanged(row, settings.blank, lattice, match_scores, found)
    return extended(
        row, settings, graph, lattice, match_scores, frame, found, used, may_begin
    )


@compiled
def begins_entries(row, settings):
    """Tell whether the first token of an entry gets anything in a frame."""
    return row[settings.blank] < settings.boosting[5]


@compiled
def unchanged(row, blank, lattice, match_scores, found):
    """Fill in the hypotheses without a new token; return how many values that took."""
    _, nodes, lms, _, _, _, _, hyps, hyp_scores = lattice
    held, rows, scores, extras, values, entries = found
    used = 0
    for h in range(held):
        node = hyps[h, NODE]
        last = nodes[node, TOKEN]
        stay = row[last] if last >= 0 else NEVER
        scores[h, PLAIN_BLANK] = hyp_scores[h, PLAIN] + row[blank]
        scores[h, PLAIN_LABEL] = hyp_scores[h, PLAIN_LABEL] + stay
        scores[h, BLANK] = hyp_scores[h, EVERY] + row[blank]
        scores[h, LABEL] = hyp_scores[h, LABEL] + stay
        extras[h] = lms[node, LM_SCORE]
        size = nodes[node, MATCHES]
        put(rows, h, (h, -1, node, hyps[h, EMISSION], 0, used, size, 0))
        while used + size > len(values):
            values, entries = grown(values), grown(entries)
        for m in range(size):
            at = hyps[h, SCORES] + m
            values[used + m, ENTRY_BLANK] = match_scores[at, ENTRY_EVERY] + row[blank]
            values[used + m, ENTRY_LABEL] = match_scores[at, ENTRY_LABEL] + stay
        used += size
    return Candidates(held, rows, scores, extras, values, entries), used


@compiled
def extended(
    row, settings, graph, lattice, match_scores, frame, found, used, may_begin
):
    """Add what follows with a new token; return all candidates.

    A labelling that is kept is no candidate twice: what leads there in this frame is
    added to its scores.
    """
    counts, nodes, lms, _, pool, _, _, hyps, hyp_scores = lattice
    held, rows, scores, extras, values, entries = found
    kinds = settings.kinds
    tokens, boosts, token_lm, _ = frame
    own = np.empty(held)  # the best single way into each that is kept
    # Heaps of at most what ``select`` will see, whose roots are the least of the best.
    best = np.full(settings.beam, NEVER)
    ranked = np.full(settings.beam, NEVER)
    for h in range(held):
        own[h] = max(scores[h, PLAIN_BLANK], scores[h, PLAIN_LABEL])
        value = max(scores[h, BLANK], scores[h, LABEL])
        enter_best(best, value + extras[h])
        if graph.roots:
            for m in range(rows[h, ENTRY], rows[h, ENTRY] + rows[h, ENTRIES]):
                value = max(value, values[m, ENTRY_BLANK], values[m, ENTRY_LABEL])
            enter_best(ranked, value + extras[h])
    grown_from, next_grown = longer(lattice)
    ranges = np.zeros((counts[TOKENS], 2), dtype=np.int64)
    for q in range(counts[TOKENS] if graph.roots else 0):
        ranges[q, 0], ranges[q, 1] = begun(graph, tokens[q])
    known = np.full(len(row), -1, dtype=np.int64)  # what it grew to, by token
    ends_word = False
    for q in range(counts[TOKENS]):
        ends_word |= kinds[tokens[q]] != INSIDE
    total = held
    for h in range(held):
        node = hyps[h, NODE]
        last = nodes[node, TOKEN]
        is_open = nodes[node, OPEN]
        size = nodes[node, MATCHES]
        lm, close = lms[node, LM_SCORE], lms[node, CLOSE]
        plain, every = hyp_scores[h, PLAIN], hyp_scores[h, EVERY]
        at = grown_from[h]
        while at >= 0:
            known[nodes[hyps[at, NODE], TOKEN]] = at
            at = next_grown[at]
        closed_every, closed_blank = every, hyp_scores[h, BLANK]
        if size and ends_word and is_open:
            closed_every, closed_blank = committed(h, graph, lattice, match_scores)
        for q in range(counts[TOKENS]):
            token = tokens[q]
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
            first, beyond = (ranges[q, 0], ranges[q, 1]) if starts else (0, 0)
            if q >= counts[COMMON] and size == 0 and not (may_begin and first < beyond):
                continue  # a token that only entries need, and none does
            label = base + row[token]
            extra = lm + close if closes else lm
            if len(token_lm):
                extra += token_lm[h, q]
            at = known[token]
            if at < 0 and size == 0 and first == beyond and label + extra < best[0]:
                continue  # a beam full of better ones is there already
            while used + size + beyond - first > len(values):
                values, entries = grown(values), grown(entries)
            for m in range(size):
                entry = pool[nodes[node, FIRST] + m]
                child = find_arc(graph.arcs, graph.masks, entry, token)
                if child < 0:
                    continue
                from_there = ENTRY_BLANK if again else ENTRY_EVERY
                value = match_scores[hyps[h, SCORES] + m, from_there] + row[token]
                if closes:
                    value += lms[node, GAIN] * graph.weights[entry]
                if boosts[q] > 0:
                    value += boosts[q] * graph.weights[child]
                put(values, used, (NEVER, value, value))
                entries[used, 0] = child
                used += 1
            continued = used
            for place in range(first, beyond):
                child = graph.firsts[place]
                value = label
                if boosts[q] > 0 and may_begin:
                    value += boosts[q] * graph.weights[child]
                put(values, used, (NEVER, value, value))
                entries[used, 0] = child
                used += 1
            wanted = continued > begin or (may_begin and used > continued)
            if q >= counts[COMMON] and not wanted:
                used = begin
                continue  # the same, now that its entries are known
            if at >= 0:
                value = source + row[token]
                scores[at, PLAIN_LABEL] = add(scores[at, PLAIN_LABEL], value)
                scores[at, LABEL] = add(scores[at, LABEL], label)
                for m in range(used - begin):
                    there = rows[at, ENTRY] + m
                    values[there, ENTRY_LABEL] = add(
                        values[there, ENTRY_LABEL], values[begin + m, ENTRY_LABEL]
                    )
                used = begin
                if value > own[at]:
                    rows[at, ADDED], rows[at, EMITS] = token, 1
                    rows[at, SOURCE] = hyps[h, EMISSION]
                continue
            size_here = used - begin
            enter_best(best, label + extra)
            rank = label
            for m in range(begin, used):
                rank = max(rank, values[m, ENTRY_LABEL])
            if graph.roots:
                enter_best(ranked, rank + extra)
            if label + extra < best[0] and rank + extra < ranked[0]:
                used = begin
                continue
            source_here = hyps[h, EMISSION]
            put(rows, total, (h, token, -1, source_here, 1, begin, size_here, q))
            own_label = source + row[token]
            put(scores, total, (NEVER, own_label, NEVER, label, own_label, label))
            extras[total] = extra
            total += 1
        at = grown_from[h]
        while at >= 0:
            known[nodes[hyps[at, NODE], TOKEN]] = -1
            at = next_grown[at]
    return Candidates(total, rows, scores, extras, values, entries)


@compiled
def enter_best(heap, value):
    """Enter a value in a heap of the best ones, in place of the least of them."""
    if value <= heap[0]:
        return
    at, size = 0, len(heap)
    while True:
        below = 2 * at + 1
        if below + 1 < size and heap[below + 1] < heap[below]:
            below += 1
        if below >= size or heap[below] >= value:
            break
        heap[at] = heap[below]
        at = below
    heap[at] = value


@compiled
def longer(lattice):
    """Return which hypotheses are another with one more token, as linked lists.

    Of each, the first that it grew to; and the next one that grew from the same.
    """
    counts, nodes, _, _, _, _, _, hyps, _ = lattice
    held = counts[HYPOTHESES]
    # Of all labellings few are hypotheses: what is not filled in is seen not to be.
    place = np.empty(counts[NODES], dtype=np.int64)
    first = np.full(held, -1, dtype=np.int64)
    following = np.full(held, -1, dtype=np.int64)
    for h in range(held):
        place[hyps[h, NODE]] = h
    for h in range(held):
        parent = nodes[hyps[h, NODE], PARENT]
        at = place[parent] if parent >= 0 else -1
        if 0 <= at < held and hyps[at, NODE] == parent:
            following[h] = first[at]
            first[at] = h
    return first, following


@compiled
def committed(h, graph, lattice, match_scores):
    """Return a hypothesis's scores if its open word ends here: all, behind a blank.

    Args:
        h: The hypothesis.
        graph: Of the catalog.
        lattice: What is known.
        match_scores: Of the hypotheses' open entries.
    """
    _, nodes, lms, _, pool, _, _, hyps, hyp_scores = lattice
    node = hyps[h, NODE]
    every, blank = hyp_scores[h, EVERY], hyp_scores[h, BLANK]
    for m in range(nodes[node, MATCHES]):
        entry = pool[nodes[node, FIRST] + m]
        if graph.ends[entry]:
            at = hyps[h, SCORES] + m
            gain = lms[node, GAIN] * graph.weights[entry]
            every = max(every, match_scores[at, ENTRY_EVERY] + gain)
            blank = max(blank, match_scores[at, ENTRY_BLANK] + gain)
    return every, blank


@compiled
def grown(values):
    """Return an array of twice the rows, with the same beginning."""
    more = np.empty((2 * len(values), values.shape[1]), dtype=values.dtype)
    for n in range(len(values)):
        for m in range(values.shape[1]):
            more[n, m] = values[n, m]
    return more
