"""Dynamic lookahead: soft, straight-through and rounded masks, and their annealing."""

import math

import pytest
import torch

from espnet_dynlook.lookahead.dynamic import SCHEDULERS, DynamicLookahead
from espnet_dynlook.lookahead.trace import LookaheadTrace

LENGTHS = torch.tensor([30, 22, 1])


def make(scheduler="segment", seed=0, bias=0.3, **keys):
    """Return a dynamic lookahead with gates of all kinds."""
    torch.manual_seed(seed)
    made = DynamicLookahead(6, 2, 4, scheduler, hidden=8, bias=bias, **keys)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.6)
    if scheduler == "segment":
        torch.nn.init.zeros_(made.segments.out.bias)
        torch.nn.init.normal_(made.segments.out.weight, std=3.0)
    return made


def decide(dynamic, seed=1):
    """Return what is decided for the first layer on random input."""
    x = torch.randn(3, 30, 6, generator=torch.Generator().manual_seed(seed))
    return dynamic(1, x, LENGTHS)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_bands_are_contiguous_and_end_with_the_utterance(scheduler):
    for training in (True, False):
        dynamic = make(scheduler).train(training)
        waits = decide(dynamic)
        for band in (waits.band, waits.hard):
            assert (band[:, :, 1:] <= band[:, :, :-1]).all()
            assert (band >= 0).all() and (band <= 1).all()
            index = torch.arange(30)[:, None] + torch.arange(1, 5)
            assert not band[index >= LENGTHS[:, None, None]].any()
        assert set(waits.hard.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_evaluation_is_rounded(scheduler):
    waits = decide(make(scheduler).eval())
    assert torch.equal(waits.band, waits.hard)
    assert torch.equal(waits.seen, waits.hard) and torch.equal(waits.drawn, waits.hard)
    assert waits.soft is None


@pytest.mark.parametrize("scheduler", ["frame", "sequential"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rows_round_alike_in_streams_of_few_bits(scheduler, dtype):
    dynamic = make(scheduler).eval()
    z = 0.5 * torch.randn(40, 30, 4, generator=torch.Generator().manual_seed(2))
    z = z.to(dtype)
    expected = dynamic.rounded_rows(z.float())
    assert torch.equal(dynamic.rounded_rows(z), expected)


def test_without_a_layer_that_looks_ahead_no_gate_is_undecided():
    bands = (torch.zeros(3, 30, 4),) * 2  # stochastic depth left the others out
    trace = LookaheadTrace(bands, LENGTHS, (None, None))
    assert trace.undecided() == 0


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_batches_are_counted_where_nobody_tells_how_far_training_is(scheduler):
    dynamic = make(scheduler, steps=10)
    for batch in range(12):
        assert float(dynamic.progress) == pytest.approx(min(batch / 10, 1.0))
        dynamic.advance()
    assert dynamic.annealed
    told = make(scheduler, steps=10)
    told.set_progress(0.3)
    told.advance()
    assert float(told.progress) == pytest.approx(0.3) and not told.counts


def test_it_is_said_that_nobody_tells_how_far_training_is(caplog):
    from espnet_dynlook.lookahead.dynamic import PATIENCE

    silent, told = make(), make()
    told.set_progress(0.0)
    for _ in range(2 * PATIENCE):
        silent.advance()
        told.advance()
    assert sum("scheduler_steps" in one for one in caplog.messages) == 1


def test_whole_segments_know_no_temperature():
    dynamic = make("segment").eval()
    before = decide(dynamic).band
    dynamic.set_progress(0.9)
    assert torch.equal(decide(dynamic).band, before)


def test_rows_round_their_product_at_a_half():
    dynamic = make("frame").eval()
    with dynamic.soft_masks():
        soft = decide(dynamic).band
    assert torch.equal(decide(dynamic).band, (soft >= 0.5).float())


def test_segments_are_whole():
    """Rows of one segment end together, and none is longer than R + 1 frames."""
    band = decide(make("segment").eval()).band
    ends = torch.arange(30) + band.sum(2).long()  # (B, T)
    for b, length in enumerate(LENGTHS.tolist()):
        for i in range(length):
            assert ends[b, i] == ends[b, ends[b, i]] < length
        sizes = ends[b, :length].unique(return_counts=True)[1]
        assert sizes.max() <= 5


def test_segments_without_ends_are_chunks():
    dynamic = DynamicLookahead(6, 2, 4, "segment")
    band = decide(dynamic.eval()).band[0]
    expected = [(4 - i % 5) if i - i % 5 + 4 < 30 else 29 - i for i in range(30)]
    assert band.sum(1).tolist() == expected


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_noise_is_drawn_in_training_only(scheduler):
    dynamic = make(scheduler)
    one, other = decide(dynamic), decide(dynamic)
    assert not torch.equal(one.band, other.band)
    assert torch.equal(one.hard, other.hard)
    dynamic.noise = 0.0
    assert torch.equal(decide(dynamic).band, decide(dynamic).band)
    dynamic.noise = 1.0
    assert torch.equal(decide(dynamic.eval()).band, decide(dynamic).band)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("progress", [0.0, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("share", [False, True])
def test_every_parameter_gets_a_finite_gradient(scheduler, progress, share):
    dynamic = make(scheduler, share_wait=share)
    dynamic.set_progress(progress)
    waits = decide(dynamic)
    (waits.band.sum() + waits.soft.square().sum()).backward()
    own = {n: p for n, p in dynamic.named_parameters() if not n.startswith("layers.2")}
    assert own
    for name, parameter in own.items():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
    assert sum(float(p.grad.abs().sum()) for p in own.values()) > 0


def test_after_annealing_training_masks_are_binary_with_gradients():
    dynamic = make("frame")
    dynamic.set_progress(0.79)
    assert not dynamic.annealed
    soft = decide(dynamic).band
    assert ((soft > 0.01) & (soft < 0.99)).any()
    dynamic.set_progress(0.8)
    assert dynamic.annealed
    waits = decide(dynamic)
    assert set(waits.band.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(waits.band, waits.drawn) and waits.band.requires_grad
    assert ((waits.soft > 0.01) & (waits.soft < 0.99)).any()


def test_temperature_falls_exponentially_until_the_rounding():
    dynamic = make(tau=[1.0, 0.25], anneal=0.8)
    found = []
    for progress in (0.0, 0.4, 0.8, 1.0):
        dynamic.set_progress(progress)
        found.append(dynamic.temperature)
    assert found == pytest.approx([1.0, 0.5, 0.25, 0.25])


def test_without_annealing_masks_are_rounded_from_the_beginning():
    dynamic = make("frame", anneal=0.0, tau=[1.0, 0.25])
    assert dynamic.annealed and dynamic.temperature == 0.25
    assert set(decide(dynamic).band.unique().tolist()) == {0.0, 1.0}


def test_progress_is_a_float_buffer():
    """Averaging checkpoints sums integers; the mean of progress stays a progress."""
    state = make().state_dict()
    assert state["progress"].dtype == torch.float32


def test_input_is_detached_unless_asked():
    x = torch.randn(1, 9, 6, requires_grad=True)
    make("frame")(1, x, torch.tensor([9])).band.sum().backward()
    assert x.grad is None
    make("frame", detach=False)(1, x, torch.tensor([9])).band.sum().backward()
    assert x.grad.abs().sum() > 0


def test_sharing_gives_context_and_leaves_what_is_waited_for():
    keys = {"scheduler": "frame", "bias": 1.5}
    alone, shared = (make(share_wait=s, **keys).eval() for s in (False, True))
    one, other = decide(alone), decide(shared)
    assert torch.equal(one.band, other.band)
    assert (other.seen >= one.seen).all() and (other.seen > one.seen).any()


def test_bands_are_float32_under_autocast():
    for scheduler in SCHEDULERS:
        with torch.autocast("cpu", torch.bfloat16):
            waits = decide(make(scheduler))
        assert waits.band.dtype == waits.seen.dtype == waits.gates.dtype == torch.float


def test_undecided_gates_are_counted_where_a_decision_was_reached():
    dynamic = DynamicLookahead(6, 1, 4, "frame", bias=-3.0).eval()
    waits = decide(dynamic)
    assert int(waits.decided.sum()) == int((LENGTHS - 1).sum())  # the first gates only
    trace = LookaheadTrace((waits.band,), LENGTHS, (waits,))
    assert float(trace.undecided()) == 0.0
    dynamic = DynamicLookahead(6, 1, 4, "segment", bias=0.0).eval()
    waits = decide(dynamic)
    assert float(LookaheadTrace((waits.band,), LENGTHS, (waits,)).undecided()) == 1.0


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"frames": 0}, "lookahead_frames=0 must be at least 1"),
        ({"scheduler": "oracle"}, "must be one of frame, sequential, segment"),
        ({"layers": [1]}, "does not go with lookahead_scheduler: segment"),
        ({"layers": [3], "scheduler": "frame"}, r"must name layers in 1 \.\. 2"),
        ({"layers": [], "scheduler": "frame"}, "leave it out for all"),
        ({"hidden": 0}, "scheduler_hidden=0"),
        ({"noise": -1.0}, "scheduler_noise=-1.0"),
        ({"tau": [1.0, 0.0]}, "temperatures above 0"),
        ({"tau": [0.2, 1.0]}, "the first at the beginning"),
        ({"tau": [1.0]}, "two temperatures"),
        ({"anneal": -0.1}, "scheduler_anneal=-0.1"),
        ({"anneal": 1.5}, "the whole training"),
        ({"lr_factor": 0.0}, "scheduler_lr_factor=0.0"),
        ({"lr_factor": math.inf}, "scheduler_lr_factor=inf"),
        ({"noise": math.inf}, "scheduler_noise=inf"),
        ({"tau": [math.inf, 0.1]}, "temperatures above 0"),
        ({"tau": [1.0, math.nan]}, "temperatures above 0"),
    ],
)
def test_wrong_values_say_what_to_write(keys, message):
    with pytest.raises(ValueError, match=message):
        DynamicLookahead(**{"size": 6, "num_layers": 2, "frames": 4, **keys})
