"""Computational latency against a simulated device."""

import pytest
import torch
from lookahead_cases import random_graph

from espnet_dynlook.lookahead import naive
from espnet_dynlook.lookahead.compute import (
    arrivals,
    backlog,
    latency_at_every_end,
    user_perceived_latency,
)

BUDGETS = (0.2, 0.7, 1.0, 1.5)


def some_work(layers):
    return torch.arange(1.0, layers + 1)


@pytest.mark.parametrize("compute_budget", BUDGETS)
def test_binary_bands_equal_a_simulated_device(compute_budget):
    for seed in range(100):
        bands, lengths = random_graph(seed)
        work = some_work(len(bands))
        behind = backlog(bands, lengths, work, compute_budget)
        perceived = user_perceived_latency(bands, lengths, work, compute_budget)
        for row, length in enumerate(lengths.tolist()):
            expected = naive.simulate_device(
                [band[row].tolist() for band in bands],
                work.tolist(),
                length,
                compute_budget,
            )
            assert behind[row, :length].tolist() == pytest.approx(expected, abs=1e-4)
            assert not behind[row, length:].any()
            assert float(perceived[row]) == pytest.approx(expected[-1], abs=1e-4)


@pytest.mark.parametrize("compute_budget", BUDGETS)
def test_every_end_equals_a_device_whose_utterance_ends_there(compute_budget):
    for seed in range(60):
        bands, lengths = random_graph(seed, unbroken=True)
        work = some_work(len(bands))
        at_end = latency_at_every_end(bands, lengths, work, compute_budget)
        for row, length in enumerate(lengths.tolist()):
            expected = [
                naive.simulate_device(
                    [band[row].tolist() for band in bands],
                    work.tolist(),
                    end,
                    compute_budget,
                )[-1]
                for end in range(1, length + 1)
            ]
            assert at_end[row, :length].tolist() == pytest.approx(expected, abs=1e-4)
            assert not at_end[row, length:].any()


def test_no_work_is_lost_or_made():
    for seed in range(50):
        for soft in (False, True):
            bands, lengths = random_graph(seed, soft=soft)
            arriving = arrivals(bands, lengths, some_work(len(bands)))
            torch.testing.assert_close(arriving.sum(dim=1), lengths.float())


def test_no_band_leaves_everything_to_the_end():
    perceived = user_perceived_latency(None, torch.tensor([5, 3]), torch.ones(4), 0.5)
    torch.testing.assert_close(perceived, torch.tensor([1.5, 0.5]))


def test_causal_bands_on_a_fast_device_leave_nothing():
    bands = (torch.zeros(1, 20, 3),) * 2
    perceived = user_perceived_latency(bands, torch.tensor([20]), torch.ones(2), 0.9)
    assert float(perceived) == 0.0


def test_gradients_equal_finite_differences_of_upl():
    torch.manual_seed(0)
    bands = [torch.rand(2, 9, 3, dtype=torch.float64) * 0.8 + 0.1 for _ in range(2)]
    lengths, work = torch.tensor([9, 6]), torch.tensor([1.0, 2.0])

    def mean(*given):
        return latency_at_every_end(given, lengths, work, 0.9).sum()

    inputs = [band.requires_grad_() for band in bands]
    assert torch.autograd.gradcheck(mean, inputs, eps=1e-6, atol=1e-4)
    gradients = torch.autograd.grad(mean(*inputs), inputs)
    assert any(gradient.abs().sum() > 0 for gradient in gradients)


def test_gradients_of_binary_bands_lie_between_earlier_and_later():
    """A device idle before a chunk's work and busy after it gains only by earlier."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.tensor([12])
    waits = torch.randint(1, 5, (12,), generator=generator).clamp(
        max=11 - torch.arange(12)
    )
    edges = torch.arange(1, 5)
    band = (edges <= waits[:, None]).double()[None].requires_grad_()

    def late(given):
        return latency_at_every_end([given], lengths, torch.ones(1), 0.87).sum()

    (gradient,) = torch.autograd.grad(late(band), band)
    step = 1e-5
    for frame, wait in enumerate(waits.tolist()):
        if not wait:
            continue
        change = torch.zeros_like(band)
        change[0, frame, wait - 1] = step
        with torch.no_grad():
            slope = (late(band + change) - late(band - change)) / (2 * step)
        assert float(gradient[0, frame, wait - 1]) == pytest.approx(
            float(slope), abs=1e-6
        )
    assert gradient.sum() > 0


@pytest.mark.parametrize("wait", [1, 3, 7])
def test_waiting_in_rounded_segments_has_a_price(wait):
    """Under rounded masks too, training lowers the user-perceived latency."""
    place = torch.arange(24) % (wait + 1)
    edges = torch.arange(1, wait + 1)
    band = (edges <= (wait - place)[:, None]).float()[None].requires_grad_()
    ends = latency_at_every_end(
        [band] * 3, torch.tensor([24]), torch.tensor([1.0, 2.0, 1.0]), 0.9
    )
    ends.sum().backward()
    there = torch.arange(24)[:, None] + edges < 24
    assert (band.grad[0][there] >= 0).all()
    assert band.grad[band > 0].sum() > 0


def test_saturated_bands_have_finite_gradients():
    for fill in (0.0, 1.0):
        band = torch.full((1, 8, 3), fill, requires_grad=True)
        latency_at_every_end(
            [band] * 2, torch.tensor([8]), torch.ones(2), 0.9
        ).sum().backward()
        assert torch.isfinite(band.grad).all()


def test_a_device_without_speed_is_refused():
    with pytest.raises(ValueError, match=r"compute_budget=0\.0 must be above 0"):
        backlog(None, torch.tensor([3]), torch.ones(1), 0.0)
