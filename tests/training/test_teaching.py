"""Schedulers learn where waiting pays from what a parent measured."""

import pytest
import torch

from espnet_dynlook.lookahead.dynamic import SCHEDULERS, DynamicLookahead
from espnet_dynlook.training.teaching import Lesson, teach

FRAMES, SIZE = 4, 6


def needy_lessons(number, layers):
    """Return lessons in which a flagged frame needs the two frames after it.

    The flag is seen in the input; all other frames need nothing.
    """
    generator = torch.Generator().manual_seed(0)
    found = []
    for _ in range(number):
        x = 0.1 * torch.randn(2, 40, SIZE, generator=generator)
        flagged = torch.rand(2, 40, generator=generator) < 0.15
        x[flagged] += torch.tensor([1.0, -1.0, 0, 0, 0, 0])
        costs = torch.zeros(2, 40, FRAMES + 1)
        costs[flagged] = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0])
        lengths = torch.tensor([40, 33])
        costs[1, 33:] = 0.0
        inputs = {layer: x for layer in layers}
        found.append(Lesson(inputs, costs, lengths))
    return found


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_taught_schedulers_wait_where_it_pays(scheduler):
    torch.manual_seed(0)
    layers = [1] if scheduler == "segment" else [1, 2]
    dynamic = DynamicLookahead(SIZE, 2, FRAMES, scheduler, hidden=16)
    # 15 % of the frames wait two frames, and those after them until they have left.
    found = teach(dynamic, needy_lessons(20, layers), target=0.4, epochs=40)
    assert found.wait == pytest.approx(0.4, abs=0.12)
    assert found.accuracy > 0.9
    assert found.cost < 0.05 < found.cost_chunks[0.0]
    beaten = [cost for wait, cost in found.cost_chunks.items() if wait > 0.4]
    assert beaten and all(found.cost < cost for cost in beaten)


def test_a_target_that_cannot_be_had_is_an_error():
    dynamic = DynamicLookahead(SIZE, 1, FRAMES, "segment", hidden=8)
    with pytest.raises(ValueError, match="cannot be had"):
        teach(dynamic, needy_lessons(3, [1]), target=3.0, epochs=1)
    with pytest.raises(ValueError, match="more utterances"):
        teach(dynamic, needy_lessons(1, [1]), target=0.3, epochs=1)
