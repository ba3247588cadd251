"""Latencies of streams, on an example worked out by hand and on real searches."""

from dataclasses import dataclass, replace

import pytest
import torch

from espnet_dynlook.search.incremental import GreedyCTC, Token
from espnet_dynlook.search.prefix_beam import PrefixBeam
from espnet_dynlook.streaming.measure import Meter, Recorded, Watch, aligned_emission

pytestmark = pytest.mark.host
#: Of a frame, and what front end and subsampling add, in ms.
PERIOD, CONSTANT = 40.0, 10.0


@dataclass(frozen=True)
class Scripted:
    """A search whose best hypothesis and number of stable tokens are written down.

    Frames: "a", then "b" in its place, then "ba", "ba", "bac".
    """

    frames: int = 0

    @property
    def tokens(self):
        best = ["", "a", "b", "ba", "ba", "bac"][self.frames]
        return [Token("_abc".index(one), self.frames, 1.0) for one in best]

    def tokens_from(self, first):
        return self.tokens[first:]

    @property
    def stable(self):
        return [0, 0, 0, 0, 1, 2][self.frames]

    @property
    def score(self):
        return -float(self.frames)

    def step(self, frames):
        return replace(self, frames=self.frames + len(frames))


class FakeState:
    def __init__(self, search, frames):
        self.searches = (search,)
        self.frames = frames


class FakePipeline:
    """Gives out frames by a schedule, by the packet; the clock goes on in each step."""

    #: Of each packet: frames given out, the frames they waited for, seconds spent.
    SCHEDULE = ((1, [0], 0.030), (0, [], 0.5), (3, [2, 1, 0], 0.010), (1, [0], 0.040))

    def __init__(self):
        self.search = Recorded(Scripted())
        self.now = 100.0
        self.calls = []

    def clock(self):
        return self.now

    def begin(self, streams, names=None):
        assert streams == 1
        return FakeState(self.search, 0)

    def step(self, state, packets, final):
        number = len(self.calls)
        self.calls.append((len(packets[0]), final[0]))
        count, waits, seconds = self.SCHEDULE[number]
        self.now += seconds
        search = state.searches[0].step(torch.zeros(count, 4))
        after = FakeState(search, state.frames + count)
        return after, [torch.tensor(waits, dtype=torch.long)]


@pytest.fixture
def measured():
    pipeline = FakePipeline()
    names = "_abc"
    meter = Meter(
        pipeline,
        PERIOD,
        CONSTANT,
        lambda tokens: "".join(names[one.token] for one in tokens),
        pipeline.clock,
    )
    # 1000 samples at 0.25 ms; packets of 75 ms, the last of 25 ms: 250 ms.
    return meter(torch.zeros(1000), 300, 0.25), pipeline


def test_example_worked_out_by_hand(measured):
    found, pipeline = measured
    assert pipeline.calls == [(300, False), (300, False), (300, False), (100, True)]
    assert found.audio == 250
    assert found.lookahead == (10, 90, 50, 10, 10)
    # Frames are heard at 50, 170, 170, 170 and 210 ms. Frame 0 shows "a", frame 1 "b"
    # in its place, frame 2 the "a" behind it, frame 4 the "c".
    assert found.heard == (170, 170, 210)
    assert found.algorithmic == (90, 50, 10)
    # "b" is stable with frame 3, "a" with frame 4; the end settles "c".
    assert found.stable == (0, 40, 40)
    # Packets arrive at 75, 150, 225 and 250 ms. The first is done at 105, the second,
    # half a second later, at 650, the third at 660, the fourth at 700.
    assert found.computational == pytest.approx((435, 435, 450))
    assert found.first_partial == pytest.approx(105)
    assert found.final == pytest.approx(450)
    assert found.spent == pytest.approx(580)
    assert found.score == -5


def test_a_quick_machine_waits_for_the_packets():
    pipeline = FakePipeline()
    spent = (0.001, 0.001, 0.001, 0.004)
    pairs = zip(pipeline.SCHEDULE, spent, strict=True)
    pipeline.SCHEDULE = [(*given[:2], seconds) for given, seconds in pairs]
    meter = Meter(pipeline, PERIOD, CONSTANT, lambda tokens: "x", pipeline.clock)
    found = meter(torch.zeros(1000), 300, 0.25)
    assert found.computational == pytest.approx((1, 1, 4))
    assert found.first_partial == pytest.approx(76)
    assert found.final == pytest.approx(4)


def test_without_any_text_there_is_no_first_partial():
    pipeline = FakePipeline()
    pipeline.SCHEDULE = ((0, [], 0.25),)
    meter = Meter(pipeline, PERIOD, CONSTANT, lambda tokens: "", pipeline.clock)
    found = meter(torch.zeros(0), 300, 0.25)
    assert (found.first_partial, found.final, found.tokens) == (None, 250, ())


def path_of(labels, vocabulary=4, sure=8.0):
    logits = torch.zeros(len(labels), vocabulary)
    logits[torch.arange(len(labels)), torch.tensor(labels)] = sure
    return logits.log_softmax(dim=1)


def test_emission_is_measured_from_the_end_of_a_token_on_the_ctc_path(measured):
    found, _ = measured
    # On its own path "b" lasts to 80 ms, "a" to 120, "c" to 200.
    log_probs = path_of([2, 2, 1, 0, 3])
    assert aligned_emission(found, log_probs, PERIOD) == (90, 50, 10)
    assert aligned_emission(found, log_probs[:2], PERIOD) is None


@pytest.mark.parametrize("seed", range(5))
def test_shown_and_stable_are_what_a_user_of_the_search_sees(seed):
    torch.manual_seed(seed)
    log_probs = (2 * torch.randn(30, 5)).log_softmax(dim=1)
    for begin in (GreedyCTC(), PrefixBeam.begin(4)):
        watch = Watch(begin)
        for part in log_probs.split([7, 0, 1, 15, 7]):
            watch.follow(part)
        partials = [
            [one.token for one in begin.step(log_probs[:n]).tokens]
            for n in range(1, 31)
        ]
        last = partials[-1]
        assert watch.tokens == last
        for number, shown in enumerate(watch.shown, 1):
            kept = [one[:number] == last[:number] for one in partials]
            assert all(kept[shown:]) and (shown == 0 or not kept[shown - 1])
        for number, frame in enumerate(watch.stable, 1):
            assert begin.step(log_probs[: frame + 1]).stable >= number
            assert frame == 0 or begin.step(log_probs[:frame]).stable < number
        if isinstance(begin, GreedyCTC):
            assert watch.stable == watch.shown
            assert watch.shown == [one.frame for one in begin.step(log_probs).tokens]
        pairs = zip(watch.shown, watch.stable, strict=False)
        assert all(shown <= stable for shown, stable in pairs)
