"""Layers that are asked for come out of streams as an offline pass has them."""

import random

import pytest
import torch
from factory import make
from random_encoders import DIM, KINDS, random_encoder

from espnet_dynlook.model.taps import LayerTaps

pytestmark = pytest.mark.host


def streamed(encoder, utterance, draw, taps):
    """Return the output of a stream, and that of its layers."""
    state, at = encoder.initial_state(1, taps), 0
    out, layers = [], {one.layer: [] for one in state.intermediate}
    while not state.over[0]:
        packet = utterance[None, at : at + draw.choice([1, 7, 60])]
        at += packet.shape[1]
        new, _, state = encoder.step(state, packet, final=at == len(utterance))
        out.append(new[0])
        for one in state.intermediate:
            assert one.out.shape == new.shape
            layers[one.layer].append(one.out[0])
    return torch.cat(out), {n: torch.cat(parts) for n, parts in layers.items()}


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_layers_streamed_equal_offline(kind):
    draw = random.Random(str(kind))
    for _ in range(3):
        encoder = random_encoder(draw, kind)
        number = len(encoder.encoders)
        chosen = draw.sample(range(1, number + 1), draw.randint(1, number))
        offline = LayerTaps(encoder, chosen, "taps")
        utterance = torch.randn(draw.choice([75, 130]), DIM)
        seed = draw.random()
        out, layers = streamed(encoder, utterance, random.Random(seed), chosen)
        assert set(layers) == {*chosen, *encoder.interctc_layer_idx}
        encoder(utterance[None], torch.tensor([len(utterance)]))
        for layer, expected in zip(chosen, offline.take(), strict=True):
            torch.testing.assert_close(layers[layer], expected[0], atol=1e-4, rtol=0)
        # Nothing else changes with it.
        plain, few = streamed(encoder, utterance, random.Random(seed), ())
        assert torch.equal(plain, out)
        assert set(few) == set(encoder.interctc_layer_idx)


@pytest.mark.parametrize("taps", [[0], [1, 4]])
def test_layers_that_are_not_there_are_named(taps):
    outside = taps[-1]
    message = rf"taps=.*: \[{outside}\] is not in 1 \.\. 3, the layers of dynlook_conf"
    with pytest.raises(ValueError, match=message):
        make(lookahead="causal").initial_state(1, taps)
