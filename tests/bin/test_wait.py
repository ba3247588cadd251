"""Models of many latencies: the caller says how long to wait, to every command."""

import sys
from pathlib import Path

import pytest
import soundfile
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from recogniser_files import DYNAMIC, FS, speech, write_model

from espnet_dynlook.config import ConfigError

pytestmark = pytest.mark.host
MANY = {"latency_loss": "absolute", "latency_weight": [0.001, 0.1]}
WAITS = (0.0, 0.5, 1.0)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Return a data directory of one utterance."""
    folder = tmp_path_factory.mktemp("data")
    soundfile.write(folder / "u.wav", speech(1).numpy(), FS)
    (folder / "wav.scp").write_text(f"u {folder}/u.wav\n", encoding="utf-8")
    (folder / "text").write_text("u abc\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return a model of many latencies whose waits differ, and one of a single one."""
    found = []
    for conf in (MANY, {"latency_loss": "absolute", "latency_weight": 0.01}):
        folder = tmp_path_factory.mktemp("model")
        # A low bias, so that what is told about the wait opens and shuts gates.
        encoder = DYNAMIC | {"scheduler_bias": 0.0}
        config, file = write_model(folder, encoder, conf, model="dynlook")
        state = torch.load(file, weights_only=True)
        torch.manual_seed(1)
        for key, value in state.items():
            if ".scheduler." in key and value.is_floating_point() and value.dim() > 1:
                state[key] = torch.randn_like(value)
        torch.save(state, file)
        found.append((config, file))
    return found


def recognised(files, wait):
    from espnet_dynlook.recognizer import Recognizer

    return Recognizer.from_files(*files, wait=wait).transcribe(speech(1)).lookahead_ms


def commanded(name, files, data, out, *options):
    """Return what a command writes as the lookahead of the utterance."""
    import importlib

    source = [f"{data}/wav.scp,speech,sound"]
    if name == "asr_evaluate":
        source += ["--data_path_and_name_and_type", f"{data}/text,text,text"]
    elif name == "asr_inference":
        options += ("--decoding", "ctc_greedy")
    else:
        options += ("--beam_size", "1")
    importlib.import_module(f"espnet_dynlook.bin.{name}").main(
        [
            *("--asr_train_config", str(files[0]), "--asr_model_file", str(files[1])),
            *("--data_path_and_name_and_type", *source, "--output_dir", str(out)),
            *map(str, options),
        ]
    )
    [line] = next(out.rglob("lookahead_ms")).read_text().splitlines()
    return [float(value) for value in line.split()[1:]]


def test_the_caller_chooses_how_long_to_wait(files):
    from espnet_dynlook.recognizer import Recognizer

    for wait in WAITS:
        recognizer = Recognizer.from_files(*files[0], wait=wait)
        assert recognizer.model.encoder.scheduler.wait == wait
        recognizer.model.eval()  # again, as a caller may
        assert recognizer.model.encoder.scheduler.wait == wait
    assert len({recognised(files[0], wait) for wait in WAITS}) > 1
    assert recognised(files[0], None) == recognised(files[0], 0.5)


@pytest.mark.parametrize(
    "command", ["asr_inference", "asr_inference_streaming", "asr_evaluate"]
)
def test_commands_wait_as_recognisers_do(command, files, data, tmp_path):
    for wait in WAITS:
        found = commanded(command, files[0], data, tmp_path / f"{wait}", "--wait", wait)
        assert found == pytest.approx(recognised(files[0], wait), abs=0.06)


def test_training_ends_at_the_middle(files):
    from espnet_dynlook.task import DynlookASRTask

    model, _ = DynlookASRTask.build_model_from_file(*map(str, files[0]))
    model.set_wait(1.0)
    model.train()
    model.eval()
    assert model.encoder.scheduler.wait == 0.5


@pytest.mark.parametrize(
    ("which", "wait", "message"),
    [
        (1, 0.5, r"wait=0\.5 needs a model of many latencies"),
        (0, 1.5, r"wait=1\.5 must be from 0 to 1"),
    ],
)
def test_a_wait_without_effect_is_refused(which, wait, message, files, data, tmp_path):
    with pytest.raises(ValueError, match=message):
        recognised(files[which], wait)
    for command in ("asr_inference", "asr_inference_streaming", "asr_evaluate"):
        with pytest.raises(ConfigError, match=message):
            commanded(command, files[which], data, tmp_path, "--wait", wait)


def test_a_stock_model_has_no_wait(data):
    from espnet_dynlook.model.waiting import set_wait

    set_wait(torch.nn.Linear(1, 1), None)
    with pytest.raises(ValueError, match="needs model: dynlook"):
        set_wait(torch.nn.Linear(1, 1), 0.5)
