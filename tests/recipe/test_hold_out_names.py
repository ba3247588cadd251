"""Names held out of training: disjoint, seeded, with every utterance of a prompt."""

import csv
import itertools
import random

import pytest

from espnet_dynlook.recipe import hold_out_names
from espnet_dynlook.recipe.data_dir import DataDir, read_data_dir
from espnet_dynlook.recipe.hold_out_names import (
    choose,
    divide,
    stem,
    stems,
    words_of_names,
)

TEXTS = {
    "amy-1": "THE CAT MET STEELS",
    "bob-1": "THE CAT MET STEELS",  # another reader of the same prompt
    "amy-2": "IT WAS STEELS'S CAT",
    "amy-3": "ANN SAW HAWAII",
    "bob-2": "HAWAII IS FAR",
    "amy-4": "THE CAT SAT",
}


def data_of(texts):
    return DataDir(
        wav=dict.fromkeys(texts, "x.wav"),
        text=dict(texts),
        utt2spk={utt: utt.split("-")[0] for utt in texts},
    )


def write_data(folder, texts):
    folder.mkdir(parents=True)
    (folder / "x.wav").touch()
    tables = {
        "wav.scp": dict.fromkeys(texts, f"{folder}/x.wav"),
        "text": texts,
        "utt2spk": {utt: utt.split("-")[0] for utt in texts},
    }
    for name, table in tables.items():
        lines = (f"{key} {table[key]}\n" for key in sorted(table))
        (folder / name).write_text("".join(lines))
    return folder


def run(folder, names, *options, texts=TEXTS):
    """Run the command; return both texts and the names, or what main returned."""
    source = folder / "in"
    if not source.exists():
        write_data(source, texts)
    (folder / "names").write_text("".join(f"{name}\n" for name in names))
    code = hold_out_names.main(
        [
            *("--in_dir", str(source), "--names", str(folder / "names")),
            *("--train_dir", str(folder / "train"), "--tune_dir", str(folder / "tune")),
            *options,
        ]
    )
    if code:
        return code
    train, tune = (read_data_dir(folder / name).text for name in ("train", "tune"))
    return train, tune, (folder / "tune" / "names").read_text().split()


def test_every_utterance_of_a_prompt_goes_and_possessives_too(tmp_path):
    train, tune, names = run(tmp_path, ["Philip Steels"], "--number", "1")
    assert set(tune) == {"amy-1", "bob-1", "amy-2"}
    assert train | tune == TEXTS
    assert names == ["STEELS", "STEELS'S"]


def test_parts_are_disjoint_in_names_and_prompts():
    rng = random.Random(1)
    words = [f"W{n}X" for n in range(40)]
    for trial in range(30):
        prompts = [" ".join(rng.choices(words, k=4)) for _ in range(60)]
        texts = {f"u-{n}": rng.choice(prompts) for n in range(120)}
        names = choose(texts.values(), words, 3, trial, 40)
        assert len(names) == 3
        train, tune = divide(data_of(texts), names)
        assert not set(train.text) & set(tune.text)
        assert train.text | tune.text == texts
        assert set(train.utt2spk) == set(train.wav) == set(train.text)
        assert not set(train.text.values()) & set(tune.text.values())
        assert not any(names & stems(text) for text in train.text.values())
        assert all(names & stems(text) for text in tune.text.values())


def test_seed_and_names_decide_and_order_does_not():
    rng = random.Random(2)
    words = [f"W{n}X" for n in range(50)]
    texts = [f"{a} {b}" for a, b in itertools.pairwise(words)]
    few = choose(texts, words, 5, 7, 40)
    for _ in range(10):
        again = choose(
            rng.sample(texts, len(texts)), rng.sample(words, len(words)), 5, 7, 40
        )
        assert again == few
    assert few < choose(texts, words, 9, 7, 40)
    assert few != choose(texts, words, 5, 8, 40)


def test_frequent_and_excluded_names_stay():
    texts = [*["ANN"] * 5, "BOB'S CAT", "CAM"]
    assert choose(texts, ["ANN", "BOB", "CAM"], 2, 1, 4) == {"BOB", "CAM"}
    assert choose(texts, ["ANN", "BOB", "CAM"], 2, 1, 5, ["CAM'S"]) == {"ANN", "BOB"}


def test_titles_and_initials_are_no_names():
    assert words_of_names(["Mr J Smith's", "Dr Who"]) == {"Smith", "Who"}
    assert [stem(w) for w in ("ANN'S", "ANN'", "'S", "IT'S")] == [
        "ANN",
        "ANN",
        "'S",
        "IT",
    ]


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (["STEELS"], ["--number", "2"], "the training set says 1 names"),
        (["NOBODY"], [], "says 0 names"),
        (["STEELS"], ["--number", "0"], "--number 0, --max_count 40: must be 1"),
        ([""], [], "no phrase in it"),
    ],
)
def test_faults_are_named_and_nothing_is_written(
    tmp_path, capsys, names, options, message
):
    assert run(tmp_path, names, *options) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "train").exists()
    assert not (tmp_path / "tune").exists()


def test_a_name_in_every_utterance_leaves_nothing(tmp_path, capsys):
    assert run(tmp_path, ["ANN"], "--number", "1", texts={"a-1": "ANN SAW"}) == 1
    assert "1 of 1 utterances say a held-out name" in capsys.readouterr().err


def test_names_by_capitals_of_real_prompts(dynlook_data, tmp_path):
    folder = dynlook_data / "arctic_kathleen"
    with (folder / "metadata.tsv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    texts = {r["utt"]: r["text"] for r in rows if r["split"] == "train"}
    test = [r["text"] for r in rows if r["split"] == "test"]
    source = write_data(tmp_path / "in", texts)
    cased = tmp_path / "cased"
    cased.write_text("".join(f"{r['utt']} {r['raw_text']}\n" for r in rows))
    excluded = tmp_path / "test"
    excluded.write_text("".join(f"t{n} {text}\n" for n, text in enumerate(test)))
    assert 0 == hold_out_names.main(
        [
            *("--in_dir", str(source), "--cased_text", str(cased), "--number", "15"),
            *("--exclude", str(excluded)),
            *("--train_dir", str(tmp_path / "train")),
            *("--tune_dir", str(tmp_path / "tune")),
        ]
    )
    train, tune = (read_data_dir(tmp_path / n).text for n in ("train", "tune"))
    assert train | tune == texts
    assert 15 <= len(tune) < 0.2 * len(texts)
    assert not set(train.values()) & set(tune.values())
    names = {stem(n) for n in (tmp_path / "tune" / "names").read_text().split()}
    assert len(names) == 15
    for other in (*train.values(), *test):
        assert not names & stems(other)
