"""Where waiting pays: costs of what is not seen, and the best segments."""

import itertools

import pytest
import torch
from torch.nn.functional import one_hot

from espnet_dynlook.lookahead.kinds import FixedLookahead
from espnet_dynlook.lookahead.settling import (
    Costs,
    best_segments,
    cost_of,
    measure_costs,
    price_for,
    row_waits,
    segment_teaching,
    waits_of,
)

FRAMES = 3


def random_costs(seed, num_frames=7, lengths=(7,)):
    """Return costs that fall as more is seen, like those of a model."""
    generator = torch.Generator().manual_seed(seed)
    batch = len(lengths)
    steps = torch.rand(batch, num_frames, FRAMES + 1, generator=generator) ** 4
    rows = steps.flip(2).cumsum(2).flip(2)
    segments = torch.full((batch, num_frames, FRAMES + 1), torch.inf)
    for b, length in enumerate(lengths):
        rows[b, length:] = 0.0
        for s in range(length):
            for e in range(s, min(s + FRAMES + 1, length)):
                own = [float(rows[b, i, e - i]) for i in range(s, e + 1)]
                # And something that only a segment as a whole has.
                extra = torch.rand((), generator=generator)
                segments[b, s, e - s] = sum(own) + float(extra)
    return Costs(segments, rows, torch.tensor(lengths))


def priced(ends, costs, price):
    """Return the cost of segments by the definition, utterance 0."""
    total, start = 0.0, 0
    for e, end in enumerate(ends):
        if end:
            more = e - start
            if more > FRAMES:
                return float("inf")
            total += float(costs.segments[0, start, more])
            total += price * sum(range(more + 1))
            start = e + 1
    return total


@pytest.mark.parametrize("price", [0.0, 0.1, 0.5, 3.0])
def test_best_segments_are_the_best_of_all(price):
    for seed in range(20):
        costs = random_costs(seed)
        found = best_segments(costs, price)[0].tolist()
        every = itertools.product([False, True], repeat=6)
        least = min(priced([*ends, True], costs, price) for ends in every)
        assert priced(found, costs, price) == pytest.approx(least)


def test_batch_and_padding_do_not_matter():
    costs = random_costs(0, 20, (20, 11, 1))
    together = best_segments(costs, 0.3)
    for b, length in enumerate(costs.lengths.tolist()):
        alone = Costs(
            costs.segments[b : b + 1, :length],
            costs.rows[b : b + 1, :length],
            costs.lengths[b : b + 1],
        )
        assert torch.equal(best_segments(alone, 0.3)[0], together[b, :length])
        assert not together[b, length:].any()


def test_cost_and_waits_of_segments_equal_counting():
    costs = random_costs(3)
    ends = best_segments(costs, 0.1)
    assert cost_of(ends, costs) == pytest.approx(priced(ends[0].tolist(), costs, 0.0))
    ends = torch.tensor([[False, True, False, False, True, True, False, False, False]])
    waits = waits_of(ends, torch.tensor([8]))
    assert waits.tolist() == [[1, 0, 2, 1, 0, 0, 1, 0, 0]]


def test_price_is_found_for_a_mean_wait():
    costs = random_costs(1, 200, (200, 150))
    for target in (0.3, 0.8, 1.2):
        ends = best_segments(costs, price_for([costs], target))
        wait = float(waits_of(ends, costs.lengths).sum()) / 350
        assert wait == pytest.approx(target, abs=0.05)
    with pytest.raises(ValueError, match="cannot be had"):
        price_for([costs], 1.6)


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
    rows = torch.tensor([[[5.0, 1.0, 0.5, 0.5], [0.1, 0.0, 0.0, 0.0]]])
    costs = Costs(rows, rows, torch.tensor([2]))
    assert row_waits(costs, 0.2).tolist() == [[2, 0]]
    assert row_waits(costs, 1.0).tolist() == [[1, 0]]


def test_costs_are_zero_for_a_model_that_looks_at_nothing_ahead():
    probabilities = torch.randn(2, 9, 5).log_softmax(2)
    lengths = torch.tensor([9, 4])
    costs = measure_costs(lambda kind: probabilities, 2, FRAMES, lengths)
    assert not costs.rows.any()
    assert not costs.segments[costs.segments.isfinite()].any()
    last = torch.arange(9)[:, None] + torch.arange(FRAMES + 1)
    assert torch.equal(costs.segments.isfinite(), last < lengths[:, None, None])


def test_each_cost_is_of_what_the_frames_of_a_segment_see():
    """A model whose posterior says how many future frames it saw."""

    def log_posteriors(kind):
        bands = kind.bands(12)
        seen = torch.full((12,), 9) if bands is None else bands[0].sum(1).long()
        weight = 1.0 + torch.arange(12)[:, None]  # and which frame it is
        return (one_hot(seen, 10) * weight / (1 + seen[:, None])).log_softmax(1)[None]

    full = log_posteriors(FixedLookahead("full", 1))[0]

    def distance(i, seen):
        other = one_hot(torch.tensor(seen), 10) * (1.0 + i) / (1 + seen)
        return float((full[i].exp() * (full[i] - other.log_softmax(0))).sum())

    costs = measure_costs(log_posteriors, 1, FRAMES, torch.tensor([12]))
    for s in range(12):
        for more in range(min(FRAMES, 11 - s) + 1):
            expected = sum(distance(s + a, more - a) for a in range(more + 1))
            assert float(costs.segments[0, s, more]) == pytest.approx(
                expected, abs=1e-4
            )
    for i in range(12 - FRAMES):
        expected = [distance(i, d) for d in range(FRAMES + 1)]
        assert costs.rows[0, i].tolist() == pytest.approx(expected, abs=1e-4)
