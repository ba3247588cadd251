"""Random lookahead: masks drawn a batch, for models that are at home under any mask."""

from dataclasses import dataclass

import torch

from espnet_dynlook.lookahead.kinds import FixedLookahead, check_frames
from espnet_dynlook.lookahead.segments import forced_ends, segment_band

_Bands = tuple[torch.Tensor, ...] | None


@dataclass(frozen=True)
class RandomLookahead:
    """Draws a mask for every batch in training; in evaluation, chunks of R + 1 frames.

    One in six batches each: no lookahead; the whole utterance; a number of frames in
    1 .. R over all layers together; segments of random lengths up to R + 1, the same in
    all layers. Two in six: chunks of a random size in 2 .. R + 1 that begin anywhere.

    Args:
        num_layers: L.
        frames: R, at least 1.

    Raises:
        ValueError: ``frames`` is no whole number from 1.
    """

    num_layers: int
    frames: int
    name = "random"

    def __post_init__(self) -> None:
        """Refuse a number of frames that nothing can be drawn from."""
        check_frames(self.frames, self.name)

    def evaluated(self) -> FixedLookahead:
        """Return the kind that holds in evaluation."""
        return FixedLookahead("chunked", self.num_layers, self.frames)

    def draw(self, num_frames: int, device: torch.device) -> _Bands:
        """Return bands (1, T, R_l), or None for the whole utterance.

        Drawn on the CPU, so that a seed means the same on every device.
        """
        choice = int(torch.randint(6, ()))
        if choice == 0:
            return FixedLookahead("causal", self.num_layers).bands(num_frames, device)
        if choice == 1:
            return None
        frames = int(torch.randint(1, self.frames + 1, ()))
        if choice == 2:
            kind = FixedLookahead("layerwise", self.num_layers, total=frames)
            return kind.bands(num_frames, device)
        if choice == 3:
            rate = torch.rand(()) * 0.9 + 0.05
            ends = torch.rand(1, num_frames) < rate
            ends |= forced_ends(ends, self.frames)
            frames = self.frames
        else:
            phase = int(torch.randint(frames + 1, ()))
            ends = ((torch.arange(num_frames) + phase) % (frames + 1) == frames)[None]
        band = segment_band(ends, frames).float().to(device)
        return (band,) * self.num_layers
