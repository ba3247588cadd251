"""The masked attention against its definition."""

import pytest
import torch
from factory import INPUT_SIZE, KINDS, PAIRS, make

from espnet_dynlook.encoder import naive
from espnet_dynlook.encoder.attention import (
    MaskedRelPositionMultiHeadedAttention,
    additive_mask,
    distances_to_keys,
)
from espnet_dynlook.lookahead import naive as naive_lookahead
from espnet_dynlook.lookahead.bands import log_weights


def test_distances_to_keys_picks_the_distance_of_each_key():
    for num_frames in (1, 2, 3, 8):
        scores = torch.randn(2, 3, num_frames, 2 * num_frames - 1)
        by_key = distances_to_keys(scores)
        for i in range(num_frames):
            for j in range(num_frames):
                expected = scores[:, :, i, num_frames - 1 - (i - j)]
                assert torch.equal(by_key[:, :, i, j], expected)


@pytest.mark.parametrize("left_context", [-1, 0, 2])
@pytest.mark.parametrize("seed", range(10))
def test_mask_is_what_the_definition_allows(seed, left_context):
    generator = torch.Generator().manual_seed(seed)
    num_frames, ahead = 7, seed % 4
    band = (torch.rand(2, num_frames, ahead, generator=generator) < 0.5).float()
    lengths = torch.tensor([num_frames, 5])
    mask = additive_mask(
        num_frames, log_weights(band), lengths, left_context, torch.float32
    )
    for b in range(2):
        for i in range(num_frames):
            for j in range(num_frames):
                allowed = j < lengths[b] and naive_lookahead.allowed(
                    [band[b].tolist()], 0, i, j, left_context
                )
                assert (mask[b, 0, i, j].exp() == 1.0) == allowed
                assert torch.isfinite(mask[b, 0, i, j])


def test_soft_weights_equal_the_definition_with_gradients():
    torch.manual_seed(0)
    layer = MaskedRelPositionMultiHeadedAttention(2, 8, 0.0).double()
    num_frames, ahead = 6, 3
    x = torch.randn(num_frames, 8, dtype=torch.float64, requires_grad=True)
    pos_emb = torch.randn(2 * num_frames - 1, 8, dtype=torch.float64)
    band = torch.rand(num_frames, ahead, dtype=torch.float64, requires_grad=True)

    lengths = torch.tensor([num_frames])
    mask = additive_mask(num_frames, log_weights(band), lengths, 2, torch.float64)
    fast = layer(x[None], pos_emb[None], mask)[0]
    weights = torch.zeros(num_frames, num_frames, dtype=torch.float64)
    for i in range(num_frames):
        for j in range(max(0, i - 2), num_frames):
            if j <= i:
                weights[i, j] = 1.0
            elif j - i <= ahead:
                weights[i, j] = band[i, j - i - 1]
    slow = naive.attention(layer, x, pos_emb, weights)
    torch.testing.assert_close(fast, slow)
    target = torch.randn(num_frames, 8, dtype=torch.float64)
    fast_grads = torch.autograd.grad((fast * target).sum(), (x, band))
    slow_grads = torch.autograd.grad((slow * target).sum(), (x, band))
    for a, b in zip(fast_grads, slow_grads, strict=True):
        torch.testing.assert_close(a, b)
    assert fast_grads[1].abs().sum() > 0


def test_weights_are_kept_only_for_whoever_hooks_the_layer():
    torch.manual_seed(0)
    layer = MaskedRelPositionMultiHeadedAttention(2, 8, 0.0).eval()
    x, pos_emb = torch.randn(1, 4, 8), torch.randn(1, 7, 8)
    mask = additive_mask(4, torch.zeros(4, 0), torch.tensor([4]), -1, torch.float32)
    without = layer(x, pos_emb, mask)
    assert layer.attn is None
    seen = []
    handle = layer.register_forward_hook(lambda module, *_: seen.append(module.attn))
    with_hook = layer(x, pos_emb, mask)
    handle.remove()
    assert torch.equal(without, with_hook)
    (weights,) = seen
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 2, 4))
    assert not weights.triu(1).any(), "a causal mask gives the future no weight"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_rows_that_see_nothing_stay_finite(dtype):
    """Rows past the end with a bounded past: even with a score added to the mask."""
    lengths = torch.tensor([8, 1])
    mask = additive_mask(8, torch.zeros(8, 0), lengths, 2, dtype)
    weights = (mask - 30.0).to(dtype).float().softmax(-1)
    assert torch.isfinite(weights).all()
    assert weights[0, 0, 3].tolist() == pytest.approx(
        [0, 1 / 3, 1 / 3, 1 / 3] + [0] * 4
    )


@pytest.mark.host
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PAIRS)
def test_attention_of_a_layer_is_one_fused_call(name, kind, monkeypatch):
    fused, calls = torch.nn.functional.scaled_dot_product_attention, []

    def counted(*args, **kwargs):
        calls.append(args[0].shape)
        return fused(*args, **kwargs)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", counted)
    encoder = make(name, num_blocks=3, **KINDS[kind])
    encoder(torch.randn(2, 60, INPUT_SIZE), torch.tensor([60, 41]))
    # Of the whole batch and all heads: (batch, head, time, size of a head).
    assert calls == [(2, 2, 14, 8)] * 3
