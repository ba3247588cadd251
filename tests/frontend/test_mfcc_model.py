"""A model behind the front end: the same from samples and from features, in time."""

from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from espnet_dynlook.frontend.mfcc import MfccFrontend
from espnet_dynlook.training.latency import FrontendTiming, frame_latencies

TOKENS = ["<blank>", "<unk>", "A", "B", "<sos/eos>"]
CONFIG = {
    "token_list": TOKENS,
    "frontend": "mfcc_an4",
    "frontend_conf": {"fs": "16k"},
    "specaug": None,
    "normalize": "global_mvn",
    "encoder": "dynlook_conformer",
    "encoder_conf": {
        "output_size": 16,
        "attention_heads": 2,
        "linear_units": 16,
        "num_blocks": 2,
        "cnn_module_kernel": 3,
        "rel_pos_type": "latest",
        "lookahead": "chunked",
        "lookahead_frames": 2,
    },
    "model_conf": {"ctc_weight": 1.0},
}
PERIOD = 4 * 160  # samples an encoder frame


def noise(size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (0.2 * torch.randn(size, generator=generator)).clamp(-1, 1)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    from espnet_dynlook.task import DynlookASRTask

    folder = tmp_path_factory.mktemp("model")
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((50, 13)) + 2.0
    stats = {"count": 50, "sum": rows.sum(0), "sum_square": (rows**2).sum(0)}
    np.savez(folder / "stats.npz", **stats)
    parser = DynlookASRTask.get_parser()
    normalize = {"stats_file": str(folder / "stats.npz")}
    parser.set_defaults(**CONFIG, normalize_conf=normalize)
    torch.manual_seed(0)
    args = parser.parse_args(["--output_dir", str(folder)])
    return DynlookASRTask.build_model(args).eval()


def encode(model, speech):
    with torch.no_grad():
        return model.encode(speech[None], torch.tensor([len(speech)]))[0][0]


@pytest.mark.host
def test_samples_give_what_their_features_give(model):
    """What a model was trained on does not matter for what it hears."""
    samples = noise(12345)
    features, _ = MfccFrontend()(samples[None], torch.tensor([12345]))
    from_features = encode(model, features[0])
    torch.testing.assert_close(
        encode(model, samples), from_features, atol=1e-5, rtol=0.0
    )


@pytest.mark.host
def test_stored_features_give_what_live_audio_gives(model, dynlook_data):
    import soundfile

    folder = dynlook_data / "an4"
    with np.load(folder / "mfcc" / "train.npz") as arrays:
        k = list(arrays["utts"]).index("an104-mrcb-b")
        start, end = arrays["offsets"][k : k + 2]
        stored = torch.from_numpy(arrays["feats"][start:end])
    path = folder / "audio_flac" / "an104-mrcb-b.flac"
    samples = torch.from_numpy(soundfile.read(path, dtype="float32")[0])
    torch.testing.assert_close(
        encode(model, samples), encode(model, stored), atol=1e-3, rtol=0.0
    )


@pytest.mark.host
@pytest.mark.parametrize("frame", [3, 4, 5])  # first, middle and last of a chunk
def test_latency_is_what_a_frame_depends_on(model, frame):
    samples = noise(8000)
    before = encode(model, samples)
    timing = FrontendTiming(model)
    assert timing.waits_for_end is None
    assert timing.warning is None
    latencies, _ = frame_latencies(model.encoder, timing)
    needed = (frame + 1) * PERIOD + latencies[0, frame].item() * 16
    assert needed == pytest.approx(round(needed), abs=1e-3)
    last = round(needed) - 1  # the last sample that it waits for
    later, changed = samples.clone(), samples.clone()
    later[last + 1 :] = noise(8000, seed=1)[last + 1 :]
    changed[last] += 100.0  # the window is all but closed at its end
    # Rows that are not needed change the order of sums.
    torch.testing.assert_close(
        encode(model, later)[frame], before[frame], atol=1e-5, rtol=0.0
    )
    assert (encode(model, changed)[frame] - before[frame]).abs().max() > 1e-3


@pytest.mark.host
def test_seconds_of_samples_and_of_features(model):
    from espnet_dynlook.bin.asr_inference import Speech2Text

    speech2text = SimpleNamespace(asr_model=model, timing=FrontendTiming(model))
    assert Speech2Text.seconds(speech2text, torch.zeros(16000)) == 1.0
    assert Speech2Text.seconds(speech2text, torch.zeros(100, 13)) == 1.0


def test_pictures_take_samples_and_features(model, tmp_path):
    """What plots read is the same utterance in both forms."""
    from espnet_dynlook.plots.reading import System, read_speech

    system = System("model", model, SimpleNamespace())
    samples = noise(16000)
    feats, _ = model.frontend(samples[None], torch.tensor([len(samples)]))
    soundfile.write(tmp_path / "a.wav", samples.numpy(), 16000, subtype="FLOAT")
    np.save(tmp_path / "a.npy", feats[0].numpy())
    read = [
        read_speech(SimpleNamespace(data=None, audio=str(tmp_path / name)), system)
        for name in ("a.wav", "a.npy")
    ]
    assert [one.ndim for one in read] == [1, 2]
