"""Bands: how much each frame of a layer may see of the frames after it.

``band[..., i, d - 1]``, d = 1 .. R, is the weight in [0, 1] of frame i + d for row i.
Bands that a scheduler makes are carried as log weights: products of sigmoids underflow
and their gradients are NaN, sums of ``logsigmoid`` are and do neither.
"""

import torch
import torch.nn.functional as F

#: Log weight of what is not seen. Finite, so that differences and products of it are
#: not NaN; its exponential is 0.
CLOSED = -1e30


def log_weights(band: torch.Tensor) -> torch.Tensor:
    """Return the logarithm of a band, ``CLOSED`` where it is 0; no NaN gradients."""
    positive = band > 0
    return torch.where(positive, torch.where(positive, band, 1.0).log(), CLOSED)


def ahead(frames: torch.Tensor, distance: int, fill: float = 0.0) -> torch.Tensor:
    """Return the values of the R frames from each frame on.

    Args:
        frames: A value a frame, (B, T).
        distance: R.
        fill: Value past the last frame.

    Returns:
        (B, T, R): entry (i, d - 1) is the value of frame i + d - 1.
    """
    padded = F.pad(frames, (0, distance), value=fill)
    return padded.unfold(1, distance, 1)[:, : frames.shape[1]]


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


def rounded(log_band: torch.Tensor) -> torch.Tensor:
    """Return the binary log band: 0 where m >= 0.5, ``CLOSED`` elsewhere."""
    open_ = log_band.detach().exp() >= 0.5
    return torch.where(open_, 0.0, CLOSED)


def straight_through(hard: torch.Tensor, soft: torch.Tensor) -> torch.Tensor:
    """Return the values of ``hard`` with the gradients of ``soft``.

    Bengio et al., https://arxiv.org/abs/1308.3432.
    """
    return hard + (soft - soft.detach())
