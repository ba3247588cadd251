"""Where waiting pays: what a scheduler can be taught before it learns by itself.

A model that is at home under any mask says how far its posteriors still are from those
with the whole utterance when a segment ends here or there. From that the best segments
follow by dynamic programming, at any price of waiting.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from espnet_dynlook.lookahead.kinds import FixedLookahead
from espnet_dynlook.lookahead.segments import segment_ages


@dataclass(frozen=True)
class Costs:
    """How far posteriors are from settled: KL(p with the whole utterance || p).

    Attributes:
        segments: In nats, summed over the frames of the segment that begins at frame s
            and has m + 1 of them, m = 0 .. R, (B, T, R + 1); infinite where it would
            end after the utterance.
        rows: Of a frame that sees d = 0 .. R future frames, the mean over the segments
            in which it does, (B, T, R + 1); 0 past the end of the utterance.
        lengths: Frames of each utterance (B,).
    """

    segments: torch.Tensor
    rows: torch.Tensor
    lengths: torch.Tensor


def measure_costs(
    log_posteriors: Callable[[FixedLookahead], torch.Tensor],
    num_layers: int,
    frames: int,
    lengths: torch.Tensor,
) -> Costs:
    """Measure the cost of every segment of at most R + 1 frames.

    Chunks of each size are shifted by each phase, so that every segment is a chunk
    once, among chunks of its size.

    Args:
        log_posteriors: Runs the model under a kind of lookahead, (B, T, V).
        num_layers: L of its encoder.
        frames: R.
        lengths: Frames of each utterance (B,).
    """
    full = log_posteriors(FixedLookahead("full", num_layers))
    batch, num_frames = full.shape[:2]
    index = torch.arange(num_frames, device=full.device)
    past_end = (index >= lengths[:, None])[:, :, None]
    segments = full.new_full((batch, num_frames, frames + 1), torch.inf)
    rows = full.new_zeros(batch, num_frames, frames + 1)
    for more in range(frames + 1):
        size = more + 1
        for phase in range(size):
            kind = FixedLookahead("causal", num_layers)
            if more:
                kind = FixedLookahead("chunked", num_layers, more, phase=phase)
            partial = log_posteriors(kind)
            distance = (full.exp() * (full - partial)).sum(dim=2).clamp(min=0)
            seen = more - (index + phase) % size
            rows[:, index, seen] += distance / (frames + 1 - seen)
            starts = index[(index + phase) % size == 0]
            starts = starts[starts + more < num_frames]
            within = starts[:, None] + torch.arange(size, device=full.device)
            segments[:, starts, more] = distance[:, within].sum(dim=2)
    last = index[:, None] + torch.arange(frames + 1, device=full.device)
    segments = segments.masked_fill(last >= lengths[:, None, None], torch.inf)
    return Costs(segments, rows.masked_fill(past_end, 0.0), lengths)


def best_segments(costs: Costs, price: float) -> torch.Tensor:
    """Return the segments with the least cost and wait, by dynamic programming.

    Minimises the sum of their costs and of price (e - i) over the frames i of each, e
    being its last.

    Args:
        costs: Of every segment.
        price: Of a frame of waiting.

    Returns:
        Whether a segment ends after a frame, (B, T) bool; false past the end.
    """
    batch, num_frames, sizes = costs.segments.shape
    device = costs.segments.device
    more = torch.arange(sizes, device=device)
    priced = costs.segments + price * more * (more + 1) / 2
    # best[:, s]: the least cost of the frames from s on; nothing from the end on.
    best = priced.new_zeros(batch, num_frames + sizes)
    choice = torch.zeros(batch, num_frames, dtype=torch.long, device=device)
    for s in reversed(range(num_frames)):
        total = priced[:, s] + best[:, s + 1 : s + 1 + sizes]
        least, choice[:, s] = total.min(dim=1)
        best[:, s] = least.where(s < costs.lengths, 0.0)
    ends = torch.zeros(batch, num_frames, dtype=torch.bool, device=device)
    at = torch.zeros(batch, dtype=torch.long, device=device)
    rows = torch.arange(batch, device=device)
    while bool((at < costs.lengths).any()):
        open_ = at < costs.lengths
        at = torch.where(open_, at + choice[rows, at.clamp(max=num_frames - 1)], at)
        ends[rows[open_], at[open_]] = True
        at = at + open_
    return ends


def cost_of(ends: torch.Tensor, costs: Costs) -> float:
    """Return the summed cost of segments, the last of which ends with the utterance.

    Args:
        ends: Whether a segment ends after a frame, (B, T) bool.
        costs: Of every segment of at most R + 1 frames; none is longer.
    """
    num_frames = ends.shape[1]
    index = torch.arange(num_frames, device=ends.device)
    inside = index < costs.lengths[:, None]
    begins = (segment_ages(ends) == 0) & inside
    more = waits_of(ends, costs.lengths)[:, :, None]
    return float(costs.segments.gather(2, more)[:, :, 0][begins].sum())


def waits_of(ends: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Return the frames from each frame to the end of its segment, (B, T).

    Args:
        ends: Whether a segment ends after a frame, (B, T) bool; with the utterance the
            last one ends in any case.
        lengths: Frames of each utterance (B,); 0 past them.
    """
    index = torch.arange(ends.shape[1], device=ends.device)
    last = lengths[:, None] - 1
    at = torch.where(ends & (index < last), index, last)
    at = at.flip(1).cummin(dim=1).values.flip(1)
    return (at - index).clamp(min=0)


def price_for(taught: list[Costs], target: float) -> float:
    """Return the price of a frame at which the best segments wait so long.

    Args:
        taught: Batches.
        target: Mean wait in frames.

    Raises:
        ValueError: no price gives such a wait.
    """
    frames = taught[0].segments.shape[2] - 1

    def wait_at(price: float) -> float:
        waits = [waits_of(best_segments(one, price), one.lengths) for one in taught]
        number = sum(int(one.lengths.sum()) for one in taught)
        return sum(float(wait.sum()) for wait in waits) / number

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


def row_waits(costs: Costs, price: float) -> torch.Tensor:
    """Return how long each row alone should wait, (B, T) in 0 .. R.

    Args:
        costs: Of each frame by what it sees.
        price: Of a frame of waiting.
    """
    wait = torch.arange(costs.rows.shape[2], device=costs.rows.device)
    return (costs.rows + price * wait).argmin(dim=2)
