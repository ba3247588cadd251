"""Shared waits: more context at the same latency."""

import pytest
import torch
from lookahead_cases import random_graph

from espnet_dynlook.lookahead import naive
from espnet_dynlook.lookahead.closing import close_band
from espnet_dynlook.lookahead.latency import algorithmic_latency


def test_equals_the_maximum_over_earlier_rows():
    for seed in range(300):
        bands, _ = random_graph(seed, soft=True)
        for band in bands:
            expected = [naive.close_band(one.tolist()) for one in band]
            torch.testing.assert_close(close_band(band), torch.tensor(expected))


@pytest.mark.parametrize("first", range(0, 1000, 250))
def test_contiguous_bands_closed_in_every_layer_keep_their_latency(first):
    gained = 0.0
    for seed in range(first, first + 250):
        bands, lengths = random_graph(seed, unbroken=True)
        closed = tuple(close_band(band) for band in bands)
        assert torch.equal(
            algorithmic_latency(closed, lengths), algorithmic_latency(bands, lengths)
        ), f"seed {seed}"
        assert all((after >= b).all() for after, b in zip(closed, bands, strict=True))
        gained += sum(float(x.sum()) for x in closed)
        gained -= sum(float(x.sum()) for x in bands)
    assert gained > 0, "nothing was shared"


def test_broken_bands_may_gain_latency():
    """Which is why schedulers make unbroken ones only."""
    bands, lengths = random_graph(617)
    closed = tuple(close_band(band) for band in bands)
    before = algorithmic_latency(bands, lengths)
    assert (algorithmic_latency(closed, lengths) > before).any()


def test_soft_bands_may_gain_latency():
    """Which is why penalties act on the band before it is shared."""
    bands, lengths = random_graph(3, soft=True)
    closed = tuple(close_band(band) for band in bands)
    before = algorithmic_latency(bands, lengths)
    after = algorithmic_latency(closed, lengths)
    assert (after >= before - 1e-6).all() and (after > before + 1e-3).any()


def test_logarithms_close_like_weights():
    band = torch.rand(2, 7, 3)
    torch.testing.assert_close(close_band(band.log()).exp(), close_band(band))


def test_gradient_goes_to_the_row_that_waited():
    band = torch.tensor([[0.9, 0.8], [0.1, 0.0]], requires_grad=True)
    closed = close_band(band)
    assert closed[1, 0] == band[0, 1]
    closed[1, 0].backward()
    assert band.grad.tolist() == [[0.0, 1.0], [0.0, 0.0]]


def test_shapes_that_have_nothing_to_share():
    for shape in [(1, 5, 1), (1, 1, 4), (5, 2), (1, 3, 0)]:
        assert close_band(torch.rand(shape)).shape == shape
