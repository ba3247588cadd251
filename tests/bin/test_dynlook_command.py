"""The command `dynlook` says what the API says."""

import io
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from recogniser_files import FS, speech, write_model

from espnet_dynlook.bin import dynlook
from espnet_dynlook.bin.captions import captions, clock, written
from espnet_dynlook.config import ConfigError
from espnet_dynlook.recognizer import Recognizer, Result
from espnet_dynlook.streaming.endpoint import Endpoint
from espnet_dynlook.streaming.words import Word


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    chunked = {"lookahead": "chunked", "lookahead_frames": 3}
    return write_model(tmp_path_factory.mktemp("model"), chunked)


@pytest.fixture
def model(files):
    return ["--asr_train_config", str(files[0]), "--asr_model_file", str(files[1])]


@pytest.fixture
def audio(tmp_path):
    paths = []
    for n in range(2):
        paths.append(str(tmp_path / f"{n}.wav"))
        soundfile.write(paths[-1], speech(n, 1 + n).numpy(), FS, subtype="PCM_16")
    return paths


def test_files_are_transcribed_in_their_order(files, model, audio, capsys):
    """sherpa#91: the command line is the API."""
    dynlook.main(["transcribe", *audio, *model])
    expected = [Recognizer.from_files(*files).transcribe(one).text for one in audio]
    assert capsys.readouterr().out.splitlines() == expected
    dynlook.main(["transcribe", *audio, *model, "--format", "json"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["text"] for row in rows] == expected
    assert [row["file"] for row in rows] == audio
    assert all(row["lookahead_ms"] > 0 and row["words"] for row in rows)


def test_what_is_streamed_is_what_is_transcribed(
    files, model, audio, capsys, monkeypatch
):
    """sherpa#91, NVIDIA-NeMo/Speech#14730."""
    expected = Recognizer.from_files(*files).transcribe(audio[1]).text
    dynlook.main(["stream", audio[1], *model, "--packet_ms", "37"])
    assert capsys.readouterr().out == expected + "\n"
    raw = soundfile.read(audio[1], dtype="int16")[0].astype("<i2").tobytes()
    # A pipe gives as much as is there, odd numbers of bytes too.
    ragged = SimpleNamespace(buffer=Ragged(raw))
    monkeypatch.setattr(sys, "stdin", ragged)
    dynlook.main(["stream", *model])
    assert capsys.readouterr().out == expected + "\n"


def test_standard_output_has_the_text_and_nothing_else(files, model, audio):
    program = [sys.executable, "-m", "espnet_dynlook.bin.dynlook", "transcribe"]
    done = subprocess.run(
        [*program, audio[0], *model], capture_output=True, text=True, check=True
    )
    expected = Recognizer.from_files(*files).transcribe(audio[0]).text
    assert done.stdout == expected + "\n"


def test_endpoints_give_a_line_for_an_utterance(files, tmp_path, capsys):
    weights = torch.load(files[1])
    weights["ctc.ctc_lo.bias"][0] += 40  # one that is silent at times
    torch.save(weights, tmp_path / "quiet.pth")
    files = (files[0], tmp_path / "quiet.pth")
    model = ["--asr_train_config", str(files[0]), "--asr_model_file", str(files[1])]
    silence = np.zeros(FS, dtype=np.float32)
    parts = [speech(0, 1).numpy(), silence, speech(1, 1).numpy(), silence]
    path = str(tmp_path / "two.wav")
    soundfile.write(path, np.concatenate(parts), FS, subtype="PCM_16")
    dynlook.main(["stream", path, *model, "--endpoint_ms", "40"])
    lines = capsys.readouterr().out.splitlines()
    stream = Recognizer.from_files(*files).stream(Endpoint(40))
    last = stream.finish(soundfile.read(path, dtype="float32")[0])
    assert lines == [one.text for one in (*last.ended, last) if one.text]
    assert len(lines) > 1
    with pytest.raises(ConfigError, match="--endpoint_ms: silence_ms=-1"):
        dynlook.main(["stream", path, *model, "--endpoint_ms", "-1"])


class Ragged(io.BytesIO):
    def read(self, size=-1):
        return super().read(min(size, 333))


def test_captions_have_times_and_can_be_read():
    words = [Word(f"WORD{n}", 0.4 * n, 0.4 * n + 0.3, 1.0) for n in range(30)]
    words.append(Word("-->", 20.0, 20.5, 0.5))
    groups = captions(words)
    assert [word for group in groups for word in group] == words
    assert all(len(" ".join(w.text for w in group)) <= 42 for group in groups)
    assert all(group[-1].end - group[0].start <= 5 for group in groups)
    result = Result("", tuple(words), 0.0, ())
    srt = written(result, "x", "srt")
    assert srt.startswith("1\n00:00:00,000 --> 00:00:")
    assert srt.count("-->") == len(groups)
    vtt = written(result, "x", "vtt")
    assert vtt.startswith("WEBVTT\n\n00:00:00.000 --> ") and vtt.count("-->") == len(
        groups
    )
    assert clock(3725.0625, ",") == "01:02:05,062"
    assert captions([]) == []


def test_wrong_arguments_say_what_to_write(model, audio, tmp_path):
    with pytest.raises(ConfigError, match="give --model ZIP, or --asr_train_config"):
        dynlook.main(["transcribe", audio[0]])
    with pytest.raises(ConfigError, match="give --model ZIP"):
        dynlook.main(["transcribe", audio[0], *model, "--model", "x.zip"])
    with pytest.raises(ConfigError, match=r"none\.wav"):
        dynlook.main(["transcribe", str(tmp_path / "none.wav"), *model])
    with pytest.raises(ConfigError, match="takes one file"):
        dynlook.main(["transcribe", *audio, *model, "--format", "srt"])
    soundfile.write(tmp_path / "fast.wav", np.zeros(4000), 2 * FS)
    with pytest.raises(ConfigError, match=r"16000 Hz and 1 channels.*8000 Hz, mono"):
        dynlook.main(["stream", str(tmp_path / "fast.wav"), *model])
    with pytest.raises(ConfigError, match="--packet_ms 0"):
        dynlook.main(["stream", audio[0], *model, "--packet_ms", "0"])
