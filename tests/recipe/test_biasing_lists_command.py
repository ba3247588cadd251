"""Lists of names made from transcripts: what is true, and which distractors."""

import csv
import random

import pytest

from espnet_dynlook.biasing.lists import read_lists
from espnet_dynlook.recipe import biasing_lists
from espnet_dynlook.recipe.biasing_lists import (
    draw,
    listed_phrases,
    make_lists,
    rare_words,
)
from espnet_dynlook.recipe.data_dir import DataError

TEXTS = {
    "amy-1": "THE CAT MET STEELS",
    "amy-2": "THE CAT SAT",
    "bob-1": "IN NEW YORK THE CAT MET YORK",
}
COMMON = {"THE", "CAT", "MET", "SAT", "IN", "NEW"}
POOL = [f"W{a}{b}" for a in "ABCDEFGH" for b in "XYZ"] + ["STEELS", "THE CAT"]


def table(path, entries):
    path.write_text("".join(f"{key} {text}\n" for key, text in entries.items()))
    return str(path)


def run(folder, *arguments):
    """Run the command and return its lists."""
    output = folder / "lists.tsv"
    texts = table(folder / "text", TEXTS)
    status = biasing_lists.main(["--text", texts, "--output", f"{output}", *arguments])
    return read_lists(output) if status == 0 else status


def test_true_phrases_are_said_and_distractors_are_not():
    lists = make_lists(TEXTS, rare_words(COMMON), POOL, 10)
    assert [one.true for one in lists.values()] == [("STEELS",), (), ("YORK",)]
    for utt, one in lists.items():
        distractors = set(one.phrases) - set(one.true)
        assert len(distractors) == 10 and len(one.phrases) == 10 + len(one.true)
        assert not any(f" {d} " in f" {TEXTS[utt]} " for d in distractors)
        assert one.phrases == tuple(sorted(one.phrases))


def test_phrases_of_a_list_are_found_whole_the_longest_first():
    find = listed_phrases(["NEW YORK", "YORK", "MET STEELS NOW"])
    assert find(TEXTS["bob-1"]) == {"NEW YORK", "YORK"}
    assert find("IN NEW YORK") == {"NEW YORK"}
    assert find(TEXTS["amy-1"]) == set()


def test_seed_decides_and_order_does_not():
    rng = random.Random(1)
    first = make_lists(TEXTS, rare_words(COMMON), POOL, 8, seed=3)
    for _ in range(10):
        order = rng.sample(sorted(TEXTS), 2)  # other utterances do not matter
        pool = rng.sample(POOL, len(POOL)) + POOL[:5]
        again = make_lists(
            {utt: TEXTS[utt] for utt in order}, rare_words(COMMON), pool, 8, seed=3
        )
        assert list(again) == order
        assert again == {utt: first[utt] for utt in order}
    assert make_lists(TEXTS, rare_words(COMMON), POOL, 8, seed=4) != first


def test_longer_lists_begin_with_the_shorter_ones():
    rng = random.Random(2)
    for trial in range(50):
        pool = sorted({f"w{rng.randrange(300)}" for _ in range(200)})
        long = draw(pool, trial, "utt", "w1 w2", len(pool) - 2)
        assert len(set(long)) == len(pool) - 2
        for number in (0, 1, 10):
            assert draw(pool, trial, "utt", "w1 w2", number) == long[:number]


def test_distractors_are_drawn_evenly():
    pool = [f"{i:02}" for i in range(20)]
    counts = dict.fromkeys(pool, 0)
    for i in range(2000):
        for phrase in draw(pool, 0, f"utt-{i}", "", 5):
            counts[phrase] += 1
    assert all(abs(count - 500) < 100 for count in counts.values()), counts


def test_without_true_has_the_same_distractors():
    for number in (0, 10):
        having = make_lists(TEXTS, rare_words(COMMON), POOL, number)
        lacking = make_lists(TEXTS, rare_words(COMMON), POOL, number, without_true=True)
        for utt, one in lacking.items():
            assert one.true == () and len(one.phrases) == number
            assert set(one.phrases) == set(having[utt].phrases) - set(having[utt].true)


def test_small_pool_is_an_error_that_says_so(tmp_path, capsys):
    with pytest.raises(DataError, match="amy-1: 30 distractors of a pool with 24"):
        make_lists(TEXTS, rare_words(COMMON), POOL, 30)
    pool = tmp_path / "pool"
    pool.write_text("WA\nWB\n")
    common = tmp_path / "common"
    common.write_text("THE\n")
    assert run(tmp_path, "--common", f"{common}", "--pool", f"{pool}") == 1
    assert "give a larger --pool or fewer --distractors" in capsys.readouterr().err


def test_rare_words_by_rank_and_by_count(tmp_path):
    train = {"u1": "THE CAT MET THE CAT", "u2": "THE DOG MET YORK IN NEW", "u3": "X Y"}
    text = table(tmp_path / "train", train)
    options = ["--train_text", text, "--distractors", "2"]
    by_rank = run(tmp_path, *options, "--common_words", "3")  # THE, CAT, MET
    assert by_rank["bob-1"].true == ("IN", "NEW", "YORK")
    assert by_rank["amy-1"].true == ("STEELS",)
    unseen = run(tmp_path, *options, "--max_count", "0", "--distractors", "1")
    assert [one.true for one in unseen.values()] == [("STEELS",), ("SAT",), ()]
    once = run(tmp_path, *options, "--max_count", "1")
    assert once["bob-1"].true == ("IN", "NEW", "YORK")


def test_lists_of_phrases_take_the_case_of_the_transcripts(tmp_path):
    phrases = tmp_path / "phrases"
    phrases.write_text("# places\nNew York\t2.0\nsteels\nBob\nJean-Luc\nR2D2\n")
    lists = run(tmp_path, "--phrases", f"{phrases}", "--distractors", "1")
    assert [one.true for one in lists.values()] == [("STEELS",), (), ("NEW YORK",)]
    possible = {"STEELS", "NEW YORK", "BOB", "JEAN LUC"}  # nobody can say R2D2
    for one in lists.values():
        assert len(one.phrases) == len(one.true) + 1
        assert set(one.phrases) <= possible


def test_names_come_from_capitals_and_not_from_training(tmp_path):
    cased = {
        "amy-1": "The cat met Steels.",
        "bob-1": "In New York the cat met York.",
        "x": "I met Bob, Ann and Joe Brown.",
    }
    text = table(tmp_path / "cased", cased)
    options = ["--cased_text", text, "--distractors", "1"]
    lists = run(tmp_path, *options)
    assert [one.true for one in lists.values()] == [
        ("STEELS",),
        (),
        ("NEW YORK", "YORK"),
    ]
    train = table(tmp_path / "train", {"u": "STEELS IN YORK"})
    rare = run(tmp_path, *options, "--train_text", train, "--max_count", "0")
    assert [one.true for one in rare.values()] == [(), (), ("NEW YORK",)]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "what is true is not said"),
        (["--common", "a", "--phrases", "b"], "--common and --phrases: one of them"),
        (["--common", "a", "--train_text", "b"], "--train_text has no part"),
        (["--cased_text", "a", "--max_count", "1"], "--train_text and --max_count go"),
        (["--common", "a", "--max_count", "1"], "--max_count counts in --train_text"),
        (["--train_text", "a", "--distractors", "-1"], "--distractors -1: must be 0"),
        (["--common", "missing"], "missing: "),
        (["--train_text", "missing"], "missing: the file does not exist"),
    ],
)
def test_faulty_options_are_named(tmp_path, capsys, arguments, message):
    assert run(tmp_path, *arguments) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "lists.tsv").exists()


def test_command_says_what_it_made(tmp_path, capsys):
    pool = tmp_path / "pool"
    pool.write_text("".join(f"{word}\n" for word in POOL))
    common = tmp_path / "common"
    common.write_text("".join(f"{word.lower()}\n" for word in COMMON))
    run(tmp_path, "--common", f"{common}", "--pool", f"{pool}", "--distractors", "9")
    assert capsys.readouterr().out.endswith(
        "3 utterances, 2 true phrases of 2 types, 9.7 phrases a list\n"
    )


def text_of(lists, path):
    return table(path, {utt: one.text for utt, one in lists.items()})


def test_published_rare_words_give_the_published_true_words(dynlook_data, tmp_path):
    folder = dynlook_data / "lists"
    published = read_lists(folder / "fbai_test-other.biasing_100.tsv.gz")
    chosen = dict(list(published.items())[:200])
    output = tmp_path / "lists.tsv"
    for number in ("0", "1000"):
        assert 0 == biasing_lists.main(
            [
                *("--text", text_of(chosen, tmp_path / "text")),
                *("--common", f"{folder}/fbai_common_words_5k.txt.gz"),
                *("--pool", f"{folder}/fbai_all_rare_words.txt.gz"),
                *("--distractors", number, "--output", f"{output}"),
            ]
        )
        lists = read_lists(output)
        assert list(lists) == list(chosen)
        for utt, one in lists.items():
            assert one.text == published[utt].text
            assert one.true == published[utt].true
            assert len(one.phrases) == len(one.true) + int(number)


def test_words_unseen_in_training_give_the_true_words(dynlook_data, tmp_path):
    folder = dynlook_data / "arctic_kathleen"
    published = read_lists(folder / "biasing_100.test.tsv")
    with (folder / "metadata.tsv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    train = {row["utt"]: row["text"] for row in rows if row["split"] == "train"}
    output = tmp_path / "lists.tsv"
    assert 0 == biasing_lists.main(
        [
            *("--text", text_of(published, tmp_path / "text")),
            *("--train_text", table(tmp_path / "train", train), "--max_count", "0"),
            *("--distractors", "50", "--output", f"{output}"),
        ]
    )
    lists = read_lists(output)
    assert {u: set(one.true) for u, one in lists.items()} == {
        u: set(one.true) for u, one in published.items()
    }


def test_names_of_written_prompts_are_found(dynlook_data, tmp_path):
    """The published ones also come from capitals, with a list of exceptions by hand."""
    folder = dynlook_data / "arctic_kathleen"
    published = read_lists(folder / "biasing_names.test.tsv")
    with (folder / "metadata.tsv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    cased = {row["utt"]: row["raw_text"] for row in rows}
    output = tmp_path / "lists.tsv"
    assert 0 == biasing_lists.main(
        [
            *("--text", text_of(published, tmp_path / "text")),
            *("--cased_text", table(tmp_path / "cased", cased)),
            *("--distractors", "50", "--output", f"{output}"),
        ]
    )
    expected = {word for one in published.values() for word in one.true}
    made = read_lists(output).values()
    found = {word for one in made for name in one.true for word in name.split()}
    assert len(expected & found) >= 0.85 * len(expected)
