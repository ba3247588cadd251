"""Schedulers: what their decisions may look at, and where segments have to end."""

import pytest
import torch

from espnet_dynlook.lookahead.random import RandomLookahead
from espnet_dynlook.lookahead.scheduler import (
    BOUND,
    FrameScheduler,
    SegmentScheduler,
    SequentialScheduler,
    bounded,
)

SIZE, FRAMES = 6, 4


def random_scheduler(name, seed=0):
    """Return a scheduler none of whose parameters is as at the start."""
    torch.manual_seed(seed)
    made = {
        "frame": lambda: FrameScheduler(SIZE, FRAMES, 8, 0.5),
        "sequential": lambda: SequentialScheduler(SIZE, FRAMES, 8, 0.5),
        "segment": lambda: SegmentScheduler(SIZE, FRAMES, 8, 0.5, kernel_size=3),
    }[name]()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return made


def seen_by(name, i, d):
    """Return the frames that the decision of row i about frame i + d may look at."""
    if name == "frame":
        return {i}
    if name == "sequential":
        return {i, i + d - 1}
    return {i - 2, i - 1, i}  # of a kernel of 3; for segments i is the frame itself


@pytest.mark.parametrize("name", ["frame", "sequential", "segment"])
def test_no_decision_looks_at_what_it_has_not_waited_for(name, monkeypatch):
    # What is clipped has no gradient outward, which is how dependence is seen here.
    monkeypatch.setattr("espnet_dynlook.lookahead.scheduler.BOUND", 1e3)
    scheduler = random_scheduler(name)
    x = torch.randn(1, 9, SIZE, requires_grad=True)
    z = scheduler(x, torch.tensor(0.5))
    for i in range(9):
        for d in range(1, FRAMES + 1):
            (gradient,) = torch.autograd.grad(z[0, i, d - 1], x, retain_graph=True)
            moved = set(gradient[0].abs().sum(1).nonzero().flatten().tolist())
            assert moved == {t for t in seen_by(name, i, d) if 0 <= t < 9}


def test_sequential_logits_equal_their_equation():
    scheduler = random_scheduler("sequential")
    x = torch.randn(2, 7, SIZE)
    z = scheduler(x, torch.tensor(0.3))
    h = scheduler.hidden(x, torch.tensor(0.3))
    for i in range(7):
        for d in range(1, min(FRAMES, 7 - i) + 1):
            a, b = scheduler.waiting(h[:, i]), scheduler.seen(h[:, i + d - 1])
            raw = (a * b).sum(1) / 8**0.5
            raw = raw + scheduler.waiting_alone(h[:, i])[:, 0]
            raw = raw + scheduler.seen_alone(h[:, i + d - 1])[:, 0]
            raw = raw + scheduler.distance[d - 1] + scheduler.bias
            expected = raw.clamp(-BOUND, BOUND)
            torch.testing.assert_close(z[:, i, d - 1], expected)


@pytest.mark.parametrize("name", ["frame", "sequential", "segment"])
def test_gates_start_open_and_logits_are_bounded(name):
    torch.manual_seed(0)
    make = {
        "frame": lambda: FrameScheduler(SIZE, FRAMES, 8, 2.5),
        "sequential": lambda: SequentialScheduler(SIZE, FRAMES, 8, 2.5),
        "segment": lambda: SegmentScheduler(SIZE, FRAMES, 8, 2.5),
    }[name]
    scheduler = make()
    x = 100 * torch.randn(2, 11, SIZE)
    start = scheduler(x, torch.tensor(0.5))
    assert (start == start.flatten()[0]).all() and float(start.max()) == 2.5
    for parameter in scheduler.parameters():
        torch.nn.init.normal_(parameter, std=50.0)
    extreme = scheduler(x, torch.tensor(1.0))
    assert extreme.abs().max() <= BOUND and extreme.std() > 1


@pytest.mark.parametrize("name", ["frame", "sequential", "segment"])
def test_willingness_to_wait_reaches_the_gates(name):
    scheduler = random_scheduler(name)
    x = torch.randn(1, 5, SIZE)
    little, much = scheduler(x, torch.tensor(0.0)), scheduler(x, torch.tensor(1.0))
    assert not torch.allclose(little, much)


def test_bounded_logits_have_a_gradient_that_leads_back():
    raw = torch.tensor([-9.0, -9.0, 0.5, 9.0, 9.0], requires_grad=True)
    z = bounded(raw)
    assert z.tolist() == [-BOUND, -BOUND, 0.5, BOUND, BOUND]
    z.backward(torch.tensor([1.0, -1.0, 2.0, 1.0, -1.0]))
    assert raw.grad.tolist() == [0.0, -1.0, 2.0, 1.0, 0.0]


@pytest.mark.parametrize("frames", [0, -1, 1.5, True, None])
def test_random_lookahead_needs_frames_to_draw_from(frames):
    with pytest.raises(ValueError, match=f"lookahead_frames={frames}.*: random"):
        RandomLookahead(num_layers=3, frames=frames)


@pytest.mark.parametrize("bias", [3.1, float("nan"), float("-inf"), "2", True])
@pytest.mark.parametrize("cls", [FrameScheduler, SequentialScheduler, SegmentScheduler])
def test_bias_beyond_the_bounds_is_refused(cls, bias):
    with pytest.raises(ValueError, match=f"scheduler_bias={bias!r} .* from -3 to 3"):
        cls(SIZE, FRAMES, 8, bias)


def test_random_lookahead_draws_every_kind_of_mask():
    kind = RandomLookahead(num_layers=3, frames=4)
    torch.manual_seed(0)
    drawn = [kind.draw(20, torch.device("cpu")) for _ in range(300)]
    waits = [None if b is None else tuple(x.shape[-1] for x in b) for b in drawn]
    assert None in waits and (0, 0, 0) in waits and (2, 1, 1) in waits
    chunks = {x for x in waits if x is not None and len(set(x)) == 1}
    assert {(1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4)} <= chunks
    torch.manual_seed(0)
    again = [kind.draw(20, torch.device("cpu")) for _ in range(300)]
    for one, other in zip(drawn, again, strict=True):
        assert (one is None) == (other is None)
        for a, b in zip(one or (), other or (), strict=True):
            assert torch.equal(a, b)
