"""MFCCs of AN4: CMU's numbers, causal, each utterance as if it were alone."""

import csv

import numpy as np
import pytest
import soundfile
import torch

from espnet_dynlook.frontend import mfcc, naive
from espnet_dynlook.frontend.mfcc import MfccFrontend

LENGTHS = [1, 159, 250, 409, 410, 411, 569, 570, 571, 1200, 16000]


def noise(size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (0.2 * torch.randn(size, generator=generator)).clamp(-1, 1)


def alone(samples):
    features, lengths = MfccFrontend()(samples[None], torch.tensor([len(samples)]))
    return features[0, : int(lengths)]


def test_equals_the_stored_features(dynlook_data):
    """All 55 utterances of which there is audio, every frame, the last included."""
    folder = dynlook_data / "an4"
    stored = {}
    for part in ("train", "test"):
        with np.load(folder / "mfcc" / f"{part}.npz") as arrays:
            ends = zip(arrays["offsets"], arrays["offsets"][1:], strict=False)
            feats = arrays["feats"]
            for utt, (start, end) in zip(arrays["utts"], ends, strict=True):
                stored[str(utt)] = feats[start:end]
    with (folder / "audio.tsv").open(encoding="utf-8") as file:
        utts = [row["utt"] for row in csv.DictReader(file, delimiter="\t")]
    assert len(utts) == 55
    for utt in utts:
        samples, _ = soundfile.read(
            folder / "audio_flac" / f"{utt}.flac", dtype="float32"
        )
        ours = alone(torch.from_numpy(samples)).numpy()
        assert ours.shape == stored[utt].shape
        assert np.abs(ours - stored[utt]).max() < 5e-5, utt


@pytest.mark.parametrize("size", [1, 300, 410, 2000])
def test_equals_the_slow_version(size):
    samples = (noise(size) * 32768).round().numpy()
    slow = naive.mfcc(samples)
    np.testing.assert_allclose(alone(torch.tensor(samples) / 32768), slow, atol=5e-5)


def test_filters_are_triangles_of_unit_area():
    filters = mfcc.mel_filters()
    np.testing.assert_allclose(filters.sum(1) * 31.25, 1.0, rtol=1e-12)
    peaks = filters.argmax(1)
    assert (np.diff(peaks) > 0).all()
    assert peaks[0] * 31.25 > 130
    assert peaks[-1] * 31.25 < 6800


@pytest.mark.parametrize("size", LENGTHS)
def test_every_sample_is_in_a_frame_and_one_frame_is_filled_up(size):
    frames = int(mfcc.num_frames(torch.tensor(size)))
    assert len(alone(noise(size))) == frames == len(naive.mfcc(np.zeros(size)))
    assert (frames - 1) * mfcc.HOP + mfcc.WINDOW >= size
    assert frames == 1 or (frames - 2) * mfcc.HOP + mfcc.WINDOW <= size


def test_no_samples_give_no_frames():
    features, lengths = MfccFrontend()(noise(1000)[None], torch.tensor([0]))
    assert lengths.tolist() == [0]
    assert features.shape == (1, 0, 13)


def test_an_utterance_in_a_batch_is_as_if_alone():
    batch = torch.stack([noise(16000, seed) for seed in range(len(LENGTHS))])
    features, lengths = MfccFrontend()(batch, torch.tensor(LENGTHS))
    for row, size in enumerate(LENGTHS):
        own = alone(batch[row, :size])
        assert int(lengths[row]) == len(own)
        torch.testing.assert_close(features[row, : len(own)], own, atol=2e-5, rtol=0.0)
        assert not features[row, len(own) :].any()


def test_a_frame_needs_what_is_said_and_no_more():
    frontend, samples = MfccFrontend(), noise(4000)
    before = alone(samples)
    for frame in (0, 3, 11):
        needed = (frame + 1) * frontend.hop_length + frontend.lookahead_samples
        later, changed = samples.clone(), samples.clone()
        later[needed:] = noise(4000, seed=1)[needed:]
        changed[needed - 1] += 0.5
        assert torch.equal(alone(later)[frame], before[frame])
        assert not torch.equal(alone(changed)[frame], before[frame])


@pytest.mark.parametrize("packet", [1, 7, 160, 333])
def test_pieces_give_what_the_whole_gives(packet):
    """The functions carry all that a stepwise version needs: one sample, one rest."""
    samples = 32768 * noise(1900)
    whole = mfcc.cepstra(mfcc.cut(mfcc.preemphasize(samples), 10))
    rest, last, rows = samples[:0], None, []
    for start in range(0, len(samples), packet):
        piece = samples[start : start + packet]
        rest = torch.cat([rest, mfcc.preemphasize(piece, last)])
        last = piece[-1:]
        while len(rest) >= mfcc.WINDOW:
            rows.append(mfcc.cepstra(mfcc.cut(rest, 1))[0])
            rest = rest[mfcc.HOP :]
    torch.testing.assert_close(torch.stack(rows), whole, atol=2e-5, rtol=0.0)


def test_silence_is_finite():
    features = alone(torch.zeros(1000))
    assert torch.isfinite(features).all()
    assert features.std(0).max() == 0


def test_features_go_through():
    features, lengths = torch.randn(2, 5, 13), torch.tensor([5, 3])
    out, olens = MfccFrontend()(features, lengths)
    assert torch.equal(out, features)
    assert torch.equal(olens, lengths)


def test_autocast_does_not_touch_it():
    samples = noise(2000)
    with torch.autocast("cpu", torch.bfloat16):
        inside = alone(samples)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, alone(samples))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_output_has_the_type_of_the_input(dtype):
    assert alone(noise(1000).to(dtype)).dtype == dtype


@pytest.mark.parametrize("fs", [8000, "8k", 22050])
def test_another_rate_is_refused(fs):
    with pytest.raises(ValueError, match=r"fs=.* of mfcc_an4 must be 16000"):
        MfccFrontend(fs)


@pytest.mark.parametrize("fs", [16000, "16000", "16k"])
def test_the_rate_may_be_said(fs):
    assert MfccFrontend(fs).fs == 16000


@pytest.mark.parametrize("shape", [(1, 100, 2), (1, 100, 40), (100,)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="one channel or features"):
        MfccFrontend()(torch.zeros(shape), torch.tensor([100]))


def test_there_is_nothing_to_learn_or_to_save():
    assert MfccFrontend().state_dict() == {}
