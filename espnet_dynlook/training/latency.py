"""The encoder's latency in ms, as a statistic of training and of decoding."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import torch


class FrontendTiming:
    """How a model's front end cuts time, and what keeps its frames from leaving early.

    Args:
        model: With ``frontend``, ``normalize``, ``preencoder``, ``postencoder``, of
            which any may be missing or None.

    Attributes:
        hop_length: Samples between feature frames.
        win_length: Samples in an analysis window; None where that is not known.
        fs: Samples per second.
        padding: Samples that a centred STFT reflects at each end.
        waits_for_end: Why every frame has to be taken to wait for the end of the
            utterance whatever the encoder does; None: the encoder's trace decides.
        warning: What the user should know of the latencies, or None.
    """

    def __init__(self, model: torch.nn.Module):
        frontend: Any = getattr(model, "frontend", None)
        stft = getattr(frontend, "stft", None)
        self.hop_length = 160
        self.win_length: int | None = None
        self.padding = 0
        if stft is not None and hasattr(frontend, "hop_length"):
            self.hop_length = int(frontend.hop_length)
            window = getattr(stft, "win_length", None)
            self.win_length = int(window or stft.n_fft)
            self.padding = stft.n_fft // 2 if getattr(stft, "center", True) else 0
        logmel: Any = getattr(frontend, "logmel", None)
        self.fs = int(getattr(logmel, "mel_options", {}).get("sr", 16000))
        self.waits_for_end = _waits_for_end(model)
        self.warning: str | None = None
        if self.waits_for_end is not None:
            self.warning = (
                f"latencies are the time to the end of the utterance: "
                f"{self.waits_for_end}"
            )
        elif frontend is None:
            # As nearly every recipe has it, and nothing tells.
            self.warning = (
                "the features come from outside of the model: 10 ms a frame is taken "
                "for latencies"
            )


def _waits_for_end(model: torch.nn.Module) -> str | None:
    """Say which part of a model may use the whole utterance, or None.

    Only parts that are known to look ahead by a fixed time pass: ESPnet's log-mel front
    end, which its encoders count, and normalization by statistics of the training data.
    """
    frontend: Any = getattr(model, "frontend", None)
    if frontend is not None:
        kind = type(frontend).__name__
        if kind != "DefaultFrontend" or frontend.stft is None:
            return f"how far the front end {kind} looks ahead is not known"
        enhancement: Any = frontend.frontend
        for name in ("use_wpe", "use_beamformer"):
            if getattr(enhancement, name, False):
                return f"the front end's {name} uses the whole utterance"
    normalize = getattr(model, "normalize", None)
    if normalize is not None and type(normalize).__name__ != "GlobalMVN":
        return (
            f"the normalization {type(normalize).__name__} uses the whole utterance; "
            "for a model that streams, train with normalize: global_mvn or null"
        )
    for name in ("preencoder", "postencoder"):
        part = getattr(model, name, None)
        if part is not None:
            return f"how far the {name} {type(part).__name__} looks ahead is not known"
    return None


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
    frame_shift: Any = encoder.frame_shift
    constant_ms: Any = encoder.constant_ms
    period = 1000.0 * frame_shift * timing.hop_length / timing.fs
    constant = constant_ms(timing.hop_length, timing.fs, timing.win_length)
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
        found = frame_latencies(getattr(module, "encoder", None), timing)
        if found is None:
            return
        latencies, lengths = found
        index = torch.arange(latencies.size(1), device=latencies.device)
        inside = index < lengths[:, None]
        if isinstance(output, dict):
            stats, weight = output["stats"], output["weight"]
        else:
            _, stats, weight = output
        mean = (latencies * inside).sum() / inside.sum()
        # ESPnet averages over workers what has the shape of the batch's weight.
        stats["lookahead_ms"] = mean.reshape(weight.shape)

    handle = model.register_forward_hook(add)
    try:
        yield
    finally:
        handle.remove()
