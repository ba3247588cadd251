"""Many weights of a list count as few, each as near to what is written as can be."""

import itertools
import random

import pytest

from espnet_dynlook.biasing.weight_levels import LEVELS, largest_change, weight_levels


def test_few_weights_stay_as_they_are():
    for number in (0, 1, LEVELS):
        weights = [0.0, *(0.5 + n for n in range(number))]
        levels = weight_levels(weights * 3)
        assert levels == {weight: weight for weight in weights}
        assert largest_change(levels) == 0


def test_many_weights_become_few_and_change_little():
    draw = random.Random(0)
    weights = [0.0, *(draw.uniform(0.5, 1.5) for _ in range(10_000))]
    levels = weight_levels(weights)
    assert set(levels) == set(weights)
    assert len(set(levels.values()) - {0.0}) <= LEVELS and levels[0.0] == 0.0
    # Of so many groups none can be narrower than the range over their number.
    assert largest_change(levels) == pytest.approx(3 ** (0.5 / LEVELS) - 1, rel=0.01)
    some = sorted(weights)
    assert all(levels[a] <= levels[b] for a, b in itertools.pairwise(some))


def test_order_and_duplicates_do_not_matter():
    draw = random.Random(1)
    weights = [draw.uniform(0.0, 9.0) for _ in range(100)]
    first = weight_levels(weights)
    for _ in range(5):
        again = [*weights, *draw.sample(weights, 50)]
        draw.shuffle(again)
        assert weight_levels(again) == first


def test_groups_are_the_best_ones():
    """Compared with every way to cut the weights."""
    draw = random.Random(2)
    for _ in range(20):
        weights = sorted(
            draw.choice([0.1, 1.0, 50.0]) * draw.random() for _ in range(7)
        )
        least = min(
            max(part[-1] / part[0] for part in cut(weights, places))
            for places in itertools.combinations(range(1, 7), 2)
        )
        found = largest_change(weight_levels(weights, 3))
        assert found == pytest.approx(least**0.5 - 1, abs=1e-6)


def cut(weights, places):
    return [weights[a:b] for a, b in itertools.pairwise([0, *places, len(weights)])]


def test_weights_of_any_size():
    weights = [5e-324, 1e-300, *(10.0**n for n in range(-9, 7)), 1e6]
    levels = weight_levels(weights, 4)
    assert len(set(levels.values())) == 4
    assert all(0 < level <= 1e6 * (1 + 1e-9) for level in levels.values())
