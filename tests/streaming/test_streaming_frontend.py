"""Features of packets equal those of the whole, for any packets, window and hop."""

import random
from types import SimpleNamespace

import pytest
import soundfile
import torch

from espnet_dynlook.compat import espnet_imports
from espnet_dynlook.frontend.mfcc import MfccFrontend
from espnet_dynlook.streaming.frontend import CannotStream, StreamingFrontend

with espnet_imports():
    from espnet2.asr.frontend.default import DefaultFrontend
    from espnet2.layers.utterance_mvn import UtteranceMVN


class Shift(torch.nn.Module):
    """Stands for GlobalMVN, which reads its statistics from a file; in place, as it."""

    def forward(self, x, lengths):
        x += 3.0
        x *= 0.5
        return x, lengths


Shift.__name__ = "GlobalMVN"


def model_of(frontend, normalize=None):
    """Return what a front end needs to know of a model."""
    model = SimpleNamespace(frontend=frontend, normalize=normalize)
    model.parameters = lambda: iter([torch.nn.Parameter(torch.zeros(1))])
    return model


def offline(model, samples):
    lengths = torch.tensor([len(samples)])
    feats, lengths = model.frontend(samples[None], lengths)
    if model.normalize is not None:
        feats, _ = model.normalize(feats, lengths)
    return feats[0, : int(lengths[0])]


def streamed(model, samples, draw, sizes):
    """Return the features, and how many samples had come when each frame did."""
    stream = StreamingFrontend(model)
    state, found, at, when = stream.begin(), [], 0, []
    while not state.over:
        size = min(draw.choice(sizes), len(samples) - at)
        final = at + size == len(samples)
        feats, state = stream.push(state, samples[at : at + size], final)
        at += size
        found.append(feats)
        when += [at] * len(feats)
    return torch.cat(found), when


@pytest.mark.parametrize("block", range(8))
def test_packets_equal_the_whole(block):
    draw = random.Random(block)
    torch.manual_seed(block)
    for _ in range(25):
        n_fft = draw.choice([64, 128, 400])
        model = model_of(
            DefaultFrontend(
                fs=8000,
                n_fft=n_fft,
                win_length=draw.choice([None, n_fft, n_fft - 14, n_fft // 2 + 1]),
                hop_length=draw.choice([16, 37, 80]),
                window=draw.choice(["hann", "hamming", None]),
                center=draw.random() < 0.8,
                n_mels=8,
                frontend_conf=None,
            ).eval(),
            draw.choice([None, Shift()]),
        )
        samples = torch.randn(draw.choice([n_fft, 500, 1111, 3000]))
        expected = offline(model, samples)
        for sizes in ([1], [0, 1, 5, 33], [170, 999], [10**6]):
            found, _ = streamed(model, samples, draw, sizes)
            assert found.shape == expected.shape
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [1, 80, 159, 160, 409, 410, 411, 570, 900, 4000])
def test_mfcc_packets_equal_the_whole(size):
    draw = random.Random(size)
    model = model_of(MfccFrontend())
    samples = 0.1 * torch.randn(size, generator=torch.Generator().manual_seed(size))
    expected = offline(model, samples)
    for sizes in ([1], [0, 3, 100], [160], [10**6]):
        found, _ = streamed(model, samples, draw, sizes)
        assert found.shape == expected.shape
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("win_length", [400, 512])
def test_a_frame_is_there_with_its_last_sample(win_length):
    """Half a window after its centre: what constant_ms counts."""
    model = model_of(DefaultFrontend(n_fft=512, win_length=win_length, hop_length=160))
    samples = torch.randn(4000)
    _, when = streamed(model, samples, random.Random(0), [1])
    for frame, at in enumerate(when[:-2]):
        assert at == frame * 160 + win_length // 2 + (frame == 0)


def test_real_speech(dynlook_data):
    model = model_of(DefaultFrontend(n_fft=512, win_length=400, hop_length=160))
    paths = sorted((dynlook_data / "fixtures" / "flac").glob("*.flac"))[:5]
    assert paths
    for path in paths:
        samples = torch.tensor(soundfile.read(path, dtype="float32")[0])
        found, _ = streamed(model, samples, random.Random(1), [1600, 777, 40])
        torch.testing.assert_close(found, offline(model, samples), atol=1e-4, rtol=1e-4)


def test_states_are_values():
    model = model_of(DefaultFrontend(n_fft=128, hop_length=40, n_mels=8))
    stream = StreamingFrontend(model)
    samples = torch.randn(900)
    _, state = stream.push(stream.begin(), samples[:500])
    once, _ = stream.push(state, samples[500:], final=True)
    again, _ = stream.push(state, samples[500:], final=True)
    assert torch.equal(once, again)


def test_features_are_normalized_and_the_callers_stay_as_they_are():
    stream = StreamingFrontend(model_of(None, Shift()))
    packet = torch.randn(7, 5)
    before = packet.clone()
    found, state = stream.push(stream.begin(), packet)
    assert torch.equal(packet, before)
    torch.testing.assert_close(found, (packet + 3.0) * 0.5)
    assert not state.over


def test_what_cannot_stream_is_refused():
    frontend = DefaultFrontend(n_fft=128, hop_length=40, n_mels=8)
    with pytest.raises(CannotStream, match=r"UtteranceMVN.*normalize: global_mvn"):
        StreamingFrontend(model_of(frontend, UtteranceMVN()))
    stream = StreamingFrontend(model_of(frontend))
    with pytest.raises(ValueError, match=r"samples \(N,\) here, not of shape \(2, 9\)"):
        stream.push(stream.begin(), torch.zeros(2, 9))
    _, state = stream.push(stream.begin(), torch.zeros(500), final=True)
    with pytest.raises(ValueError, match="has ended"):
        stream.push(state, torch.zeros(5))
