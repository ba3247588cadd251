"""Latency penalties, on masks made by hand."""

import copy
import math

import pytest
import torch
from lookahead_cases import random_graph

from espnet_dynlook.lookahead.bands import CLOSED, contiguous_log_band
from espnet_dynlook.lookahead.compute import latency_at_every_end
from espnet_dynlook.lookahead.dynamic import Waits
from espnet_dynlook.lookahead.latency import algorithmic_latency
from espnet_dynlook.lookahead.penalty import BINS, LatencyPenalty
from espnet_dynlook.lookahead.trace import LookaheadTrace

LENGTHS = torch.tensor([9, 6])


def soft_trace(logit=0.5, layers=2, frames=9, ahead=3, requires_grad=True):
    """Return a trace whose gates all have one logit, and the logit."""
    z = torch.full((2, frames, ahead), float(logit), requires_grad=requires_grad)
    column = torch.arange(frames)[:, None] + torch.arange(1, ahead + 1)
    inside = column < LENGTHS[:, None, None]
    seen = contiguous_log_band(torch.nn.functional.logsigmoid(z))
    seen = seen.masked_fill(~inside, CLOSED)
    band = seen.exp()
    hard = (band >= 0.5).float().detach()
    waits = Waits(band, band, hard, z.sigmoid().detach(), inside)
    return LookaheadTrace((band,) * layers, LENGTHS, (waits,) * layers), z


def mean_latency(trace):
    return algorithmic_latency(trace.bands, trace.lengths).sum() / LENGTHS.sum()


def known_mean(logit):
    return mean_latency(soft_trace(logit)[0]).item()


def penalty(loss, weight=0.5, **options):
    options = {"warmup": 0.0, "ramp": 0.0, **options}
    return LatencyPenalty(loss, weight, **options)


def test_values_of_the_first_batch():
    trace, _ = soft_trace()
    mean = mean_latency(trace).item()
    latency = algorithmic_latency(trace.bands, LENGTHS)
    inside = torch.arange(9) < LENGTHS[:, None]
    naive = 2 * (trace.bands[0].sum() / LENGTHS.sum()).item()
    expected = {
        "none": 0.0,
        "naive": naive,
        "absolute": mean,
        "relative": mean / (mean + 4.0),
        "excess": (((latency - mean).relu() * inside).sum() / 15).item(),
    }
    for loss, value in expected.items():
        term = penalty(loss)(trace)
        assert term.value.item() == pytest.approx(value, rel=1e-5), loss
        assert term.loss.item() == pytest.approx(0.5 * value, rel=1e-5), loss
        assert term.latency.item() == pytest.approx(mean, rel=1e-5)
        rounded = float(mean_latency(trace.rounded()))
        assert float(term.rounded) == pytest.approx(rounded)


def test_upl_is_the_mean_over_all_ends():
    trace, _ = soft_trace()
    work = torch.tensor([1.0, 3.0])
    term = penalty("upl", work=work, compute_budget=0.9)(trace)
    expected = latency_at_every_end(trace.bands, LENGTHS, work, 0.9).sum() / 15
    assert term.value.item() == pytest.approx(expected.item())


@pytest.mark.parametrize("loss", ["naive", "absolute", "relative", "excess", "upl"])
@pytest.mark.parametrize("logit", [-60.0, 0.3, 60.0])
def test_gradients_are_finite_and_point_to_less_waiting(loss, logit):
    trace, z = soft_trace(logit)
    options = {"work": torch.ones(2), "compute_budget": 0.9} if loss == "upl" else {}
    penalty(loss, **options)(trace).loss.backward()
    assert torch.isfinite(z.grad).all()
    if logit == 0.3:
        assert z.grad.sum() > 0  # descending closes the gates


def test_padding_does_not_change_the_penalty():
    bands, lengths = random_graph(5, soft=True)
    longer = tuple(torch.nn.functional.pad(b, (0, 0, 0, 4)) for b in bands)
    for loss in ("naive", "absolute", "relative", "excess"):
        one = penalty(loss)(LookaheadTrace(bands, lengths)).value
        other = penalty(loss)(LookaheadTrace(longer, lengths)).value
        torch.testing.assert_close(one, other)


def test_no_gradient_goes_through_the_running_mean():
    trace, z = soft_trace()
    module = penalty("relative")
    module(soft_trace(1.5)[0])
    before = module.mean.clone()
    module(trace).value.backward()
    grad, z.grad = z.grad, None
    trace, z = soft_trace()
    (mean_latency(trace) / (before[0] + 4.0)).backward()
    torch.testing.assert_close(grad, z.grad)
    assert not module.mean.requires_grad


def test_running_mean_follows_and_is_left_alone_in_evaluation():
    module = penalty("relative")
    for _ in range(3):
        module(soft_trace(0.0)[0])
    low = known_mean(0.0)
    assert float(module.mean) == pytest.approx(low, rel=1e-5)
    for _ in range(150):
        module(soft_trace(1.0)[0])
    high = known_mean(1.0)
    assert float(module.mean) == pytest.approx(high, rel=0.05)
    state = copy.deepcopy(module.state_dict())
    module.eval()
    module(soft_trace(-1.0)[0])
    assert all(torch.equal(v, state[k]) for k, v in module.state_dict().items())


def test_the_floor_keeps_the_pull_from_growing_without_bound():
    pulls = []
    for logit in (2.0, -2.0, -6.0):
        trace, _ = soft_trace(logit)
        term = penalty("relative")(trace)
        pulls.append(float(term.value / term.latency))
    assert max(pulls) <= 1 / 4.0


def test_warm_up_and_ramp():
    module = LatencyPenalty("absolute", 0.1, warmup=0.25, ramp=0.25)
    strengths = {0.0: 0.0, 0.2: 0.0, 0.25: 0.0, 0.375: 0.5, 0.5: 1.0, 1.0: 1.0}
    for progress, strength in strengths.items():
        module.set_progress(progress)
        assert module.strength() == pytest.approx(strength)
        assert module(soft_trace()[0]).weight == pytest.approx(0.1 * strength)


def test_weights_of_a_range_are_drawn_log_uniformly_and_told_as_waits():
    torch.manual_seed(0)
    module = penalty("absolute", [0.001, 0.1])
    waits = []
    for _ in range(2000):
        module.draw()
        assert 0.001 <= module.drawn <= 0.1
        assert module.drawn == pytest.approx(0.1 * 0.01**module.wait)
        waits.append(module.wait)
    assert torch.tensor(waits).mean() == pytest.approx(0.5, abs=0.03)
    assert torch.tensor(waits).std() == pytest.approx(12**-0.5, abs=0.03)
    module.eval()
    module.draw()
    assert module.drawn == pytest.approx(0.01)
    assert module.wait == pytest.approx(0.5)


def test_running_means_are_kept_per_weight():
    module = penalty("relative", [0.001, 0.1])
    assert len(module.mean) == BINS
    for drawn, logit in ((0.001, 2.0), (0.1, -2.0)):
        module.drawn = drawn
        module(soft_trace(logit)[0])
    assert float(module.mean[0]) == pytest.approx(known_mean(2.0))
    assert float(module.mean[-1]) == pytest.approx(known_mean(-2.0))
    assert not module.mean[1:-1].any()


def test_state_is_float_so_that_averaging_checkpoints_averages_it():
    module = penalty("relative", target=2.0)
    assert all(value.is_floating_point() for value in module.state_dict().values())
    assert set(module.state_dict()) == {
        *("mean", "steps"),
        *("steering.integral", "steering.mean", "steering.steps"),
    }


def test_steering_goes_on_from_its_state():
    one = penalty("absolute", target=1.0)
    for _ in range(20):
        one(soft_trace(3.0)[0])
    other = penalty("absolute", target=1.0)
    other.load_state_dict(one.state_dict())
    trace, _ = soft_trace(3.0)
    assert other(trace).weight == one(trace).weight > 0.5


def test_steering_piles_nothing_up_before_there_is_a_penalty():
    module = LatencyPenalty("absolute", 0.1, target=0.5)
    module.set_progress(0.1)
    for _ in range(50):
        module(soft_trace(5.0)[0])
    assert float(module.steering.integral) == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss": "mean"}, "latency_loss='mean' must be one of none, naive"),
        ({"loss": "naive", "weight": -1.0}, "latency_weight=-1.0 must be above 0"),
        ({"loss": "naive", "weight": 0}, "for no penalty write latency_loss: none"),
        ({"weight": [0.1, 0.01]}, r"latency_weight=\[0.1, 0.01\] must be a number"),
        ({"weight": [0.0, 0.01]}, "the first is above 0"),
        ({"warmup": 1.0}, "latency_warmup=1.0 must be a fraction"),
        ({"warmup": 0.9, "ramp": 0.2}, "latency_ramp=0.2 .* at most 0.1"),
        ({"floor": 0.0}, "latency_floor=0.0 must be above 0"),
        ({"floor": math.inf}, "latency_floor=inf must be above 0"),
        ({"loss": "naive", "weight": math.inf}, "latency_weight=inf must be"),
        ({"weight": [0.1, math.inf]}, r"latency_weight=\[0.1, inf\] must be"),
        ({"ramp": math.nan}, "latency_ramp=nan must be"),
        (
            {"loss": "naive", "target": math.inf},
            "target of inf frames must be above 0 and finite",
        ),
        ({"loss": "upl"}, "needs the speed of a device: set compute_budget"),
        (
            {"loss": "upl", "work": torch.ones(1), "compute_budget": -1.0},
            "compute_budget=-1.0 must be above 0",
        ),
        (
            {"loss": "none", "target": 2.0},
            "use naive, absolute, relative or excess, or leave latency_target out",
        ),
        (
            {"weight": [0.001, 0.01]},
            r"latency_weight=\[0.001, 0.01\] is a range .* latency_loss: none",
        ),
        ({"loss": "naive", "weight": True}, "latency_weight=True must be a number"),
        ({"loss": "naive", "weight": None}, "latency_weight=None must be a number"),
        ({"loss": "naive", "weight": "0.1"}, "latency_weight='0.1' must be a number"),
        ({"loss": "naive", "weight": ["a", 1.0]}, "must be a number above 0, or two"),
        ({"warmup": "0.2"}, "latency_warmup='0.2' must be"),
        ({"ramp": None}, "latency_ramp=None must be"),
        ({"floor": True}, "latency_floor=True must be"),
        (
            {"loss": "upl", "work": torch.ones(1), "compute_budget": True},
            "compute_budget=True must be above 0",
        ),
        (
            {"loss": "naive", "weight": [0.1, 0.2], "target": 2.0},
            "give one number to start from",
        ),
    ],
)
def test_bad_values_of_penalties_say_what_to_write(arguments, message):
    with pytest.raises(ValueError, match=message):
        LatencyPenalty(**arguments)


def test_full_lookahead_has_nothing_to_penalise():
    with pytest.raises(ValueError, match="latency_loss: none"):
        penalty("absolute")(LookaheadTrace(None, LENGTHS))


def _worker(rank, meeting, results):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=2
    )
    torch.manual_seed(rank)
    module = LatencyPenalty("absolute", 0.1, target=1.0, warmup=0.0, ramp=0.0)
    ranged = LatencyPenalty("relative", [0.001, 0.1], warmup=0.0, ramp=0.0)
    for step in range(4):
        trace, _ = soft_trace(0.5 * rank + 0.1 * step, requires_grad=False)
        module(trace)
        ranged.draw()  # another weight in each worker
        ranged(trace)
    torch.save([module.state_dict(), ranged.state_dict()], f"{results}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_running_means_are_the_same_in_every_worker(tmp_path):
    torch.multiprocessing.spawn(
        _worker, args=(tmp_path / "meeting", tmp_path), nprocs=2, join=True
    )
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    for ours, theirs in zip(first, second, strict=True):
        for key, value in ours.items():
            assert torch.equal(value, theirs[key]), key
    expected = [(known_mean(0.1 * s) + known_mean(0.5 + 0.1 * s)) / 2 for s in range(4)]
    assert first[0]["mean"].item() == pytest.approx(sum(expected) / 4, rel=1e-4)
    assert first[1]["steps"].sum() >= 4
