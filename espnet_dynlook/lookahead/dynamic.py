"""Dynamic lookahead: bands that a scheduler fills in, soft in training, then rounded.

ANCAT-style (Strimel et al., https://arxiv.org/abs/2305.04159): the gates are relaxed
with a temperature that falls during training, and rounded at inference.
"""

import contextlib
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from espnet_dynlook.lookahead.bands import (
    contiguous_log_band,
    inside,
    straight_through,
)
from espnet_dynlook.lookahead.closing import close_band
from espnet_dynlook.lookahead.scheduler import (
    FrameScheduler,
    SegmentScheduler,
    SequentialScheduler,
)
from espnet_dynlook.lookahead.segments import (
    expected_segment_band,
    segment_ages,
    segment_band,
    segment_ends,
)

SCHEDULERS = ("frame", "sequential", "segment")
#: Batches without a word of how far training is, after which that is said.
PATIENCE = 200


@dataclass(frozen=True)
class Waits:
    """What a scheduler decided for the rows of a layer.

    Attributes:
        band: What is waited for, in [0, 1], with gradients in training (B, T, R).
        seen: The same after sharing: what attention sees.
        hard: ``band`` rounded, without noise and gradients (B, T, R).
        gates: Probabilities of going on, without noise (B, T, R): by distance, for
            segments by the frame's age in its segment.
        decided: Which gates were decisions that were reached, (B, T, R).
        soft: Where rows have not decided: probability of seeing a frame, after sharing,
            with gradients (B, T, R); else None.
        drawn: Binary, after sharing: what is seen in the forward pass (B, T, R); None
            where that is the expectation under ``soft``.
    """

    band: torch.Tensor
    seen: torch.Tensor
    hard: torch.Tensor
    gates: torch.Tensor
    decided: torch.Tensor
    soft: torch.Tensor | None = None
    drawn: torch.Tensor | None = None


class DynamicLookahead(torch.nn.Module):
    """The schedulers of an encoder, and how far their annealing is.

    Args:
        size: Dimension of the encoder's layers.
        num_layers: L.
        frames: R, the most future frames in one layer.
        scheduler: ``frame`` (decides when a frame arrives), ``sequential`` (decides
            frame by frame whether to wait for the next one) or ``segment`` (all layers
            see to the end of a learned segment of at most R + 1 frames).
        share_wait: Whether rows also see what earlier rows waited for.
        layers: Layers from 1 that look ahead; None: all. Not for ``segment``.
        hidden: Units of a scheduler.
        bias: Added to every gate's logit: gates are open at first.
        detach: Whether the encoder gets no gradient through the scheduler's input.
        noise: Scale of the logistic noise that training adds to the logits.
        tau: Temperature of the gates at the beginning and at the end.
        anneal: Fraction of the training after which masks are rounded, with
            straight-through gradients; 0: from the beginning, for a scheduler that
            has been taught.
        lr_factor: What the schedulers' learning rate is multiplied by.
        steps: Batches of the whole training, counted here where no trainer calls
            ``set_progress``; 0: one does.

    Raises:
        ValueError: a value is out of range; says what to write instead.
    """

    progress: torch.Tensor
    name = "dynamic"

    def __init__(
        self,
        size: int,
        num_layers: int,
        frames: int,
        scheduler: str = "segment",
        share_wait: bool = False,
        layers: Sequence[int] | None = None,
        hidden: int = 64,
        bias: float = 2.5,
        detach: bool = True,
        noise: float = 1.0,
        tau: Sequence[float] = (1.0, 0.2),
        anneal: float = 0.8,
        lr_factor: float = 3.0,
        steps: int = 0,
    ):
        super().__init__()
        _check(num_layers, frames, scheduler, layers, hidden, noise, tau, anneal)
        if not 0 < lr_factor < math.inf:
            raise ValueError(
                f"scheduler_lr_factor={lr_factor} must be above 0 and finite, like 3"
            )
        if steps < 0:
            raise ValueError(
                f"scheduler_steps={steps} must be 0 (the trainer tells how far it is) "
                "or the number of batches in the whole training"
            )
        self.steps = steps
        self._told = False
        self._untold = 0
        self.num_layers = num_layers
        self.frames = frames
        self.name_of_scheduler = scheduler
        self.shared = scheduler == "segment"  # one decision for all layers
        self.share_wait = share_wait
        self.detach = detach
        self.noise = noise
        self.tau = (float(tau[0]), float(tau[1]))
        self.anneal = anneal
        self.lr_factor = lr_factor
        # ESPnet averages the checkpoints' floats and sums their integers.
        self.register_buffer("progress", torch.zeros(()))
        self.wait = 0.5
        self.soft_in_evaluation = False
        looking = range(1, num_layers + 1) if layers is None else sorted(set(layers))
        if self.shared:
            self.segments = SegmentScheduler(size, frames, hidden, bias)
        else:
            make = FrameScheduler if scheduler == "frame" else SequentialScheduler
            self.layers = torch.nn.ModuleDict(
                {str(layer): make(size, frames, hidden, bias) for layer in looking}
            )

    @property
    def annealed(self) -> bool:
        """Whether training has come to where masks are rounded."""
        return float(self.progress) >= self.anneal

    @property
    def temperature(self) -> float:
        """Temperature of the gates now: falls exponentially until the rounding."""
        start, end = self.tau
        if self.annealed:
            return end
        return start * (end / start) ** (float(self.progress) / self.anneal)

    def set_progress(self, progress: float) -> None:
        """Set how much of the training is done, in [0, 1]."""
        self._told = True
        self.progress.fill_(progress)

    @property
    def counts(self) -> bool:
        """Whether batches are counted here, for nobody tells how far training is."""
        return self.steps > 0 and not self._told

    def advance(self) -> None:
        """Count a batch of the training, where nobody tells how far it is."""
        if self.counts:
            self.progress.add_(1.0 / self.steps).clamp_(max=1.0)
        elif not self._told:
            self._untold += 1
            if self._untold == PATIENCE:
                logging.warning(
                    f"nobody has told the scheduler in {PATIENCE} batches how far the "
                    "training is, so that its gates never harden: set scheduler_steps "
                    "to the number of batches in the whole training, or call the "
                    "encoder's set_progress"
                )

    def set_wait(self, wait: float) -> None:
        """Set how much the caller is ready to wait, from 0 to 1, the most.

        Raises:
            ValueError: it is out of range.
        """
        if not 0 <= wait <= 1:
            raise ValueError(f"wait={wait} must be from 0 to 1, the longest")
        self.wait = float(wait)

    @contextlib.contextmanager
    def soft_masks(self) -> Iterator[None]:
        """Use soft masks in evaluation too inside a ``with`` block."""
        before, self.soft_in_evaluation = self.soft_in_evaluation, True
        try:
            yield
        finally:
            self.soft_in_evaluation = before

    def looks_ahead(self, layer: int) -> bool:
        """Say whether a layer, from 1, may see future frames."""
        return self.shared or str(layer) in self.layers

    def forward(self, layer: int, x: torch.Tensor, lengths: torch.Tensor) -> Waits:
        """Decide for the rows of one layer, or of all for ``segment``.

        Args:
            layer: From 1; not used by ``segment``.
            x: Input of the layer, or of the first one for ``segment`` (B, T, size).
            lengths: Frames of each utterance (B,).
        """
        z = self.logits(layer, x.detach() if self.detach else x)
        z = z.to(torch.promote_types(z.dtype, torch.float32))
        waits = self._segment_waits if self.shared else self._row_waits
        return waits(z, lengths)

    def logits(self, layer: int, x: torch.Tensor) -> torch.Tensor:
        """Return the gates' logits, without noise (B, T, R).

        Args:
            layer: From 1; not used by ``segment``.
            x: As for ``forward`` (B, T, size).
        """
        with torch.autocast(x.device.type, enabled=False):
            x = x.to(self.progress.dtype)  # as the parameters: float32, also here
            scheduler = self.segments if self.shared else self.layers[str(layer)]
            return scheduler(x, x.new_tensor(self.wait))

    def rounded_rows(self, z: torch.Tensor) -> torch.Tensor:
        """Return which frames each row waits for by itself, (B, T, R) bool.

        Args:
            z: Logits of a ``frame`` or ``sequential`` scheduler (B, T, R).
        """
        z = z.to(torch.promote_types(z.dtype, torch.float32))  # streams as the whole
        log_gates = torch.nn.functional.logsigmoid(z.detach() / self.temperature)
        return contiguous_log_band(log_gates).exp() >= 0.5

    @property
    def decides_at_once(self) -> bool:
        """Whether a row knows when it arrives how long it will wait."""
        return self.name_of_scheduler == "frame"

    @property
    def context(self) -> int:
        """Frames before its own that a decision about segments looks at."""
        return self.segments.depthwise.kernel_size[0] - 1

    @torch.no_grad()
    def shift(self, offset: float) -> None:
        """Add to all logits: above 0 for more waiting."""
        for scheduler in self.modules():
            if isinstance(
                scheduler, FrameScheduler | SequentialScheduler | SegmentScheduler
            ):
                scheduler.offset.add_(offset)

    def _noisy(self, z: torch.Tensor) -> torch.Tensor:
        if not (self.training and self.noise > 0):
            return z
        uniform = torch.rand_like(z).clamp(1e-6, 1 - 1e-6)
        return z + self.noise * (uniform.log() - (-uniform).log1p())

    def _row_waits(self, z: torch.Tensor, lengths: torch.Tensor) -> Waits:
        """Turn logits (B, T, R) into waits of their own for every row."""
        tau = self.temperature
        valid = inside(z.shape[1], self.frames, lengths)
        gates = torch.sigmoid(z.detach() / tau)
        hard = (self.rounded_rows(z) & valid).to(z.dtype)
        soft = contiguous_log_band(
            torch.nn.functional.logsigmoid(self._noisy(z) / tau)
        ).exp()
        soft = soft * valid
        before = torch.nn.functional.pad(hard[:, :, :-1], (1, 0), value=1.0) > 0
        return self._waits(soft, hard, _rounded(soft), gates, before & valid)

    def _segment_waits(self, z: torch.Tensor, lengths: torch.Tensor) -> Waits:
        """Turn logits (B, T, R) into segments."""
        tau = self.temperature
        valid = inside(z.shape[1], self.frames, lengths)
        ends = segment_ends(z.detach() >= 0)
        hard = segment_band(ends, self.frames) & valid
        sampled, soft = hard, hard.to(z.dtype)
        if self.training or self.soft_in_evaluation:
            noisy = self._noisy(z)
            drawn = segment_ends(noisy.detach() >= 0)
            sampled = segment_band(drawn, self.frames) & valid
            log_gates = torch.nn.functional.logsigmoid(noisy / tau)
            soft = expected_segment_band(log_gates) * valid
        gates = torch.sigmoid(z.detach() / tau)
        age = torch.arange(self.frames, device=z.device)
        asked = (segment_ages(ends)[:, :, None] == age) & valid[:, :, :1]
        return self._waits(soft, hard.to(z.dtype), sampled.to(z.dtype), gates, asked)

    def _waits(
        self,
        soft: torch.Tensor,
        hard: torch.Tensor,
        sampled: torch.Tensor,
        gates: torch.Tensor,
        decided: torch.Tensor,
    ) -> Waits:
        """Choose between soft, straight-through and rounded, and share waits.

        Args:
            soft: Band with noise and gradients.
            hard: Rounded band without noise.
            sampled: Rounded band with noise.
            gates: As in ``Waits``.
            decided: As in ``Waits``.
        """
        share = close_band if self.share_wait else _alone
        if self.training and self.annealed:
            drawn, shared = share(sampled), share(soft)
            seen = straight_through(drawn, shared)
            band = straight_through(sampled, soft)
            return Waits(band, seen, hard, gates, decided, shared, drawn)
        if self.training or self.soft_in_evaluation:
            seen = share(soft)
            return Waits(soft, seen, hard, gates, decided, seen, None)
        seen = share(hard)
        return Waits(hard, seen, hard, gates, decided, None, seen)


def _rounded(band: torch.Tensor) -> torch.Tensor:
    return (band.detach() >= 0.5).to(band.dtype)


def _alone(band: torch.Tensor) -> torch.Tensor:
    return band


def _check(
    num_layers: int,
    frames: int,
    scheduler: str,
    layers: Sequence[int] | None,
    hidden: int,
    noise: float,
    tau: Sequence[float],
    anneal: float,
) -> None:
    if scheduler not in SCHEDULERS:
        raise ValueError(
            f"lookahead_scheduler={scheduler!r} must be one of {', '.join(SCHEDULERS)}"
        )
    if frames < 1:
        raise ValueError(
            f"lookahead_frames={frames} must be at least 1 for lookahead: dynamic; for "
            "no lookahead set lookahead: causal"
        )
    if layers is not None:
        outside = [layer for layer in layers if not 1 <= layer <= num_layers]
        if outside or not layers:
            raise ValueError(
                f"lookahead_layers={list(layers)} must name layers in 1 .. "
                f"{num_layers}; leave it out for all"
            )
        if scheduler == "segment":
            raise ValueError(
                f"lookahead_layers={list(layers)} does not go with lookahead_scheduler:"
                " segment, whose layers share their segments; leave it out"
            )
    if hidden < 1:
        raise ValueError(f"scheduler_hidden={hidden} must be at least 1, like 64")
    if not 0 <= noise < math.inf:
        raise ValueError(f"scheduler_noise={noise} must be 0 (none) or above, like 1")
    if len(tau) != 2 or not 0 < tau[1] <= tau[0] < math.inf:
        raise ValueError(
            f"scheduler_tau={list(tau)} must be two temperatures above 0, the first at "
            "the beginning and not lower, like [1.0, 0.2]"
        )
    if not 0 <= anneal <= 1:
        raise ValueError(
            f"scheduler_anneal={anneal} must be from 0 (rounded from the beginning) to "
            "1, the whole training, like 0.8"
        )
