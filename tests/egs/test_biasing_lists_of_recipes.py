"""local/biasing_lists.sh of the recipes: which lists a set gets."""

import gzip
import os
import subprocess
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


def table(path, entries):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{key} {text}\n" for key, text in entries.items()))
    return str(path)


@pytest.fixture
def make(tmp_path):
    """Return a function that runs a recipe's script, and returns lists by their end."""

    def start(recipe, *before, name="test", sizes="0 3", texts=TEXTS, code=0, data=""):
        for link in ("local", "path.sh", "utils"):
            if not (tmp_path / link).exists():
                (tmp_path / link).symlink_to(EGS / recipe / "asr1" / link)
        done = subprocess.run(
            [
                *("local/biasing_lists.sh", *before, name),
                *("--text", table(tmp_path / "dump" / name / "text", texts)),
                *("--train_text", table(tmp_path / "dump" / "train" / "text", TRAIN)),
                *("--prefix", f"lists/{name}", "--sizes", sizes),
            ],
            cwd=tmp_path,
            env=os.environ | {"DYNLOOK_DATA": str(data)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stderr
        start.err = done.stderr
        files = (tmp_path / "lists").glob(f"{name}.*.tsv")
        return {f.name.removeprefix(f"{name}."): read_lists(f) for f in files}

    return start


def true_of(lists):
    return [set(one.true) for one in lists.values()]


def published(path, true, texts=TEXTS, distractors=("P", "Q", "R")):
    """Write lists in the benchmark's format; ``true`` by utterance."""
    lists = {}
    for utt, text in texts.items():
        said = tuple(true.get(utt, ()))
        lists[utt] = BiasingList(text, said, (*said, *distractors))
    content = format_lists(lists).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return lists


def test_names_of_arctic_are_those_that_training_never_says(make, tmp_path):
    table(tmp_path / "data" / "test" / "text_cased", CASED)
    made = make("arctic")
    assert true_of(made["3.tsv"]) == [{"STEELS"}, set(), {"HAWAII"}]
    assert true_of(made["3.without.tsv"]) == [set()] * 3
    made = make("arctic", "--kind", "words")
    assert true_of(made["3.tsv"]) == [{"STEELS"}, set(), {"HAWAII"}]
    make("arctic", "--kind", "verbs", code=2)
    assert "--kind verbs: must be names or words" in make.err


def test_words_of_an4_come_with_a_dictionary(make):
    made = make("an4", sizes="30")
    assert true_of(made["30.tsv"])[1] == {"THE", "CAT", "SAT"}
    assert all(len(set(o.phrases) - set(o.true)) == 30 for o in made["30.tsv"].values())


@pytest.mark.parametrize("layout", ["benchmark", "flat"])
def test_librispeech_has_published_lists_for_its_sets(make, tmp_path, layout):
    lists = tmp_path / "benchmark"
    words, ref, ending = lists / "words", lists / "ref", ""
    if layout == "flat":
        words = ref = lists = tmp_path / "data" / "lists"
    before = "fbai_" if layout == "flat" else ""
    ending = ".gz" if layout == "flat" else ""
    given = published(
        ref / f"{before}test-other.biasing_100.tsv{ending}", {"a-1": ["STEELS"]}
    )
    for name, content in (
        ("common_words_5k.txt", "the\ncat\nsat\nin\nthey\nmet\n"),
        ("all_rare_words.txt", "".join(f"rare{c}\n" for c in "abcdefghijkl")),
    ):
        words.mkdir(exist_ok=True)
        path = words / f"{before}{name}{ending}"
        path.write_bytes(gzip.compress(content.encode()) if ending else b"")
        if not ending:
            path.write_text(content)
    options = [] if layout == "flat" else ["--lists", str(lists)]
    data = tmp_path / "data" if layout == "flat" else ""
    made = make("librispeech", *options, name="test_other", sizes="3 5", data=data)
    assert made["3.tsv"] == given
    assert true_of(made["5.tsv"]) == [{"STEELS"}, set(), set()]
    assert set(made["5.tsv"]["a-2"].phrases) <= {f"RARE{c}" for c in "ABCDEFGHIJKL"}
    made = make("librispeech", *options, name="dev", data=data)
    assert true_of(made["3.tsv"]) == [{"PHILIP", "STEELS"}, set(), {"HAWAII"}]


def test_librispeech_without_lists_goes_by_frequency(make, tmp_path):
    made = make("librispeech", name="test_other")
    assert true_of(made["3.tsv"]) == [{"STEELS"}, set(), {"HAWAII"}]
    make("librispeech", "--lists", str(tmp_path / "none"), code=1)
    assert "none: no such folder" in make.err


def test_pooled_takes_the_lists_of_each_corpus(make, tmp_path):
    for name, path in (
        ("test_other", "LibriSpeech/test-other.biasing_100.tsv"),
        ("test_so762", "so762_adults/biasing_100.test.tsv"),
        ("test_kathleen", "arctic_kathleen/biasing_names.test.tsv"),
    ):
        given = published(tmp_path / "speech" / path, {"a-1": ["STEELS"]})
        made = make("pooled", name=name, data=tmp_path / "speech")
        assert made["3.tsv"] == given
    given = published(
        tmp_path / "speech/arctic_kathleen/biasing_100.test.tsv", {"a-2": ["CAT"]}
    )
    options = ("--kind", "words", "--lists", str(tmp_path / "speech"))
    made = make("pooled", *options, name="test_kathleen")
    assert made["3.tsv"] == given


def test_held_out_names_of_pooled_have_names_for_distractors(make, tmp_path):
    names = tmp_path / "data" / "tune_names" / "names"
    names.parent.mkdir(parents=True)
    names.write_text("STEELS\nHAWAII\n")
    (tmp_path / "data" / "local").mkdir()
    others = [f"N{c}X" for c in "ABCDEFGHIJ"]
    (tmp_path / "data" / "local" / "names").write_text("\n".join([*others, ""]))
    made = make("pooled", name="tune_names", sizes="5")
    assert true_of(made["5.tsv"]) == [{"STEELS"}, set(), {"HAWAII"}]
    for one in made["5.tsv"].values():
        assert set(one.phrases) - set(one.true) <= set(others)


def test_published_lists_fit_the_real_sets(make, dynlook_data):
    path = dynlook_data / "LibriSpeech" / "test-other.biasing_100.tsv"
    given = read_lists(path)
    texts = {utt: one.text for utt, one in given.items()}
    made = make(
        "librispeech",
        name="test_other",
        sizes="100 2000",
        texts=texts,
        data=dynlook_data,
    )
    assert made["100.tsv"] == given
    for utt, one in made["2000.tsv"].items():
        assert set(one.true) == set(given[utt].true)
        assert len(set(one.phrases) - set(one.true)) == 2000
