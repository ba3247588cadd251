"""Prefix beam search equals the sum over all paths, and goes on where it stopped."""

import itertools
import math

import pytest
import torch

from espnet_dynlook.search.greedy import best_path
from espnet_dynlook.search.incremental import GreedyCTC
from espnet_dynlook.search.prefix_beam import PrefixBeam


def random_log_probs(seed, frames, vocabulary, sharpness=1.0):
    generator = torch.Generator().manual_seed(seed)
    logits = sharpness * torch.randn(frames, vocabulary, generator=generator)
    return logits.double().log_softmax(1)


def labellings(log_probs):
    """Return the probability of every labelling, by the definition."""
    found = {}
    frames, vocabulary = log_probs.shape
    for path in itertools.product(range(vocabulary), repeat=frames):
        score = sum(float(log_probs[t, label]) for t, label in enumerate(path))
        tokens = tuple(k for k, _ in itertools.groupby(path) if k)
        found[tokens] = found.get(tokens, 0.0) + math.exp(score)
    return found


@pytest.mark.parametrize("seed", range(12))
def test_a_wide_beam_gives_every_labelling_its_probability(seed):
    log_probs = random_log_probs(seed, 2 + seed % 5, 3)
    every = labellings(log_probs)
    found = PrefixBeam.begin(beam=10**4, candidates=3, threshold=math.inf).step(
        log_probs
    )
    own = {tuple(one.prefix.tokens()): one.score for one in found.hypotheses}
    assert own.keys() == every.keys()
    for tokens, score in own.items():
        assert math.exp(score) == pytest.approx(every[tokens], rel=1e-9)
    scores = [one.score for one in found.hypotheses]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("search", [GreedyCTC(), PrefixBeam.begin(beam=4)])
def test_packets_equal_the_whole_and_states_are_values(search):
    for seed in range(10):
        log_probs = random_log_probs(seed, 40, 6, 3.0)
        whole = search.step(log_probs)
        generator = torch.Generator().manual_seed(seed)
        state, at = search, 0
        while at < 40:
            size = int(torch.randint(0, 7, (), generator=generator))
            before = (state.tokens, state.score)
            following = state.step(log_probs[at : at + size])
            assert (state.tokens, state.score) == before
            state, at = following, at + size
        assert state.tokens == whole.tokens
        assert state.score == pytest.approx(whole.score)


def test_greedy_equals_the_best_path():
    for seed in range(20):
        log_probs = random_log_probs(seed, 30, 5, 2.0)
        found, expected = GreedyCTC().step(log_probs), best_path(log_probs)
        assert [one.token for one in found.tokens] == expected.tokens
        assert [one.frame for one in found.tokens] == expected.frames
        assert found.score == pytest.approx(expected.score)
        assert found.stable == len(found.tokens)


def test_stable_tokens_never_change():
    moved = 0
    for seed in range(30):
        log_probs = random_log_probs(seed, 60, 5, 2.0)
        state = PrefixBeam.begin(beam=5)
        stable = []
        for frame in log_probs:
            state = state.step(frame[None])
            tokens = [one.token for one in state.tokens]
            assert tokens[: len(stable)] == stable
            assert state.stable >= len(stable)
            moved += state.stable > len(stable)
            stable = tokens[: state.stable]
        assert 0 < len(stable) < 60
    assert moved > 100


def test_a_beam_of_clear_posteriors_is_the_best_path():
    log_probs = random_log_probs(3, 50, 6, 40.0)
    found = PrefixBeam.begin(beam=8).step(log_probs)
    expected = best_path(log_probs)
    assert [one.token for one in found.tokens] == expected.tokens
    assert [one.frame for one in found.tokens] == expected.frames


def test_dead_labellings_are_forgotten():
    import gc
    import weakref

    state = PrefixBeam.begin(beam=2).step(random_log_probs(0, 30, 6, 3.0))
    dead = weakref.ref(state.hypotheses[-1].prefix)
    state = state.step(random_log_probs(1, 30, 6, 3.0))
    gc.collect()
    kept = {id(p) for one in state.hypotheses for p in ancestors(one.prefix)}
    assert dead() is None or id(dead()) in kept


def ancestors(prefix):
    while prefix is not None:
        yield prefix
        prefix = prefix.before


@pytest.mark.parametrize("search", [GreedyCTC(), PrefixBeam.begin()])
def test_wrong_input_is_refused(search):
    assert search.step(torch.zeros(0, 5)).tokens == []
    with pytest.raises(ValueError, match=r"must be \(n, V\)"):
        search.step(torch.zeros(5))
    with pytest.raises(ValueError, match="has NaN"):
        search.step(torch.full((2, 5), math.nan))
    with pytest.raises(ValueError, match="beam=0 must be at least 1"):
        PrefixBeam.begin(beam=0)


def test_a_threshold_lets_the_first_words_settle():
    settled = dict.fromkeys((1.0, 5.0, math.inf), 0)
    for seed in range(20):
        log_probs = random_log_probs(seed, 40, 6, 3.0)
        for threshold in settled:
            state = PrefixBeam.begin(beam=8, threshold=threshold)
            for row in log_probs:
                state = state.step(row[None])
                least = state.score - threshold
                assert all(one.score >= least for one in state.hypotheses)
                settled[threshold] += state.stable
    assert settled[1.0] > settled[5.0] > settled[math.inf]
    with pytest.raises(ValueError, match="threshold=0 must be above 0 nats"):
        PrefixBeam.begin(threshold=0)


@pytest.mark.parametrize("search", [GreedyCTC(), PrefixBeam.begin(beam=6)])
def test_what_is_forgotten_still_counts(search):
    forgot = 0
    for seed in range(10):
        whole = short = search
        for row in random_log_probs(seed, 40, 5, 3.0):
            whole, short = whole.step(row[None]), short.step(row[None])
            first = max(whole.stable - seed % 3, 0)
            short = short.forgetting(first)
            forgot += len(whole.tokens) > len(short.tokens)
            assert short.stable == whole.stable
            assert short.score == pytest.approx(whole.score)
            assert short.silence == whole.silence
            assert short.tokens_from(first) == whole.tokens_from(first)
    assert forgot > 20
