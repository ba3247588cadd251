"""Frames of a CTC beam search in which no hypothesis gets a token, followed in place.

Most frames of a trained model are such ones.
"""

import numpy as np

from espnet_dynlook.search.compiled import compiled
from espnet_dynlook.search.ctc_beam_arrays import (
    BLANK,
    ENTRY_BLANK,
    ENTRY_EVERY,
    ENTRY_LABEL,
    EVERY,
    FIRST,
    HYPOTHESES,
    LABEL,
    LM_SCORE,
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
    sum_up,
)
from espnet_dynlook.search.ctc_beam_expand import begins_entries
from espnet_dynlook.search.ctc_beam_pruning import select, selected_already


@compiled
def entries_need(row, common, count, settings, graph, lattice, frame):
    """Tell whether entries need the tokens of a frame that nothing else may follow.

    Args:
        row: Log-probabilities (V,).
        common: How many of the tokens may follow any hypothesis.
        count: How many there are.
        settings: Of the search.
        graph: Of the catalog.
        lattice: What is known before the frame.
        frame: What was worked out for it.
    """
    counts, nodes, _, _, pool, _, _, hyps, _ = lattice
    may_begin = begins_entries(row, settings)
    bits = 0
    for q in range(common, count):
        token = frame.tokens[q]
        first, beyond = begun(graph, token)
        if may_begin and first < beyond:
            return True
        bits |= 1 << (token & 63)
    for h in range(counts[HYPOTHESES]):
        node = hyps[h, NODE]
        for m in range(nodes[node, MATCHES]):
            entry = pool[nodes[node, FIRST] + m]
            if graph.masks[entry] & bits == 0:
                continue
            for q in range(common, count):
                if find_arc(graph.arcs, graph.masks, entry, frame.tokens[q]) >= 0:
                    return True
    return False


@compiled
def go_on(row, settings, lattice, match_scores):
    """Follow a frame of no token in place; return the match scores.

    Args:
        row: Log-probabilities (V,).
        settings: Of the search.
        lattice: What is known; changed.
        match_scores: Of the hypotheses' open entries; changed.
    """
    counts, nodes, lms, _, _, _, _, hyps, scores = lattice
    blank = row[settings.blank]
    held = counts[HYPOTHESES]
    values, ranks = np.empty(held), np.empty(held)
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
            match_scores[m, ENTRY_BLANK] = match_scores[m, ENTRY_EVERY] + blank
            match_scores[m, ENTRY_LABEL] += stay
            every = add(match_scores[m, ENTRY_BLANK], match_scores[m, ENTRY_LABEL])
            match_scores[m, ENTRY_EVERY] = every
            rank = max(rank, every)
        lifted |= rank > scores[h, EVERY]
        values[h] = scores[h, EVERY] + lms[node, LM_SCORE]
        ranks[h] = rank + lms[node, LM_SCORE]
    if selected_already(values, ranks, lifted, settings):
        return match_scores
    return rearranged(select(values, ranks, lifted, settings), lattice, match_scores)


@compiled
def rearranged(chosen, lattice, match_scores):
    """Make these the hypotheses, in this order; return their match scores."""
    counts, nodes, _, _, _, _, _, hyps, scores = lattice
    held = counts[HYPOTHESES]
    hyps_before, scores_before = hyps[:held].copy(), scores[:held].copy()
    kept = np.empty_like(match_scores)
    used = 0
    for at in range(len(chosen)):
        before = chosen[at]
        for n in range(hyps.shape[1]):
            hyps[at, n] = hyps_before[before, n]
        for n in range(scores.shape[1]):
            scores[at, n] = scores_before[before, n]
        size = nodes[hyps[at, NODE], MATCHES]
        for m in range(size):
            for n in range(match_scores.shape[1]):
                kept[used + m, n] = match_scores[hyps_before[before, SCORES] + m, n]
        hyps[at, SCORES] = used
        used += size
    counts[HYPOTHESES] = len(chosen)
    return kept[:used]
