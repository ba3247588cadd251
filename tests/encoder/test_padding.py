"""An utterance gives the same output alone and in any padded batch."""

import pytest
import torch
from factory import INPUT_SIZE, KINDS, PAIRS, make

pytestmark = pytest.mark.host


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("layer", ["conv2d", "conv2d2", "conv2d6", "conv2d8"])
def test_batch_and_padding_do_not_matter(name, layer, kind):
    encoder = make(name, input_layer=layer, left_context=6, **KINDS[kind])
    generator = torch.Generator().manual_seed(5)
    lengths = torch.tensor([46, 83, 15, 60, 61, 62, 63, 64])
    batch = torch.randn(8, 120, INPUT_SIZE, generator=generator)
    for row, length in enumerate(lengths):
        batch[row, length:] = torch.tensor([torch.nan, 1e4, -3.0])[row % 3]
    together, olens, _ = encoder(batch, lengths)
    for row, length in enumerate(lengths):
        alone, alone_length, _ = encoder(batch[row : row + 1, :length], length[None])
        assert alone_length.item() == olens[row].item() == alone.shape[1]
        torch.testing.assert_close(
            alone[0], together[row, : alone.shape[1]], atol=1e-5, rtol=1e-5
        )


def test_noncausal_convolution_does_not_see_padding():
    encoder = make(lookahead="full", causal_conv=False)
    batch = torch.randn(2, 70, INPUT_SIZE)
    together = encoder(batch, torch.tensor([70, 37]))[0]
    alone = encoder(batch[1:, :37], torch.tensor([37]))[0]
    torch.testing.assert_close(
        alone[0], together[1, : alone.shape[1]], atol=1e-5, rtol=0
    )


def test_gradients_ignore_padding():
    encoder = make(lookahead="chunked", lookahead_frames=2)
    batch = torch.randn(2, 70, INPUT_SIZE, requires_grad=True)
    out, olens, _ = encoder(batch, torch.tensor([70, 37]))
    out[1, : olens[1]].square().sum().backward()
    assert torch.isfinite(batch.grad).all()
    assert not batch.grad[0].any() and not batch.grad[1, 37:].any()
    assert batch.grad[1, :37].any()


def test_masks_argument_equals_lengths():
    encoder = make(lookahead="layerwise", lookahead_frames=1)
    batch, lengths = torch.randn(2, 50, INPUT_SIZE), torch.tensor([50, 31])
    padding = torch.arange(50) >= lengths[:, None]
    by_length = encoder(batch, lengths)[0]
    by_mask = encoder(batch, torch.tensor([50, 50]), masks=padding)[0]
    assert torch.equal(by_length, by_mask)
