# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Rows of several streams in one tensor: each stream's are at the left, by count.

Counts are NumPy arrays: they decide what is computed, so they have to be on the host,
where reading one costs no synchronization with a device.
"""

import numpy as np
import torch

#: Of each stream (B,), int64.
Counts = np.ndarray


def rows(width: int, counts: Counts) -> np.ndarray:
    """Say which rows are a stream's, (B, width) bool.

    Args:
        width: Of the tensor.
        counts: Rows of each stream (B,).
    """
    return np.arange(width) < counts[:, None]


def in_step(counts: Counts) -> int | None:
    """Return the number of rows where all streams have the same, else None."""
    first = int(counts[0])
    return first if len(counts) == 1 or bool((counts == first).all()) else None


def append(
    old: torch.Tensor, counts: Counts, new: torch.Tensor, added: Counts
) -> torch.Tensor:
    """Put each stream's new rows behind its old ones.

    Args:
        old: (B, P, ...).
        counts: Rows of each stream in ``old`` (B,).
        new: (B, N, ...).
        added: Rows of each stream in ``new`` (B,).

    Returns:
        (B, width, ...), as wide as the stream with most rows needs.
    """
    if not added.max():
        return old
    old_rows, new_rows = in_step(counts), in_step(added)
    if old_rows is not None and new_rows is not None:
        return torch.cat((old[:, :old_rows], new[:, :new_rows]), dim=1)
    index = np.arange(int((counts + added).max())) - counts[:, None]
    both = torch.cat((old, new), dim=1)
    # Row j is old row j, or new row j - count.
    source = np.where(index < 0, index + counts[:, None], old.shape[1] + index)
    return take(both, source.clip(0, both.shape[1] - 1))


def drop(old: torch.Tensor, counts: Counts, first: Counts) -> torch.Tensor:
    """Take each stream's first rows away.

    Args:
        old: (B, P, ...).
        counts: Rows of each stream (B,).
        first: How many to take away, at most ``counts`` (B,).
    """
    if not first.max():
        return old
    begin, end = in_step(first), in_step(counts)
    if begin is not None and end is not None:
        return old[:, begin:end]
    index = np.arange(int((counts - first).max())) + first[:, None]
    return take(old, index.clip(max=max(old.shape[1] - 1, 0)))


def take(values: torch.Tensor, index: np.ndarray) -> torch.Tensor:
    """Return rows of each stream by their number.

    Args:
        values: (B, P, ...).
        index: (B, N).

    Returns:
        (B, N, ...).
    """
    if not index.shape[1]:
        return values[:, :0]
    at = torch.from_numpy(index).to(values.device)
    at = at.reshape(*index.shape, *(1,) * (values.dim() - 2))
    return values.gather(1, at.expand(*index.shape, *values.shape[2:]))
