"""Attention to names is judged head by head, where a forced alignment has them."""

from types import SimpleNamespace

import pytest
import torch

from espnet_dynlook.biasing.beginnings import Beginnings
from espnet_dynlook.biasing.draws import Draw
from espnet_dynlook.biasing.near import Near
from espnet_dynlook.biasing.occurrences import Occurrence
from espnet_dynlook.model.supervision import Bias, judge

FRAMES, NAME = 30, slice(12, 16)  # the tokens 1 2 are in these frames
BEGINNINGS = slice(12, 14), slice(14, 16)  # 1, and 1 2


def judged(*heads):
    """Return what is said of heads, each its mass on the name in it and elsewhere."""
    log_probs = torch.full((1, FRAMES, 3), -20.0)
    log_probs[0, :, 0] = 0.0
    for frame, token in ((12, 1), (13, 1), (14, 2), (15, 2)):
        log_probs[0, frame] = torch.tensor([-20.0, -20.0, -20.0])
        log_probs[0, frame, token] = 0.0
    attention = torch.zeros(1, len(heads), FRAMES, 3)
    for head, (on_name, elsewhere) in enumerate(heads):
        attention[0, head, :, 1] = elsewhere
        attention[0, head, NAME, 1] = 0.0
        for beginning, frames in enumerate(BEGINNINGS, 1):
            attention[0, head, frames, beginning] = on_name
    attention[..., 0] = 1 - attention[..., 1:].sum(-1)
    draw = Draw([[(1, 2)]], [[True]], [[Occurrence(0, 0, 2)]])
    catalog = SimpleNamespace(lists=(Beginnings.of([[(1, 2)]]),))
    bias = Bias(
        catalog, heads=attention, unbiased=log_probs, lengths=torch.tensor([30])
    )
    ctc = SimpleNamespace(log_softmax=lambda x: x)
    return judge(bias, draw, [[1, 2]], ctc, 0)


def test_heads_that_divide_the_work_are_worse_than_heads_that_do_it():
    divided = judged((0.99, 0.99), (0.01, 0.01))
    right = judged((0.9, 0.1), (0.9, 0.1))
    assert divided.loss > right.loss + 1
    torch.testing.assert_close(right.recall, torch.tensor(0.9))
    torch.testing.assert_close(right.no_bias, torch.tensor(0.9))


def test_what_is_said_is_a_mean_over_heads():
    both = judged((0.9, 0.1), (0.5, 0.3))
    one, other = judged((0.9, 0.1)), judged((0.5, 0.3))
    for name in ("loss", "recall", "no_bias"):
        expected = (getattr(one, name) + getattr(other, name)) / 2
        torch.testing.assert_close(getattr(both, name), expected)


def test_a_name_in_other_tokens_is_right_anywhere_in_it():
    log_probs = torch.full((1, FRAMES, 4), -20.0)
    log_probs[0, :, 0] = 0.0
    log_probs[0, 12, 0], log_probs[0, 12, 3] = -20.0, 0.0  # said as one token
    attention = torch.zeros(1, 1, FRAMES, 3)
    attention[..., 0] = 1.0
    attention[0, 0, 12] = torch.tensor([0.2, 0.3, 0.5])
    names = [[(1, 2)]]
    draw = Draw(names, [[True]], [[Occurrence(0, 0, 1)]])
    catalog = SimpleNamespace(lists=(Beginnings.of(names),))
    bias = Bias(
        catalog, heads=attention, unbiased=log_probs, lengths=torch.tensor([30])
    )
    found = judge(bias, draw, [[3]], SimpleNamespace(log_softmax=lambda x: x), 0)
    torch.testing.assert_close(found.recall, torch.tensor(0.8))


def test_a_frame_that_is_too_far_from_its_name_does_not_count():
    def recall(near):
        log_probs = torch.full((1, FRAMES, 3), -20.0)
        log_probs[0, :, 0] = 0.0
        for frame, token in ((12, 1), (13, 2)):
            log_probs[0, frame, [0, token]] = torch.tensor([-20.0, 0.0])
        attention = torch.zeros(1, 1, FRAMES, 3)
        attention[0, 0, :, 0] = 1.0
        attention[0, 0, 12] = torch.tensor([0.2, 0.8, 0.0])
        draw = Draw([[(1, 2)]], [[True]], [[Occurrence(0, 0, 2)]])
        catalog = SimpleNamespace(lists=(Beginnings.of([[(1, 2)]]),))
        bias = Bias(
            catalog, heads=attention, unbiased=log_probs,
            lengths=torch.tensor([30]), near=near,
        )  # fmt: skip
        found = judge(bias, draw, [[1, 2]], SimpleNamespace(log_softmax=lambda x: x), 0)
        assert torch.isfinite(found.loss)
        return float(found.recall)

    barred = torch.zeros(1, FRAMES, 2)
    nowhere = torch.zeros(1, FRAMES, 2, 2)
    found = Near(torch.arange(2), barred, nowhere)
    assert recall(None) == recall(found) == pytest.approx(0.4)
    barred[0, 13, 1] = -torch.inf
    assert recall(found) == pytest.approx(0.8)


def test_behind_a_token_the_next_beginning_is_right():
    """What was said tells what may come, before a frame has to say it."""
    log_probs = torch.full((1, FRAMES, 3), -20.0)
    log_probs[0, :, 0] = 0.0
    for frame, token in ((12, 1), (20, 2)):
        log_probs[0, frame, [0, token]] = torch.tensor([-20.0, 0.0])
    draw = Draw([[(1, 2)]], [[True]], [[Occurrence(0, 0, 2)]])
    catalog = SimpleNamespace(lists=(Beginnings.of([[(1, 2)]]),))

    def recall(first, second):
        attention = torch.zeros(1, 1, FRAMES, 3)
        attention[0, 0, first, 1] = attention[0, 0, second, 2] = 1.0
        attention[..., 0] = 1 - attention[..., 1:].sum(-1)
        bias = Bias(
            catalog, heads=attention, unbiased=log_probs, lengths=torch.tensor([30])
        )
        ctc = SimpleNamespace(log_softmax=lambda x: x)
        return float(judge(bias, draw, [[1, 2]], ctc, 0).recall)

    assert recall(slice(12, 13), slice(13, 21)) == 1.0
    assert recall(slice(12, 20), slice(20, 21)) == pytest.approx(2 / 9)
