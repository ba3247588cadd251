"""Attention of rows that have not decided is the mean over what they may decide."""

import pytest
import torch
from factory import DYNAMIC, INPUT_SIZE, make

from espnet_dynlook.encoder import naive
from espnet_dynlook.encoder.attention import (
    MaskedMultiHeadedAttention,
    MaskedRelPositionMultiHeadedAttention,
    additive_mask,
)
from espnet_dynlook.encoder.expected import ExpectedMask, expected_bias
from espnet_dynlook.lookahead.bands import inside, log_weights

FRAMES = 3


def random_band(seed, batch=2, num_frames=9, lengths=(9, 6)):
    """Return a falling band (B, T, R) that ends with the utterances, and lengths."""
    generator = torch.Generator().manual_seed(seed)
    band = torch.rand(batch, num_frames, FRAMES, generator=generator).cumprod(2)
    lengths = torch.tensor(lengths)
    return band * inside(num_frames, FRAMES, lengths), lengths


def past_mask(lengths, left_context=-1, num_frames=9):
    nothing = torch.zeros(1, num_frames, 0)
    return additive_mask(num_frames, nothing, lengths, left_context, torch.float32)


@pytest.mark.parametrize("left_context", [-1, 2])
@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_equals_the_mean_over_waits(left_context, scale):
    for seed in range(20):
        band, lengths = random_band(seed)
        scores = scale * torch.randn(2, 2, 9, 9)
        v = torch.randn(2, 2, 9, 4)
        past = past_mask(lengths, left_context)
        bias = expected_bias(scores, ExpectedMask(band, past))
        found = (scores + bias).softmax(3) @ v
        index = torch.arange(9)
        for b, length in enumerate(lengths.tolist()):
            for h in range(2):
                seen = scores[b, h, :length, :length].clone()
                if left_context >= 0:
                    at = index[:length]
                    seen[at < at[:, None] - left_context] = -torch.inf
                expected = naive.expected_attention(
                    seen, v[b, h, :length], band[b, :length]
                )
                torch.testing.assert_close(
                    found[b, h, :length], expected, atol=1e-4, rtol=1e-4
                )


def test_binary_bands_give_plain_attention():
    band, lengths = random_band(0)
    band = (band > 0.4).float()
    layer = MaskedMultiHeadedAttention(2, 8, 0.0)
    x = torch.randn(2, 9, 8)
    hard = additive_mask(9, log_weights(band), lengths, -1, torch.float32)
    mask = ExpectedMask(band, past_mask(lengths))
    torch.testing.assert_close(
        layer(x, None, mask)[0], layer(x, None, hard)[0], atol=1e-5, rtol=1e-5
    )


def test_a_frame_that_is_all_that_matters_has_a_gradient_open_or_closed():
    """Where log weights on the scores saturate: the pull to see it is what it is worth.

    Row 0 would copy the value of frame 1, whose score is overwhelming.
    """
    scores = torch.tensor([[0.0, 30.0], [0.0, 0.0]])[None, None]
    v = torch.tensor([[0.0], [1.0]])[None, None]
    for seen in (0.0, 0.5, 1.0):
        band = torch.tensor([[[seen], [0.0]]], requires_grad=True)
        past = past_mask(torch.tensor([2]), num_frames=2)
        bias = expected_bias(scores, ExpectedMask(band, past))
        out = ((scores + bias).softmax(3) @ v)[0, 0, 0, 0]
        assert float(out) == pytest.approx(seen, abs=1e-4)
        (gradient,) = torch.autograd.grad(out, band)
        assert float(gradient[0, 0, 0]) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("relative", [False, True])
def test_straight_through_is_forward_as_drawn_and_backward_as_expected(relative):
    torch.manual_seed(0)
    make_layer = (
        MaskedRelPositionMultiHeadedAttention
        if relative
        else MaskedMultiHeadedAttention
    )
    layer = make_layer(2, 8, 0.0)
    x, pos_emb = torch.randn(2, 9, 8), torch.randn(1, 17, 8)
    band, lengths = random_band(1)
    drawn = additive_mask(9, log_weights((band > 0.5).float()), lengths, -1, x.dtype)
    band.requires_grad_()
    weights = torch.randn(2, 9, 8)
    mask = ExpectedMask(band, past_mask(lengths), drawn)
    out = layer(x, pos_emb, mask)
    torch.testing.assert_close(out, layer(x, pos_emb, drawn))
    by_band = torch.autograd.grad((out * weights).sum(), band, retain_graph=True)[0]
    soft = layer(x, pos_emb, ExpectedMask(band, past_mask(lengths)))
    expected = torch.autograd.grad((soft * weights).sum(), band)[0]
    torch.testing.assert_close(by_band, expected)
    own = torch.autograd.grad((out * weights).sum(), layer.linear_v.weight)[0]
    plain = (layer(x, pos_emb, drawn) * weights).sum()
    torch.testing.assert_close(
        own, torch.autograd.grad(plain, layer.linear_v.weight)[0]
    )


@pytest.mark.parametrize("kind", ["frame", "sequential", "segment"])
@pytest.mark.parametrize("name", ["conformer", "transformer"])
def test_soft_masks_of_decided_gates_are_the_rounded_ones(name, kind):
    encoder = make(name, **{**DYNAMIC, "lookahead_scheduler": kind})
    encoder.scheduler.tau = (1e-3, 1e-3)
    features, lengths = torch.randn(2, 70, INPUT_SIZE), torch.tensor([70, 51])
    rounded = encoder(features, lengths)[0]
    with encoder.soft_masks():
        soft = encoder(features, lengths)[0]
        assert encoder.lookahead.waits[0].soft is not None
    torch.testing.assert_close(soft, rounded, atol=1e-3, rtol=1e-3)
