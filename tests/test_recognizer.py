"""A trained model as people call it: files, streams, batches; one path for all."""

import random

import numpy as np
import pytest
import soundfile
import torch
from recogniser_files import (
    CHUNKED,
    DYNAMIC,
    FS,
    TRANSDUCER,
    speech,
    write_model,
)

from espnet_dynlook.recognizer import Recognizer
from espnet_dynlook.search.incremental import GreedyCTC, Token
from espnet_dynlook.streaming.frontend import CannotStream
from espnet_dynlook.streaming.words import WordReader

pytestmark = pytest.mark.host

KINDS = {"chunked": {}, "dynamic": {}, "transducer": TRANSDUCER}


@pytest.fixture(scope="module", params=list(KINDS))
def files(request, tmp_path_factory):
    """Return configuration and checkpoint of a model that says many things."""
    conf = DYNAMIC if request.param == "dynamic" else CHUNKED
    return write_model(tmp_path_factory.mktemp("model"), conf, **KINDS[request.param])


def stream(recognizer, samples, draw, sizes):
    one, at, partials = recognizer.stream(), 0, []
    while at < len(samples):
        size = draw.choice(sizes)
        partials.append(one.push(samples[at : at + size]))
        at += size
    return one.finish(), partials


@pytest.fixture(params=[1, 4])
def searching(files, request):
    """Return recognisers that search greedily and with a beam."""
    return Recognizer.from_files(*files, beam=request.param)


def test_streamed_equals_transcribed(searching):
    recognizer = searching
    said, words, apart = set(), 0, 0
    for seed in range(6):
        samples = speech(seed, 0.5 + seed / 3)
        whole = recognizer.transcribe(samples)
        said.add(whole.text)
        for sizes in ([80], [1, 700, 33], [4000]):
            result, partials = stream(recognizer, samples, random.Random(seed), sizes)
            assert result.text == whole.text
            pairs = list(zip(result.words, whole.words, strict=True))
            words += len(pairs)
            apart += sum(
                a.start != b.start or abs(a.confidence - b.confidence) > 1e-3
                for a, b in pairs
            )
            assert result.score == pytest.approx(whole.score, abs=1e-2)
            assert result.lookahead_ms == whole.lookahead_ms
            given = [ms for one in partials for ms in one.lookahead_ms]
            assert tuple(given) == whole.lookahead_ms[: len(given)]
    assert len(said) > 2
    # Of two ways into a labelling that are as good as each other, rounding chooses one.
    assert apart <= (0 if recognizer.pipeline.search == GreedyCTC() else 0.05 * words)


def test_stable_words_never_change(searching):
    recognizer = searching
    for seed in range(4):
        result, partials = stream(recognizer, speech(seed, 2), random.Random(0), [400])
        before = ""
        for partial in partials:
            assert partial.stable_text.startswith(before)
            assert partial.text.startswith(partial.stable_text)
            before = partial.stable_text
        assert result.text.startswith(before)


def test_a_batch_equals_each_alone(files):
    recognizer = Recognizer.from_files(*files)
    audio = [speech(seed, 0.3 + seed / 4) for seed in range(5)]
    together = recognizer.transcribe_all(audio)
    assert [one.text for one in together] == [
        recognizer.transcribe(one).text for one in audio
    ]


def test_what_is_seen_of_the_past_is_bounded(files):
    samples = speech(0, 4)
    whole = Recognizer.from_files(*files, left_context_s=None).transcribe(samples)
    assert Recognizer.from_files(*files).transcribe(samples) == whole  # 40 s
    recognizer = Recognizer.from_files(*files, left_context_s=0.2)
    bounded = recognizer.transcribe(samples)
    assert bounded.score != whole.score
    assert stream(recognizer, samples, random.Random(0), [700])[0].text == bounded.text
    with pytest.raises(ValueError, match="left_context_s=0 must be above 0, or None"):
        Recognizer.from_files(*files, left_context_s=0)


def test_streams_begin_pause_and_end_on_their_own(files):
    recognizer = Recognizer.from_files(*files)
    audio = [speech(seed, 1 + seed / 2) for seed in range(3)]
    expected = [recognizer.transcribe(one) for one in audio]
    streams, at, found = recognizer.streams(3), [0, 0, 0], {}
    draw = random.Random(0)
    while len(found) < 3:
        packets = []
        for n, one in enumerate(audio):
            size = 0 if n in found else draw.choice([0, 300, 1111])
            packets.append(one[at[n] : at[n] + size])
            at[n] += size
        streams.push(packets)
        for n, one in enumerate(audio):
            if n not in found and at[n] >= len(one):
                found[n] = streams.end(n)
    assert [found[n].text for n in range(3)] == [one.text for one in expected]
    streams.reset(1)
    streams.push([None, audio[2], None])
    assert streams.end(1).text == expected[2].text


def test_reset_equals_a_fresh_stream(files):
    recognizer = Recognizer.from_files(*files)
    one = recognizer.stream()
    one.push(speech(0))
    one.reset()
    one.push(speech(1))
    assert one.finish() == recognizer.transcribe(speech(1))


def test_broken_packets_are_refused_and_nothing_else_is_lost(files):
    recognizer = Recognizer.from_files(*files)
    streams = recognizer.streams(2)
    good = speech(3)
    streams.push([good[:3000], good[:2000]])
    broken = good[3000:4000].clone()
    broken[5] = float("nan")
    with pytest.raises(ValueError, match="packet of stream 0 has NaN"):
        streams.push([broken, good[2000:]])
    streams.push([good[3000:], good[2000:]])
    expected = recognizer.transcribe(good).text
    assert [one.text for one in streams.finish()] == [expected, expected]
    with pytest.raises(ValueError, match="has ended"):
        streams.push([good, None])


@pytest.mark.parametrize("samples", [0, 1, 100])
def test_hardly_any_speech_is_an_empty_text(files, samples):
    recognizer = Recognizer.from_files(*files)
    assert recognizer.transcribe(torch.zeros(samples)).lookahead_ms == ()
    assert recognizer.stream().finish().text == ""


def test_files_of_other_rates_are_resampled(files, tmp_path):
    recognizer = Recognizer.from_files(*files)
    samples = speech(2).numpy()
    soundfile.write(tmp_path / "same.wav", samples, FS, subtype="FLOAT")
    assert recognizer.transcribe(tmp_path / "same.wav").text == (
        recognizer.transcribe(samples).text
    )
    soundfile.write(tmp_path / "other.wav", np.repeat(samples, 2), 2 * FS)
    frames = recognizer.transcribe(tmp_path / "other.wav").lookahead_ms
    assert len(frames) == len(recognizer.transcribe(samples).lookahead_ms)
    soundfile.write(tmp_path / "two.wav", np.stack([samples] * 2, 1), FS)
    with pytest.raises(ValueError, match="has 2 channels"):
        recognizer.transcribe(tmp_path / "two.wav")


def test_wrong_values_say_what_to_write(files, tmp_path):
    with pytest.raises(ValueError, match="dtype='int8' must be float32"):
        Recognizer.from_files(*files, dtype="int8")
    with pytest.raises(ValueError, match="threads=0"):
        Recognizer.from_files(*files, threads=0)
    recognizer = Recognizer.from_files(*files)
    with pytest.raises(ValueError, match=r"give floats in \+-1"):
        recognizer.transcribe(torch.zeros(500, dtype=torch.int16))
    other = write_model(
        tmp_path, {"lookahead": "full", "causal_conv": False}, normalize=None
    )
    fetched = other[0].read_text().replace("frontend: default", "frontend: s3prl")
    (tmp_path / "fetched.yaml").write_text(fetched)
    with pytest.raises(CannotStream, match="frontend: s3prl does not stream here"):
        Recognizer.from_files(tmp_path / "fetched.yaml", other[1])
    with pytest.raises(CannotStream, match="causal_conv: true"):
        Recognizer.from_files(*other)


def test_streams_that_are_not_there_are_named(files):
    recognizer = Recognizer.from_files(*files)
    with pytest.raises(ValueError, match="0 streams: give at least 1"):
        recognizer.streams(0)
    streams = recognizer.streams(2)
    for call in (streams.end, streams.reset):
        with pytest.raises(ValueError, match=r"stream 2 is none of 0 \.\. 1"):
            call(2)


def test_samples_may_lie_in_memory_as_they_like(files):
    recognizer = Recognizer.from_files(*files)
    samples = speech(1).numpy()
    expected = recognizer.transcribe(samples)
    assert recognizer.transcribe(samples[::-1].copy()[::-1]) == expected
    assert recognizer.transcribe(samples.astype(">f4")) == expected


def test_characters_of_a_language_without_spaces_are_words():
    reader = WordReader(["<blank>", "你", "好"], "char", 0.04)
    tokens = [Token(1, 0, 0.5), Token(2, 3, 0.25)]
    words = reader.words_of(tokens)
    assert [(word.text, word.confidence) for word in words] == [
        ("你", 0.5),
        ("好", 0.25),
    ]
    assert reader.text_of(words) == "你好"
    assert reader.closed_tokens(tokens) == 2
