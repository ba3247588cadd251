"""The entries of a catalog as a graph of tokens, for searches that follow them."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.biasing.weight_levels import weight_levels
from espnet_dynlook.search.compiled import compiled
from espnet_dynlook.search.ctc_beam_arrays import Graph, find_arc, slot_of


@dataclass(frozen=True, eq=False)
class PhraseGraph:
    """Where a search may be within the entries of a catalog.

    Every segmentation of every entry is a path from a root. Entries of one weight share
    their beginnings; each weight has a root of its own, so that what an entry gets does
    not depend on another's weight. The time to follow a token does not depend on the
    number of entries, but on that of different weights among those that begin with it;
    so weights that are too many count as the few of ``weight_levels``, as near as can
    be, which depend on the set of the weights alone. ``Catalog.report()`` says so.

    Attributes:
        arrays: For compiled code.
        size: Number of entries.
    """

    arrays: Graph
    size: int


def phrase_graph(catalog: Catalog | None, token_list: Sequence[str]) -> PhraseGraph:
    """Make the graph of a catalog, which may be None.

    Raises:
        CatalogError: The catalog is strict, and these tokens cannot write some phrase.
    """
    if catalog is None or not len(catalog):
        return _EMPTY
    catalog = catalog.for_tokens(token_list)
    if not len(catalog):
        return _EMPTY
    levels = weight_levels(entry.weight for entry in catalog.entries)
    weights = [levels[entry.weight] for entry in catalog.entries]
    return build_graph(catalog.token_ids(), weights)


def build_graph(
    entries: Sequence[Sequence[Sequence[int]]], weights: Sequence[float]
) -> PhraseGraph:
    """Make a graph.

    Args:
        entries: Token ids of every segmentation of every entry.
        weights: Of the entries.
    """
    if not entries:
        return _EMPTY
    levels = sorted(set(weights))
    number = {weight: n for n, weight in enumerate(levels)}
    tokens: list[int] = []
    lengths: list[int] = []
    roots: list[int] = []
    for segmentations, weight in zip(entries, weights, strict=True):
        for path in segmentations:
            tokens += path
            lengths.append(len(path))
            roots.append(number[weight])
    room = 1 << max(4, (2 * len(tokens)).bit_length())
    arcs, root_of, ends, masks = _enter(
        np.array(tokens, dtype=np.int64),
        np.array(lengths, dtype=np.int64),
        np.array(roots, dtype=np.int64),
        len(levels),
        room,
    )
    level = np.array(levels, dtype=np.float64)[root_of]
    starts, firsts = _beginnings(arcs, len(levels))
    graph = Graph(arcs, level, ends, len(levels), starts, firsts, masks)
    return PhraseGraph(graph, len(entries))


def _beginnings(arcs: np.ndarray, levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return ``Graph.starts`` and ``Graph.firsts``."""
    first = arcs[(arcs[:, 0] >= 0) & (arcs[:, 0] < levels)]
    first = first[np.lexsort((first[:, 0], first[:, 1]))]
    tokens = np.arange(first[-1, 1] + 2)
    return np.searchsorted(first[:, 1], tokens).astype(np.int64), first[:, 2].copy()


@compiled
def _enter(tokens, lengths, roots, levels, room):
    """Enter paths; return arcs, and each node's root, whether it ends, and mask."""
    arcs = np.full((room, 3), -1, dtype=np.int64)
    root_of = np.empty(levels + len(tokens), dtype=np.int64)
    ends = np.zeros(levels + len(tokens), dtype=np.bool_)
    for n in range(levels):
        root_of[n] = n
    masks = np.zeros(levels + len(tokens), dtype=np.int64)
    nodes, at = levels, 0
    for path in range(len(lengths)):
        node = roots[path]
        for token in tokens[at : at + lengths[path]]:
            following = find_arc(arcs, masks, node, token)
            if following < 0:
                following = nodes
                root_of[nodes] = roots[path]
                nodes += 1
                masks[node] |= 1 << (token & 63)
                slot = slot_of(node, token, room)
                while arcs[slot, 0] >= 0:
                    slot = (slot + 1) & (room - 1)
                arcs[slot, 0], arcs[slot, 1], arcs[slot, 2] = node, token, following
            node = following
        ends[node] = True
        at += lengths[path]
    made = root_of[:nodes].copy(), ends[:nodes].copy(), masks[:nodes].copy()
    return arcs, made[0], made[1], made[2]


_EMPTY = PhraseGraph(
    Graph(
        np.full((2, 3), -1, dtype=np.int64),
        np.zeros(0, dtype=np.float64),
        np.zeros(0, dtype=np.bool_),
        0,
        np.zeros(1, dtype=np.int64),
        np.zeros(0, dtype=np.int64),
        np.zeros(0, dtype=np.int64),
    ),
    0,
)


def kept_graph(catalog: Catalog | None, token_list: tuple[str, ...]) -> PhraseGraph:
    """Return the graph of a catalog; the last few are kept between requests.

    Raises:
        CatalogError: The catalog is strict, and these tokens cannot write some phrase.
    """
    # Catalogs that are equal before they know the tokens may not be so behind that.
    bound = None if catalog is None else catalog.for_tokens(token_list)
    return _kept_graph(bound, token_list)


_kept_graph = functools.lru_cache(maxsize=8)(phrase_graph)
