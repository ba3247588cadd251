"""The encoder's latency in ms, as a statistic of training and of decoding."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import torch

from espnet_dynlook.frontend.timing import FrontendTiming

__all__ = ["FrontendTiming", "frame_latencies", "latency_statistic", "time_to_end"]


def frame_latencies(
    encoder: torch.nn.Module | None, timing: FrontendTiming
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Return the latency of every frame of the last forward pass, in ms.

    Counted from the end of the frame; front end and subsampling included.

    Args:
        encoder: One of the plugin's; another has no trace.
        timing: Of the model's front end.

    Returns:
        Latencies (B, T) and lengths (B,), or None where a frame has to be taken to wait
        for the end: an encoder without a trace, or another part of the model.
    """
    trace = getattr(encoder, "lookahead", None)
    if encoder is None or trace is None or not hasattr(trace, "algorithmic_latency"):
        return None
    if timing.waits_for_end is not None:
        return None
    period, constant = timing.frame_ms(encoder), timing.constant_ms(encoder)
    return trace.algorithmic_latency() * period + constant, trace.lengths


def time_to_end(frames: int, seconds: float) -> torch.Tensor:
    """Return the latency of frames that all wait for the end, (T,), in ms.

    Args:
        frames: T, spread evenly over the utterance.
        seconds: Its duration.
    """
    return torch.arange(frames - 1, -1, -1) * (1000.0 * seconds / max(frames, 1))


@contextlib.contextmanager
def latency_statistic(model: torch.nn.Module) -> Iterator[None]:
    """Add ``lookahead_ms`` to a model's statistics inside a ``with`` block.

    The mean over the frames of the batch goes where ESPnet's statistics go: the log,
    TensorBoard, the pictures, the checkpoint's history. Nothing is added where every
    frame waits for the end: encoders without a trace, or, with a warning, a model whose
    other parts may use the whole utterance.

    Args:
        model: Returns (loss, stats, weight) or a dict with those names.
    """
    timing = FrontendTiming(model)
    encoder: Any = getattr(model, "encoder", None)
    if timing.warning is not None and hasattr(encoder, "lookahead"):
        logging.warning(timing.warning)

    @torch.no_grad()
    def add(module: torch.nn.Module, args: Any, output: Any) -> None:
        if isinstance(output, dict):
            stats, weight = output["stats"], output["weight"]
        else:
            _, stats, weight = output
        if "latency_ms" in stats and timing.waits_for_end is None:
            stats["lookahead_ms"] = stats["latency_ms"]  # it takes time to compute
            return
        found = frame_latencies(getattr(module, "encoder", None), timing)
        if found is None:
            return
        latencies, lengths = found
        index = torch.arange(latencies.size(1), device=latencies.device)
        inside = index < lengths[:, None]
        mean = (latencies * inside).sum() / inside.sum()
        # ESPnet averages over workers what has the shape of the batch's weight.
        stats["lookahead_ms"] = mean.reshape(weight.shape)

    handle = model.register_forward_hook(add)
    try:
        yield
    finally:
        handle.remove()
