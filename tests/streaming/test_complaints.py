"""What users complain about in comparable systems, and what happens here instead.

Elsewhere: sherpa#91 and espnet#4012 in the tests of the commands, espnet#5729 in
``test_long_audio`` and, of the first words, in ``test_asr_inference_streaming``.
"""

import random
import sys
from pathlib import Path

import pytest
import soundfile
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from recogniser_files import FS, mix_gates, speech, write_model

from espnet_dynlook.recognizer import Recognizer

DYNAMIC = {"lookahead": "dynamic", "lookahead_frames": 3, "scheduler_bias": 0.1}
KINDS = {
    "causal": {"lookahead": "causal"},
    "chunked": {"lookahead": "chunked", "lookahead_frames": 3},
    "frame": {**DYNAMIC, "lookahead_scheduler": "frame"},
    "sequential": {**DYNAMIC, "lookahead_scheduler": "sequential"},
    "segment": {**DYNAMIC, "lookahead_scheduler": "segment"},
}


@pytest.fixture(scope="module", params=KINDS)
def recognizer(request, tmp_path_factory):
    return loaded(tmp_path_factory.mktemp("model"), KINDS[request.param])


def loaded(folder, encoder_conf, **changes):
    files = write_model(folder, encoder_conf, **changes)
    return mix_gates(Recognizer.from_files(*files))


def packets(samples, draw, sizes):
    at = 0
    while at < len(samples):
        size = draw.choice(sizes)
        yield samples[at : at + size]
        at += size


def streamed(recognizer, samples, draw, sizes):
    stream = recognizer.stream()
    for packet in packets(samples, draw, sizes):
        stream.push(packet)
    return stream.finish()


def same(one, other):
    """Say whether two results are the same but for the rounding of numbers."""
    assert one.text == other.text
    assert one.lookahead_ms == other.lookahead_ms
    assert one.score == pytest.approx(other.score, abs=1e-2)
    for a, b in zip(one.words, other.words, strict=True):
        assert (a.text, a.start, a.end) == (b.text, b.start, b.end)
        assert a.confidence == pytest.approx(b.confidence, abs=1e-3)
    return True


def offline(recognizer, samples):
    """Return encoder output (T, D) and text of ESPnet's own pass over the whole."""
    model = recognizer.model
    with torch.no_grad():
        out, lengths = model.encode(samples[None], torch.tensor([len(samples)]))
        best = model.ctc.argmax(out)[0, : int(lengths[0])]
    labels = [label for label in best.unique_consecutive().tolist() if label != 0]
    text = "".join(model.token_list[label] for label in labels)
    return out[0, : int(lengths[0])], " ".join(text.replace("<space>", " ").split())


def encoded(recognizer, samples, draw, sizes):
    """Return encoder output (T, D) and text of a stream."""
    encoder, found = recognizer.model.encoder, []
    step = encoder.step

    def spy(*args, **keys):
        out, counts, state = step(*args, **keys)
        found.append(out[0, : int(counts[0])])
        return out, counts, state

    encoder.step = spy
    try:
        result = streamed(recognizer, samples, draw, sizes)
    finally:
        del encoder.step
    return torch.cat(found), result.text


def test_neighbours_and_their_padding_change_nothing(recognizer):
    """NVIDIA-NeMo/Speech#12840, espnet#6600."""
    samples = speech(0, 1.1)
    alone = recognizer.transcribe(samples)
    loud = 50 * speech(1, 3.0)
    for neighbours in (
        [speech(n, 0.2 + n / 3) for n in range(4)],
        [torch.zeros(0), loud],
        [loud, torch.zeros(100), torch.zeros(4 * FS)],
        [samples] * 5,
    ):
        for place in {0, len(neighbours)}:
            audio = [*neighbours[:place], samples, *neighbours[place:]]
            assert same(recognizer.transcribe_all(audio)[place], alone)
    # In streams that go on, too: neighbours begin, pause and end around it.
    streams, draw = recognizer.streams(3), random.Random(0)
    for turn, packet in enumerate(packets(samples, draw, [333])):
        other = loud[turn * 999 :][: draw.choice([0, 10, 999])]
        streams.push([other if turn > 3 else None, packet, other])
    streams.end(2)
    assert same(streams.end(1), alone)


def test_file_and_microphone_agree(recognizer, tmp_path):
    """NVIDIA-NeMo/Speech#14730; sample by sample, too, where milliseconds are held."""
    samples = speech(2, 0.75)
    soundfile.write(tmp_path / "x.wav", samples.numpy(), FS, subtype="FLOAT")
    file = recognizer.transcribe(tmp_path / "x.wav")
    assert file.text
    for sizes in ([0, 1, 80, 79, 81], [1, 7, 20], [1280], [10**6]):
        assert same(streamed(recognizer, samples, random.Random(0), sizes), file)


def test_streaming_is_not_worse_than_offline(recognizer):
    """wenet#320, wenet#1405, icefall#1724: against ESPnet's own pass, not ours."""
    for seed in range(3):
        samples = speech(seed, 0.6 + seed / 2)
        expected, text = offline(recognizer, samples)
        assert text
        for sizes in ([80], [1, 700, 33], [1280]):
            found, heard = encoded(recognizer, samples, random.Random(seed), sizes)
            assert heard == text
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("seed", range(12))
def test_no_window_hop_or_packet_cuts_frames_wrongly(tmp_path, seed):
    """espnet#4807, espnet PR#5267."""
    draw = random.Random(seed)
    n_fft = draw.choice([128, 200, 256, 400])
    frontend = {
        "fs": FS,
        "n_fft": n_fft,
        "win_length": draw.choice([None, n_fft, n_fft - 27, n_fft // 2 + 1]),
        "hop_length": draw.choice([16, 37, 80, 100, n_fft]),
        "window": draw.choice(["hann", "hamming"]),
        "center": draw.random() < 0.8,
        "n_mels": draw.choice([23, 40]),
    }
    layer = draw.choice(["conv2d", "conv2d1", "conv2d2", "conv2d6", "conv2d8"])
    kind = draw.choice(list(KINDS.values()))
    conf = {**kind, "input_layer": layer, "left_context": draw.choice([-1, 2, 9])}
    recognizer = loaded(tmp_path, conf, frontend_conf=frontend)
    for _ in range(3):
        samples = speech(seed, 1.5)[: draw.randint(5000, 12000)]
        expected, text = offline(recognizer, samples)
        for sizes in ([1, 5, 333], [draw.randint(30, 3000)]):
            found, heard = encoded(recognizer, samples, draw, sizes)
            assert found.shape == expected.shape
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
            assert heard == text


def test_last_words_need_no_padding(recognizer):
    """sherpa PR#472: what ends with the last sample is complete."""
    for seed in range(3):
        for cut in (0, 1, 77, 500):
            samples = speech(seed, 1.0)[: FS - cut]
            _, text = offline(recognizer, samples)
            for last in (0, 1, 640):  # with the end, or before it
                stream = recognizer.stream()
                stream.push(samples[: len(samples) - last])
                result = stream.finish(samples[len(samples) - last :])
                assert result.text == text
            # What a caller pads is more audio, no remedy for lost words.
            padded = torch.cat((samples, torch.zeros(FS)))
            assert len(recognizer.transcribe(padded).lookahead_ms) > len(
                result.lookahead_ms
            )


def test_a_reset_stream_is_a_fresh_one(recognizer):
    """sherpa-onnx#1629: whenever it is reset, nothing is lost or left over."""
    samples = speech(4, 1.0)
    fresh = streamed(recognizer, samples, random.Random(0), [400])
    before = speech(5, 1.3)
    for heard in (0, 79, 4321, len(before)):
        stream = recognizer.stream()
        stream.push(before[:heard])
        stream.reset()
        for packet in packets(samples, random.Random(0), [400]):
            stream.push(packet)
        assert stream.finish() == fresh
        stream.reset()  # after its end, too
        for packet in packets(samples, random.Random(0), [400]):
            stream.push(packet)
        assert stream.finish() == fresh
    # One of several, while the others go on.
    streams = recognizer.streams(2)
    streams.push([before, samples[:3000]])
    streams.reset(0)
    streams.push([samples, samples[3000:]])
    assert all(same(one, fresh) for one in streams.finish())


def test_milliseconds_are_what_one_waits(recognizer):
    """espnet#4217, wenet#17, FunASR#1016: samples from a frame's end to its coming."""
    samples = speech(6, 0.38)
    reported = recognizer.transcribe(samples).lookahead_ms
    stream, waited = recognizer.stream(), []
    period = recognizer.period * FS
    for number, sample in enumerate(samples.split(1), 1):
        for ms in stream.push(sample).lookahead_ms:
            end = (len(waited) + 1) * period
            waited.append(1000.0 * (number - end) / FS)
            assert ms == reported[len(waited) - 1]
    assert same(stream.finish(), recognizer.transcribe(samples))
    assert len(waited) > 4
    # A Hann window is zero at its first sample, not at its last.
    for ms, found in zip(reported, waited, strict=False):
        assert found == pytest.approx(ms, abs=1.5 * 1000.0 / FS)
