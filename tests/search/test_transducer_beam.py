"""Transducer beam search equals the sum over alignments, and goes on."""

import itertools
import math

import pytest
import torch

from espnet_dynlook.compat import espnet_imports
from espnet_dynlook.search.transducer import GreedyTransducer
from espnet_dynlook.search.transducer_beam import TransducerBeam

with espnet_imports():
    from espnet2.asr.decoder.transducer_decoder import TransducerDecoder
    from espnet2.asr_transducer.joint_network import JointNetwork


def networks(seed, vocabulary=4):
    torch.manual_seed(seed)
    decoder = TransducerDecoder(vocabulary, hidden_size=6).eval()
    joint = JointNetwork(vocabulary, 5, 6, joint_space_size=7).eval()
    joint.lin_out.weight.data *= 6
    return decoder, joint


def labellings(enc, decoder, joint):
    """Return the probability of every labelling, one label a frame at most."""
    frames, found = len(enc), {}
    vocabulary = joint.lin_out.out_features
    for path in itertools.product(range(vocabulary), repeat=frames):
        labels = torch.tensor([[0, *(k for k in path if k)]])
        said = decoder(labels)[0]
        score, at = 0.0, 0
        for frame, label in zip(enc, path, strict=True):
            score += float(joint(frame, said[at]).log_softmax(0)[label])
            at += label != 0
        tokens = tuple(k for k in path if k)
        found[tokens] = found.get(tokens, 0.0) + math.exp(score)
    return found


@pytest.mark.parametrize("seed", range(6))
@torch.no_grad()
def test_a_wide_beam_gives_every_labelling_its_probability(seed):
    decoder, joint = networks(seed, 3)
    enc = torch.randn(1 + seed % 4, 5)
    decoder.set_device(enc.device)
    every = labellings(enc, decoder, joint)
    found = TransducerBeam(decoder, joint, beam=1000).step(enc)
    own = {tuple(one.prefix.tokens()): one.score for one in found.hypotheses}
    assert own.keys() == every.keys()
    for tokens, score in own.items():
        assert math.exp(score) == pytest.approx(every[tokens], rel=1e-4)


@torch.no_grad()
def test_packets_equal_the_whole_and_states_are_values():
    for seed in range(6):
        decoder, joint = networks(seed)
        enc = torch.randn(30, 5)
        for search in (
            GreedyTransducer(decoder, joint),
            TransducerBeam(decoder, joint, beam=3),
        ):
            whole, state = search.step(enc), search
            for at in range(0, 30, 4):
                before = (state.tokens, state.score)
                following = state.step(enc[at : at + 4])
                assert (state.tokens, state.score) == before
                state = following
            assert state.tokens == whole.tokens and len(whole.tokens) > 0
            assert state.score == pytest.approx(whole.score, rel=1e-5)
            assert search.step(enc[:0]).tokens == []


@torch.no_grad()
def test_a_beam_of_one_is_greedy():
    for seed in range(6):
        decoder, joint = networks(seed)
        enc = torch.randn(25, 5)
        greedy = GreedyTransducer(decoder, joint).step(enc).tokens
        beam = TransducerBeam(decoder, joint, beam=1).step(enc).tokens
        assert [(t.token, t.frame) for t in beam] == [
            (t.token, t.frame) for t in greedy
        ]


@torch.no_grad()
def test_stable_tokens_never_change():
    grown = 0
    for seed in range(5):
        decoder, joint = networks(seed)
        state, stable = TransducerBeam(decoder, joint, beam=4), []
        for frame in torch.randn(40, 5):
            state = state.step(frame[None])
            tokens = [one.token for one in state.tokens]
            assert tokens[: len(stable)] == stable
            grown += state.stable > len(stable)
            stable = tokens[: state.stable]
    assert grown > 5


def test_a_beam_of_nothing_is_refused():
    with pytest.raises(ValueError, match="beam=0 must be at least 1"):
        TransducerBeam(None, None, beam=0)
