"""What the paired bootstrap must do, whatever the data."""

import numpy as np
import pytest

from espnet_dynlook.metrics.bootstrap import paired_bootstrap

RNG = np.random.default_rng(3)
WORDS = RNG.integers(5, 15, 300)
ERRORS = RNG.binomial(WORDS, 0.2)


def test_identical_systems_do_not_differ():
    found = paired_bootstrap(ERRORS, ERRORS, WORDS, draws=500)
    assert (found.difference, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_same_seed_same_result():
    other = RNG.permutation(ERRORS)
    first = paired_bootstrap(ERRORS, other, WORDS, draws=500, seed=1)
    assert first == paired_bootstrap(ERRORS, other, WORDS, draws=500, seed=1)
    assert first != paired_bootstrap(ERRORS, other, WORDS, draws=500, seed=2)


def test_difference_is_that_of_the_pooled_rates():
    found = paired_bootstrap([1, 0], [2, 2], [4, 6], draws=100)
    assert found.difference == pytest.approx((4 - 1) / 10)


def test_exchanging_the_systems_changes_only_the_sign():
    worse = np.minimum(WORDS, ERRORS + RNG.binomial(1, 0.1, len(WORDS)))
    one = paired_bootstrap(ERRORS, worse, WORDS, draws=1000)
    other = paired_bootstrap(worse, ERRORS, WORDS, draws=1000)
    assert other.difference == pytest.approx(-one.difference)
    assert (other.low, other.high) == pytest.approx((-one.high, -one.low))
    assert other.p == pytest.approx(one.p)


def test_pairing_finds_what_unpaired_noise_would_hide():
    """One error more in a third of the utterances: small, but the same side always."""
    worse = ERRORS + (np.arange(len(WORDS)) % 3 == 0)
    found = paired_bootstrap(ERRORS, worse, WORDS, draws=2000)
    assert found.low > 0
    assert found.p < 0.01


def test_interval_covers_the_truth_as_often_as_it_says():
    """Two equal systems: the 95 % interval leaves zero out in about 5 % of sets."""
    rng = np.random.default_rng(11)
    outside = 0
    for _ in range(200):
        words = rng.integers(5, 15, 100)
        a, b = rng.binomial(words, 0.2), rng.binomial(words, 0.2)
        found = paired_bootstrap(a, b, words, draws=400)
        outside += not found.low <= 0 <= found.high
    assert 2 <= outside <= 22  # 10 expected, standard deviation 3


def test_speakers_whose_errors_go_together_widen_the_interval():
    rng = np.random.default_rng(5)
    speakers = np.repeat(np.arange(10), 30)
    shift = rng.normal(0, 2, 10)[speakers]
    a = np.full(300, 5.0)
    by_utterance = paired_bootstrap(a, a + shift, WORDS, draws=1000)
    by_speaker = paired_bootstrap(a, a + shift, WORDS, list(speakers), draws=1000)
    assert by_speaker.difference == pytest.approx(by_utterance.difference)
    assert (by_speaker.high - by_speaker.low) > 2 * (
        by_utterance.high - by_utterance.low
    )


def test_clusters_of_one_utterance_are_the_plain_bootstrap():
    other = RNG.permutation(ERRORS)
    plain = paired_bootstrap(ERRORS, other, WORDS, draws=300)
    assert plain == paired_bootstrap(
        ERRORS, other, WORDS, list(range(len(WORDS))), draws=300
    )


def test_one_seed_is_the_plain_bootstrap():
    other = RNG.permutation(ERRORS)
    plain = paired_bootstrap(ERRORS, other, WORDS, draws=300)
    assert plain == paired_bootstrap([ERRORS], [other], WORDS, draws=300)


def test_seeds_that_disagree_widen_the_interval():
    """B is better with one seed and worse with two, by far more than utterances say."""
    by_seed = [ERRORS + 1, ERRORS + 1, np.maximum(ERRORS - 2, 0)]
    pooled = paired_bootstrap(ERRORS * 3, np.sum(by_seed, 0), WORDS * 3, draws=1000)
    drawn = paired_bootstrap([ERRORS] * 3, by_seed, WORDS, draws=1000)
    assert drawn.difference == pytest.approx(pooled.difference)
    assert drawn.high - drawn.low > 3 * (pooled.high - pooled.low)
    assert drawn.p > 0.1 > pooled.p


def test_a_seed_that_is_hard_for_both_systems_is_no_difference():
    hard = [ERRORS, ERRORS + 2, ERRORS + 1]
    found = paired_bootstrap(hard, hard, WORDS, draws=300)
    assert (found.difference, found.low, found.high) == (0, 0, 0)


def test_numbers_of_seeds_may_differ():
    found = paired_bootstrap([ERRORS] * 2, [ERRORS + 1] * 3, WORDS, draws=300)
    assert found.difference == pytest.approx(len(WORDS) / WORDS.sum())
    assert found.low > 0


@pytest.mark.parametrize(
    ("words", "clusters", "message"),
    [
        ([0, 0], None, "no words"),
        ([1, 1, 1], None, "2 and 2 errors for 3 utterances"),
        ([1, 1], ["a"], "1 clusters for 2 utterances"),
        ([1, 1], ["a", "a"], "needs 2 or more"),
    ],
)
def test_nothing_to_draw_from_is_an_error(words, clusters, message):
    with pytest.raises(ValueError, match=message):
        paired_bootstrap([0, 0], [0, 0], words, clusters)
