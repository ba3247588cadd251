"""The paired bootstrap of ratios agrees with the one of error rates where both fit."""

import numpy as np
import pytest

from espnet_dynlook.metrics.bootstrap import paired_bootstrap
from espnet_dynlook.metrics.ratios import paired_ratios

RNG = np.random.default_rng(4)
WORDS = RNG.integers(5, 15, 200)
A, B = RNG.binomial(WORDS, 0.2), RNG.binomial(WORDS, 0.25)


@pytest.mark.parametrize("clusters", [None, [i % 23 for i in range(200)]])
@pytest.mark.parametrize("seeds", [1, 3])
def test_equals_error_rates_where_denominators_are_equal(clusters, seeds):
    a = np.stack([np.roll(A, s) for s in range(seeds)])
    b = np.stack([np.roll(B, s) for s in range(seeds)])
    words = np.stack([WORDS] * seeds)
    measures = {"WER": ((a, words), (b, words)), "other": ((b, words), (a, words))}
    found = paired_ratios(measures, clusters, draws=500, seed=7)["WER"]
    expected = paired_bootstrap(a, b, WORDS, clusters, draws=500, seed=7)
    for name in ("difference", "low", "high", "p"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name))


def test_exchanging_the_systems_changes_only_the_sign():
    other = WORDS + RNG.integers(0, 3, 200)
    a, b = (A, WORDS), (B, other)
    one, back = paired_ratios({"1": (a, b), "2": (b, a)}, draws=500).values()
    assert back.difference == pytest.approx(-one.difference)
    assert (back.low, back.high) == pytest.approx((-one.high, -one.low))
    assert back.p == one.p


def test_draws_without_denominator_do_not_count():
    """One utterance of twenty has a name: a third of the draws have none."""
    said = [1] + [0] * 19
    [found] = paired_ratios(
        {"F1": ((said, said), ([0] * 20, said))}, draws=500
    ).values()
    assert (found.difference, found.low, found.high) == (-1, -1, -1)


@pytest.mark.parametrize(
    "a, clusters, message",
    [
        (([1], [1]), None, "the same utterances for both"),
        (([1, 1], [0, 0]), None, "F1: nothing to divide by"),
        (([1, 1], [1, 1]), ["x", "x"], "needs 2 or more"),
        (([1, 1], [1, 1]), ["x"], "1 clusters for 2"),
    ],
)
def test_what_cannot_be_compared_is_an_error(a, clusters, message):
    with pytest.raises(ValueError, match=message):
        paired_ratios({"F1": (a, ([1, 1], [1, 1]))}, clusters)
