"""What a picture shows of one system and one utterance, as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch


@dataclass(frozen=True)
class Word:
    """A word and where it is in the audio, in seconds."""

    start: float
    end: float
    text: str


@dataclass(frozen=True)
class Utterance:
    """One utterance as one system saw it; T encoder frames, L layers.

    Attributes:
        name: Of the system.
        kind: Of lookahead: causal, chunked, dynamic, ...; full without masks.
        num_layers: L.
        frame_seconds: Period of an encoder frame; frame i is the audio from i to i + 1
            periods.
        latency_ms: (T,), how long each frame waits after its own end.
        bands: L arrays (T, R_l) in [0, 1], lowest layer first: what was waited for;
            None: every frame sees the whole utterance.
        seen: Likewise what attention used: more than ``bands`` where waits are shared.
        features: (N, F), such as log-mel energies.
        feature_seconds: Period of a feature frame.
        log_mel: Whether the features are log-mel energies, lowest first.
        words: Words with their times; may be empty.
        constant_ms: What front end and subsampling add to every latency.
        words_from: Where they come from: recognised, aligned, given, or nothing.
    """

    name: str
    kind: str
    num_layers: int
    frame_seconds: float
    latency_ms: np.ndarray
    bands: tuple[np.ndarray, ...] | None
    seen: tuple[np.ndarray, ...] | None
    features: np.ndarray
    feature_seconds: float
    log_mel: bool = True
    words: tuple[Word, ...] = ()
    words_from: str = ""
    constant_ms: float = 0.0

    @property
    def num_frames(self) -> int:
        """T."""
        return len(self.latency_ms)

    @property
    def seconds(self) -> float:
        """Length of what the encoder's frames cover."""
        return self.num_frames * self.frame_seconds


def from_trace(
    name: str,
    encoder: Any,
    features: torch.Tensor,
    frame_seconds: float,
    latency_ms: torch.Tensor | None = None,
) -> Utterance:
    """Keep what an encoder's last forward pass looked at in its first utterance.

    Args:
        name: Of the system.
        encoder: That has just run: ``lookahead``, ``kind`` and ``encoders``. Without a
            trace, as ESPnet's own, it sees everything.
        features: (N, F) of the utterance, a frame of the encoder each; where that is
            not so, put ``feature_seconds`` right with ``dataclasses.replace``.
        frame_seconds: Period of an encoder frame.
        latency_ms: (T,); None: as many frames as the trace says, and nothing else.
    """
    trace: Any = getattr(encoder, "lookahead", None)
    if latency_ms is None:
        frames = int(trace.lengths[0])
        latency_ms = 1000 * frame_seconds * trace.algorithmic_latency()[0, :frames]
    frames = len(latency_ms)
    bands = None if trace is None else trace.bands
    seen = getattr(trace, "seen", None) or bands
    return Utterance(
        name=name,
        kind=kind_of(encoder),
        num_layers=len(getattr(encoder, "encoders", [None])),
        frame_seconds=frame_seconds,
        latency_ms=latency_ms.detach().double().cpu().numpy(),
        bands=_arrays(bands, frames),
        seen=_arrays(seen, frames),
        features=features.detach().float().cpu().numpy(),
        feature_seconds=frame_seconds,
    )


def kind_of(encoder: Any) -> str:
    """Name the kind of lookahead; ESPnet's own encoders see everything."""
    kind = getattr(encoder, "kind", None)
    return "full" if kind is None else str(kind.name)


def _arrays(bands: Any, frames: int) -> tuple[np.ndarray, ...] | None:
    """Cut the first utterance out of bands (B or 1, T, R) or (T, R)."""
    if bands is None:
        return None
    first = [band[0] if band.dim() == 3 else band for band in bands]
    return tuple(band[:frames].detach().float().cpu().numpy() for band in first)


def inside(band: np.ndarray) -> np.ndarray:
    """Return a band without what is past the last of its T frames; (T, R)."""
    num_frames, most = band.shape
    ahead = np.arange(num_frames)[:, None] + np.arange(1, most + 1)
    return np.where(ahead < num_frames, band, 0.0)


def square(band: np.ndarray | None, num_frames: int) -> np.ndarray:
    """Return the future part of a mask as a matrix.

    Args:
        band: (T, R), weight of frame i + d in row i, column d - 1; None: all ones.
        num_frames: T.

    Returns:
        (T, T), row i, column j the weight of frame j > i; 0 on and below the diagonal.
    """
    if band is None:
        return np.triu(np.ones((num_frames, num_frames)), k=1)
    matrix = np.zeros((num_frames, num_frames))
    for distance in range(1, min(band.shape[1], num_frames - 1) + 1):
        rows = np.arange(num_frames - distance)
        matrix[rows, rows + distance] = band[rows, distance - 1]
    return matrix


def equal_layers(
    bands: Sequence[np.ndarray] | None, num_layers: int
) -> list[tuple[int, int]]:
    """Group neighbouring layers whose bands are equal.

    Returns:
        (first, last) of each group, from 1, lowest first.
    """
    if bands is None:
        return [(1, num_layers)]
    groups = [(1, 1)]
    for layer in range(2, len(bands) + 1):
        if np.array_equal(bands[layer - 1], bands[layer - 2]):
            groups[-1] = (groups[-1][0], layer)
        else:
            groups.append((layer, layer))
    return groups


def layers_name(first: int, last: int) -> str:
    """Name a group of layers for a reader."""
    return f"layer {first}" if first == last else f"layers {first} to {last}"
