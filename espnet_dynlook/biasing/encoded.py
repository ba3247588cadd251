"""A list of names as the adapter attends to it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch


@dataclass(frozen=True)
class EncodedCatalog:
    """Keys and values of names; a value that any number of utterances can share.

    Attributes:
        keys: (C, N, A), C being 1 (a list for all utterances) or B (one for each).
        values: (C, N, A).
        present: Which names the list of each utterance has (1 or B, N) bool; None:
            all of them.
        texts: The names, where they are known; for pictures and messages.
        stamp: Says which parameters it was made with.
    """

    keys: torch.Tensor
    values: torch.Tensor
    present: torch.Tensor | None
    texts: tuple[str, ...]
    stamp: tuple[Any, ...]

    def __len__(self) -> int:
        """Return N, the names of the longest list."""
        return self.keys.size(1)

    def of(self, present: torch.Tensor) -> "EncodedCatalog":
        """Return lists of their own for utterances, out of this one list.

        Args:
            present: Which of its names each utterance has (B, N) bool.

        Raises:
            ValueError: it is of another number of names.
        """
        if present.dim() != 2 or present.size(1) != len(self):
            raise ValueError(
                f"present has the shape {tuple(present.shape)}, and must have (B, N) "
                f"with N={len(self)}, the names of the catalog"
            )
        return replace(self, present=present.to(self.keys.device))

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
        if any(one.keys.size(0) != 1 for one in catalogs):
            raise ValueError("a catalog of several lists cannot be one list of a batch")
        most = max(map(len, catalogs))

        def padded(tensor: torch.Tensor) -> torch.Tensor:
            short = most - tensor.size(1)
            return torch.nn.functional.pad(tensor, (0, 0, 0, short))

        first = catalogs[0].keys
        present = torch.zeros(len(catalogs), most, dtype=torch.bool)
        for row, one in zip(present, catalogs, strict=True):
            own = True if one.present is None else one.present[0].cpu()
            row[: len(one)] = own
        return cls(
            torch.cat([padded(one.keys) for one in catalogs]),
            torch.cat([padded(one.values) for one in catalogs]),
            present.to(first.device),
            (),
            catalogs[0].stamp,
        )
