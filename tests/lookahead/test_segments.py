"""Segments: where they end, what their rows see, and how probably."""

import itertools

import pytest
import torch

from espnet_dynlook.lookahead.segments import (
    expected_segment_band,
    forced_ends,
    segment_ages,
    segment_band,
    segment_ends,
)


def test_forced_ends_equal_counting():
    generator = torch.Generator().manual_seed(2)
    for _ in range(200):
        frames = int(torch.randint(1, 6, (), generator=generator))
        ends = torch.rand(2, 30, generator=generator) < 0.15
        forced = forced_ends(ends, frames)
        for row, made in zip(ends.tolist(), forced.tolist(), strict=True):
            count = 0
            for own, forced_here in zip(row, made, strict=True):
                count += 1
                assert forced_here == (count == frames + 1)
                if own or forced_here:
                    count = 0


def test_rows_of_segments_see_to_their_segments_end():
    generator = torch.Generator().manual_seed(3)
    for _ in range(200):
        frames = int(torch.randint(1, 6, (), generator=generator))
        ends = torch.rand(1, 20, generator=generator) < 0.3
        ends |= forced_ends(ends, frames)
        band = segment_band(ends, frames)[0]
        for i in range(20):
            for d in range(1, frames + 1):
                inside = i + d < 20 and not ends[0, i : i + d].any()
                assert bool(band[i, d - 1]) == inside


def ends_by_counting(goes_on):
    """Return the ends of the segments of one utterance, frame by frame."""
    ends, age = [], 0
    for row in goes_on.tolist():
        end = age == len(row) or not row[age]
        ends.append(end)
        age = 0 if end else age + 1
    return ends


def test_segments_end_where_counting_ends_them():
    generator = torch.Generator().manual_seed(4)
    for trial in range(200):
        frames = int(torch.randint(1, 6, (), generator=generator))
        num_frames = int(torch.randint(1, 40, (), generator=generator))
        rate = (0.1, 0.5, 0.8, 1.0)[trial % 4]
        goes_on = torch.rand(2, num_frames, frames, generator=generator) < rate
        found = segment_ends(goes_on)
        for one, row in zip(goes_on, found.tolist(), strict=True):
            assert row[:-1] == ends_by_counting(one)[:-1]  # the last always ends


def test_ages_count_from_the_last_end():
    ends = torch.tensor([[False, True, True, False, False, True, False]])
    assert segment_ages(ends).tolist() == [[0, 1, 0, 0, 1, 2, 0]]


def expected_by_enumeration(gates):
    """Return the expected band of one utterance over all outcomes of its gates."""
    num_frames, frames = gates.shape
    expected = torch.zeros(num_frames, frames, dtype=gates.dtype)
    for outcome in itertools.product([False, True], repeat=num_frames):
        # One decision a frame: of the gate of the age that it has by then.
        probability, ends, age = 1.0, [], 0
        for t, goes_on in enumerate(outcome):
            if age < frames:
                gate = gates[t, age]
                probability = probability * (gate if goes_on else 1 - gate)
            elif goes_on:  # it has to end
                probability = 0.0
                break
            ends.append(not goes_on)
            age = age + 1 if goes_on else 0
        else:
            band = segment_band(torch.tensor([ends]), frames)[0]
            expected = expected + probability * band
    return expected


def test_expected_band_is_the_mean_over_all_outcomes():
    generator = torch.Generator().manual_seed(5)
    for num_frames, frames in [(1, 3), (2, 3), (7, 1), (8, 2), (9, 4), (4, 6)]:
        gates = torch.rand(2, num_frames, frames, generator=generator).double()
        found = expected_segment_band(gates.log())
        for one, expected in zip(gates, found, strict=True):
            torch.testing.assert_close(expected_by_enumeration(one), expected)


def test_blocks_that_are_solved_together_change_nothing(monkeypatch):
    from espnet_dynlook.lookahead import segments

    generator = torch.Generator().manual_seed(8)
    for num_frames, frames in [(1, 2), (9, 4), (40, 3), (70, 6)]:
        gates = torch.rand(2, num_frames, frames, generator=generator).double()
        found = []
        for block in (1, 7, 1000):
            monkeypatch.setattr(segments, "BLOCK", block)
            found.append(expected_segment_band(gates.log()))
        torch.testing.assert_close(found[0], found[2])
        torch.testing.assert_close(found[1], found[2])


def test_memory_grows_with_the_length_not_with_its_square():
    def largest(num_frames):
        sizes = []
        z = torch.zeros(1, num_frames, 3, requires_grad=True)
        with torch.autograd.graph.saved_tensors_hooks(
            lambda saved: sizes.append(saved.numel()) or saved, lambda saved: saved
        ):
            expected_segment_band(torch.nn.functional.logsigmoid(z))
        return max(sizes)

    assert largest(6400) <= 8.5 * largest(800)


def test_expected_band_of_decided_gates_is_their_segments():
    generator = torch.Generator().manual_seed(6)
    goes_on = torch.rand(3, 60, 5, generator=generator) < 0.7
    band = expected_segment_band(torch.where(goes_on, 0.0, -1e30))
    assert torch.equal(band, segment_band(segment_ends(goes_on), 5).float())


def test_gradients_of_the_expected_band():
    torch.manual_seed(7)
    z = torch.randn(2, 6, 3, dtype=torch.double, requires_grad=True)
    weight = torch.randn(2, 6, 3, dtype=torch.double)

    def total(z):
        band = expected_segment_band(torch.nn.functional.logsigmoid(z))
        return (band * weight).sum()

    assert torch.autograd.gradcheck(total, z)


@pytest.mark.parametrize("logit", [-200.0, 200.0])
def test_saturated_gates_have_finite_gradients(logit):
    z = torch.full((1, 50, 9), logit, requires_grad=True)
    band = expected_segment_band(torch.nn.functional.logsigmoid(z))
    assert set(band.unique().tolist()) <= {0.0, 1.0}
    band.sum().backward()
    assert torch.isfinite(z.grad).all()
