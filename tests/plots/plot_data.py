"""Utterances made by hand."""

import numpy as np
import torch

from espnet_dynlook.lookahead.latency import algorithmic_latency
from espnet_dynlook.plots.utterance import Utterance

FRAME = 0.04


def make_utterance(bands, name="made", kind="dynamic", seen=None, words=()):
    """Return an utterance whose latencies are those of its bands."""
    frames = 30 if bands is None else len(bands[0])
    tensors = None if bands is None else [torch.from_numpy(b) for b in bands]
    latency = algorithmic_latency(tensors, torch.tensor([frames]))[0].numpy()
    rng = np.random.default_rng(0)
    return Utterance(
        name=name,
        kind=kind,
        num_layers=3 if bands is None else len(bands),
        frame_seconds=FRAME,
        latency_ms=1000 * FRAME * latency + 32,
        bands=None if bands is None else tuple(bands),
        seen=None if bands is None else tuple(seen or bands),
        features=rng.standard_normal((4 * frames, 20)),
        feature_seconds=FRAME / 4,
        words=tuple(words),
        words_from="given" if words else "",
    )


def random_bands(seed, layers=3, frames=30, most=4, binary=False):
    """Return contiguous bands, soft or binary, without what is past the end."""
    rng = np.random.default_rng(seed)
    ahead = np.arange(frames)[:, None] + np.arange(1, most + 1)
    bands = []
    for _ in range(layers):
        gates = 1 / (1 + np.exp(-rng.normal(0.5, 3.0, (frames, most))))
        band = np.cumprod(gates, axis=1) * (ahead < frames)
        bands.append((band > 0.5).astype(float) if binary else band)
    return bands
