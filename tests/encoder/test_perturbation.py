"""With masks held fixed, dependency is the latency; free, no past frame changes."""

from dataclasses import dataclass

import pytest
import torch
from factory import DYNAMIC, INPUT_SIZE, KINDS, PAIRS, make

from espnet_dynlook.lookahead.kinds import FixedLookahead
from espnet_dynlook.lookahead.latency import algorithmic_latency

pytestmark = pytest.mark.host

NUM_FRAMES = 66
MORE_KINDS = {
    **KINDS,
    **{
        f"{scheduler}_shares_waits": {
            **DYNAMIC,
            "lookahead_scheduler": scheduler,
            "share_wait": True,
        }
        for scheduler in ("frame", "sequential", "segment")
    },
    "sequential_some_layers": {
        **DYNAMIC,
        "lookahead_scheduler": "sequential",
        "lookahead_layers": [2],
    },
    "segment_bounded": {
        **DYNAMIC,
        "lookahead_scheduler": "segment",
        "left_context": 2,
    },
    "frame_bounded": {**DYNAMIC, "lookahead_scheduler": "frame", "left_context": 0},
}
LEARNED = [name for name, keys in MORE_KINDS.items() if "scheduler_bias" in keys]


@dataclass(frozen=True)
class Frozen(FixedLookahead):
    """A kind whose bands are given: what an encoder saw before, held fixed.

    Attributes:
        given: By layer; None: every row sees the whole utterance.
    """

    given: tuple[torch.Tensor, ...] | None = None

    def bands(self, num_frames, device=None):
        return self.given


def frozen(encoder):
    """Return the masks of the encoder's last forward pass, as attention saw them."""
    layers = len(encoder.encoders)
    return Frozen("full", layers, given=encoder.lookahead.seen)


def noise(seed, frames=NUM_FRAMES):
    generator = torch.Generator().manual_seed(seed)
    shape = (1, frames, INPUT_SIZE)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def run(encoder, features):
    with torch.no_grad():
        return encoder(features, torch.tensor([features.shape[1]]))[0][0]


def dependency(function, features):
    """Return for each output the last frame that moves it or one before it.

    Found by moving one input frame at a time; outputs leave in order.
    """
    before = function(features)
    latest = torch.full((len(before),), -1)
    for frame in range(features.shape[1]):
        moved = features.clone()
        moved[:, frame] += 1.0
        changed = (function(moved) != before).any(dim=1)
        latest[changed] = frame
    return latest.cummax(0).values


def latencies(encoder, features):
    """Return what the encoder reports of its output frames, in frames."""
    run(encoder, features)
    return encoder.lookahead.algorithmic_latency()[0].long()


def share_open(encoder):
    """Return the share of rounded gates that are open, of the layers with any."""
    waits = [wait for wait in encoder.lookahead.waits if wait is not None]
    return torch.cat([wait.hard.flatten() for wait in waits]).mean().item()


def encoder_of(name, kind):
    """Return an encoder; learned masks depend on what is heard, and are mixed."""
    for seed in range(10):
        encoder = make(name, seed=seed, **MORE_KINDS[kind]).double()
        if kind not in LEARNED:
            return encoder
        torch.manual_seed(seed)
        for parameter in encoder.scheduler.parameters():
            torch.nn.init.normal_(parameter, std=0.8)
        one, other = (latencies(encoder, noise(n)) for n in range(2))
        if 0.1 < share_open(encoder) < 0.9 and one.tolist() != other.tolist():
            return encoder
    raise AssertionError(f"{kind}: gates are all open, all shut or do not listen")


@pytest.mark.parametrize("kind", MORE_KINDS)
@pytest.mark.parametrize("name", PAIRS)
def test_with_frozen_masks_the_dependency_is_the_latency(name, kind):
    encoder, features = encoder_of(name, kind), noise(0)
    waits = latencies(encoder, features)
    before = run(encoder, features)
    masks = frozen(encoder)
    with encoder.override(masks):
        assert torch.equal(run(encoder, features), before)
        latest = dependency(lambda x: run(encoder, x), features)
    arithmetic = encoder.arithmetic
    index = torch.arange(len(before))
    needed = (index + waits) * arithmetic.stride + arithmetic.window - 1
    assert latest.tolist() == needed.tolist()


@pytest.mark.parametrize("name", PAIRS)
def test_masks_of_one_utterance_measure_any_other(name):
    """What is frozen is the mask, not what it was made from."""
    encoder = encoder_of(name, "segment")
    waits = latencies(encoder, noise(0))
    masks = frozen(encoder)
    assert waits.tolist() != latencies(encoder, noise(1)).tolist()
    with encoder.override(masks):
        latest = dependency(lambda x: run(encoder, x), noise(1))
        index = torch.arange(len(waits))
        found = (latest + 1 - encoder.arithmetic.window) // encoder.frame_shift - index
    assert found.tolist() == waits.tolist()
    lengths = torch.tensor([len(waits)])
    assert algorithmic_latency(masks.given, lengths)[0].tolist() == waits.tolist()


def emitted(encoder, features, packet):
    """Return what has come out after each packet, the last one not being the end."""
    state, found, out = encoder.initial_state(), [], []
    with torch.no_grad():
        for start in range(0, features.shape[1], packet):
            new, _, state = encoder.step(state, features[:, start : start + packet])
            out.append(new[0])
            found.append(torch.cat(out))
    return found, state


@pytest.mark.parametrize("kind", [k for k in MORE_KINDS if k != "full"])
@pytest.mark.parametrize("name", PAIRS)
def test_later_input_changes_no_frame_that_was_emitted(name, kind):
    """With free masks: schedulers decide anew on every continuation."""
    encoder = encoder_of(name, kind)
    prefix, length = noise(2), 110
    for heard in (30, 61):
        found, state = emitted(encoder, prefix[:, :heard], heard)
        out = found[-1]
        given, whole = len(out), []
        for seed in (3, 4):
            rest = noise(seed, length - heard)
            both = torch.cat((prefix[:, :heard], rest), dim=1)
            whole.append(run(encoder, both))
            waits = encoder.lookahead.algorithmic_latency()[0].long()
            index = torch.arange(len(waits))
            needed = (index + waits) * encoder.frame_shift + encoder.arithmetic.window
            # What has come out is all that could, whatever follows.
            assert int((needed <= heard).sum()) == given
            torch.testing.assert_close(whole[-1][:given], out, atol=1e-9, rtol=0)
            with torch.no_grad():
                final = encoder.step(state, rest, final=True)[0][0]
            torch.testing.assert_close(
                torch.cat((out, final)), whole[-1], atol=1e-9, rtol=0
            )
        assert torch.equal(whole[0][:given], whole[1][:given])
        assert not torch.equal(whole[0][given:], whole[1][given:])


@pytest.mark.parametrize("kind", [k for k in MORE_KINDS if k != "full"])
def test_streams_agree_bit_for_bit_as_long_as_their_input_does(kind):
    encoder = encoder_of("conformer", kind).float()
    one = noise(5, 90).float()
    other = one.clone()
    other[:, 56:] = noise(6, 90).float()[:, 56:]
    for packet in (8, 28):
        ours, theirs = (emitted(encoder, x, packet)[0] for x in (one, other))
        same = 56 // packet
        assert len(ours[same - 1]) > 0
        for first, second in zip(ours[:same], theirs[:same], strict=True):
            assert torch.equal(first, second)
        given = len(ours[same - 1])
        assert torch.equal(ours[-1][:given], theirs[-1][:given])
        width = min(len(ours[-1]), len(theirs[-1]))
        assert not torch.equal(ours[-1][:width], theirs[-1][:width])
