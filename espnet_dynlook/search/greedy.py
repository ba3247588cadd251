"""Greedy CTC decoding: the best label of every frame."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class BestPath:
    """The best path through CTC posteriors, collapsed.

    Attributes:
        tokens: Labels, repetitions and blanks removed.
        frames: Frame in which each of them begins.
        score: Log-probability of the path.
    """

    tokens: list[int]
    frames: list[int]
    score: float


def best_path(log_probs: torch.Tensor, blank: int = 0) -> BestPath:
    """Take the best label of every frame, and collapse (Graves et al., 2006, 3.2).

    The most probable *path*, which need not be the most probable labelling: a
    beam search sums over the paths of one. It takes one pass over the frames.

    Args:
        log_probs: Log-probabilities (T, V); T may be 0.
        blank: Index of the blank.

    Raises:
        ValueError: ``log_probs`` is not (T, V), or has NaN.
    """
    if log_probs.dim() != 2:
        raise ValueError(
            f"log_probs has shape {tuple(log_probs.shape)} and must be (T, V), "
            "one utterance"
        )
    if log_probs.size(0) == 0:
        return BestPath([], [], 0.0)
    if log_probs.isnan().any():
        raise ValueError("log_probs has NaN: the model or its input is broken")
    values, labels = log_probs.max(dim=1)
    starts = torch.ones_like(labels, dtype=torch.bool)
    starts[1:] = labels[1:] != labels[:-1]
    frames = (starts & (labels != blank)).nonzero().flatten()
    return BestPath(
        labels[frames].tolist(), frames.tolist(), values.double().sum().item()
    )
