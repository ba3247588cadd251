"""Algorithmic latency: how many future frames an output frame depends on."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch


def reaches(bands: Sequence[torch.Tensor], lengths: torch.Tensor) -> torch.Tensor:
    """Return the last input frame that each row of each layer depends on.

    With reach_0(i) = i, for the layers l = 1 .. L::

        c_l(i)     = max_{k <= i} reach_{l-1}(k)
        reach_l(i) = c_l(i) + max(0, max_d band_l(i, d) (reach_{l-1}(i + d) - c_l(i)))

    The cumulative maximum is there because a past frame may itself have waited. Exact
    on binary bands, differentiable on soft ones; time and memory O(L T R).

    Args:
        bands: L tensors (B or 1, T, R_l) or (T, R_l) in [0, 1].
        lengths: Frames of each utterance, (B,).

    Returns:
        Frames, (L, B, T), 0 past the end of an utterance; float32, or float64 where the
        bands are, whatever autocast is in force.
    """
    lengths = lengths.to(torch.long)
    num_frames = bands[0].shape[-2]
    index = torch.arange(num_frames, device=lengths.device)
    inside = index < lengths[:, None]  # (B, T)
    dtype = torch.promote_types(bands[0].dtype, torch.float32)
    reach = torch.where(inside, index, 0).to(dtype)  # (B, T)
    found = []
    for band in bands:
        settled = reach.cummax(dim=1).values
        frames = band.shape[-1]
        if frames == 0:
            reach = settled
        else:
            # Past the end there is nothing to wait for: reach is 0 there, gains nothing
            ahead = torch.nn.functional.pad(reach, (0, frames))
            ahead = ahead.unfold(1, num_frames, 1)[:, 1:].transpose(1, 2)  # (B, T, R)
            gain = band.to(dtype) * (ahead - settled[:, :, None])
            reach = settled + gain.amax(dim=2).clamp(min=0)
        reach = reach.masked_fill(~inside, 0.0)
        found.append(reach)
    return torch.stack(found)


def algorithmic_latency(
    bands: Sequence[torch.Tensor] | None, lengths: torch.Tensor
) -> torch.Tensor:
    """Return how many future frames each output has to wait for.

    ``latency(i) = max_{k <= i} reach_L(k) - i``, since outputs leave in order; see
    ``reaches``. Exact on binary bands, differentiable on soft ones.

    Args:
        bands: L tensors (B or 1, T, R_l) or (T, R_l) in [0, 1]; None: no band, every
            row sees the whole utterance.
        lengths: Frames of each utterance, (B,).

    Returns:
        Latency in frames, (B, T), 0 past the end of an utterance; float32, or float64
        where the bands are.
    """
    lengths = lengths.to(torch.long)
    num_frames = int(lengths.max()) if bands is None else bands[0].shape[-2]
    index = torch.arange(num_frames, device=lengths.device)
    last = (lengths - 1).clamp(min=0)[:, None]  # (B, 1)
    inside = index <= last  # (B, T)
    if bands is None:
        return torch.where(inside, last - index, 0).float()
    reach = reaches(bands, lengths)[-1]  # (B, T)
    return (reach.cummax(dim=1).values - index).masked_fill(~inside, 0.0)


@dataclass(frozen=True)
class LookaheadLatency:
    """Latency in ms, counted from the end of a frame; infinite where it waits for all.

    Attributes:
        mean: Over the frames.
        p50: Median.
        p90: 90th percentile.
        max: The longest.
    """

    mean: float
    p50: float
    p90: float
    max: float

    @classmethod
    def of(cls, milliseconds: torch.Tensor) -> "LookaheadLatency":
        """Summarise the latencies of single frames, any shape, in ms."""
        values = milliseconds.double().flatten()
        p50, p90 = torch.quantile(values, values.new_tensor([0.5, 0.9])).tolist()
        return cls(values.mean().item(), p50, p90, values.max().item())

    def __str__(self) -> str:
        """Say it in one line of a log."""
        if self.max == float("inf"):
            return "waits for the end of the utterance"
        return f"{self.mean:.0f} ms (p50 {self.p50:.0f}, p90 {self.p90:.0f})"
