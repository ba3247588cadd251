"""Keeps the arrays of a CTC beam search small: only what hypotheses still need."""

import numpy as np

from espnet_dynlook.search.compiled import compiled
from espnet_dynlook.search.ctc_beam_arrays import (
    BEFORE,
    BEGINS,
    BLANK,
    COUNTS,
    EMISSION,
    EMISSIONS,
    EVERY,
    FIRST,
    HYPOTHESES,
    INSIDE,
    LABEL,
    MATCHES,
    NEVER,
    NODE,
    NODE_FLOATS,
    NODE_INTS,
    NODES,
    OPEN,
    PARENT,
    PLAIN,
    PLAIN_BLANK,
    POOL,
    SCORES,
    TOKEN,
    Lattice,
    begun,
    enter_node,
    find_arc,
)


def empty_lattice() -> Lattice:
    """Return one hypothesis, of no tokens."""
    counts = np.zeros(COUNTS, dtype=np.int64)
    counts[[NODES, EMISSIONS, HYPOTHESES]] = 1
    nodes = np.zeros((1, NODE_INTS), dtype=np.int64)
    nodes[0, [PARENT, TOKEN]] = -1
    scores = np.full((1, 6), NEVER)
    scores[0, [PLAIN_BLANK, BLANK, PLAIN, EVERY]] = 0.0
    return Lattice(
        counts,
        nodes,
        np.zeros((1, NODE_FLOATS)),
        np.zeros(0, dtype=np.int64),
        np.zeros(0, dtype=np.int64),
        np.array([[-1, -1, -1]], dtype=np.int64),
        np.ones(1),
        np.zeros((1, 3), dtype=np.int64),
        scores,
    )


def widened(lattice: Lattice, beam: int, further: int, pool: int) -> Lattice:
    """Return a copy with room for more.

    Args:
        lattice: Compact or not.
        beam: Hypotheses that are kept.
        further: Room for labellings and emissions.
        pool: Room for open entries of labellings.
    """
    nodes = int(lattice.counts[NODES]) + further
    emissions = int(lattice.counts[EMISSIONS]) + further
    pool += int(lattice.counts[POOL])

    def empty(values: np.ndarray, size: int) -> np.ndarray:
        return np.empty((size, *values.shape[1:]), dtype=values.dtype)

    found = Lattice(
        empty(lattice.counts, COUNTS),
        empty(lattice.nodes, nodes),
        empty(lattice.lms, nodes),
        np.empty(1 << (2 * nodes).bit_length(), dtype=np.int64),
        empty(lattice.pool, pool),
        empty(lattice.emissions, emissions),
        empty(lattice.probabilities, emissions),
        empty(lattice.hyps, beam),
        empty(lattice.hyp_scores, beam),
    )
    fill(found, lattice)
    return found


@compiled
def fill(wide, lattice):
    """Make a lattice another one, for which it has room."""
    wide.counts[:] = lattice.counts
    nodes, emissions = lattice.counts[NODES], lattice.counts[EMISSIONS]
    held, pool = lattice.counts[HYPOTHESES], lattice.counts[POOL]
    wide.nodes[:nodes] = lattice.nodes[:nodes]
    wide.lms[:nodes] = lattice.lms[:nodes]
    wide.pool[:pool] = lattice.pool[:pool]
    wide.emissions[:emissions] = lattice.emissions[:emissions]
    wide.probabilities[:emissions] = lattice.probabilities[:emissions]
    wide.hyps[:held] = lattice.hyps[:held]
    wide.hyp_scores[:held] = lattice.hyp_scores[:held]
    wide.table[:] = -1
    for node in range(1, nodes):
        enter_node(wide.table, wide.nodes, node)


@compiled
def shared(chains, before):
    """Return the last link that all chains share; link 0 stands before every chain.

    Args:
        chains: Last link of each.
        before: The link before each, of a smaller number.
    """
    first, another = 1, 2
    seen = np.zeros(np.max(chains) + 1, dtype=np.int8)
    link = chains[0]
    while seen[link] == 0:
        seen[link] = first
        if link > 0:
            link = before[link]
    common = chains[0]
    for chain in chains:
        link = chain
        while seen[link] == 0:
            seen[link] = another
            link = before[link]
        if seen[link] == first:  # else it goes on as a chain before it did
            common = min(common, link)
    return common


@compiled
def steps_from(link, first, before):
    """Return the links of a chain behind the first one, in order."""
    found = []
    while link != first:
        found.append(link)
        link = before[link]
    return np.array(found[::-1], dtype=np.int64)


@compiled
def compact(lattice):
    """Return a lattice of what hypotheses still need; what is settled.

    Tokens are settled when all hypotheses share them, and when they were emitted. They
    are left out; the last of them becomes the root.

    Returns:
        The lattice; the emissions that are settled; their probabilities.
    """
    counts, nodes, lms, _, pool, emissions, probabilities, hyps, hyp_scores = lattice
    held = counts[HYPOTHESES]
    before = emissions[:, BEFORE]
    parents = nodes[:, PARENT]
    root = shared(hyps[:held, EMISSION], before)
    settled = steps_from(root, 0, before)
    node_root = hyps[0, NODE]
    for _ in range(len(steps_from(hyps[0, EMISSION], root, before))):
        node_root = parents[node_root]
    # What hypotheses come from, without what is before the roots.
    live = np.zeros(counts[NODES], dtype=np.bool_)
    live[node_root] = True
    spoken = np.zeros(counts[EMISSIONS], dtype=np.bool_)
    spoken[root] = True
    for h in range(held):
        node = hyps[h, NODE]
        while not live[node]:
            live[node] = True
            node = parents[node]
        emission = hyps[h, EMISSION]
        while not spoken[emission]:
            spoken[emission] = True
            emission = before[emission]
    old_nodes, new_node = numbered(live)
    old_emissions, new_emission = numbered(spoken)
    made = nodes[old_nodes]
    made_pool = np.empty(np.sum(made[:, MATCHES]), dtype=np.int64)
    used = 0
    for n in range(len(made)):
        made[n, PARENT] = new_node[made[n, PARENT]] if n else -1
        for m in range(made[n, MATCHES]):
            made_pool[used + m] = pool[made[n, FIRST] + m]
        made[n, FIRST] = used
        used += made[n, MATCHES]
    made_emissions = emissions[old_emissions]
    for n in range(len(made_emissions)):
        made_emissions[n, BEFORE] = new_emission[made_emissions[n, BEFORE]] if n else -1
    made_hyps = hyps[:held].copy()
    for h in range(held):
        made_hyps[h, NODE] = new_node[made_hyps[h, NODE]]
        made_hyps[h, EMISSION] = new_emission[made_hyps[h, EMISSION]]
    made_counts = counts.copy()
    made_counts[NODES] = len(made)
    made_counts[EMISSIONS] = len(made_emissions)
    made_counts[POOL] = used
    found = Lattice(
        made_counts,
        made,
        lms[old_nodes],
        np.empty(0, dtype=np.int64),
        made_pool,
        made_emissions,
        probabilities[old_emissions],
        made_hyps,
        hyp_scores[:held].copy(),
    )
    return found, emissions[settled], probabilities[settled]


@compiled
def numbered(kept):
    """Return which places are kept, and the new number of each of these.

    With a loop: NumPy's functions that do it take ten times as long in numba.
    """
    old = np.empty(len(kept), dtype=np.int64)
    new = np.empty(len(kept), dtype=np.int64)
    count = 0
    for n in range(len(kept)):
        if kept[n]:
            old[count], new[n] = n, count
            count += 1
    return old[:count], new


@compiled
def rematched(lattice, graph, kinds):
    """Return a compact lattice and match scores for another catalog.

    Entries that begin within what is not settled are open, without any bias so far.
    """
    counts, nodes, lms, table, _, emissions, probabilities, hyps, hyp_scores = lattice
    made = nodes.copy()
    pool: list[int] = []
    for n in range(len(made)):
        made[n, FIRST] = len(pool)
        parent, token = made[n, PARENT], made[n, TOKEN]
        if n:
            first = made[parent, FIRST]
            for m in range(made[parent, MATCHES]):
                child = find_arc(graph.arcs, graph.masks, pool[first + m], token)
                if child >= 0:
                    pool.append(child)
            kind = kinds[token]
            if kind == BEGINS or (kind == INSIDE and made[parent, OPEN] == 0):
                begin, end = begun(graph, token)
                for at in range(begin, end):
                    pool.append(graph.firsts[at])
        made[n, MATCHES] = len(pool) - made[n, FIRST]
    made_hyps = hyps.copy()
    scores: list[tuple[float, float, float]] = []
    for h in range(len(hyps)):
        made_hyps[h, SCORES] = len(scores)
        for _ in range(made[hyps[h, NODE], MATCHES]):
            scores.append(
                (hyp_scores[h, BLANK], hyp_scores[h, LABEL], hyp_scores[h, EVERY])
            )
    match_scores = np.empty((len(scores), 3))
    for n in range(len(scores)):
        match_scores[n] = scores[n]
    made_counts = counts.copy()
    made_counts[POOL] = len(pool)
    found = Lattice(
        made_counts,
        made,
        lms,
        table,
        np.array(pool, dtype=np.int64),
        emissions,
        probabilities,
        made_hyps,
        hyp_scores,
    )
    return found, match_scores
