"""The names corpus of mini: names that no two sets share, lists with what is said."""

import csv
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from espnet_dynlook.biasing.lists import read_lists
from espnet_dynlook.recipe.corpus import CorpusError
from espnet_dynlook.recipe.data_dir import read_data_dir

RECIPE = Path(__file__).parents[2] / "egs" / "mini" / "asr1"
COUNTS = {"train": 8000, "adapt": 4000, "valid": 300, "tune": 500, "test": 1000}
SMALL = {"train": 6, "adapt": 4, "valid": 2, "tune": 2, "test": 4}
MEDICAL = "He takes amoxicillin for his <UNSURE>arthritis</UNSURE>, Amoxicillin, yes."


def words(phrases):
    return {word for phrase in phrases for word in phrase.split()}


@pytest.fixture(scope="module")
def make(load):
    return load("mini", "make_names_corpus").make_splits


@pytest.fixture(scope="module")
def splits(make):
    """Sentences by set, and names by set, of the corpus as the recipe makes it."""
    return make(1, COUNTS, ["AMOXICILLIN", "ARTHRITIS"])


@pytest.fixture(scope="module")
def vocabulary(load):
    return load("mini", "names_sentences").vocabulary()


def test_no_word_of_a_name_is_in_two_sets_or_common(splits, vocabulary):
    _, names = splits
    assert set(names) == {*COUNTS, "medical", "never"}
    found = Counter(word for one in names.values() for word in words(one))
    assert [word for word, count in found.items() if count > 1] == []
    assert vocabulary.isdisjoint(found)
    assert len(words(names["train"])) > 3000
    assert len(words(names["adapt"])) > 1800
    assert len(names["never"]) > 3000


def test_training_says_no_word_of_a_name_that_is_held_out(splits):
    sentences, names = splits
    said = words(one.text for one in sentences["train"])
    assert said.isdisjoint(words(p for s in names if s != "train" for p in names[s]))


def test_sentences_say_their_names_and_otherwise_what_training_says(splits):
    sentences, names = splits
    heard = words(one.text for one in sentences["train"])
    for split in ("valid", "tune", "test", "medical"):
        known = set(names[split])
        for one in sentences[split]:
            assert 1 <= len(one.names) <= 2
            assert set(one.names) <= known
            assert all(f" {name} " in f" {one.text} " for name in one.names)
            assert words([one.text]) - heard <= words(one.names)


@pytest.mark.parametrize("split", ["train", "adapt"])
def test_some_of_training_has_no_name(splits, split):
    sentences, _ = splits
    plain = sum(not one.names for one in sentences[split]) / COUNTS[split]
    assert 0.12 < plain < 0.18


def test_no_sentence_is_said_twice(splits):
    sentences, _ = splits
    texts = [one.text for some in sentences.values() for one in some]
    assert len(set(texts)) == len(texts) == sum(COUNTS.values()) + 2 * 3


def test_names_of_test_are_of_all_kinds_and_many(splits, load):
    sentences, _ = splits
    said = {name for one in sentences["test"] for name in one.names}
    assert len(said) > 500
    sets = load("mini", "names").names_of_sets(
        1, load("mini", "names_sentences").vocabulary()
    )
    for kind, names in sets["test"].slots.items():
        assert len(said & set(names)) > 20, kind


def test_sentences_are_seeded_and_medical_terms_change_no_other_set(make):
    counts = {"train": 50, "adapt": 9, "valid": 5, "tune": 5, "test": 5}
    sentences, names = make(1, counts)
    assert (sentences, names) == make(1, counts)
    assert sentences != make(2, counts)[0]
    more, _ = make(1, counts, ["AMOXICILLIN"])
    assert {split: more[split] for split in counts} == sentences


def test_indefinite_articles(splits):
    sentences, _ = splits
    texts = " ".join(one.text for one in sentences["train"])
    assert " AN ENGINEER " in texts
    assert " A ENGINEER " not in texts and " AN NURSE " not in texts


def test_too_many_sentences_is_an_error(load):
    module = load("mini", "names_sentences")
    with pytest.raises(ValueError, match="9 sentences are too many"):
        module.make_sentences(
            module.random.Random(1), 9, {"first": ["ANNA"]}, set(), 0.0, ["HI {first}"]
        )


def test_test_voices_are_heard_nowhere_else(load):
    voices = load("mini", "make_names_corpus").VOICES
    assert set(voices["test"]).isdisjoint(voices["train"] + voices["tune"])
    assert set(voices["tune"]).isdisjoint(voices["train"])


@pytest.mark.parametrize("kind", ["town", "product", "medicine"])
def test_invented_names_can_be_said(load, kind):
    invented = load("mini", "names").invent(kind, 800, set())
    assert len(set(invented)) == 800
    for name in invented:
        assert name.isalpha() and name.isupper() and 4 <= len(name) <= 13
        assert set(name) & set("AEIOUY")


def test_medical_terms_of_a_text(load, tmp_path):
    terms = load("mini", "medical").medical_terms
    (tmp_path / "text").write_text(MEDICAL)
    assert terms(tmp_path / "text", set()) == ["AMOXICILLIN", "ARTHRITIS"]
    assert terms(tmp_path / "text", {"ARTHRITIS"}) == ["AMOXICILLIN"]
    (tmp_path / "text").write_text("Nothing of the kind.")
    with pytest.raises(CorpusError, match="no medical term"):
        terms(tmp_path / "text", set())


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A handful of sentences, spoken, and the data directories of its sets."""
    pytest.importorskip("espeakng_loader")
    folder = tmp_path_factory.mktemp("names")
    (folder / "text").write_text(MEDICAL)
    options = [f"--{name}={count}" for name, count in SMALL.items()]
    environment = os.environ | {"PYTHONPATH": str(RECIPE.parents[2])}
    for command in (
        ["make_names_corpus.py", "corpus", *options, "--nj=1", "--medical=text"],
        ["prepare_names.py", "corpus"],
    ):
        script = [sys.executable, str(RECIPE / "local" / command[0])]
        subprocess.run(
            [*script, *command[1:]],
            cwd=folder,
            check=True,
            env=environment,
            stdout=subprocess.DEVNULL,
        )
    return folder


def test_small_corpus_from_sentences_to_data(corpus, load):
    table = corpus / "corpus" / "metadata.tsv"
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert Counter(row["split"] for row in rows) == SMALL | {"medical": 6}
    voices = load("mini", "make_names_corpus").VOICES
    for split in (*SMALL, "medical"):
        data = read_data_dir(corpus / "data" / f"{split}_names")
        heard = {voice.replace("+", "-") for voice in voices[split]}
        assert set(data.utt2spk.values()) <= heard
        names = (corpus / "data" / f"{split}_names" / "names").read_text().splitlines()
        if split not in ("train", "adapt"):
            assert all(words([text]) & words(names) for text in data.text.values())
    assert (corpus / "data" / "local" / "never_said").stat().st_size > 10000


@pytest.mark.parametrize("size", [0, 2000])
def test_lists_hold_the_names_that_are_said(corpus, size):
    for link in ("local", "path.sh", "utils"):
        if not (corpus / link).exists():
            (corpus / link).symlink_to(RECIPE / link)
    output = corpus / f"lists.{size}.tsv"
    text = corpus / "data" / "test_names" / "text"
    subprocess.run(
        [
            *("local/biasing_lists.sh", "--text", str(text), "--output", str(output)),
            *("--train_text", str(corpus / "data" / "train_names" / "text")),
            *("--distractors", str(size), "--seed", "0"),
        ],
        cwd=corpus,
        check=True,
        env=os.environ | {"python": sys.executable},
        stdout=subprocess.DEVNULL,
    )
    names = set((corpus / "data" / "test_names" / "names").read_text().splitlines())
    never = set((corpus / "data" / "local" / "never_said").read_text().splitlines())
    lists = read_lists(output)
    assert len(lists) == SMALL["test"]
    for one in lists.values():
        assert one.true and set(one.true) <= names
        assert words([one.text]) & words(names) == words(one.true)
        assert len(one.phrases) == size + len(one.true)
        assert set(one.phrases) <= names | never


@pytest.fixture
def run_names(tmp_path):
    """Return a function that runs run_names.sh and returns asr.sh's options."""

    def start(*options, code=0):
        (tmp_path / "asr.sh").write_text(
            '#!/usr/bin/env bash\nprintf "%s\\n" "$@" >said\n'
        )
        (tmp_path / "asr.sh").chmod(0o755)
        (tmp_path / "utils").symlink_to(RECIPE / "utils")
        done = subprocess.run(
            [str(RECIPE / "run_names.sh"), *options],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stderr
        start.err = done.stderr
        if code:
            return None
        said = (tmp_path / "said").read_text().splitlines()
        return dict(zip(said[::2], said[1::2], strict=True))

    return start


def test_experiment_runs_all_stages_with_names(run_names):
    options = run_names("--nj", "1")
    assert options["--biasing"] == "true"
    assert options["--test_sets"] == "tune_names test_names"
    assert options["--local_data_opts"] == "--corpus names"
    assert options["--adapter_train_set"] == "adapt_names"
    assert options["--nj"] == "1"


def test_a_text_with_medical_terms_is_a_further_test_set(run_names, tmp_path):
    (tmp_path / "text").touch()
    options = run_names("--medical", "text", "--corpus=--train 500")
    assert options["--test_sets"] == "tune_names test_names medical_names"
    assert options["--local_data_opts"] == (
        f"--corpus names --medical {tmp_path / 'text'} --train 500"
    )


def test_name_of_the_text_is_one_word(run_names):
    run_names("--medical", "my text", code=2)
    assert "--medical 'my text': no spaces" in run_names.err
