"""Lists of a recipe's set: nested, seeded, filled, and published ones as they are."""

import gzip

import pytest

from espnet_dynlook.biasing.lists import BiasingList, format_lists, read_lists
from espnet_dynlook.recipe import set_lists

TEXTS = {"amy-1": "THE CAT MET STEELS", "amy-2": "THE CAT SAT", "bob-1": "YORK SAT"}
TRAIN = {f"u{n}": f"THE CAT MET SAT W{chr(65 + n)}X" for n in range(12)}


def table(path, entries):
    path.write_text("".join(f"{key} {text}\n" for key, text in entries.items()))
    return str(path)


def run(folder, number, *arguments, texts=TEXTS):
    """Run the command; return its lists, or what main returned."""
    output = folder / "out" / "lists.tsv"
    text = table(folder / "text", texts)
    code = set_lists.main(
        [
            *("--text", text, "--output", str(output)),
            *("--distractors", str(number), *arguments),
        ]
    )
    return code or read_lists(output)


def by_frequency(folder):
    return ["--train_text", table(folder / "train", TRAIN), "--max_count", "1"]


def distractors(one):
    return set(one.phrases) - set(one.true)


def test_sizes_are_nested_and_the_same_things_are_true(tmp_path):
    options = by_frequency(tmp_path)
    alone, small, large = (run(tmp_path, n, *options) for n in (0, 5, 8))
    lacking = run(tmp_path, 5, *options, "--without_true")
    assert small["amy-1"].true == ("STEELS",)
    for utt in TEXTS:
        assert alone[utt].phrases == alone[utt].true == small[utt].true
        assert large[utt].true == small[utt].true
        assert len(distractors(small[utt])) == 5
        assert distractors(small[utt]) < distractors(large[utt])
        assert lacking[utt].true == ()
        assert set(lacking[utt].phrases) == distractors(small[utt])


def test_seed_decides(tmp_path):
    options = by_frequency(tmp_path)
    first = run(tmp_path, 5, *options, "--seed", "3")
    assert run(tmp_path, 5, *options, "--seed", "3") == first
    assert run(tmp_path, 5, *options, "--seed", "4") != first


def test_small_pools_are_filled_from_a_dictionary(tmp_path, capsys):
    made = run(tmp_path, 300, *by_frequency(tmp_path))
    assert "the pool has 14 phrases: words of CMUdict are added" in (
        capsys.readouterr().out
    )
    for utt, one in made.items():
        assert len(distractors(one)) == 300
        assert all(p.isupper() and p.replace("'", "").isalpha() for p in one.phrases)
        assert not distractors(one) & set(TEXTS[utt].split())


def test_training_text_is_not_read_where_phrases_say_what_is_true(tmp_path):
    phrases = tmp_path / "phrases"
    phrases.write_text("York\nCat\nP\nQ\n")
    options = ["--train_text", table(tmp_path / "train", TRAIN)]
    made = run(tmp_path, 1, *options, "--phrases", str(phrases))
    assert [one.true for one in made.values()] == [("CAT",), ("CAT",), ("YORK",)]


@pytest.mark.parametrize("packed", [True, False])
def test_published_lists_are_given_out_as_they_are(tmp_path, packed):
    given = {
        "amy-1": BiasingList(TEXTS["amy-1"], ("CAT",), ("CAT", "P", "Q")),
        "bob-1": BiasingList(TEXTS["bob-1"], ("YORK",), ("R", "S", "YORK")),
        "not-1": BiasingList("ELSE", (), ("T", "U", "V", "W", "X", "Y", "Z")),
        "amy-2": BiasingList(TEXTS["amy-2"], (), ("P", "S")),
    }
    content = format_lists(given).encode()
    path = tmp_path / ("lists.tsv.gz" if packed else "lists.tsv")
    path.write_bytes(gzip.compress(content) if packed else content)
    pool = tmp_path / "pool"
    pool.write_text("".join(f"{letter * 3}\n" for letter in "ABCDEFGHIJ"))
    options = ["--published", str(path), "--pool", str(pool)]
    assert run(tmp_path, 2, *options) == {utt: given[utt] for utt in TEXTS}
    lacking = run(tmp_path, 2, *options, "--without_true")
    others = (run(tmp_path, 4, *options), run(tmp_path, 2, *options, "--seed", "1"))
    for utt in TEXTS:
        assert set(lacking[utt].phrases) == distractors(given[utt])
        for made, number in zip(others, (4, 2), strict=True):
            assert made[utt].true == given[utt].true
            assert len(distractors(made[utt])) == number
            assert distractors(made[utt]) <= {letter * 3 for letter in "ABCDEFGHIJ"}


def test_published_lists_in_another_case_are_spelled_as_the_set_is(tmp_path):
    given = {
        "amy-1": BiasingList("the cat met Steels", ("Steels",), ("Steels", "p", "q’s")),
        "amy-2": BiasingList("the cat’s sat", (), ("P", "p", "zoë")),
        "bob-1": BiasingList("york sat", ("york",), ("p", "r", "york")),
    }
    path = tmp_path / "lists.tsv"
    texts = TEXTS | {"amy-2": "THE CAT'S SAT"}
    path.write_text(format_lists(given))
    made = run(tmp_path, 2, "--published", str(path), texts=texts)
    assert {utt: one.text for utt, one in made.items()} == texts
    assert made["amy-1"].true == ("STEELS",)
    assert made["amy-1"].phrases == ("STEELS", "P", "Q'S")
    assert made["amy-2"].phrases == ("P", "ZOE")
    for utt, one in run(tmp_path, 3, "--published", str(path), texts=texts).items():
        assert one.true == made[utt].true and one.text == texts[utt]
        assert len(distractors(one)) == 3 and all(p.isupper() for p in one.phrases)
        assert not distractors(one) & set(texts[utt].split())


def test_published_lists_of_another_set_are_refused(tmp_path, capsys):
    path = tmp_path / "lists.tsv"
    other = {"amy-1": BiasingList("OTHER", (), ()), "bob-1": BiasingList("X", (), ())}
    path.write_text(format_lists(other))
    assert run(tmp_path, 1, "--published", str(path)) == 1
    error = capsys.readouterr().err
    assert f"{path}: no list of amy-2" in error
    assert "amy-1 says 'OTHER', and the set 'THE CAT MET STEELS'" in error
    assert run(tmp_path, 1, "--published", f"{path}.gone") == 1
    assert "lists.tsv.gone: " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_published_lists_without_a_phrase_are_refused(tmp_path, capsys):
    path = tmp_path / "lists.tsv"
    path.write_text(format_lists({u: BiasingList(t, (), ()) for u, t in TEXTS.items()}))
    assert run(tmp_path, 0, "--published", str(path)) == 1
    assert f"--published {path}: no phrase in any list" in capsys.readouterr().err


def test_what_lists_are_made_of_is_said(tmp_path, capsys):
    phrases, pool = tmp_path / "phrases", tmp_path / "pool"
    phrases.write_text("York\nCat\nP\n")
    pool.write_text("K\nL\nM\n")
    rare = "true: words that training says 1 times at most; distractors: "
    run(tmp_path, 1, *by_frequency(tmp_path))
    said = capsys.readouterr().out
    assert f"{rare}such words of training and of the set (14 phrases)\n" in said
    for options, message in (
        ((), f"phrases of {phrases}; distractors: the same phrases (3 phrases)"),
        (("--pool", str(pool)), f"distractors: {pool} (3 phrases)"),
    ):
        run(tmp_path, 1, "--phrases", str(phrases), *options)
        assert message in capsys.readouterr().out
    path = tmp_path / "lists.tsv"
    path.write_text(
        format_lists({u: BiasingList(t, (), ("P", "Q")) for u, t in TEXTS.items()})
    )
    run(tmp_path, 2, "--published", str(path))
    assert f"lists as they are published in {path}" in capsys.readouterr().out
    run(tmp_path, 1, "--published", str(path))
    assert f"distractors: {path} (2 phrases)" in capsys.readouterr().out


def test_options_that_say_nothing_are_refused(tmp_path, capsys):
    assert run(tmp_path, 1) == 1
    assert "what is true is not said" in capsys.readouterr().err


def test_real_lists_grow_around_what_is_published(dynlook_data, tmp_path):
    path = dynlook_data / "arctic_kathleen" / "biasing_names.test.tsv"
    given = read_lists(path)
    texts = {utt: one.text for utt, one in list(given.items())[:30]}
    options = ["--published", str(path)]
    assert run(tmp_path, 100, *options, texts=texts) == {u: given[u] for u in texts}
    for utt, one in run(tmp_path, 1000, *options, texts=texts).items():
        assert set(one.true) == set(given[utt].true)
        assert len(distractors(one)) == 1000
