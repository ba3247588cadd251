"""The encoder's latency in ms, as a statistic of training and of decoding."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch


def frame_latencies(
    encoder: torch.nn.Module | None,
    hop_length: int,
    fs: int,
    win_length: int | None = None,
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Return the latency of every frame of the last forward pass, in ms.

    Counted from the end of the frame; front end and subsampling included.

    Args:
        encoder: One of the plugin's; another has no trace.
        hop_length: Samples between feature frames.
        fs: Samples per second.
        win_length: Samples in an analysis window.

    Returns:
        Latencies (B, T) and lengths (B,), or None for an encoder without a trace.
    """
    trace = getattr(encoder, "lookahead", None)
    if encoder is None or trace is None or not hasattr(trace, "algorithmic_latency"):
        return None
    frame_shift: Any = encoder.frame_shift
    constant_ms: Any = encoder.constant_ms
    period = 1000.0 * frame_shift * hop_length / fs
    constant = constant_ms(hop_length, fs, win_length)
    return trace.algorithmic_latency() * period + constant, trace.lengths


class FrontendTiming:
    """How a model's front end cuts time: hop and window in samples, samples a second.

    Args:
        model: With a ``frontend`` of ESPnet's default kind; for features made
            elsewhere, or another kind of front end, 10 ms a frame is taken, as nearly
            every recipe has it.
    """

    def __init__(self, model: torch.nn.Module):
        frontend: Any = getattr(model, "frontend", None)
        stft = getattr(frontend, "stft", None)
        self.known = False
        self.hop_length = 160
        self.win_length: int | None = None
        self.padding = 0
        if stft is not None and hasattr(frontend, "hop_length"):
            self.known = True
            self.hop_length = int(frontend.hop_length)
            window = getattr(stft, "win_length", None)
            self.win_length = int(window or stft.n_fft)
            self.padding = stft.n_fft // 2 if getattr(stft, "center", True) else 0
        logmel: Any = getattr(frontend, "logmel", None)
        self.fs = int(getattr(logmel, "mel_options", {}).get("sr", 16000))


@contextlib.contextmanager
def latency_statistic(model: torch.nn.Module) -> Iterator[None]:
    """Add ``lookahead_ms`` to a model's statistics inside a ``with`` block.

    The mean over the frames of the batch goes where ESPnet's statistics go: the log,
    TensorBoard, the pictures, the checkpoint's history. Encoders without a trace add
    nothing.

    Args:
        model: Returns (loss, stats, weight) or a dict with those names.
    """
    timing = FrontendTiming(model)

    @torch.no_grad()
    def add(module: torch.nn.Module, args: Any, output: Any) -> None:
        found = frame_latencies(
            getattr(module, "encoder", None),
            timing.hop_length,
            timing.fs,
            timing.win_length,
        )
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
