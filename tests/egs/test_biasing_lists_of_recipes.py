"""local/biasing_lists.sh of the recipes: which lists a set gets."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from espnet_dynlook.biasing.lists import BiasingList, format_lists, read_lists

EGS = Path(__file__).parents[2] / "egs"
TEXTS = {"a-1": "PHILIP MET STEELS", "a-2": "THE CAT SAT", "a-3": "IN HAWAII THEY SAT"}
CASED = {
    "a-1": "Philip met Steels.",
    "a-2": "The cat sat.",
    "a-3": "In Hawaii they sat",
}
TRAIN = {"t-1": "THE CAT MET PHILIP", "t-2": "THE CAT SAT IN THEY", "t-3": "UNKNOWN"}
STEELS = [{"STEELS"}, set(), set()]
UNSEEN = [{"STEELS"}, set(), {"HAWAII"}]


def table(path, entries):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{key} {text}\n" for key, text in entries.items()))
    return str(path)


@pytest.fixture
def make(tmp_path):
    """Return a function that runs a recipe's script as the driver does."""

    def start(
        recipe,
        *options,
        name="test",
        number=3,
        texts=TEXTS,
        data="",
        code=0,
        data_opts="",
    ):
        for link in ("local", "path.sh", "utils"):
            if not (tmp_path / link).exists():
                (tmp_path / link).symlink_to(EGS / recipe / "asr1" / link)
        output = tmp_path / "lists.tsv"
        done = subprocess.run(
            [
                "local/biasing_lists.sh",
                *("--text", table(tmp_path / "dump" / name / "text", texts)),
                *("--distractors", str(number), "--seed", "0", "--output", str(output)),
                *("--train_text", table(tmp_path / "data" / "train" / "text", TRAIN)),
                *options,
            ],
            cwd=tmp_path,
            env=os.environ
            | {"DYNLOOK_DATA": str(data), "python": sys.executable}
            | {"local_data_opts": data_opts},
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stderr
        start.out, start.err = done.stdout, done.stderr
        return read_lists(output) if code == 0 else None

    return start


def true_of(lists):
    return [set(one.true) for one in lists.values()]


def distractors(one):
    return set(one.phrases) - set(one.true)


def published(path, true):
    """Write lists in the benchmark's format; ``true`` by utterance."""
    lists = {}
    for utt, text in TEXTS.items():
        said = tuple(true.get(utt, ()))
        lists[utt] = BiasingList(text, said, (*said, "P", "Q", "R"))
    content = format_lists(lists).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return lists


def test_arctic_has_names_that_training_never_says(make, tmp_path):
    table(tmp_path / "data" / "test" / "text_cased", CASED)
    assert true_of(make("arctic")) == UNSEEN
    phrases = tmp_path / "phrases"
    phrases.write_text("SAT\nP\nQ\nR\n")  # what a user says goes before the recipe's
    made = make("arctic", "--phrases", str(phrases))
    assert true_of(made) == [set(), {"SAT"}, {"SAT"}]
    make("arctic", "--kind", "verbs", code=2)
    assert "--kind verbs: must be names or words" in make.err


def test_an4_has_rare_words_and_a_dictionary(make):
    made = make("an4", number=30)
    assert true_of(made)[1] == {"THE", "CAT", "SAT"}
    assert all(len(distractors(one)) == 30 for one in made.values())


@pytest.mark.parametrize("flat", [False, True])
def test_librispeech_takes_published_lists(make, tmp_path, flat):
    folder = tmp_path / "corpora" / "lists"
    before, end = ("fbai_", ".gz") if flat else ("", "")
    ref, words = (folder, folder) if flat else (folder / "ref", folder / "words")
    given = published(
        ref / f"{before}test-other.biasing_100.tsv{end}", {"a-1": ["STEELS"]}
    )
    words.mkdir(exist_ok=True)
    for name, some in (
        ("common_words_5k.txt", "the cat sat in they met"),
        ("all_rare_words.txt", " ".join(f"rare{c}" for c in "abcdefghijkl")),
    ):
        content = some.replace(" ", "\n").encode()
        path = words / f"{before}{name}{end}"
        path.write_bytes(gzip.compress(content) if flat else content)
    options = [] if flat else ["--lists", str(folder)]
    where = {"data": tmp_path / "corpora" if flat else ""}
    assert make("librispeech", *options, name="test_other", **where) == given
    made = make("librispeech", *options, name="test_other", number=5, **where)
    assert true_of(made) == STEELS
    assert all(p.startswith("RARE") for one in made.values() for p in distractors(one))
    made = make("librispeech", *options, name="dev", **where)
    assert true_of(made) == [{"PHILIP", "STEELS"}, set(), {"HAWAII"}]


def test_librispeech_without_lists_goes_by_frequency(make, tmp_path):
    assert true_of(make("librispeech", name="test_other")) == UNSEEN
    make("librispeech", "--lists", str(tmp_path / "none"), code=1)
    assert "none: no such folder" in make.err


@pytest.mark.parametrize(
    ("name", "kind", "file"),
    [
        ("test_other", "names", "LibriSpeech/test-other.biasing_100.tsv"),
        ("test_so762", "words", "so762_adults/biasing_100.test.tsv"),
        ("test_kathleen", "names", "arctic_kathleen/biasing_names.test.tsv"),
        ("test_kathleen", "words", "arctic_kathleen/biasing_100.test.tsv"),
    ],
)
def test_pooled_takes_the_lists_of_each_corpus(make, tmp_path, name, kind, file):
    given = published(tmp_path / "speech" / file, {"a-1": ["STEELS"]})
    options = ("--kind", kind, f"--lists={tmp_path / 'speech'}")
    assert make("pooled", *options, name=name) == given


@pytest.mark.parametrize("equals", [" ", "="])
def test_pooled_looks_for_lists_where_its_data_came_from(make, tmp_path, equals):
    file = "arctic_kathleen/biasing_names.test.tsv"
    given = published(tmp_path / "speech" / file, {"a-1": ["STEELS"]})
    options = {"data_opts": f"--seed 2 --speech{equals}{tmp_path / 'speech'} --x 1"}
    assert make("pooled", name="test_kathleen", **options) == given
    assert f"published in {tmp_path / 'speech' / file}" in make.out
    # What is said of the lists goes before.
    other = published(tmp_path / "own" / file, {"a-2": ["CAT"]})
    own = f"--lists={tmp_path / 'own'}"
    assert make("pooled", own, name="test_kathleen", **options) == other


@pytest.mark.parametrize("recipe", ["pooled", "librispeech"])
def test_a_folder_without_any_list_is_refused(make, tmp_path, recipe):
    (tmp_path / "nothing").mkdir()
    make(recipe, f"--lists={tmp_path / 'nothing'}", name="test_other", code=1)
    assert f"--lists {tmp_path / 'nothing'}: " in make.err
    if recipe == "pooled":  # a default may be without
        assert make(recipe, name="test_other", data=tmp_path / "nothing")


def test_held_out_names_of_pooled_have_names_for_distractors(make, tmp_path):
    names = tmp_path / "data" / "tune_names" / "names"
    names.parent.mkdir(parents=True)
    names.write_text("STEELS\nHAWAII\n")
    (tmp_path / "data" / "local").mkdir()
    others = [f"N{c}X" for c in "ABCDEFGHIJ"]
    (tmp_path / "data" / "local" / "names").write_text("\n".join([*others, ""]))
    made = make("pooled", name="tune_names", number=5)
    assert true_of(made) == UNSEEN
    assert all(distractors(one) <= set(others) for one in made.values())


@pytest.fixture(scope="module")
def test_other(dynlook_data):
    """Return the transcripts as LibriSpeech has them, and the public lists."""
    folder = dynlook_data / "LibriSpeech"
    texts = {}
    for path in folder.glob("test-other/*/*/*.trans.txt"):
        texts |= dict(line.split(" ", 1) for line in path.read_text().splitlines())
    return texts, read_lists(folder / "test-other.biasing_100.tsv")


def test_public_lists_fit_the_real_transcripts(make, test_other, dynlook_data):
    texts, given = test_other
    where = {"name": "test_other", "texts": texts, "data": dynlook_data}
    for recipe in ("librispeech", "pooled"):
        made = make(recipe, number=100, **where)
        assert {utt: one.text for utt, one in made.items()} == texts
        for utt, one in made.items():
            assert [p.lower() for p in one.true] == list(given[utt].true)
            assert [p.lower() for p in one.phrases] == list(given[utt].phrases)
            assert all(p.isupper() for p in one.phrases)
    made = make("librispeech", number=2000, **where)
    for utt, one in made.items():
        assert {p.lower() for p in one.true} == set(given[utt].true)
        assert len(distractors(one)) == 2000
