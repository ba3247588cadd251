"""Reading text and dividing corpora."""

from pathlib import Path

import pytest

from espnet_dynlook.recipe.corpus import (
    CorpusError,
    Recording,
    hold_out,
    normalize_text,
    split_off,
    write_sets,
)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("Author of the danger trail, Philip Steels, etc.", None),
        ("a rifle-shot beyond the ridge", "A RIFLE SHOT BEYOND THE RIDGE"),
        ("God bless 'em, I hope", "GOD BLESS 'EM I HOPE"),
        ("the dogs' bowls; it's theirs", "THE DOGS' BOWLS IT'S THEIRS"),
        ("he said 'not now' twice", "HE SAID NOT NOW TWICE"),
        ("O’Brien – and  Zoë!", "O'BRIEN AND ZOE"),
        ("  ' ... ", ""),
    ],
)
def test_normalize_text(written, words):
    if words is None:
        words = "AUTHOR OF THE DANGER TRAIL PHILIP STEELS ETC"
    assert normalize_text(written) == words
    assert normalize_text(words) == words


@pytest.mark.parametrize("written", ["in 1908", "a & b", "привет"])
def test_what_nobody_can_read_is_an_error(written):
    with pytest.raises(ValueError, match="spell it out"):
        normalize_text(written)


def test_hold_out_depends_on_seed_and_names_only():
    names = [f"p{n}" for n in range(100)]
    held = hold_out(names, 0.1, seed=1)
    assert len(held) == 10
    assert held == hold_out(reversed(names * 2), 0.1, seed=1)
    assert held != hold_out(names, 0.1, seed=2)


def test_hold_out_leaves_and_takes_at_least_one():
    assert len(hold_out("ab", 0.01, seed=1)) == 1
    assert len(hold_out("ab", 0.99, seed=1)) == 1
    with pytest.raises(ValueError, match="1 group"):
        hold_out("a", 0.5, seed=1)


def recording(utt, group):
    return Recording(utt, "s", Path("/x.wav"), "WORD", group)


def test_split_never_divides_a_group():
    recordings = [recording(f"{g}-{n}", g) for g in "abcdefghij" for n in range(3)]
    kept, held = split_off(recordings, 0.3, seed=4)
    assert len(held) == 9
    assert not {r.group for r in kept} & {r.group for r in held}
    assert sorted(r.utt for r in kept + held) == sorted(r.utt for r in recordings)


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ({"train": [recording("a", "a")], "test": []}, "no utterance is left"),
        ({"train": [recording("a", "a")], "test": [recording("a", "b")]}, "a occurs"),
        (
            {"train": [recording("a", "a"), recording("a", "b")]},
            "in train and in train",
        ),
    ],
)
def test_leaks_and_empty_sets_write_nothing(tmp_path, sets, message):
    with pytest.raises(CorpusError, match=message):
        write_sets(tmp_path / "data", sets)
    assert not (tmp_path / "data").exists()
