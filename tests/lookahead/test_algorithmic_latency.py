"""Algorithmic latency against reachability by the definition."""

import random

import pytest
import torch

from espnet_dynlook.lookahead import naive
from espnet_dynlook.lookahead.kinds import FixedLookahead
from espnet_dynlook.lookahead.latency import (
    LookaheadLatency,
    algorithmic_latency,
)
from espnet_dynlook.lookahead.trace import LookaheadTrace


def random_case(seed):
    """Return binary bands (B, T, R) of some layers and ragged lengths."""
    rng = random.Random(seed)
    generator = torch.Generator().manual_seed(seed)
    layers, frames, ahead = rng.randint(1, 4), rng.randint(1, 9), rng.randint(0, 4)
    batch = rng.randint(1, 3)
    lengths = [frames] + [rng.randint(1, frames) for _ in range(batch - 1)]
    density = rng.random()
    bands = tuple(
        (torch.rand(batch, frames, ahead, generator=generator) < density).float()
        for _ in range(layers)
    )
    return bands, torch.tensor(lengths)


@pytest.mark.parametrize("first", range(0, 1000, 250))
def test_binary_bands_equal_reachability(first):
    for seed in range(first, first + 250):
        bands, lengths = random_case(seed)
        latency = algorithmic_latency(bands, lengths)
        for row, length in enumerate(lengths.tolist()):
            expected = naive.latency_by_reachability(
                [band[row].tolist() for band in bands], len(bands), length
            )
            assert latency[row, :length].tolist() == expected, f"seed {seed}"
            assert not latency[row, length:].any(), f"seed {seed}: past the end"


def test_no_band_waits_for_the_end():
    lengths = torch.tensor([4, 2])
    expected = [[3, 2, 1, 0], [1, 0, 0, 0]]
    assert LookaheadTrace(None, lengths).algorithmic_latency().tolist() == expected


def test_soft_bands_have_gradients_and_grow_with_the_weight():
    torch.manual_seed(0)
    bands = [torch.rand(2, 7, 3, dtype=torch.float64) for _ in range(3)]
    bands = [band.requires_grad_() for band in bands]
    latency = algorithmic_latency(bands, torch.tensor([7, 5]))
    latency.sum().backward()
    for band in bands:
        assert torch.isfinite(band.grad).all()
    assert sum(band.grad.abs().sum() for band in bands) > 0
    more = algorithmic_latency([b.sqrt() for b in bands], torch.tensor([7, 5]))
    assert (more >= latency - 1e-5).all()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (FixedLookahead("causal", 3, 5), [0] * 8),
        (FixedLookahead("layerwise", 3, 1), [3] * 5 + [2, 1, 0]),
        (FixedLookahead("layerwise", 3, total=4), [4] * 4 + [3, 2, 1, 0]),
        (FixedLookahead("chunked", 3, 2), [2, 1, 0, 2, 1, 0, 1, 0]),
    ],
    ids=lambda v: getattr(v, "kind", ""),
)
def test_fixed_kinds(kind, expected):
    latency = algorithmic_latency(kind.bands(8), torch.tensor([8]))
    assert latency[0].tolist() == expected


def test_remainder_goes_to_the_lowest_layers():
    kind = FixedLookahead("layerwise", 6, total=8)
    assert kind.frames_per_layer() == (2, 2, 1, 1, 1, 1)


def test_waits_are_the_latency_away_from_the_end():
    for kind in (
        FixedLookahead("causal", 4),
        FixedLookahead("layerwise", 4, 2),
        FixedLookahead("chunked", 4, 3),
    ):
        latency = algorithmic_latency(kind.bands(40), torch.tensor([40]))[0, :24]
        waits = torch.tensor(kind.waits()).float()
        assert torch.equal(latency, waits.repeat(24 // len(waits)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"kind": "chunk", "frames": 1},
            "one of causal, layerwise, chunked, full; did you mean 'chunked'",
        ),
        ({"kind": "causal", "frames": 1.5}, "lookahead_frames=1.5 must be a whole"),
        ({"kind": "chunked", "frames": True}, "lookahead_frames=True must be a whole"),
        ({"kind": "layerwise", "total": 2.5}, "lookahead_total=2.5 must be a whole"),
        ({"kind": "chunked", "frames": 0}, "lookahead_frames=0 must be at least 1"),
        ({"kind": "layerwise"}, "lookahead_frames=0 must be at least 1"),
        ({"kind": "chunked", "frames": 1, "total": 3}, "belongs to lookahead: layerw"),
        ({"kind": "layerwise", "total": 0}, "lookahead_total=0 must be at least 1"),
    ],
)
def test_bad_values_say_what_to_write_instead(arguments, message):
    with pytest.raises(ValueError, match=message):
        FixedLookahead(num_layers=2, **arguments)


def test_summary_of_latencies():
    summary = LookaheadLatency.of(torch.tensor([[0.0, 10.0], [20.0, 30.0]]))
    assert (summary.mean, summary.p50, summary.max) == (15.0, 15.0, 30.0)
    assert summary.p90 == pytest.approx(27.0)
    assert str(summary) == "15 ms (p50 15, p90 27)"
