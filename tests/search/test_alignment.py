"""Forced alignment."""

import itertools

import pytest
import torch

from espnet_dynlook.search.alignment import TokenSpan, align, frames_needed


def collapsed(path, blank=0):
    """Return the labels of a CTC path."""
    return [k for k, _ in itertools.groupby(path) if k != blank]


@pytest.mark.parametrize("tokens", [[1, 2], [1, 1], [2], [1, 2, 1]])
def test_alignment_is_the_best_of_all_paths(tokens):
    torch.manual_seed(sum(tokens))
    log_probs = torch.randn(6, 3).log_softmax(dim=1)
    paths = [p for p in itertools.product(range(3), repeat=6) if collapsed(p) == tokens]
    best = max(paths, key=lambda p: sum(log_probs[t, v] for t, v in enumerate(p)))
    spans, start = [], 0
    for label, group in itertools.groupby(best):
        size = len(list(group))
        if label:
            spans.append(TokenSpan(label, start, start + size))
        start += size
    assert align(log_probs, tokens) == spans


def test_transcript_without_tokens_has_no_spans():
    assert align(torch.zeros(3, 4), []) == []


def test_blank_is_needed_between_equal_tokens():
    assert frames_needed([1, 1, 2]) == 4
    with pytest.raises(ValueError, match="3 frames are fewer than the 4"):
        align(torch.zeros(3, 4).log_softmax(dim=1), [1, 1, 2])


def test_transcript_with_blank_is_refused():
    with pytest.raises(ValueError, match="the blank, 0"):
        align(torch.zeros(3, 4), [1, 0])
