"""What an encoder looked at in its last forward pass."""

from dataclasses import dataclass

import torch

from espnet_dynlook.lookahead.bands import inside
from espnet_dynlook.lookahead.dynamic import Waits
from espnet_dynlook.lookahead.latency import algorithmic_latency


@dataclass(frozen=True)
class LookaheadTrace:
    """Bands of all layers; for the loss, the decoder and the pictures.

    Attributes:
        bands: L tensors (B or 1, T, R_l) or (T, R_l), lowest layer first; None: every
            row sees the whole utterance. Soft, with gradients, in training of a
            dynamic lookahead; what was waited for, before sharing.
        lengths: Frames of each utterance after subsampling, (B,).
        waits: What the scheduler decided, by layer; None for layers and encoders
            without one.
    """

    bands: tuple[torch.Tensor, ...] | None
    lengths: torch.Tensor
    waits: tuple[Waits | None, ...] | None = None

    def algorithmic_latency(self) -> torch.Tensor:
        """Return the latency of each frame in frames, (B, T), 0 past the end."""
        return algorithmic_latency(self.bands, self.lengths)

    def rounded(self) -> "LookaheadTrace":
        """Return the trace with binary bands, without noise and gradients."""
        if self.bands is None or self.waits is None:
            return self
        hard = tuple(
            band if wait is None else wait.hard
            for band, wait in zip(self.bands, self.waits, strict=True)
        )
        return LookaheadTrace(hard, self.lengths)

    @property
    def gates(self) -> tuple[torch.Tensor, ...] | None:
        """Probabilities of going on waiting, of each scheduler; None without one."""
        if self.waits is None:
            return None
        return tuple(wait.gates for wait in self._decisions())

    @property
    def seen(self) -> tuple[torch.Tensor, ...] | None:
        """What attention saw, after sharing: bands in [0, 1], lowest layer first."""
        if self.bands is None or self.waits is None:
            return self.bands
        return tuple(
            band if wait is None else wait.seen
            for band, wait in zip(self.bands, self.waits, strict=True)
        )

    def mean_lookahead(self) -> torch.Tensor:
        """Return the mean over the frames of how many each layer sees ahead, (L,).

        Frames past the end of an utterance are none. Raises a ValueError without bands.
        """
        if self.bands is None:
            raise ValueError("lookahead: full has no bands: rows see all that follows")
        num_frames = self.bands[0].shape[-2]
        total = self.lengths.sum()
        means = []
        for band in self.bands:
            valid = inside(num_frames, band.shape[-1], self.lengths)
            means.append((band * valid).sum() / total)
        return torch.stack(means)

    def undecided(self) -> torch.Tensor:
        """Return the share of gates between 0.1 and 0.9, (), 0 without a scheduler.

        Of the decisions that were reached: a gate behind a closed one decides nothing,
        nor does one where a segment has to end.
        """
        if self.waits is None:
            return torch.zeros(())
        decisions = self._decisions()
        if not decisions:  # stochastic depth left out every layer that looks ahead
            return self.lengths.new_zeros((), dtype=torch.float32)
        reached = torch.stack([wait.decided.sum() for wait in decisions]).sum()
        between = torch.stack(
            [
                ((wait.gates > 0.1) & (wait.gates < 0.9) & wait.decided).sum()
                for wait in decisions
            ]
        ).sum()
        return between / reached.clamp(min=1)

    def _decisions(self) -> list[Waits]:
        """Return each scheduler's decisions once, also where layers share them."""
        assert self.waits is not None
        once = {id(wait): wait for wait in self.waits if wait is not None}
        return list(once.values())
