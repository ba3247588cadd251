"""Streams that break, and what is no speech: nobody else notices, a reset heals."""

import io
import random
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from recogniser_files import FS, mix_gates, speech, write_model

from espnet_dynlook.bin import dynlook
from espnet_dynlook.config import ConfigError
from espnet_dynlook.recognizer import Recognizer

PACKET = 640
TRANSDUCER = {
    "decoder": "transducer",
    "decoder_conf": {"hidden_size": 8, "dropout": 0.0},
    "joint_net_conf": {"joint_space_size": 8},
    "model": "dynlook",
}


@pytest.fixture(scope="module", params=["chunked", "segment", "transducer"])
def files(request, tmp_path_factory):
    conf = {"lookahead": "chunked", "lookahead_frames": 3}
    if request.param == "segment":
        conf = {"lookahead": "dynamic", "lookahead_frames": 3, "scheduler_bias": 0.6}
    changes = TRANSDUCER if request.param == "transducer" else {}
    return write_model(tmp_path_factory.mktemp("model"), conf, **changes)


@pytest.fixture(scope="module")
def recognizer(files):
    return mix_gates(Recognizer.from_files(*files))


def heard(recognizer, samples):
    result = recognizer.transcribe(samples)
    return result.text, result.lookahead_ms


def waveform(kind, seconds=1.0):
    """Return what is hardly speech, in finite numbers."""
    samples = speech(1, seconds)
    time = torch.arange(len(samples)) / FS
    return {
        "silence": torch.zeros(len(samples)),
        "clipped": (100 * samples).clamp(-1, 1),
        "offset": samples + 0.8,
        "only an offset": torch.ones(len(samples)),
        "far too loud": 3e4 * samples,  # 16-bit values taken for +-1
        "hardly there": 1e-30 * samples,
        "one click": (time == 0.5).float(),
        "alternating": torch.where(torch.arange(len(time)) % 2 == 0, 1.0, -1.0),
    }[kind]


KINDS = (
    "silence",
    "clipped",
    "offset",
    "only an offset",
    "far too loud",
    "hardly there",
    "one click",
    "alternating",
)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_speech_breaks_neither_others_nor_what_follows(recognizer, kind):
    odd, good = waveform(kind), speech(2, 1.0)
    expected, alone = heard(recognizer, good), heard(recognizer, odd)
    streams = recognizer.streams(3)
    for ours, theirs in zip(good.split(PACKET), odd.split(PACKET), strict=True):
        streams.push([ours, theirs, ours])
    first, second, third = streams.finish()
    assert (first.text, first.lookahead_ms) == expected
    assert (third.text, third.lookahead_ms) == expected
    assert (second.text, second.lookahead_ms) == alone
    for stream in range(3):
        streams.reset(stream)
    streams.push([odd, good, None])
    assert [(one.text, one.lookahead_ms) for one in streams.finish()][:2] == [
        alone,
        expected,
    ]


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -float("inf"), 1e30, 1e300]
)
def test_numbers_that_are_none_are_refused_and_nothing_is_lost(recognizer, value):
    good = speech(3, 1.0).double()
    expected = heard(recognizer, good)
    streams = recognizer.streams(2)
    streams.push([good[:3000], good[:2000]])
    broken = good[3000:4000].clone()
    broken[500:] = value
    with pytest.raises(ValueError, match=r"stream 1|utterances \[1\]"):
        streams.push([good[3000:5000], broken])
    with pytest.raises(ValueError, match=r"stream 1|utterances \[1\]"):
        streams.finish([good[3000:5000], broken])
    # Neither stream has taken anything in, and neither has ended.
    streams.push([good[3000:5000], None])
    streams.push([good[5000:], good[2000:]])
    assert [(one.text, one.lookahead_ms) for one in streams.finish()] == [expected] * 2


def reader(samples, dies_after):
    """Give out packets, and die as a device does that is pulled out."""
    for number, packet in enumerate(samples.split(PACKET)):
        if number == dies_after:
            raise OSError("the microphone is gone")
        yield packet


@pytest.mark.parametrize("dies_after", [0, 1, 7])
def test_a_killed_reader_ends_only_its_own_stream(recognizer, dies_after):
    good, cut = speech(4, 1.5), speech(5, 1.5)
    expected = heard(recognizer, good)
    streams, readers = (
        recognizer.streams(2),
        [reader(good, None), reader(cut, dies_after)],
    )
    result = None
    for packet in readers[0]:
        other = None
        if result is None:
            try:
                other = next(readers[1])
            except OSError:
                result = streams.end(1)
        streams.push([packet, other])
    assert (result.text, result.lookahead_ms) == heard(
        recognizer, cut[: dies_after * PACKET]
    )
    ours = streams.end(0)
    assert (ours.text, ours.lookahead_ms) == expected
    streams.reset(1)
    streams.push([None, good])
    again = streams.end(1)
    assert (again.text, again.lookahead_ms) == expected


def test_a_stream_that_stops_in_a_word_holds_nobody_up(recognizer):
    good, stopped = speech(6, 2.0), speech(7, 1.0)[: 5 * FS // 16]  # half a letter
    expected = heard(recognizer, good)
    streams, came = recognizer.streams(2), []
    streams.push([None, stopped])  # and then nothing, neither packets nor an end
    alone = recognizer.stream()
    for packet in good.split(PACKET):
        came.append(streams.push([packet, None])[0].lookahead_ms)
        assert came[-1] == alone.push(packet).lookahead_ms  # as soon as alone
    ours = streams.end(0)
    assert (ours.text, ours.lookahead_ms) == expected
    # It may go on much later, or end.
    late = streams.end(1)
    assert (late.text, late.lookahead_ms) == heard(recognizer, stopped)


def test_what_lies_beyond_a_streams_frames_is_never_read(recognizer):
    encoder = recognizer.model.encoder
    size = recognizer.model.frontend.output_size()
    feats = torch.randn(2, 60, size, generator=torch.Generator().manual_seed(0))
    found = []
    for rest in (0.0, float("nan"), float("inf")):
        state, out = encoder.initial_state(2), []
        for first in (0, 30):
            packet = feats[:, first : first + 30].clone()
            packet[1, 9:] = rest
            with torch.no_grad():
                x, counts, state = encoder.step(
                    state, packet, torch.tensor([30, 9]), final=first == 30
                )
            out += [x[n, : int(count)] for n, count in enumerate(counts)]
        found.append(torch.cat(out))
    assert len(found[0]) > 10
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])


class Dying(io.BytesIO):
    """Standard input whose writer is killed: it ends anywhere, in a sample too."""

    def __init__(self, data, error=None):
        super().__init__(data)
        self.error = error

    def read(self, size=-1):
        data = super().read(size)
        if not data and self.error is not None:
            raise self.error
        return data


def test_the_command_says_what_was_heard_of_a_killed_writer(files, monkeypatch, capsys):
    raw = (speech(8, 1.2).numpy() * 32767).astype("<i2")
    arguments = ["--asr_train_config", str(files[0]), "--asr_model_file", str(files[1])]
    cut = len(raw) * 2 - 4001
    monkeypatch.setattr(
        sys, "stdin", SimpleNamespace(buffer=Dying(raw.tobytes()[:cut]))
    )
    dynlook.main(["stream", *arguments])
    samples = raw[: cut // 2].astype(np.float32) / 32768
    expected = Recognizer.from_files(*files).transcribe(samples).text
    assert capsys.readouterr().out == expected + "\n"


def test_the_command_says_what_was_heard_before_a_reader_died(
    files, monkeypatch, capsys
):
    raw = (speech(8, 1.2).numpy() * 32767).astype("<i2")
    arguments = ["--asr_train_config", str(files[0]), "--asr_model_file", str(files[1])]
    error = OSError("the microphone is gone")
    monkeypatch.setattr(
        sys, "stdin", SimpleNamespace(buffer=Dying(raw.tobytes(), error))
    )
    with pytest.raises(ConfigError, match="-: the microphone is gone"):
        dynlook.main(["stream", *arguments])
    heard = Recognizer.from_files(*files).transcribe(raw.astype(np.float32) / 32768)
    assert capsys.readouterr().out == heard.text + "\n"


def test_files_that_are_no_sound_or_cut_are_named(recognizer, tmp_path):
    soundfile.write(tmp_path / "whole.flac", speech(0, 1.0).numpy(), FS)
    data = (tmp_path / "whole.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.wav").write_text("hello", encoding="utf-8")
    for name in ("cut.flac", "text.wav", "none.wav"):
        with pytest.raises(ValueError, match=rf"{name} cannot be read as sound"):
            recognizer.transcribe(tmp_path / name)
    soundfile.write(tmp_path / "nothing.wav", np.zeros(0), FS)
    assert recognizer.transcribe(tmp_path / "nothing.wav").text == ""


def test_random_streams_with_faults_end_as_if_alone(recognizer):
    """Everything at once: starts, pauses, faults, resets and ends, in any order."""
    draw = random.Random(0)
    streams, number = recognizer.streams(4), 4
    heard_of = [[] for _ in range(number)]
    over, checked = [False] * number, 0
    for _ in range(120):
        packets = []
        for n in range(number):
            size = 0 if over[n] else draw.choice([0, 1, 300, 2000])
            packet = waveform(draw.choice(KINDS), 0.5)[:size]
            if draw.random() < 0.5:
                packet = speech(draw.randrange(9), 0.5)[:size]
            packets.append(packet)
        broken = draw.random() < 0.2
        if broken:
            n = draw.randrange(number)
            bad = torch.full((100,), draw.choice([float("nan"), float("inf")]))
            with pytest.raises(ValueError, match=r"NaN|has ended"):
                streams.push([*packets[:n], bad, *packets[n + 1 :]])
        streams.push(packets)
        for n, packet in enumerate(packets):
            heard_of[n].append(packet)
        n = draw.randrange(number)
        if over[n]:
            streams.reset(n)
            heard_of[n], over[n] = [], False
        elif draw.random() < 0.3:
            result = streams.end(n)
            over[n] = True
            alone = heard(recognizer, torch.cat(heard_of[n]))
            assert (result.text, result.lookahead_ms) == alone
            checked += 1
    assert checked > 5
