"""A list of names as the adapter attends to it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from espnet_dynlook.biasing.beginnings import Beginnings


@dataclass(frozen=True, eq=False)
class EncodedCatalog:
    """Keys and values of the beginnings of names; any number of utterances share it.

    Attributes:
        keys: (C, M, A), C being 1 (a list for all utterances) or B (one for each), M
            the beginnings of the list that has the most.
        values: (C, M, A).
        lists: The names of each of the C lists.
        present: Which of the names each utterance has (B, N) bool, of one list that is
            not the same for all; None: all of them.
        open: Which beginnings each utterance has (B, M) bool; None: all of them.
        texts: The names, where they are known; for pictures and messages.
        stamp: Says which parameters it was made with.
    """

    keys: torch.Tensor
    values: torch.Tensor
    lists: tuple[Beginnings, ...]
    present: torch.Tensor | None
    open: torch.Tensor | None
    texts: tuple[str, ...]
    stamp: tuple[Any, ...]

    def __len__(self) -> int:
        """Return N, the names of the longest list."""
        return max(len(one.paths) for one in self.lists)

    def of(self, present: torch.Tensor) -> "EncodedCatalog":
        """Return lists of their own for utterances, out of this one list.

        Args:
            present: Which of its names each utterance has (B, N) bool.

        Raises:
            ValueError: it is of another number of names, or there are several lists.
        """
        if len(self.lists) != 1:
            raise ValueError("a catalog of several lists cannot be divided")
        if present.dim() != 2 or present.size(1) != len(self):
            raise ValueError(
                f"present has the shape {tuple(present.shape)}, and must have (B, N) "
                f"with N={len(self)}, the names of the catalog"
            )
        return replace(
            self,
            present=present,
            open=(self._counts(present) > 0).to(self.keys.device),
        )

    def _counts(self, present: torch.Tensor) -> torch.Tensor:
        """Return how many of some names (B, N) have each beginning (B, M)."""
        name, node = torch.from_numpy(self.lists[0].pairs)
        counts = torch.zeros(len(present), len(self.lists[0]))
        return counts.index_add(1, node, present.cpu()[:, name].float())

    @classmethod
    def batch(cls, catalogs: Sequence["EncodedCatalog"]) -> "EncodedCatalog":
        """Return the lists of the utterances of a batch as one, padded.

        Args:
            catalogs: One an utterance, each a single list.

        Raises:
            ValueError: they were made with different parameters, or are none.
        """
        stamps = {one.stamp for one in catalogs}
        if len(stamps) != 1:
            raise ValueError(
                f"{len(catalogs)} catalogs of {len(stamps)} different adapters cannot "
                "be put together: encode all with one adapter"
            )
        if any(len(one.lists) != 1 or one.present is not None for one in catalogs):
            raise ValueError("a catalog of several lists cannot be one list of a batch")
        most = max(one.keys.size(1) for one in catalogs)

        def padded(tensor: torch.Tensor) -> torch.Tensor:
            short = most - tensor.size(1)
            return torch.nn.functional.pad(tensor, (0, 0, 0, short))

        sizes = torch.tensor([one.keys.size(1) for one in catalogs])
        there = torch.arange(most) < sizes[:, None]
        return cls(
            torch.cat([padded(one.keys) for one in catalogs]),
            torch.cat([padded(one.values) for one in catalogs]),
            tuple(one.lists[0] for one in catalogs),
            None,
            there.to(catalogs[0].keys.device),
            (),
            catalogs[0].stamp,
        )

    def by_name(self, attention: torch.Tensor) -> torch.Tensor:
        """Return attention over names (..., N + 1) out of that over beginnings.

        What several names begin with is divided among them.

        Args:
            attention: Of utterances (B, ..., M + 1), ``<no-bias>`` first.
        """
        shape = (*attention.shape[:-1], len(self) + 1)
        found = attention.new_zeros(shape)
        found[..., 0] = attention[..., 0]
        for number in range(len(attention)):
            own = self.lists[number if len(self.lists) > 1 else 0]
            name, node = torch.from_numpy(own.pairs)
            if self.present is not None:
                kept = self.present[number % len(self.present)].cpu()[name]
                name, node = name[kept], node[kept]
            shares = 1.0 / torch.bincount(node, minlength=len(own)).clamp(min=1)
            shares = shares.to(attention)[node]
            name, node = name.to(attention.device), node.to(attention.device)
            masses = attention[number][..., 1 + node] * shares
            found[number].index_add_(-1, 1 + name, masses)
        return found
