"""Frames of a CTC beam search in which no hypothesis gets a token, followed in place.

Most frames of a trained model are such ones.
"""

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
    sum_up,
)
from espnet_dynlook.search.ctc_beam_expand import begins_entries
from espnet_dynlook.search.ctc_beam_pruning import select, selected_already


@bare
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


@bare
def go_on(row, settings, lattice, room):
    """Follow a frame of no token in place.

    Args:
        row: Log-probabilities (V,).
        settings: Of the search.
        lattice: What is known; changed.
        room: Its match scores are changed.
    """
    counts, nodes, lms, _, _, _, _, hyps, scores = lattice
    matches = room.matches[counts[HALF]]
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
        room.totals[h] = scores[h, EVERY] + lms[node, LM_SCORE]
        room.ranks[h] = rank + lms[node, LM_SCORE]
    if not selected_already(held, lifted, settings, room):
        number = select(held, lifted, (NEVER, NEVER), settings, room)
        rearrange(number, lattice, room)


@bare
def rearrange(number, lattice, room):
    """Make the first of the chosen the hypotheses, in this order."""
    counts, nodes, _, _, _, _, _, hyps, scores = lattice
    half = counts[HALF]
    old, new = room.matches[half], room.matches[1 - half]
    before, scores_before = room.rows, room.scores
    for h in range(counts[HYPOTHESES]):
        for n in range(hyps.shape[1]):
            before[h, n] = hyps[h, n]
        for n in range(scores.shape[1]):
            scores_before[h, n] = scores[h, n]
    used = 0
    for at in range(number):
        h = room.chosen[at]
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
