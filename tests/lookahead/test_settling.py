"""Where waiting pays: costs of what is not seen, and the best segments."""

import itertools

import pytest
import torch

from espnet_dynlook.lookahead.kinds import FixedLookahead
from espnet_dynlook.lookahead.settling import (
    best_segments,
    mean_wait,
    price_for,
    row_waits,
    segment_teaching,
    unsettled,
)

FRAMES = 3


def random_costs(seed, num_frames=7, batch=1):
    """Return costs that fall as more is seen, like those of a model."""
    generator = torch.Generator().manual_seed(seed)
    steps = torch.rand(batch, num_frames, FRAMES + 1, generator=generator) ** 4
    return steps.flip(2).cumsum(2).flip(2)


def cost_of(ends, costs, price):
    """Return the cost of segments by the definition."""
    total = 0.0
    for i in range(len(ends)):
        end = next(e for e in range(i, len(ends)) if ends[e])
        if end - i > FRAMES:
            return float("inf")
        total += float(costs[i, end - i]) + price * (end - i)
    return total


@pytest.mark.parametrize("price", [0.0, 0.1, 0.5, 3.0])
def test_best_segments_are_the_best_of_all(price):
    for seed in range(20):
        costs = random_costs(seed)[0]
        found = best_segments(costs[None], price, torch.tensor([7]))[0].tolist()
        every = itertools.product([False, True], repeat=6)
        least = min(cost_of([*ends, True], costs, price) for ends in every)
        assert cost_of(found, costs, price) == pytest.approx(least)


def test_batch_and_padding_do_not_matter():
    costs = random_costs(0, num_frames=20, batch=3)
    lengths = torch.tensor([20, 11, 1])
    for b, length in enumerate(lengths.tolist()):
        costs[b, length:] = 0.0
    together = best_segments(costs, 0.3, lengths)
    for b, length in enumerate(lengths.tolist()):
        alone = best_segments(costs[b : b + 1, :length], 0.3, lengths[b : b + 1])[0]
        assert torch.equal(alone, together[b, :length])
        assert not together[b, length:].any()


def test_price_is_found_for_a_mean_wait():
    lengths = torch.tensor([200, 150])
    costs = random_costs(1, num_frames=200, batch=2)
    costs[1, 150:] = 0.0
    for target in (0.3, 0.8, 1.2):
        price = price_for([(costs, lengths)], target)
        wait = mean_wait(best_segments(costs, price, lengths), lengths)
        assert wait == pytest.approx(target, abs=0.05)
    with pytest.raises(ValueError, match="cannot be had"):
        price_for([(costs, lengths)], 1.6)


def test_teaching_skips_what_is_no_decision():
    ends = torch.tensor([[False, True, False, False, False, True, True, False, True]])
    targets, asked = segment_teaching(ends, FRAMES, torch.tensor([9]))
    assert targets[0, :, 0].tolist() == [1, 0, 1, 1, 1, 0, 0, 1, 0]
    # Frame 5 ends the fourth frame of its segment: it has to. Frame 8 is the last.
    assert asked[0].any(1).tolist() == [True] * 5 + [False, True, True, False]
    assert [row.index(True) for row in asked[0].tolist() if True in row] == [
        *(0, 1, 0, 1, 2, 0, 0)
    ]


def test_rows_wait_until_it_pays_no_more():
    costs = torch.tensor([[[5.0, 1.0, 0.5, 0.5], [0.1, 0.0, 0.0, 0.0]]])
    assert row_waits(costs, 0.2).tolist() == [[2, 0]]
    assert row_waits(costs, 1.0).tolist() == [[1, 0]]


def test_costs_are_zero_for_a_model_that_looks_at_nothing_ahead():
    probabilities = torch.randn(2, 9, 5).log_softmax(2)
    lengths = torch.tensor([9, 4])
    assert not unsettled(lambda kind: probabilities, 2, FRAMES, lengths).any()


def test_each_cost_is_of_what_the_frame_sees():
    """A model whose posterior says how many future frames it saw."""

    def log_posteriors(kind):
        bands = kind.bands(12)
        seen = torch.full((12,), 9) if bands is None else bands[0].sum(1).long()
        return torch.nn.functional.one_hot(seen, 10).float().mul(8).log_softmax(1)[None]

    costs = unsettled(log_posteriors, 1, FRAMES, torch.tensor([12]))
    assert costs.shape == (1, 12, FRAMES + 1) and (costs > 1).all()
    for phase in range(FRAMES + 1):
        band = FixedLookahead("chunked", 1, FRAMES, phase=phase).bands(12)[0]
        assert band.sum(1).tolist() == [
            FRAMES - (i + phase) % (FRAMES + 1) for i in range(12)
        ]
