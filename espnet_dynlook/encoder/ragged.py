# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Rows of several streams in one tensor: each stream's are at the left, by count."""

import torch


def rows(width: int, counts: torch.Tensor) -> torch.Tensor:
    """Say which rows are a stream's, (B, width) bool.

    Args:
        width: Of the tensor.
        counts: Rows of each stream (B,).
    """
    return torch.arange(width, device=counts.device) < counts[:, None]


def in_step(counts: torch.Tensor) -> int | None:
    """Return the number of rows where all streams have the same, else None."""
    first = int(counts[0])
    return first if len(counts) == 1 or bool((counts == first).all()) else None


def append(
    old: torch.Tensor, counts: torch.Tensor, new: torch.Tensor, added: torch.Tensor
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
    if not int(added.max()):
        return old
    old_rows, new_rows = in_step(counts), in_step(added)
    if old_rows is not None and new_rows is not None:
        return torch.cat((old[:, :old_rows], new[:, :new_rows]), dim=1)
    width = int((counts + added).max())
    index = torch.arange(width, device=counts.device) - counts[:, None]
    both = torch.cat((old, new), dim=1)
    # Row j is old row j, or new row j - count.
    source = torch.where(
        index < 0, index + counts[:, None], (old.shape[1] + index).clamp(min=0)
    )
    return take(both, source.clamp(max=both.shape[1] - 1))


def drop(old: torch.Tensor, counts: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
    """Take each stream's first rows away.

    Args:
        old: (B, P, ...).
        counts: Rows of each stream (B,).
        first: How many to take away, at most ``counts`` (B,).
    """
    if not int(first.max()):
        return old
    begin, end = in_step(first), in_step(counts)
    if begin is not None and end is not None:
        return old[:, begin:end]
    width = int((counts - first).max())
    index = torch.arange(width, device=counts.device) + first[:, None]
    return take(old, index.clamp(max=max(old.shape[1] - 1, 0)))


def take(values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Return rows of each stream by their number.

    Args:
        values: (B, P, ...).
        index: (B, N).

    Returns:
        (B, N, ...).
    """
    if not index.shape[1]:
        return values[:, :0]
    extra = values.dim() - 2
    at = index.reshape(*index.shape, *(1,) * extra)
    return values.gather(1, at.expand(*index.shape, *values.shape[2:]))
