# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Turn ``latency_*`` of a configuration into a penalty for an encoder, and into ms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from espnet_dynlook.frontend.timing import FrontendTiming
from espnet_dynlook.lookahead.compute import check_compute_budget, work_per_layer
from espnet_dynlook.lookahead.penalty import LatencyPenalty
from espnet_dynlook.lookahead.values import is_number

#: A mean wait of fewer frames is a causal model.
COLLAPSED = 0.3


@dataclass(frozen=True)
class LatencyConf:
    """``latency_*`` and ``compute_budget`` of a ``model_conf``, with their defaults.

    What they mean is said at ``DynlookASRModel``.
    """

    latency_loss: str = "none"
    latency_weight: float | Sequence[float] = 0.002
    latency_target: float | None = None
    latency_warmup: float = 0.25
    latency_ramp: float = 0.25
    latency_floor: float = 4.0
    compute_budget: float | None = None

    def penalty(
        self, target: float | None, work: torch.Tensor | None
    ) -> LatencyPenalty:
        """Return the penalty.

        Args:
            target: In frames; None: the weight is not steered.
            work: Of one frame in each layer (L,), for ``upl``.

        Raises:
            ValueError: a value is out of range, or they do not go together.
        """
        return LatencyPenalty(
            self.latency_loss,
            self.latency_weight,
            target,
            self.latency_warmup,
            self.latency_ramp,
            self.latency_floor,
            work,
            self.compute_budget,
        )


def check_latency_conf(lookahead: str, conf: LatencyConf) -> None:
    """Refuse wrong values before anything is built.

    Args:
        lookahead: The encoder's kind.
        conf: The options.

    Raises:
        ValueError: a value is out of range, or they do not go together; says what to
            write instead.
    """
    if conf.compute_budget is not None:
        check_compute_budget(conf.compute_budget)
    conf.penalty(None if conf.latency_target is None else 1.0, torch.ones(1))
    if conf.latency_loss != "none" and lookahead != "dynamic":
        raise ValueError(
            f"latency_loss: {conf.latency_loss} has nothing to train with lookahead: "
            f"{lookahead}, which learns no waits; set lookahead: dynamic, or "
            "latency_loss: none"
        )


def longest_mean_wait(encoder: Any) -> float:
    """Return the longest mean latency in frames that an encoder can learn.

    Segments of R + 1 frames, the longest, wait R/2 in the mean; rows that decide for
    themselves wait R in every layer that looks ahead.
    """
    scheduler = encoder.scheduler
    if scheduler.shared:
        return scheduler.frames / 2
    return scheduler.frames * _looking(encoder)


def _looking(encoder: Any) -> int:
    """Return how many layers look ahead."""
    layers = range(1, len(encoder.encoders) + 1)
    return sum(encoder.scheduler.looks_ahead(layer) for layer in layers)


def _reach(encoder: Any) -> str:
    """Say what the longest mean wait comes from, and what to change for another."""
    scheduler, layers = encoder.scheduler, len(encoder.encoders)
    frames, looking = f"lookahead_frames={scheduler.frames}", _looking(encoder)
    change = "change the target or lookahead_frames"
    if scheduler.shared:
        return f"{frames} in segments that all layers share; {change}"
    if looking == layers:
        return f"{frames} in {layers} layer{'s' * (layers > 1)}; {change}"
    change = "change the target, lookahead_frames or lookahead_layers"
    return f"{frames} in the {looking} of {layers} layers that look ahead; {change}"


def target_in_frames(
    latency_target: float | None, encoder: Any, timing: FrontendTiming
) -> float | None:
    """Turn a target in ms into one in frames of waiting.

    Args:
        latency_target: Mean latency in ms from the end of a frame, front end and
            subsampling included; None: there is no target.
        encoder: With a learned lookahead.
        timing: Of the front end.

    Raises:
        ValueError: the encoder cannot come there.
    """
    if latency_target is None:
        return None
    constant, period = timing.constant_ms(encoder), timing.frame_ms(encoder)
    lowest = constant + COLLAPSED * period
    highest = constant + longest_mean_wait(encoder) * period
    if not is_number(latency_target) or not lowest < latency_target <= highest:
        raise ValueError(
            f"latency_target={latency_target!r} ms must be above {lowest:.0f} ms "
            f"(front end, subsampling and {COLLAPSED} frames) and at most "
            f"{highest:.0f} ms, the longest mean wait with {_reach(encoder)}"
        )
    return (latency_target - constant) / period


def build_penalty(
    encoder: Any, timing: FrontendTiming, conf: LatencyConf
) -> tuple[LatencyPenalty | None, torch.Tensor | None]:
    """Return the penalty of an encoder, and the work of one frame in its layers.

    Args:
        encoder: Any of ESPnet's.
        timing: Of the front end.
        conf: The options.

    Returns:
        The penalty, None where the lookahead is not learned; the work (L,), None
        without a ``compute_budget``.

    Raises:
        ValueError: as ``check_latency_conf`` and ``target_in_frames``; or the encoder
            is not one of the plugin's.
    """
    kind = getattr(encoder, "kind", None)
    name = getattr(kind, "name", None) or type(encoder).__name__
    check_latency_conf(name, conf)
    work = None
    if conf.compute_budget is not None:
        if kind is None:
            raise ValueError(
                f"compute_budget={conf.compute_budget} needs an encoder that says what "
                "it looks at, and this is none: set encoder: dynlook_conformer or "
                "dynlook_transformer, or leave compute_budget out"
            )
        work = work_per_layer(encoder)
    if getattr(encoder, "scheduler", None) is None:
        return None, work
    target = target_in_frames(conf.latency_target, encoder, timing)
    return conf.penalty(target, work), work
