"""The beginnings of a list's names, each once: what an adapter attends to."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Ids = Sequence[int]


@dataclass(frozen=True, eq=False)
class Beginnings:
    """Names as a tree: a node for each beginning that any of them has.

    Nodes are numbered by length, parents before children; their order depends on the
    names, and not on the order that these come in.

    Attributes:
        tokens: The last token of each beginning (M,).
        parents: The beginning one token shorter (M,); -1: there is none.
        levels: Where beginnings of each length start, and their number at the end.
        paths: Of each name, of each of its segmentations, its beginnings.
    """

    tokens: np.ndarray
    parents: np.ndarray
    levels: tuple[int, ...]
    paths: list[list[tuple[int, ...]]]

    def __len__(self) -> int:
        """Return M, the number of beginnings."""
        return len(self.tokens)

    @classmethod
    def of(cls, names: Sequence[Sequence[Ids]]) -> "Beginnings":
        """Return those of names, each a list of segmentations, none of them empty."""
        ways = [tuple(way) for name in names for way in name]
        longest = max(map(len, ways), default=0)
        rows = np.full((len(ways), longest), -1, dtype=np.int64)
        for row, way in zip(rows, ways, strict=True):
            row[: len(way)] = way
        size = int(rows.max(initial=0)) + 1
        places = np.full_like(rows, -1)
        parents, tokens, levels = [], [], [0]
        for at in range(longest):
            there = rows[:, at] >= 0
            before = places[there, at - 1] if at else np.full(there.sum(), -1)
            found, back = np.unique(
                (before + 1) * size + rows[there, at], return_inverse=True
            )
            places[there, at] = levels[-1] + back
            parents.append(found // size - 1)
            tokens.append(found % size)
            levels.append(levels[-1] + len(found))
        lists = iter(places.tolist())
        paths = [[tuple(next(lists)[: len(way)]) for way in name] for name in names]
        none = np.zeros(0, dtype=np.int64)
        return cls(
            np.concatenate([none, *tokens]),
            np.concatenate([none, *parents]),
            tuple(levels),
            paths,
        )

    @functools.cached_property
    def children(self) -> np.ndarray:
        """Where the beginnings one token longer start (M + 2,): the root's are first.

        They stand together, and end where those of the next one start: beginnings of a
        length are sorted by those that are one shorter.
        """
        return np.searchsorted(self.parents, np.arange(-1, len(self) + 1))

    @functools.cached_property
    def pairs(self) -> np.ndarray:
        """Which name has which beginning (2, P): names, and nodes; each once."""
        owners = [
            (name, node)
            for name, ways in enumerate(self.paths)
            for node in sorted({node for way in ways for node in way})
        ]
        return np.array(owners, dtype=np.int64).reshape(-1, 2).T
