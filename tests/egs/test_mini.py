"""The mini corpus: sentences that do not leak, audio that is the same everywhere."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_dynlook.recipe.data_dir import read_data_dir
from espnet_dynlook.recipe.espeak import FS, Synthesizer, Utterance, resample

EGS = Path(__file__).parents[2] / "egs"
COUNTS = {"train": 12, "valid": 3, "test": 8}


def make_corpus(out, counts, nj=1, seed=1):
    """Run the script, as its workers are spawned from it."""
    script = EGS / "mini" / "asr1" / "local" / "make_corpus.py"
    options = [f"--{name}={count}" for name, count in counts.items()]
    options += [f"--seed={seed}", f"--nj={nj}"]
    environment = os.environ | {"PYTHONPATH": str(EGS.parent)}
    command = [sys.executable, str(script), str(out), *options]
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return out / "metadata.tsv"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A handful of sentences, spoken by one worker."""
    pytest.importorskip("espeakng_loader")
    return make_corpus(tmp_path_factory.mktemp("mini") / "corpus", COUNTS).parent


def sums(folder):
    return {
        p.relative_to(folder): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*.flac"))
    }


def test_no_sentence_is_in_two_sets(load):
    splits = load("mini", "sentences").make_splits(1, {"train": 1850, "test": 200})
    every = [sentence for split in splits.values() for sentence in split]
    assert len(set(every)) == 2050


def test_sentences_are_seeded(load):
    make = load("mini", "sentences").make_splits
    assert make(1, COUNTS) == make(1, COUNTS)
    assert make(1, COUNTS) != make(2, COUNTS)


def test_new_names_are_heard_in_test_only(load):
    local = load("mini", "sentences")
    splits = local.make_splits(1, {"train": 1850, "valid": 100, "test": 200})
    new = set(local.NEW_NAMES)
    with_new = [s for s in splits["test"] if new & set(s.split())]
    assert len(with_new) == 25
    for sentence in splits["train"] + splits["valid"]:
        assert not new & set(sentence.split())


def test_test_words_other_than_new_names_are_known(load):
    local = load("mini", "sentences")
    splits = local.make_splits(1, {"train": 1850, "test": 200})
    words = {k: {w for s in v for w in s.split()} for k, v in splits.items()}
    assert words["test"] - words["train"] <= set(local.NEW_NAMES)


def test_too_many_sentences_is_an_error(load):
    with pytest.raises(ValueError, match="at most 5000"):
        load("mini", "sentences").make_splits(1, {"train": 10**6})


def test_corpus_is_16_khz_mono(corpus):
    files = sorted(corpus.rglob("*.flac"))
    assert len(files) == sum(COUNTS.values())
    for path in files:
        samples, fs = soundfile.read(path)
        assert fs == FS == 16000
        assert samples.ndim == 1
        assert 1 < len(samples) / fs < 8
        assert 0.25 < np.abs(samples).max() < 0.85
        # No digital silence, whose logarithm would rule the normalization.
        assert np.abs(samples[:160]).max() > 0


def test_corpus_is_the_same_for_any_number_of_workers(corpus, tmp_path):
    again = tmp_path / "again"
    make_corpus(again, COUNTS, nj=3)
    assert sums(again) == sums(corpus)
    table = (corpus / "metadata.tsv").read_text(encoding="utf-8")
    assert (again / "metadata.tsv").read_text(encoding="utf-8") == table


def test_made_corpus_is_left_alone_until_settings_change(corpus, tmp_path):
    out = tmp_path / "corpus"
    counts = {"train": 2, "valid": 1, "test": 1}
    make_corpus(out, counts)
    marker = out / "train" / "marker"
    marker.touch()
    make_corpus(out, counts)
    assert marker.exists()
    make_corpus(out, counts, seed=2)
    assert not marker.exists()
    assert json.loads((out / "settings.json").read_text())["seed"] == 2


def test_interrupted_corpus_is_made_anew(corpus, tmp_path):
    """The table is written last: without it, a corpus does not count as made."""
    out = tmp_path / "corpus"
    counts = {"train": 2, "valid": 1, "test": 1}
    table = make_corpus(out, counts)
    table.unlink()
    (out / "train" / "half.flac").touch()
    make_corpus(out, counts)
    assert table.exists()
    assert not (out / "train" / "half.flac").exists()


def test_data_directories(corpus, load, tmp_path):
    load("mini", "prepare").main([str(corpus), "--data", str(tmp_path / "data")])
    for name, count in COUNTS.items():
        data = read_data_dir(tmp_path / "data" / name)
        assert len(data.text) == count
        assert len(set(data.utt2spk.values())) == min(count, 8)
    assert "OLIVIA" in (tmp_path / "data" / "test" / "new_names").read_text()


def test_missing_corpus_says_what_was_looked_for(load, tmp_path):
    with pytest.raises(SystemExit, match=r"looked for .*metadata.tsv"):
        load("mini", "prepare").main([str(tmp_path)])


@pytest.fixture(scope="module")
def synthesizer():
    pytest.importorskip("espeakng_loader")
    return Synthesizer()


def test_voice_rate_and_pitch_change_the_audio(synthesizer):
    base = synthesizer(Utterance("HELLO ANNA", "en-us", 170, 50))
    slow = synthesizer(Utterance("HELLO ANNA", "en-us", 100, 50))
    assert len(slow) > 1.2 * len(base)
    for other in (
        Utterance("HELLO ANNA", "en-us+f2", 170, 50),
        Utterance("HELLO ANNA", "en-gb-x-rp", 170, 50),
        Utterance("HELLO ANNA", "en-us", 170, 80),
    ):
        samples = synthesizer(other)
        n = min(len(samples), len(base))
        assert np.abs(samples[:n] - base[:n]).max() > 0.05


def test_unknown_voice_is_an_error(synthesizer):
    with pytest.raises(ValueError, match="no voice 'nobody'"):
        synthesizer(Utterance("HELLO", "nobody", 170, 50))


def test_resampling_keeps_pitch_level_and_duration():
    time = np.arange(22050) / 22050
    samples = np.sin(2 * np.pi * 440 * time)
    out = resample(samples, 22050, 16000)
    assert len(out) == 16000
    expected = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    assert np.abs(out - expected).max() < 1e-6


def result(folder, wer, waits):
    for unit in ("wer", "cer"):
        (folder / f"score_{unit}").mkdir(parents=True)
        content = {"substitutions": wer, "deletions": 0, "insertions": 0, "units": 100}
        content |= {"rtf": 0.1, "lookahead_ms": {"mean": 1.0, "p50": 1.0, "p90": 1.0}}
        path = folder / f"score_{unit}" / "result.json"
        path.write_text(json.dumps(content))
    (folder / "lookahead_ms").write_text(waits)
    return folder


@pytest.mark.parametrize(
    ("wer", "waits", "message"),
    [
        (16, "a 1.0 1.0\n", "WER of full is 16.0 %, the limit is 15 %"),
        (3, "a 0.0 0.0\n", "they are one system"),
    ],
)
def test_comparison_fails_where_the_recipe_did(
    load, tmp_path, capsys, wer, waits, message
):
    main = load("mini", "compare").main
    causal = result(tmp_path / "causal", 5, "a 0.0 0.0\n")
    full = result(tmp_path / "full", wer, waits)
    options = ["--most_wer", "15", "--seconds", "60"]
    with pytest.raises(SystemExit, match=message):
        main([f"causal={causal}", f"full={full}", *options])
    assert "|causal|5.0|" in capsys.readouterr().out


def test_comparison_of_two_good_systems(load, tmp_path, capsys):
    causal = result(tmp_path / "causal", 5, "a 0.0 0.0\n")
    full = result(tmp_path / "full", 3, "a 1.0 1.0\n")
    options = ["--most_wer", "15", "--seconds", "601"]
    load("mini", "compare").main([f"causal={causal}", f"full={full}", *options])
    out = capsys.readouterr().out
    assert "|full|3.0|" in out
    assert "10 min 1 s" in out
