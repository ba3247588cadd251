"""Algorithmic latency on soft bands: values, gradients, precision, other readings."""

import pytest
import torch
from lookahead_cases import random_graph

from espnet_dynlook.lookahead import naive
from espnet_dynlook.lookahead.latency import algorithmic_latency, reaches


def test_soft_bands_equal_the_recursion():
    for seed in range(300):
        bands, lengths = random_graph(seed, soft=True)
        latency = algorithmic_latency(bands, lengths)
        for row, length in enumerate(lengths.tolist()):
            expected = naive.soft_latency([b[row].tolist() for b in bands], length)
            assert latency[row, :length].tolist() == pytest.approx(expected, abs=1e-4)
            assert not latency[row, length:].any()


def test_last_reach_is_the_latency_and_reaches_never_fall_with_depth():
    for seed in range(100):
        bands, lengths = random_graph(seed, soft=True)
        reach = reaches(bands, lengths)
        assert (reach[1:] >= reach[:-1] - 1e-6).all()
        index = torch.arange(reach.shape[-1])
        inside = index < lengths[:, None]
        latency = (reach[-1].cummax(dim=1).values - index).masked_fill(~inside, 0.0)
        assert torch.equal(algorithmic_latency(bands, lengths), latency)


@pytest.mark.parametrize("seed", range(5))
def test_gradients_equal_finite_differences(seed):
    bands, lengths = random_graph(seed + 40, soft=True)
    # Away from 0 and 1 and from each other: at a tie a maximum has no derivative.
    torch.manual_seed(seed)
    inputs = [
        (0.1 + 0.8 * torch.rand(band.shape, dtype=torch.float64)).requires_grad_()
        for band in bands
    ]

    def latency(*given):
        return algorithmic_latency(given, lengths)

    assert torch.autograd.gradcheck(latency, inputs, eps=1e-6, atol=1e-5)


@pytest.mark.parametrize("logit", [-200.0, -40.0, 40.0, 200.0])
def test_saturated_gates_have_finite_gradients(logit):
    logits = torch.full((2, 12, 4), logit, requires_grad=True)
    band = torch.nn.functional.logsigmoid(logits).cumsum(dim=-1).exp()
    algorithmic_latency([band] * 6, torch.tensor([12, 7])).sum().backward()
    assert torch.isfinite(logits.grad).all()


def test_a_closed_band_can_be_opened_by_its_gradient():
    band = torch.zeros(1, 5, 2, requires_grad=True)
    algorithmic_latency([band], torch.tensor([5])).sum().backward()
    assert (band.grad[:, :4] > 0).any()


def test_float32_under_autocast():
    torch.manual_seed(0)
    bands = [torch.rand(1, 300, 4).cumprod(-1) for _ in range(4)]
    lengths = torch.tensor([300])
    plain = algorithmic_latency(bands, lengths)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = algorithmic_latency(bands, lengths)
    assert cast.dtype == torch.float32
    assert torch.equal(cast, plain)
    half = [band.bfloat16() for band in bands]
    assert algorithmic_latency(half, lengths).dtype == torch.float32


def test_no_memory_beyond_layers_frames_and_lookahead():
    """20 000 frames, whose (T, T) would be 1.6 GB a layer."""
    bands = [torch.rand(1, 20_000, 8, requires_grad=True) for _ in range(3)]
    latency = algorithmic_latency(bands, torch.tensor([20_000]))
    latency.mean().backward()
    assert all(torch.isfinite(band.grad).all() for band in bands)


def test_the_heaviest_path_equals_ours_on_binary_bands_only():
    for seed in range(200):
        bands, lengths = random_graph(seed)
        ours = algorithmic_latency(bands, lengths)
        for row, length in enumerate(lengths.tolist()):
            lists = [band[row].tolist() for band in bands]
            heaviest = naive.heaviest_path_latency(lists, length)
            assert ours[row, :length].tolist() == heaviest
    # One row that half waits for the last of three frames, and all but waits for the
    # second: the summary's reading sees the near one, and jumps.
    band = [[0.9, 0.8], [0.0, 0.0], [0.0, 0.0]]
    assert naive.heaviest_path_latency([band], 3)[0] == 1
    assert naive.soft_latency([band], 3)[0] == pytest.approx(1.6)
