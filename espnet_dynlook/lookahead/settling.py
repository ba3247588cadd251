"""Where waiting pays: what a scheduler can be taught before it learns by itself.

A model that is at home under any mask says for each frame how far its posteriors still
are from those with the whole utterance when it sees d more frames. From that the best
segments follow by dynamic programming, at any price of waiting.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F

from espnet_dynlook.lookahead.kinds import FixedLookahead
from espnet_dynlook.lookahead.segments import segment_ages


def unsettled(
    log_posteriors: Callable[[FixedLookahead], torch.Tensor],
    num_layers: int,
    frames: int,
    lengths: torch.Tensor,
) -> torch.Tensor:
    """Return how far each frame's posteriors are from settled, by what they see.

    Chunks of R + 1 frames are shifted R + 1 times, so that every frame is seen with
    each number of future frames once, grouped with those before it.

    Args:
        log_posteriors: Runs the model under a kind of lookahead, (B, T, V).
        num_layers: L of its encoder.
        frames: R.
        lengths: Frames of each utterance (B,).

    Returns:
        KL(p with the whole utterance || p with d future frames) in nats, for
        d = 0 .. R: (B, T, R + 1), 0 past the end of an utterance.
    """
    full = log_posteriors(FixedLookahead("full", num_layers))
    num_frames = full.shape[1]
    index = torch.arange(num_frames, device=full.device)
    found = full.new_zeros(*full.shape[:2], frames + 1)
    for phase in range(frames + 1):
        kind = FixedLookahead("chunked", num_layers, frames, phase=phase)
        partial = log_posteriors(kind)
        distance = (full.exp() * (full - partial)).sum(dim=2).clamp(min=0)  # (B, T)
        seen = frames - (index + phase) % (frames + 1)
        found[:, index, seen] = distance
    return found.masked_fill((index >= lengths[:, None])[:, :, None], 0.0)


def segment_costs(costs: torch.Tensor) -> torch.Tensor:
    """Return the summed cost of every segment that ends at a frame.

    Args:
        costs: Of each frame by what it sees, (B, T, R + 1).

    Returns:
        (B, T, R + 1): entry (e, m) is the sum of costs(i, e - i) over the m + 1 frames
        i = e - m .. e; infinite where the segment would begin before the utterance.
    """
    distances = costs.shape[2]
    columns = [
        F.pad(costs[:, :, m], (m, 0), value=torch.inf)[:, : costs.shape[1]]
        for m in range(distances)
    ]
    return torch.stack(columns, dim=2).cumsum(dim=2)


def best_segments(
    costs: torch.Tensor, price: float, lengths: torch.Tensor
) -> torch.Tensor:
    """Return the segments with the least cost and wait, by dynamic programming.

    Minimises the sum over the frames i, in a segment that ends at e, of
    costs(i, e - i) + price (e - i).

    Args:
        costs: Of each frame by what it sees, (B, T, R + 1).
        price: Of a frame of waiting.
        lengths: Frames of each utterance (B,).

    Returns:
        Whether a segment ends after a frame, (B, T) bool; false past the end.
    """
    batch, num_frames, distances = costs.shape
    wait = torch.arange(distances, device=costs.device)
    summed = segment_costs(costs + price * wait)
    # best[:, e + 1]: the least cost of the frames up to e.
    best = costs.new_full((batch, num_frames + distances), torch.inf)
    best[:, distances - 1] = 0.0
    choice = torch.zeros(batch, num_frames, dtype=torch.long, device=costs.device)
    for e in range(num_frames):
        # Before a segment of m + 1 frames: the best up to e - m - 1.
        before = best[:, e : e + distances].flip(1)
        total, choice[:, e] = (before + summed[:, e]).min(dim=1)
        best[:, e + distances] = total
    ends = torch.zeros(batch, num_frames, dtype=torch.bool, device=costs.device)
    at = lengths.to(torch.long) - 1
    rows = torch.arange(batch, device=costs.device)
    while bool((at >= 0).any()):
        open_ = at >= 0
        ends[rows[open_], at[open_]] = True
        at = torch.where(open_, at - choice[rows, at.clamp(min=0)] - 1, at)
    return ends


def mean_wait(ends: torch.Tensor, lengths: torch.Tensor) -> float:
    """Return the mean number of frames from a frame to the end of its segment.

    Args:
        ends: As ``best_segments`` returns, (B, T).
        lengths: Frames of each utterance (B,).
    """
    num_frames = ends.shape[1]
    index = torch.arange(num_frames, device=ends.device)
    at = torch.where(ends, index, num_frames).flip(1).cummin(dim=1).values.flip(1)
    inside = index < lengths[:, None]
    return float(((at - index) * inside).sum() / lengths.sum())


def price_for(batches: list[tuple[torch.Tensor, torch.Tensor]], target: float) -> float:
    """Return the price of a frame at which the best segments wait so long.

    Args:
        batches: Pairs of costs (B, T, R + 1) and lengths (B,).
        target: Mean wait in frames.

    Raises:
        ValueError: no price gives such a wait.
    """
    frames = batches[0][0].shape[2] - 1

    def wait_at(price: float) -> float:
        total, number = 0.0, 0
        for costs, lengths in batches:
            count = int(lengths.sum())
            total += mean_wait(best_segments(costs, price, lengths), lengths) * count
            number += count
        return total / number

    low, high = 1e-9, 10.0
    longest = wait_at(low)
    if not 0 < target < longest:
        raise ValueError(
            f"a mean wait of {target:g} frames cannot be had: with lookahead_frames="
            f"{frames} it is between 0 and {longest:.2f} here"
        )
    for _ in range(20):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if wait_at(middle) > target else (low, middle)
    return (low * high) ** 0.5


def segment_teaching(
    ends: torch.Tensor, frames: int, lengths: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what a segment scheduler should say, and where it is asked.

    Args:
        ends: As ``best_segments`` returns, (B, T).
        frames: R.
        lengths: Frames of each utterance (B,).

    Returns:
        Targets, 1 where the segment goes on, and which of the gates is asked: that of
        the frame's age in its segment; none where the end is forced or the utterance
        ends. Both (B, T, R).
    """
    index = torch.arange(ends.shape[1], device=ends.device)
    age = torch.arange(frames, device=ends.device)
    asked = segment_ages(ends)[:, :, None] == age
    asked &= (index < lengths[:, None] - 1)[:, :, None]
    return (~ends).float()[:, :, None].expand(asked.shape), asked


def row_waits(costs: torch.Tensor, price: float) -> torch.Tensor:
    """Return how long each row alone should wait, (B, T) in 0 .. R.

    Args:
        costs: Of each frame by what it sees, (B, T, R + 1).
        price: Of a frame of waiting.
    """
    wait = torch.arange(costs.shape[2], device=costs.device)
    return (costs + price * wait).argmin(dim=2)
