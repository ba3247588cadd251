"""How a model's front end cuts time, for latencies in ms."""

from typing import Any

import torch


class FrontendTiming:
    """How a model's front end cuts time, and what keeps its frames from leaving early.

    Args:
        model: With ``frontend``, ``normalize``, ``preencoder``, ``postencoder``, of
            which any may be missing or None.

    Attributes:
        hop_length: Samples between feature frames.
        win_length: Samples in an analysis window; None where that is not known. Of a
            front end that says how far it looks ahead, the window of a centred one that
            looks as far.
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
        ahead = getattr(frontend, "lookahead_samples", None)
        if ahead is not None:
            self.hop_length = int(frontend.hop_length)
            self.win_length = 2 * (int(ahead) + self.hop_length)
        logmel: Any = getattr(frontend, "logmel", None)
        rate = getattr(logmel, "mel_options", {}).get("sr", 16000)
        self.fs = int(rate if ahead is None else frontend.fs)
        self.waits_for_end = waits_for_end(model)
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

    def frame_ms(self, encoder: Any) -> float:
        """Return the period of an encoder's output frames in ms."""
        return 1000.0 * encoder.frame_shift * self.hop_length / self.fs

    def constant_ms(self, encoder: Any) -> float:
        """Return what front end and subsampling add to every latency, in ms."""
        return encoder.constant_ms(self.hop_length, self.fs, self.win_length)


def waits_for_end(model: torch.nn.Module) -> str | None:
    """Say which part of a model may use the whole utterance, or None.

    Only parts that are known to look ahead by a fixed time pass: ESPnet's log-mel front
    end, which its encoders count, front ends with ``lookahead_samples``, and
    normalization by statistics of the training data.
    """
    frontend: Any = getattr(model, "frontend", None)
    if frontend is not None and not hasattr(frontend, "lookahead_samples"):
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
