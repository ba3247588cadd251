"""The latency that is reported is what frames depend on, in samples."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hub_data import CONFIG, FS, TOKENS

from espnet_dynlook.training.latency import (
    FrontendTiming,
    frame_latencies,
    latency_statistic,
)

HOP, WINDOW = 80, 200
PERIOD = 4 * HOP  # samples an encoder frame


def build(tmp_path, **changes):
    """Return a whole model in float64: front end, normalization, encoder."""
    from espnet_dynlook.task import DynlookASRTask

    rng = np.random.default_rng(0)
    features = rng.standard_normal((50, 40))
    np.savez(
        tmp_path / "stats.npz",
        count=50,
        sum=features.sum(0),
        sum_square=(features**2).sum(0),
    )
    config = {
        **CONFIG,
        "frontend_conf": {**CONFIG["frontend_conf"], "win_length": WINDOW},
        "normalize": "global_mvn",
        "normalize_conf": {"stats_file": str(tmp_path / "stats.npz")},
        "token_list": TOKENS,
        **changes,
    }
    parser = DynlookASRTask.get_parser()
    parser.set_defaults(**config)
    args = parser.parse_args(["--output_dir", str(tmp_path)])
    torch.manual_seed(0)
    return DynlookASRTask.build_model(args).double().eval()


def encode(model, samples):
    with torch.no_grad():
        return model.encode(samples[None], torch.tensor([len(samples)]))[0][0]


def noise(size=4000):
    return torch.randn(size, generator=torch.Generator().manual_seed(0)).double()


@pytest.mark.host
@pytest.mark.parametrize("frame", [3, 4, 5])  # first, middle and last of a chunk
def test_a_frame_depends_on_exactly_the_samples_that_are_reported(tmp_path, frame):
    model, samples = build(tmp_path), noise()
    before = encode(model, samples)
    latencies, _ = frame_latencies(model.encoder, FrontendTiming(model))
    needed = (frame + 1) * PERIOD + latencies[0, frame].item() * FS / 1000
    assert needed == round(needed)
    last = round(needed) - 1  # the last sample that it waits for

    later = samples.clone()
    later[last + 1 :] = 3.0 * noise(8000)[4000 + last + 1 :]
    assert torch.equal(encode(model, later)[frame], before[frame])
    changed = samples.clone()
    changed[last] += 100.0  # the window is all but closed at its end
    assert not torch.equal(encode(model, changed)[frame], before[frame])


@pytest.mark.host
def test_utterance_mvn_waits_for_the_end_and_says_so(tmp_path, caplog):
    model = build(tmp_path, normalize="utterance_mvn", normalize_conf={})
    samples = noise()
    before = encode(model, samples)
    changed = samples.clone()
    changed[-1000:] *= 2.0
    assert not torch.equal(encode(model, changed)[0], before[0])
    timing = FrontendTiming(model)
    assert frame_latencies(model.encoder, timing) is None
    with latency_statistic(model):
        _, stats, _ = model(
            samples[None], torch.tensor([4000]), torch.tensor([[2]]), torch.tensor([1])
        )
    assert "lookahead_ms" not in stats
    assert caplog.text.count("UtteranceMVN uses the whole utterance") == 1


def part(name, **attributes):
    return type(name, (SimpleNamespace,), {})(**attributes)


STFT = {"stft": part("Stft", n_fft=256, win_length=None), "hop_length": HOP}
LOG_MEL = {**STFT, "frontend": None}


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({}, None),
        ({"frontend": part("DefaultFrontend", **LOG_MEL)}, None),
        ({"normalize": part("GlobalMVN")}, None),
        ({"frontend": part("S3prlFrontend")}, "front end S3prlFrontend looks ahead"),
        ({"normalize": part("OtherMVN")}, "OtherMVN uses the whole utterance"),
        ({"preencoder": part("LinearProjection")}, "preencoder LinearProjection"),
        ({"postencoder": part("LengthAdaptor")}, "postencoder LengthAdaptor"),
        (
            {
                "frontend": part(
                    "DefaultFrontend",
                    **STFT,
                    frontend=part("Frontend", use_wpe=True, use_beamformer=False),
                )
            },
            "use_wpe uses the whole utterance",
        ),
    ],
    ids=str,
)
def test_only_parts_with_a_known_lookahead_pass(parts, reason):
    timing = FrontendTiming(part("Model", **parts))
    if reason is None:
        assert timing.waits_for_end is None
    else:
        assert reason in timing.waits_for_end
        assert timing.waits_for_end in timing.warning


def test_only_features_from_outside_are_taken_for_10_ms():
    assert "from outside" in FrontendTiming(part("Model")).warning
    known = FrontendTiming(part("M", frontend=part("DefaultFrontend", **LOG_MEL)))
    assert known.warning is None
    assert (known.hop_length, known.win_length) == (HOP, 256)
    unknown = FrontendTiming(part("M", frontend=part("S3prlFrontend")))
    assert "from outside" not in unknown.warning
