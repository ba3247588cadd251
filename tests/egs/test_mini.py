"""The mini corpus: sentences that do not leak, audio that is the same everywhere."""

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet_dynlook.metrics.wer import ErrorCounts
from espnet_dynlook.recipe.corpus import CorpusError
from espnet_dynlook.recipe.data_dir import read_data_dir

EGS = Path(__file__).parents[2] / "egs"
COUNTS = {"train": 12, "valid": 3, "test": 8}


LOCAL = EGS / "mini" / "asr1" / "local"


def make_corpus(out, counts, nj=1, seed=1, local=LOCAL):
    """Run the script, as its workers are spawned from it."""
    script = local / "make_corpus.py"
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
        assert fs == 16000
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


@pytest.mark.parametrize(
    "name", ["make_corpus.py", "sentences.py", "speaking.py", "espeak.py"]
)
def test_change_of_a_source_is_a_change_of_settings(load, tmp_path, name):
    sha256 = load("mini", "speaking").sources_sha256
    sources = load("mini", "make_corpus").SOURCES
    local = shutil.copytree(LOCAL, tmp_path / "local")
    before = sha256(LOCAL / source for source in sources)
    assert sha256(local / source for source in sources) == before
    with (local / name).open("a") as file:
        file.write("# changed\n")
    assert sha256(local / source for source in sources) != before


def test_corpus_of_other_sources_is_made_anew(corpus, tmp_path):
    out = shutil.copytree(corpus, tmp_path / "corpus")
    local = shutil.copytree(LOCAL, tmp_path / "local")
    source = (local / "sentences.py").read_text(encoding="utf-8")
    changed = source.replace("PLEASE CALL {name} {when}", "{name} IS THERE {when}")
    assert changed != source
    (local / "sentences.py").write_text(changed, encoding="utf-8")
    old = sums(corpus)
    make_corpus(out, COUNTS, local=local)
    assert "IS THERE" in (out / "metadata.tsv").read_text(encoding="utf-8")
    assert sums(out) != old
    assert sums(corpus) == old


@pytest.mark.parametrize(
    "there",
    [
        {"thesis.tex": "work"},
        {"settings.json": "{}", "thesis.tex": "work"},
        {"settings.json": '{"seed"', "thesis.tex": "work"},
        {"metadata.tsv": "utt\n"},
    ],
)
def test_somebody_elses_folder_is_left_alone(load, tmp_path, there):
    for name, content in there.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(SystemExit, match=r"no settings\.json of this script"):
        load("mini", "make_corpus").main([str(tmp_path), "--train=1"])
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == there


def test_file_in_place_of_the_folder_is_refused(load, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(CorpusError, match="is no folder"):
        load("mini", "speaking").clear(tmp_path / "file")
    assert (tmp_path / "file").is_file()


def test_settings_are_written_before_any_audio(load, tmp_path, monkeypatch):
    """So the next call knows a corpus that was interrupted as its own."""
    module = load("mini", "make_corpus")
    speaking = load("mini", "speaking")

    def killed(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(speaking.multiprocessing, "get_context", killed)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            module.make_corpus(tmp_path / "out", 1, {"train": 1}, nj=1)
        assert speaking.read_settings(tmp_path / "out" / "settings.json")
        assert not (tmp_path / "out" / "metadata.tsv").exists()
        (tmp_path / "out" / "train" / "half.flac").touch()


def test_what_an_interrupted_run_has_spoken_is_kept(corpus, load, tmp_path):
    """Only tasks that are not done are spoken, and the corpus is whole in the end."""
    out = shutil.copytree(corpus, tmp_path / "corpus")
    with (out / "metadata.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    (out / "metadata.tsv").unlink()
    (out / "done").mkdir()
    train = [row for row in rows if row["split"] == "train"]
    (out / "done" / "train_00000.json").write_text(json.dumps(train))
    kept = out / train[0]["path"]
    kept.write_bytes(b"spoken before")
    make_corpus(out, COUNTS)
    assert kept.read_bytes() == b"spoken before"
    table = (corpus / "metadata.tsv").read_text(encoding="utf-8")
    assert (out / "metadata.tsv").read_text(encoding="utf-8") == table
    old, new = sums(corpus), sums(out)
    assert [path for path in old if new[path] != old[path]] == [Path(train[0]["path"])]
    assert not (out / "done").exists()


def test_corpus_made_before_sources_counted_is_replaced(corpus, tmp_path):
    out = shutil.copytree(corpus, tmp_path / "corpus")
    settings = json.loads((out / "settings.json").read_text())
    del settings["sources_sha256"]
    (out / "settings.json").write_text(json.dumps(settings))
    (out / "train" / "old.flac").touch()
    make_corpus(out, {"train": 1, "valid": 1, "test": 1})
    assert len(list(out.rglob("*.flac"))) == 3


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
    voices = load("mini", "make_corpus").VOICES
    load("mini", "prepare").main([str(corpus), "--data", str(tmp_path / "data")])
    for name, count in COUNTS.items():
        data = read_data_dir(tmp_path / "data" / name)
        assert len(data.text) == count
        assert len(set(data.utt2spk.values())) == min(count, len(voices))
    assert "OLIVIA" in (tmp_path / "data" / "test" / "new_names").read_text()


def test_missing_corpus_says_what_was_looked_for(load, tmp_path):
    with pytest.raises(SystemExit, match=r"looked for .*metadata.tsv"):
        load("mini", "prepare").main([str(tmp_path)])


@pytest.fixture(scope="module")
def synthesizer(load):
    pytest.importorskip("espeakng_loader")
    return load("mini", "espeak").Synthesizer()


def test_voice_rate_and_pitch_change_the_audio(synthesizer, load):
    Utterance = load("mini", "espeak").Utterance
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


def test_unknown_voice_is_an_error(synthesizer, load):
    local = load("mini", "espeak")
    with pytest.raises(ValueError, match="no voice 'nobody'"):
        synthesizer(local.Utterance("HELLO", "nobody", 170, 50))


def test_resampling_keeps_pitch_level_and_duration(load):
    resample = load("mini", "espeak").resample
    time = np.arange(22050) / 22050
    samples = np.sin(2 * np.pi * 440 * time)
    out = resample(samples, 22050, 16000)
    assert len(out) == 16000
    expected = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    assert np.abs(out - expected).max() < 1e-6


def result(folder, wer, waits, text):
    for unit in ("wer", "cer"):
        (folder / f"score_{unit}").mkdir(parents=True)
        content = vars(ErrorCounts(1, 100, 100 - wer, wer, wrong_sentences=1))
        content = {**content, "command": "", "versions": {}}
        content |= {"rtf": 0.1, "lookahead_ms": {"mean": 1.0, "p50": 1.0, "p90": 1.0}}
        path = folder / f"score_{unit}" / "result.json"
        path.write_text(json.dumps(content))
    (folder / "lookahead_ms").write_text(waits)
    (folder / "text").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("wer", "waits", "text", "message"),
    [
        (16, "a 1 1\n", "a X\n", "WER of full is 16.0 %, the limit is 15 %"),
        (3, "a 0 0\n", "a X\n", "causal and full wait equally long: they are one"),
        (3, "a 1 1\n", "a Y\n", "causal and full recognise the same texts: they are"),
    ],
)
def test_comparison_fails_where_the_recipe_did(
    load, tmp_path, capsys, wer, waits, text, message
):
    main = load("mini", "compare").main
    causal = result(tmp_path / "causal", 5, "a 0 0\n", "a Y\n")
    full = result(tmp_path / "full", wer, waits, text)
    options = ["--most_wer", "15", "--seconds", "60"]
    with pytest.raises(SystemExit, match=message):
        main([f"causal={causal}", f"full={full}", *options])
    assert "|causal|5.0|" in capsys.readouterr().out


def test_comparison_of_two_good_systems(load, tmp_path, capsys):
    causal = result(tmp_path / "causal", 5, "a 0 0\n", "a Y\n")
    full = result(tmp_path / "full", 3, "a 1 1\n", "a X\n")
    options = ["--most_wer", "15", "--seconds", "601"]
    load("mini", "compare").main([f"causal={causal}", f"full={full}", *options])
    out = capsys.readouterr().out
    assert "|full|3.0|3.0|1|1|1|0.100|" in out
    assert "voices are synthetic" in out
    assert "10 min 1 s" in out
