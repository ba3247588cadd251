"""What may follow the hypotheses of a CTC beam search in a frame."""

import numpy as np

from espnet_dynlook.search.compiled import bare
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
    HALF,
    HYPOTHESES,
    INSIDE,
    LABEL,
    LM_SCORE,
    MATCHES,
    NEVER,
    NODE,
    OPEN,
    PARENT,
    PLACE,
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
from espnet_dynlook.search.ctc_beam_scratch import (
    ADDED,
    EMITS,
    ENTRIES,
    ENTRY,
    FIRST_GROWN,
    NEXT_GROWN,
    PLAINLY,
    RANKED,
    SOURCE,
)


@bare
def candidates(row, settings, graph, lattice, frame, scratch):
    """Fill in what may follow the hypotheses in a frame.

    Args:
        row: Log-probabilities (V,).
        settings: Of the search.
        graph: Of the catalog.
        lattice: What is known before the frame.
        frame: What was worked out for it.
        scratch: Its first arrays are filled.

    Returns:
        How many candidates there are; -1: there is no room for their open entries in
        the scratch arrays.
    """
    used = unchanged(row, settings.blank, lattice, scratch)
    if used < 0:
        return -1
    return extended(row, settings, graph, lattice, frame, scratch, used)


@bare
def begins_entries(row, settings):
    """Tell whether the first token of an entry gets anything in a frame."""
    return row[settings.blank] < settings.boosting[5]


@bare
def unchanged(row, blank, lattice, scratch):
    """Fill in the hypotheses without a new token; return how many values that took."""
    counts, nodes, lms, _, _, _, _, hyps, hyp_scores = lattice
    rows, scores, values = scratch.rows, scratch.scores, scratch.values
    matches = scratch.matches[counts[HALF]]
    used = 0
    for h in range(counts[HYPOTHESES]):
        node = hyps[h, NODE]
        last = nodes[node, TOKEN]
        stay = row[last] if last >= 0 else NEVER
        scores[h, PLAIN_BLANK] = hyp_scores[h, PLAIN] + row[blank]
        scores[h, PLAIN_LABEL] = hyp_scores[h, PLAIN_LABEL] + stay
        scores[h, BLANK] = hyp_scores[h, EVERY] + row[blank]
        scores[h, LABEL] = hyp_scores[h, LABEL] + stay
        scratch.extras[h] = lms[node, LM_SCORE]
        size = nodes[node, MATCHES]
        put(rows, h, (h, -1, node, hyps[h, EMISSION], 0, used, size, 0))
        if used + size > len(values):
            return -1
        for m in range(size):
            at = hyps[h, SCORES] + m
            values[used + m, ENTRY_BLANK] = matches[at, ENTRY_EVERY] + row[blank]
            values[used + m, ENTRY_LABEL] = matches[at, ENTRY_LABEL] + stay
        used += size
    return used


@bare
def extended(row, settings, graph, lattice, frame, scratch, used):
    """Add what follows with a new token; return how many candidates there are.

    A labelling that is kept is no candidate twice: what leads there in this frame is
    added to its scores.
    """
    counts, nodes, lms, _, pool, _, _, hyps, hyp_scores = lattice
    rows, scores, values, entries = (
        scratch.rows,
        scratch.scores,
        scratch.values,
        scratch.entries,
    )
    single, known, longer = scratch.single, scratch.known, scratch.longer
    matches, ranges = scratch.matches[counts[HALF]], scratch.begun
    # Heaps of at most what ``select`` will see, whose roots are the least of the best.
    best, ranked = scratch.heaps[PLAINLY], scratch.heaps[RANKED]
    kinds, named, may_begin = settings.kinds, graph.roots, begins_entries(row, settings)
    tokens, boosts, token_lm, _ = frame
    held, number, common = counts[HYPOTHESES], counts[TOKENS], counts[COMMON]
    beam = settings.beam
    best[beam] = ranked[beam] = np.inf
    for n in range(beam - held):
        best[n] = ranked[n] = NEVER
    for h in range(held):  # the best first: from the end, that is nearly a heap
        single[h] = max(scores[h, PLAIN_BLANK], scores[h, PLAIN_LABEL])
        value = max(scores[h, BLANK], scores[h, LABEL])
        best[beam - 1 - h] = value + scratch.extras[h]
        if named:
            for m in range(rows[h, ENTRY], rows[h, ENTRY] + rows[h, ENTRIES]):
                value = max(value, values[m, ENTRY_BLANK], values[m, ENTRY_LABEL])
            ranked[beam - 1 - h] = value + scratch.extras[h]
    for at in range(beam // 2 - 1, -1, -1):
        sink(best, at, best[at])
        if named:
            sink(ranked, at, ranked[at])
    link_longer(lattice, longer)
    ends_word = False
    for q in range(number):
        ends_word |= kinds[tokens[q]] != INSIDE
        ranges[q, 0], ranges[q, 1] = begun(graph, tokens[q]) if named else (0, 0)
    total = held
    for h in range(held):
        node = hyps[h, NODE]
        last = nodes[node, TOKEN]
        is_open = nodes[node, OPEN]
        size = nodes[node, MATCHES]
        lm, close = lms[node, LM_SCORE], lms[node, CLOSE]
        plain, every = hyp_scores[h, PLAIN], hyp_scores[h, EVERY]
        at = longer[h, FIRST_GROWN]
        while at >= 0:
            known[nodes[hyps[at, NODE], TOKEN]] = at
            at = longer[at, NEXT_GROWN]
        closed_every, closed_blank = every, hyp_scores[h, BLANK]
        if size and ends_word and is_open:
            closed_every, closed_blank = committed(h, graph, lattice, matches)
        for q in range(number):
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
            if q >= common and size == 0 and not (may_begin and first < beyond):
                continue  # a token that only entries need, and none does
            label = base + row[token]
            extra = lm + close if closes else lm
            if len(token_lm):
                extra += token_lm[h, q]
            at = known[token]
            if at < 0 and size == 0 and first == beyond and label + extra < best[0]:
                continue  # a beam full of better ones is there already
            if used + size + beyond - first > len(values):
                return -1
            for m in range(size):
                entry = pool[nodes[node, FIRST] + m]
                child = find_arc(graph.arcs, graph.masks, entry, token)
                if child < 0:
                    continue
                from_there = ENTRY_BLANK if again else ENTRY_EVERY
                value = matches[hyps[h, SCORES] + m, from_there] + row[token]
                if closes:
                    value += lms[node, GAIN] * graph.weights[entry]
                if boosts[q] > 0:
                    value += boosts[q] * graph.weights[child]
                put(values, used, (NEVER, value, value))
                entries[used] = child
                used += 1
            continued = used
            for place in range(first, beyond):
                child = graph.firsts[place]
                value = label
                if boosts[q] > 0 and may_begin:
                    value += boosts[q] * graph.weights[child]
                put(values, used, (NEVER, value, value))
                entries[used] = child
                used += 1
            wanted = continued > begin or (may_begin and used > continued)
            if q >= common and not wanted:
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
                if value > single[at]:
                    rows[at, ADDED], rows[at, EMITS] = token, 1
                    rows[at, SOURCE] = hyps[h, EMISSION]
                continue
            size_here = used - begin
            enter_best(best, label + extra)
            if named:
                rank = label
                for m in range(begin, used):
                    rank = max(rank, values[m, ENTRY_LABEL])
                enter_best(ranked, rank + extra)
                if label + extra < best[0] and rank + extra < ranked[0]:
                    used = begin
                    continue
            elif label + extra < best[0]:
                continue
            source_here = hyps[h, EMISSION]
            put(rows, total, (h, token, -1, source_here, 1, begin, size_here, q))
            own_label = source + row[token]
            put(scores, total, (NEVER, own_label, NEVER, label, own_label, label))
            scratch.extras[total] = extra
            total += 1
        at = longer[h, FIRST_GROWN]
        while at >= 0:
            known[nodes[hyps[at, NODE], TOKEN]] = -1
            at = longer[at, NEXT_GROWN]
    return total


@bare
def enter_best(heap, value):
    """Enter a value in a heap of the best ones, in place of the least of them."""
    if value > heap[0]:
        sink(heap, 0, value)


@bare
def sink(heap, at, value):
    """Put a value in a place of a heap, or below it, where all above it are less.

    Behind the heap's last value there is one that is larger than all.
    """
    size = len(heap) - 1
    below = 2 * at + 1
    while below < size:
        below += np.int64(heap[below + 1] < heap[below])  # no branch to guess wrong
        if heap[below] >= value:
            break
        heap[at] = heap[below]
        at, below = below, 2 * below + 1
    heap[at] = value


@bare
def link_longer(lattice, longer):
    """Fill in which hypotheses are another with one more token, as linked lists."""
    counts, nodes, _, _, _, _, _, hyps, _ = lattice
    held = counts[HYPOTHESES]
    for h in range(held):
        nodes[hyps[h, NODE], PLACE] = h
        longer[h, FIRST_GROWN] = longer[h, NEXT_GROWN] = -1
    for h in range(held):
        parent = nodes[hyps[h, NODE], PARENT]
        at = nodes[parent, PLACE] if parent >= 0 else -1
        # Of all labellings few are hypotheses: the place of others is an old one.
        if 0 <= at < held and hyps[at, NODE] == parent:
            longer[h, NEXT_GROWN] = longer[at, FIRST_GROWN]
            longer[at, FIRST_GROWN] = h


@bare
def committed(h, graph, lattice, matches):
    """Return a hypothesis's scores if its open word ends here: all, behind a blank.

    Args:
        h: The hypothesis.
        graph: Of the catalog.
        lattice: What is known.
        matches: Match scores of the hypotheses.
    """
    _, nodes, lms, _, pool, _, _, hyps, hyp_scores = lattice
    node = hyps[h, NODE]
    every, blank = hyp_scores[h, EVERY], hyp_scores[h, BLANK]
    for m in range(nodes[node, MATCHES]):
        entry = pool[nodes[node, FIRST] + m]
        if graph.ends[entry]:
            at = hyps[h, SCORES] + m
            gain = lms[node, GAIN] * graph.weights[entry]
            every = max(every, matches[at, ENTRY_EVERY] + gain)
            blank = max(blank, matches[at, ENTRY_BLANK] + gain)
    return every, blank
