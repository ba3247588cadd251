"""Bands: how much each frame of a layer may see of the frames after it.

``band[..., i, d - 1]``, d = 1 .. R, is the weight in [0, 1] of frame i + d for row i.
Bands that a scheduler makes are carried as log weights: products of sigmoids underflow
and their gradients are NaN, sums of ``logsigmoid`` are and do neither.
"""

import torch

#: Log weight of what is not seen. Finite, so that differences and products of it are
#: not NaN; its exponential is 0.
CLOSED = -1e30


def log_weights(band: torch.Tensor) -> torch.Tensor:
    """Return the logarithm of a band, ``CLOSED`` where it is 0; no NaN gradients."""
    positive = band > 0
    return torch.where(positive, torch.where(positive, band, 1.0).log(), CLOSED)


def inside(num_frames: int, distance: int, lengths: torch.Tensor) -> torch.Tensor:
    """Say which entries of a band name a frame of the utterance, (B, T, R) bool."""
    index = torch.arange(num_frames, device=lengths.device)
    reached = index[:, None] + torch.arange(1, distance + 1, device=lengths.device)
    return reached < lengths[:, None, None]


def contiguous_log_band(log_gates: torch.Tensor) -> torch.Tensor:
    """Return log m(i, d) = sum_{e <= d} log g(i, e): to see a frame, see those before.

    Args:
        log_gates: Logarithm of the gates, (B, T, R).
    """
    return log_gates.cumsum(dim=2)


def straight_through(hard: torch.Tensor, soft: torch.Tensor) -> torch.Tensor:
    """Return the values of ``hard`` with the gradients of ``soft``.

    Bengio et al., https://arxiv.org/abs/1308.3432.
    """
    return hard + (soft - soft.detach())
