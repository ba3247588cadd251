"""Frames of a CTC beam search in which no hypothesis gets a token, followed in place.

Most frames of a trained model are such ones.
"""

import numpy as np

from espnet_dynlook.search.compiled import bare
from espnet_dynlook.search.ctc_beam_arrays import (
    BLANK,
    ENTRY_BLANK,
    ENTRY_EVERY,
    ENTRY_LABEL,
    EVERY,
    FIRST,
    HALF,
    HYPOTHESES,
    INSIDE,
    LABEL,
    LM_SCORE,
    MATCHED,
    MATCHES,
    NEVER,
    NODE,
    PLAIN,
    PLAIN_BLANK,
    PLAIN_LABEL,
    SCORES,
    TOKEN,
    add,
    begun,
    find_arc,
    find_node,
    sum_up,
)
from espnet_dynlook.search.ctc_beam_expand import begins_entries
from espnet_dynlook.search.ctc_beam_pruning import select, selected_already


@bare
def entries_need(row, common, count, settings, graph, lattice, frame, scratch):
    """Tell whether entries need the tokens of a frame that nothing else may follow.

    What would not be kept is not needed: most names that have begun are far behind.

    Args:
        row: Log-probabilities (V,).
        common: How many of the tokens may follow any hypothesis.
        count: How many there are.
        settings: Of the search.
        graph: Of the catalog.
        lattice: What is known before the frame.
        frame: What was worked out for it.
        scratch: With the match scores.
    """
    counts, nodes, lms, table, pool, _, _, hyps, scores = lattice
    matches = scratch.matches[counts[HALF]]
    may_begin = begins_entries(row, settings)
    bits = 0
    for q in range(common, count):
        token = frame.tokens[q]
        first, beyond = begun(graph, token)
        if may_begin and first < beyond:
            return True
        bits |= 1 << (token & 63)
    known, total, rank = False, NEVER, NEVER
    for h in range(counts[HYPOTHESES]):
        node = hyps[h, NODE]
        for m in range(nodes[node, MATCHES]):
            entry = pool[nodes[node, FIRST] + m]
            if graph.masks[entry] & bits == 0:
                continue
            for q in range(common, count):
                token = frame.tokens[q]
                child = find_arc(graph.arcs, graph.masks, entry, token)
                if child < 0:
                    continue
                if settings.kinds[token] != INSIDE or len(frame.token_lm):
                    return True  # what that adds is not worked out yet
                if find_node(table, nodes, node, token) >= 0:
                    return True  # it may be a hypothesis, which gets more
                if not known:
                    total, rank = least_kept(row, settings, lattice, matches)
                    known = True
                label = scores[h, EVERY] + row[token]
                value = matches[hyps[h, SCORES] + m, ENTRY_EVERY] + row[token]
                value += max(frame.boosts[q], 0.0) * graph.weights[child]
                extra = lms[node, LM_SCORE]
                if label + extra >= total or max(label, value) + extra >= rank:
                    return True
    return False


@bare
def least_kept(row, settings, lattice, matches):
    """Return how much a new hypothesis needs to be kept: itself, or with its entries.

    Not less than that; what the frame's other tokens bring may ask for more.
    """
    counts, nodes, lms, _, _, _, _, hyps, scores = lattice
    blank = row[settings.blank]
    total = rank = np.inf
    best = NEVER
    for h in range(counts[HYPOTHESES]):
        node = hyps[h, NODE]
        last = nodes[node, TOKEN]
        stay = row[last] if last >= 0 else NEVER
        value = max(scores[h, EVERY] + blank, scores[h, LABEL] + stay)
        most = value
        for m in range(hyps[h, SCORES], hyps[h, SCORES] + nodes[node, MATCHES]):
            most = max(most, matches[m, ENTRY_EVERY] + blank)
            most = max(most, matches[m, ENTRY_LABEL] + stay)
        total = min(total, value + lms[node, LM_SCORE])
        rank = min(rank, most + lms[node, LM_SCORE])
        best = max(best, value + lms[node, LM_SCORE])
    if counts[HYPOTHESES] < settings.beam:
        total = rank = NEVER
    least = best - settings.pruning[2]
    return max(total, least), max(rank, least)


@bare
def go_on(row, settings, lattice, scratch):
    """Follow a frame of no token in place.

    Args:
        row: Log-probabilities (V,).
        settings: Of the search.
        lattice: What is known; changed.
        scratch: Its match scores are changed.
    """
    counts, nodes, lms, _, _, _, _, hyps, scores = lattice
    matches = scratch.matches[counts[HALF]]
    blank = row[settings.blank]
    held = counts[HYPOTHESES]
    lifted = False
    for h in range(held):
        node = hyps[h, NODE]
        last = nodes[node, TOKEN]
        stay = row[last] if last >= 0 else NEVER
        scores[h, PLAIN_BLANK] = scores[h, PLAIN] + blank
        scores[h, BLANK] = scores[h, EVERY] + blank
        scores[h, PLAIN_LABEL] += stay
        scores[h, LABEL] += stay
        sum_up(scores, h)
        rank = scores[h, EVERY]
        for m in range(hyps[h, SCORES], hyps[h, SCORES] + nodes[node, MATCHES]):
            matches[m, ENTRY_BLANK] = matches[m, ENTRY_EVERY] + blank
            matches[m, ENTRY_LABEL] += stay
            every = add(matches[m, ENTRY_BLANK], matches[m, ENTRY_LABEL])
            matches[m, ENTRY_EVERY] = every
            rank = max(rank, every)
        lifted |= rank > scores[h, EVERY]
        scratch.totals[h] = scores[h, EVERY] + lms[node, LM_SCORE]
        scratch.ranks[h] = rank + lms[node, LM_SCORE]
    if not selected_already(held, lifted, settings, scratch):
        number = select(held, lifted, (NEVER, NEVER), settings, scratch)
        rearrange(number, lattice, scratch)


@bare
def rearrange(number, lattice, scratch):
    """Make the first of the chosen the hypotheses, in this order."""
    counts, nodes, _, _, _, _, _, hyps, scores = lattice
    half = counts[HALF]
    old, new = scratch.matches[half], scratch.matches[1 - half]
    before, scores_before = scratch.rows, scratch.scores
    for h in range(counts[HYPOTHESES]):
        for n in range(hyps.shape[1]):
            before[h, n] = hyps[h, n]
        for n in range(scores.shape[1]):
            scores_before[h, n] = scores[h, n]
    used = 0
    for at in range(number):
        h = scratch.chosen[at]
        for n in range(hyps.shape[1]):
            hyps[at, n] = before[h, n]
        for n in range(scores.shape[1]):
            scores[at, n] = scores_before[h, n]
        size = nodes[hyps[at, NODE], MATCHES]
        for m in range(size):
            for n in range(old.shape[1]):
                new[used + m, n] = old[before[h, SCORES] + m, n]
        hyps[at, SCORES] = used
        used += size
    counts[HYPOTHESES], counts[MATCHED], counts[HALF] = number, used, 1 - half
