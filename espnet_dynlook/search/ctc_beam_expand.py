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
    PLAIN_BLANK,
    PLAIN_LABEL,
    SCORES,
    TOKEN,
    TOKENS,
    add,
    begun,
    find_arc,
    find_node,
    put,
)

# Columns of candidates: the hypothesis they come from; its new token, -1 for none;
# their labelling, -1 if it is not known; the last emission before this frame, and
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
            or with the last token.
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
    may_begin = row[settings.blank] < settings.boosting[5]
    if graph.roots > 0 and not may_begin and len(match_scores) == 0:
        counts[TOKENS] = counts[COMMON]  # there is no entry that could need more
    most = counts[HYPOTHESES] * (1 + counts[TOKENS])
    found = Candidates(
        counts[HYPOTHESES],
        np.empty((most, 8), dtype=np.int64),
        np.empty((most, 4)),
        np.empty(most),
        np.empty((64, 2)),
        np.empty((64, 1), dtype=np.int64),
    )
    found, used = unchanged(row, settings.blank, lattice, match_scores, found)
    return extended(
        row, settings, graph, lattice, match_scores, frame, found, used, may_begin
    )


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
        plain = add(hyp_scores[h, PLAIN_BLANK], hyp_scores[h, PLAIN_LABEL])
        every = add(hyp_scores[h, BLANK], hyp_scores[h, LABEL])
        scores[h, PLAIN_BLANK] = plain + row[blank]
        scores[h, PLAIN_LABEL] = hyp_scores[h, PLAIN_LABEL] + stay
        scores[h, BLANK] = every + row[blank]
        scores[h, LABEL] = hyp_scores[h, LABEL] + stay
        extras[h] = lms[node, LM_SCORE]
        size = nodes[node, MATCHES]
        put(rows, h, (h, -1, node, hyps[h, EMISSION], 0, used, size, 0))
        while used + size > len(values):
            values, entries = grown(values), grown(entries)
        for m in range(size):
            b = match_scores[hyps[h, SCORES] + m, 0]
            n = match_scores[hyps[h, SCORES] + m, 1]
            values[used + m, 0] = add(b, n) + row[blank]
            values[used + m, 1] = n + stay
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
    counts, nodes, lms, table, pool, _, _, hyps, hyp_scores = lattice
    held, rows, scores, extras, values, entries = found
    kinds = settings.kinds
    place = np.full(counts[NODES], -1, dtype=np.int64)
    own = np.empty(held)  # the best single way into each that is kept
    for h in range(held):
        place[hyps[h, NODE]] = h
        own[h] = max(scores[h, PLAIN_BLANK], scores[h, PLAIN_LABEL])
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
            first, beyond = begun(graph, token) if starts else (0, 0)
            while used + size + beyond - first > len(values):
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
            for at in range(first, beyond):
                child = graph.firsts[at]
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
            known = find_node(table, nodes, node, token)
            if known >= 0 and place[known] >= 0:
                at = place[known]
                value = source + row[token]
                scores[at, PLAIN_LABEL] = add(scores[at, PLAIN_LABEL], value)
                scores[at, LABEL] = add(scores[at, LABEL], base + row[token])
                for m in range(used - begin):
                    there = rows[at, ENTRY] + m
                    values[there, 1] = add(values[there, 1], values[begin + m, 1])
                used = begin
                if value > own[at]:
                    rows[at, ADDED], rows[at, EMITS] = token, 1
                    rows[at, SOURCE] = hyps[h, EMISSION]
                continue
            size_here = used - begin
            source_here = hyps[h, EMISSION]
            new = (h, token, known, source_here, 1, begin, size_here, q)
            put(rows, total, new)
            label = base + row[token]
            put(scores, total, (NEVER, source + row[token], NEVER, label))
            extra = lms[node, LM_SCORE]
            if closes:
                extra += lms[node, CLOSE]
            if len(frame.token_lm):
                extra += frame.token_lm[h, q]
            extras[total] = extra
            total += 1
    return Candidates(total, rows, scores, extras, values, entries)


@compiled
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


@compiled
def grown(values):
    """Return an array of twice the rows, with the same beginning."""
    more = np.empty((2 * len(values), values.shape[1]), dtype=values.dtype)
    for n in range(len(values)):
        for m in range(values.shape[1]):
            more[n, m] = values[n, m]
    return more
