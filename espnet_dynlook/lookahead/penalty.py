"""Latency penalties: what a frame of waiting costs beside the loss of the task."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from espnet_dynlook.lookahead.compute import check_compute_budget, latency_at_every_end
from espnet_dynlook.lookahead.steering import Steering
from espnet_dynlook.lookahead.trace import LookaheadTrace
from espnet_dynlook.lookahead.values import is_list, is_number

LOSSES = ("none", "naive", "absolute", "relative", "excess", "upl")
#: Those whose weight is the price of algorithmic latency, so that it can be steered.
STEERED = ("naive", "absolute", "relative", "excess")
#: Running means kept over a range of weights, one for each equal step of the logarithm.
BINS = 8
#: A running mean forgets over this many steps.
MEMORY = 50


@dataclass(frozen=True)
class LatencyTerm:
    """The penalty of a batch, and what it was made of.

    Attributes:
        loss: Weight times penalty, (), with gradients.
        weight: The weight in force: after warm-up, ramp and steering.
        latency: Mean algorithmic latency over the frames, soft, in frames, ().
        rounded: The same with rounded masks.
        value: The penalty before the weight, ().
    """

    loss: torch.Tensor
    weight: float
    latency: torch.Tensor
    rounded: torch.Tensor
    value: torch.Tensor


class LatencyPenalty(torch.nn.Module):
    """Penalty on the latency of soft masks, per frame of valid speech.

    With latency(i) in frames, the mean going over all valid frames of a batch, and m
    the running mean of that mean (per weight; no gradient goes through it):

    * ``none``: 0
    * ``naive``: mean number of future frames in the masks, summed over the layers
    * ``absolute``: mean of latency(i)
    * ``relative``: mean of latency(i) / (m + floor). Without the floor the pull grows
      as the latency falls, and collapses
    * ``excess``: mean of max(0, latency(i) - m)
    * ``upl``: mean over all frames of the user-perceived latency in frame periods, if
      the utterance ended there

    ``naive``, ``absolute`` and ``excess`` are linear in frames, so that their weight is
    a price of a frame; ``relative`` is about 1 at most, so that its weight is the
    price of (m + floor) frames.

    Args:
        loss: One of the above.
        weight: Above 0. Or [lo, hi], but for ``none``: one is drawn per batch,
            log-uniformly, and the scheduler has to be told (``wait``); in evaluation
            the geometric mean.
        target: Mean rounded latency in frames that the weight is steered to; None: the
            weight stays.
        warmup: Fraction of the training without a penalty.
        ramp: Fraction over which it then grows to its whole weight.
        floor: Frames, for ``relative``.
        work: Of one frame in each layer (L,), for ``upl``.
        compute_budget: Real-time factor of the device, for ``upl``.

    Attributes:
        wait: What the scheduler has to be told, from 0 to 1, the lowest weight.

    Raises:
        ValueError: a value is out of range, or they do not go together; says what to
            write instead.
    """

    mean: torch.Tensor
    steps: torch.Tensor
    work: torch.Tensor | None

    def __init__(
        self,
        loss: str = "none",
        weight: float | Sequence[float] = 0.002,
        target: float | None = None,
        warmup: float = 0.25,
        ramp: float = 0.25,
        floor: float = 4.0,
        work: torch.Tensor | None = None,
        compute_budget: float | None = None,
    ):
        super().__init__()
        self.kind = loss
        self.low, self.high = _check_weight(loss, weight)
        self.ranged = self.low < self.high
        _check_schedule(warmup, ramp, floor)
        if loss == "upl":
            if compute_budget is None or work is None:
                raise ValueError(
                    "latency_loss: upl needs the speed of a device: set compute_budget "
                    "to its real-time factor on this encoder, such as 0.8"
                )
            check_compute_budget(compute_budget)
        self.warmup, self.ramp, self.floor = warmup, ramp, floor
        self.compute_budget = compute_budget
        self.register_buffer("work", work, persistent=False)
        # Floats: ESPnet sums the integers of the checkpoints that it averages.
        bins = BINS if self.ranged else 1
        self.register_buffer("mean", torch.zeros(bins))
        self.register_buffer("steps", torch.zeros(bins))
        self.steering: Steering | None = None
        if target is not None:
            _check_steered(loss, self.ranged)
            self.steering = Steering(target)
        self.progress = 1.0  # until somebody tells: no warm-up
        self.drawn = math.sqrt(self.low * self.high)

    def set_progress(self, progress: float) -> None:
        """Set how much of the training is done, in [0, 1]."""
        self.progress = progress

    def strength(self) -> float:
        """Return the share of the weight that warm-up and ramp let through, 0 to 1."""
        since = self.progress - self.warmup
        if since < 0:
            return 0.0
        return min(since / self.ramp, 1.0) if self.ramp > 0 else 1.0

    @property
    def wait(self) -> float:
        """What the weight of this batch is for the scheduler: 1, the lowest, to 0."""
        if not self.ranged:
            return 0.5
        return math.log(self.high / self.drawn) / math.log(self.high / self.low)

    def draw(self) -> None:
        """Draw the weight of the next batch; in evaluation take the geometric mean."""
        share = torch.rand(()).item() if self.training and self.ranged else 0.5
        self.drawn = self.low * (self.high / self.low) ** share

    def forward(self, trace: LookaheadTrace) -> LatencyTerm:
        """Return the penalty of a batch; in training, update the running means.

        Args:
            trace: Of the encoder's forward pass on it.

        Raises:
            ValueError: the trace has no bands (``lookahead: full``).
        """
        if trace.bands is None:
            raise ValueError(
                "latency_loss needs masks, and lookahead: full has none; set "
                "latency_loss: none"
            )
        lengths = trace.lengths
        number = lengths.sum()
        with torch.autocast(lengths.device.type, enabled=False):
            latency = trace.algorithmic_latency()  # (B, T), 0 past the end
            soft = latency.sum() / number
            with torch.no_grad():
                hard = trace.rounded().algorithmic_latency().sum() / number
            value = self._value(trace, latency, soft)
        weight = self.drawn * self.strength()
        if self.steering is not None:
            weight *= self.steering.factor()
        if self.training:
            self._update(soft.detach(), hard, number)
        return LatencyTerm(weight * value, weight, soft, hard, value)

    def _bin(self) -> int:
        return min(int((1.0 - self.wait) * BINS), BINS - 1) if self.ranged else 0

    def _value(
        self, trace: LookaheadTrace, latency: torch.Tensor, soft: torch.Tensor
    ) -> torch.Tensor:
        lengths = trace.lengths
        if self.kind == "none":
            return soft.new_zeros(())
        if self.kind == "naive":
            return trace.mean_lookahead().sum()
        if self.kind == "absolute":
            return soft
        if self.kind == "upl":
            assert self.work is not None and self.compute_budget is not None
            # A row's work begins when all is there that it sees, shared or waited for.
            at_end = latency_at_every_end(
                trace.seen, lengths, self.work, self.compute_budget
            )
            return at_end.sum() / lengths.sum()
        number = self._bin()
        known = self.steps[number] > 0
        mean = torch.where(known, self.mean[number], soft.detach())
        if self.kind == "relative":
            return soft / (mean + self.floor)
        index = torch.arange(latency.shape[1], device=latency.device)
        inside = index < lengths[:, None]
        return ((latency - mean).relu() * inside).sum() / lengths.sum()

    @torch.no_grad()
    def _update(
        self, soft: torch.Tensor, hard: torch.Tensor, number: torch.Tensor
    ) -> None:
        """Bring the running means up to date, the same in every worker."""
        bins = len(self.mean)
        sums = soft.new_zeros(3, bins)  # of soft and rounded latencies, and of frames
        sums[:, self._bin()] = torch.stack((soft * number, hard * number, number + 0.0))
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(sums)
        seen = sums[2] > 0
        self.steps.add_(seen)
        rate = (1.0 / self.steps.clamp(min=1.0)).clamp(min=1.0 / MEMORY)
        now = sums[0] / sums[2].clamp(min=1.0)
        self.mean.add_(torch.where(seen, rate * (now - self.mean), 0.0))
        if self.steering is not None:
            rounded = sums[1].sum() / sums[2].sum()
            self.steering.step(float(rounded), in_force=self.strength() > 0)


def _check_weight(loss: str, weight: float | Sequence[float]) -> tuple[float, float]:
    if loss not in LOSSES:
        raise ValueError(f"latency_loss={loss!r} must be one of {', '.join(LOSSES)}")
    if is_number(weight):
        if weight < 0 or (weight == 0 and loss != "none"):
            raise ValueError(
                f"latency_weight={weight} must be above 0; for no penalty write "
                "latency_loss: none"
            )
        return float(weight), float(weight)
    two = is_list(weight) and len(weight) == 2 and all(map(is_number, weight))
    if not two or not 0 < weight[0] < weight[1]:  # type: ignore[index]
        raise ValueError(
            f"latency_weight={weight!r} must be a number above 0, or two of which the "
            "first is above 0 and the second greater, such as [0.0005, 0.005]"
        )
    if loss == "none":
        raise ValueError(
            f"latency_weight={weight!r} is a range of prices to draw from, and there "
            "is none to pay with latency_loss: none; set a latency_loss, such as "
            "relative, or leave latency_weight out"
        )
    low, high = weight  # type: ignore[misc]
    return float(low), float(high)


def _check_schedule(warmup: float, ramp: float, floor: float) -> None:
    if not is_number(warmup) or not 0 <= warmup < 1:
        raise ValueError(
            f"latency_warmup={warmup!r} must be a fraction of the training from 0 to "
            "below 1, such as 0.25"
        )
    if not is_number(ramp) or ramp < 0 or warmup + ramp > 1:
        raise ValueError(
            f"latency_ramp={ramp!r} must be from 0, and with latency_warmup={warmup} "
            f"not above 1, the whole training: at most {1 - warmup:g}"
        )
    if not is_number(floor) or floor <= 0:
        raise ValueError(f"latency_floor={floor!r} must be above 0 frames, such as 4")


def _check_steered(loss: str, ranged: bool) -> None:
    if loss not in STEERED:
        *most, last = STEERED
        raise ValueError(
            f"latency_target steers the price of algorithmic latency, and latency_loss "
            f"is {loss}: use {', '.join(most)} or {last}, or leave latency_target out"
        )
    if ranged:
        raise ValueError(
            "latency_target steers one weight, and latency_weight is a range: give one "
            "number to start from, or leave latency_target out"
        )
