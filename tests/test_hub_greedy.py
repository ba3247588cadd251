"""Greedy CTC decoding."""

import itertools

import pytest
import torch

from espnet_dynlook.search.greedy import best_path


def log_probs_of(path, vocabulary=4):
    """Return posteriors whose best path is that one."""
    logits = torch.zeros(len(path), vocabulary)
    logits[torch.arange(len(path)), torch.tensor(path)] = 5.0
    return logits.log_softmax(dim=1)


@pytest.mark.parametrize(
    ("path", "tokens", "frames"),
    [
        ([0, 0, 0], [], []),
        ([1, 1, 2], [1, 2], [0, 2]),
        ([1, 0, 1], [1, 1], [0, 2]),
        ([0, 3, 3, 0, 0, 3, 2, 0], [3, 3, 2], [1, 5, 6]),
        ([2], [2], [0]),
    ],
)
def test_repetitions_and_blanks_are_removed(path, tokens, frames):
    result = best_path(log_probs_of(path))
    assert (result.tokens, result.frames) == (tokens, frames)


def test_score_is_that_of_the_best_of_all_paths():
    torch.manual_seed(0)
    log_probs = torch.randn(5, 3).log_softmax(dim=1)
    paths = itertools.product(range(3), repeat=5)
    best = max(sum(log_probs[t, v].item() for t, v in enumerate(p)) for p in paths)
    assert best_path(log_probs).score == pytest.approx(best, abs=1e-5)


def test_another_blank():
    assert best_path(log_probs_of([0, 3, 0]), blank=3).tokens == [0, 0]


def test_no_frames_give_nothing():
    result = best_path(torch.zeros(0, 5))
    assert (result.tokens, result.frames, result.score) == ([], [], 0.0)


def test_wrong_shape_and_nan_are_named():
    with pytest.raises(ValueError, match=r"\(1, 2, 3\)"):
        best_path(torch.zeros(1, 2, 3))
    with pytest.raises(ValueError, match="NaN"):
        best_path(torch.full((2, 3), float("nan")))
