"""Every command, on tiny models of every kind."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from hub_data import FS

from espnet_dynlook.plots.__main__ import PICTURES, main


def arguments(models, kind, picture, output, *extra):
    """Return the command line of a picture of one model and one recording."""
    model = ["--asr_model_file", str(models.files[kind])]
    audio = ["--audio", str(models.audio)]
    return [picture, *model, *audio, "--output", str(output), *extra]


@pytest.fixture
def options(models):
    """Return what the options of a command say, for the functions behind it."""

    def make(kind, **changes):
        given = {
            "asr_model_file": [str(models.files[kind])],
            "asr_train_config": None,
            "name": None,
            "wait": None,
            "audio": str(models.audio),
            "data": None,
            "utt": None,
            "text": None,
            "words": None,
        }
        return SimpleNamespace(**{**given, **changes})

    return make


def observed(options, kind, **changes):
    from espnet_dynlook.plots.reading import read_utterances

    (utterance,) = read_utterances(options(kind, **changes))
    return utterance


@pytest.mark.host
@pytest.mark.parametrize("picture", ["masks", "graph", "gates", "backlog"])
def test_pictures_of_a_learned_lookahead_are_written(models, tmp_path, picture):
    extra = ["--compute_budget", "0.8"] if picture == "backlog" else []
    output = tmp_path / f"{picture}.png"
    assert main(arguments(models, "dynamic", picture, output, *extra)) == 0
    assert output.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("view", ["matrix", "band"])
def test_two_models_of_any_kind_are_drawn_side_by_side(models, tmp_path, view):
    cmd = arguments(models, "chunked", "masks", tmp_path / "m.svg", "--view", view)
    for kind in ("full", "stock"):
        cmd += ["--asr_model_file", str(models.files[kind])]
    assert main([*cmd, "--name", "A", "--name", "B", "--name", "C"]) == 0
    text = (tmp_path / "m.svg").read_text(encoding="utf-8")
    assert ">A<" in text and ">B<" in text and ">C<" in text


def test_kinds_show_their_masks(options):
    chunked = observed(options, "chunked")
    assert chunked.kind == "chunked" and chunked.num_layers == 2
    assert [b.shape[1] for b in chunked.bands] == [3, 3]
    for kind in ("full", "stock"):
        assert observed(options, kind).bands is None
        assert observed(options, kind).kind == "full"
    dynamic = observed(options, "dynamic")
    assert dynamic.kind == "dynamic"
    assert {float(v) for band in dynamic.bands for v in band.flat} <= {0.0, 1.0}


def test_soft_masks_are_those_of_training(options):
    soft = observed(options, "dynamic", soft=True)
    values = np.concatenate([band.ravel() for band in soft.bands])
    assert ((values > 0) & (values < 1)).any()


def test_latency_is_what_decoding_reports(models, options):
    from espnet_dynlook.bin.asr_inference import Speech2Text

    config = models.files["chunked"].parent / "config.yaml"
    recognise = Speech2Text(
        str(config), str(models.files["chunked"]), decoding="ctc_greedy"
    )
    recognise(soundfile.read(models.audio, dtype="float32")[0])
    expected = recognise.lookahead_ms().numpy()
    found = observed(options, "chunked").latency_ms
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_transcript_is_aligned_to_the_same_place_whatever_the_model_waits(options):
    one, other = (observed(options, kind, text="a b") for kind in ("chunked", "full"))
    assert one.words == other.words
    assert [word.text for word in one.words] == ["a", "b"]
    assert one.words_from == "aligned"


def test_backlog_is_what_decoding_reports_where_waits_are_shared(
    models, options, tmp_path
):
    from recogniser_files import write_model

    from espnet_dynlook.bin.asr_inference import Speech2Text
    from espnet_dynlook.plots.device import read_backlogs

    encoder = {"lookahead": "dynamic", "lookahead_frames": 6, "share_wait": True}
    encoder["lookahead_scheduler"] = "frame"
    files = write_model(tmp_path, encoder, {"compute_budget": 0.95}, model="dynlook")
    recognise = Speech2Text(*map(str, files), decoding="ctc_greedy")
    samples = soundfile.read(models.audio, dtype="float32")[0]
    for seed in range(20):
        torch.manual_seed(seed)
        for parameter in recognise.asr_model.encoder.scheduler.parameters():
            torch.nn.init.normal_(parameter, std=0.7)
        recognise(samples)
        trace = recognise.asr_model.encoder.lookahead
        pairs = zip(trace.bands, trace.seen, strict=True)
        if not all(torch.equal(*pair) for pair in pairs):
            break  # some wait is shared
    else:
        raise AssertionError("no wait is shared")
    torch.save(recognise.asr_model.state_dict(), files[1])
    given = options("dynamic", asr_model_file=[str(files[1])], compute_budget=None)
    [found] = read_backlogs(given)
    assert found.upl_ms == pytest.approx(recognise.upl_ms(), rel=1e-4)


def test_sweep_ends_where_the_training_is_and_gets_harder(options):
    from espnet_dynlook.plots.annealing import read_sweep

    sweep = read_sweep(options("dynamic"), np.linspace(0, 1, 5))
    assert sweep.temperature[0] == pytest.approx(1.0)
    assert sweep.temperature[-1] == pytest.approx(0.2)
    away = [np.abs(values - 0.5).mean() for values in sweep.values]
    assert all(later >= earlier for earlier, later in itertools.pairwise(away))


def test_backlog_is_that_of_the_package(models, options):
    from espnet_dynlook.lookahead.compute import user_perceived_latency, work_per_layer
    from espnet_dynlook.plots.device import read_backlogs
    from espnet_dynlook.plots.reading import load_system

    (found,) = read_backlogs(options("chunked", compute_budget=0.9))
    encoder = load_system(None, str(models.files["chunked"]), "x").model.encoder
    bands = [torch.from_numpy(band) for band in found.utterance.bands]
    frames = torch.tensor([found.utterance.num_frames])
    upl = user_perceived_latency(bands, frames, work_per_layer(encoder), 0.9)
    assert found.upl_ms == pytest.approx(1000 * 0.04 * float(upl[0]), rel=1e-4)
    assert found.arriving.sum() == pytest.approx(found.utterance.num_frames, rel=1e-4)


def test_other_sample_rates_are_resampled(models, options, tmp_path):
    samples, _ = soundfile.read(models.audio)
    double = np.interp(np.arange(2 * len(samples)) / 2, range(len(samples)), samples)
    soundfile.write(tmp_path / "double.wav", double, 2 * FS)
    one = observed(options, "chunked")
    other = observed(options, "chunked", audio=str(tmp_path / "double.wav"))
    assert one.num_frames == other.num_frames


def test_an_utterance_of_a_data_directory_is_read(models, options):
    data = f"{models.corpus.root}/valid/wav.scp,sound"
    one = observed(options, "chunked", audio=None, data=data, utt="valid-00")
    np.testing.assert_array_equal(one.features, observed(options, "chunked").features)


def test_real_speech_is_drawn_with_its_own_rate(models, tmp_path, dynlook_data):
    recording = sorted((dynlook_data / "LibriSpeech/test-other").rglob("*.flac"))[0]
    info = soundfile.info(recording)
    assert info.samplerate != FS
    cmd = arguments(models, "dynamic", "masks", tmp_path / "r.pdf", "--end", "3")
    cmd[cmd.index(str(models.audio))] = str(recording)
    assert main(cmd) == 0
    assert (tmp_path / "r.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("kind", "picture", "extra", "message"),
    [
        ("chunked", "masks", ["--soft"], "only those of lookahead: dynamic"),
        ("chunked", "masks", ["--wait", "0.5"], "wait=0.5 needs model"),
        ("stock", "masks", ["--wait", "0.5"], "wait=0.5 needs model"),
        ("chunked", "masks", ["--name", "a", "--name", "b"], "--name is given 2 times"),
        ("chunked", "masks", ["--text", "abc" * 40], "is it of this audio"),
        ("chunked", "masks", ["--start", "50"], "the utterance has"),
        ("chunked", "gates", [], "this is lookahead: chunked"),
        ("full", "graph", [], "there is no path to show"),
        ("chunked", "graph", ["--frame", "999"], "frame 999 is not in 0"),
        ("chunked", "backlog", [], "give --compute_budget"),
        ("chunked", "backlog", ["--compute_budget", "0"], "must be above 0"),
        ("stock", "backlog", ["--compute_budget", "1"], "its work is not counted"),
        ("dynamic", "gates", ["--tensorboard", "x"], "goes without a model"),
    ],
)
def test_what_the_user_can_put_right_is_said(
    models, tmp_path, capsys, kind, picture, extra, message
):
    output = tmp_path / "x.png"
    assert main(arguments(models, kind, picture, output, *extra)) == 1
    error = capsys.readouterr().err
    assert error.splitlines()[-1].startswith(f"plots {picture}: error: ")
    assert message in error
    assert not output.exists()


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        ("none.wav", r"none\.wav"),
        ("stereo.wav", "takes samples of one channel"),
        ("short.wav", "too short"),
        ("shorter.wav", "has 50 samples and is too short"),
        ("features.npy", "takes samples of one channel"),
    ],
)
def test_audio_that_does_not_fit_is_said(models, tmp_path, capsys, audio, message):
    soundfile.write(tmp_path / "stereo.wav", np.zeros((FS, 2)), FS)
    soundfile.write(tmp_path / "short.wav", np.zeros(400), FS)
    soundfile.write(tmp_path / "shorter.wav", np.zeros(50), FS)
    np.save(tmp_path / "features.npy", np.zeros((100, 40)))
    cmd = arguments(models, "chunked", "masks", tmp_path / "x.png")
    cmd[cmd.index(str(models.audio))] = str(tmp_path / audio)
    assert main(cmd) == 1
    assert message.replace("\\", "") in capsys.readouterr().err


def test_a_model_that_is_not_there_is_said(tmp_path, capsys):
    cmd = ["masks", "--asr_model_file", str(tmp_path / "no.pth"), "--audio", "a.wav"]
    assert main([*cmd, "--output", str(tmp_path / "x.png")]) == 1
    assert "no.pth: the file does not exist" in capsys.readouterr().err


def test_statistics_that_are_not_there_name_the_folder_to_run_in(
    models, tmp_path, capsys
):
    config = models.files["chunked"].parent / "config.yaml"
    text = config.read_text(encoding="utf-8")
    changed = text.replace("normalize: null", "normalize: global_mvn").replace(
        "normalize_conf: {}", "normalize_conf: {stats_file: exp/no.npz}"
    )
    assert changed != text
    (tmp_path / "config.yaml").write_text(changed, encoding="utf-8")
    extra = ["--asr_train_config", str(tmp_path / "config.yaml")]
    cmd = arguments(models, "chunked", "masks", tmp_path / "x.png", *extra)
    assert main(cmd) == 1
    assert "names exp/no.npz, and there is no such file" in capsys.readouterr().err


def test_pictures_are_listed(capsys):
    assert main(["--help"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in PICTURES)
    assert main(["mask"]) == 2
    assert "no picture 'mask'" in capsys.readouterr().err
    assert main([]) == 2


@pytest.mark.parametrize("picture", PICTURES)
def test_every_picture_has_help(picture, capsys):
    with pytest.raises(SystemExit) as done:
        main([picture, "--help"])
    assert done.value.code == 0
    assert "--output FILE" in capsys.readouterr().out
