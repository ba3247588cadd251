"""Lists of a set at several sizes: nested, seeded, and published ones as they are."""

import gzip

import pytest

from espnet_dynlook.biasing.lists import BiasingList, format_lists, read_lists
from espnet_dynlook.recipe import biasing_sets

TEXTS = {"amy-1": "THE CAT MET STEELS", "amy-2": "THE CAT SAT", "bob-1": "YORK SAT"}
TRAIN = {f"u{n}": f"THE CAT MET SAT W{chr(65 + n)}X" for n in range(12)}


def table(path, entries):
    path.write_text("".join(f"{key} {text}\n" for key, text in entries.items()))
    return str(path)


def run(folder, *arguments, texts=TEXTS):
    """Run the command; return its lists by the end of their names."""
    prefix = folder / "lists" / "test"
    text = table(folder / "text", texts)
    code = biasing_sets.main(["--text", text, "--prefix", str(prefix), *arguments])
    if code:
        return code
    files = (folder / "lists").glob("test.*.tsv")
    return {f.name.removeprefix("test."): read_lists(f) for f in files}


def by_frequency(folder):
    return ["--train_text", table(folder / "train", TRAIN), "--max_count", "1"]


def distractors(one):
    return set(one.phrases) - set(one.true)


def test_sizes_are_nested_and_the_same_things_are_true(tmp_path):
    made = run(tmp_path, *by_frequency(tmp_path), "--sizes", "0 5 8")
    assert set(made) == {
        *("0.tsv", "5.tsv", "8.tsv", "5.without.tsv", "8.without.tsv"),
    }
    for utt in TEXTS:
        true = made["0.tsv"][utt].true
        assert made["0.tsv"][utt].phrases == true
        for size in (5, 8):
            with_true = made[f"{size}.tsv"][utt]
            assert with_true.true == true
            assert len(distractors(with_true)) == size
            lacking = made[f"{size}.without.tsv"][utt]
            assert set(lacking.phrases) == distractors(with_true)
            assert lacking.true == ()
        small, large = (distractors(made[f"{n}.tsv"][utt]) for n in (5, 8))
        assert small < large
    assert made["5.tsv"]["amy-1"].true == ("STEELS",)


def test_seed_decides(tmp_path):
    options = [*by_frequency(tmp_path), "--sizes", "5"]
    first = run(tmp_path, *options, "--seed", "3")
    assert run(tmp_path, *options, "--seed", "3") == first
    assert run(tmp_path, *options, "--seed", "4") != first


def test_small_pools_are_filled_from_a_dictionary(tmp_path, capsys):
    made = run(tmp_path, *by_frequency(tmp_path), "--sizes", "300")
    assert "the pool has 14 phrases: words of CMUdict are added" in (
        capsys.readouterr().out
    )
    for utt, one in made["300.tsv"].items():
        assert len(distractors(one)) == 300
        assert all(p.isupper() and p.replace("'", "").isalpha() for p in one.phrases)
        assert not distractors(one) & set(TEXTS[utt].split())


@pytest.mark.parametrize("packed", [True, False])
def test_published_lists_are_given_out_as_they_are(tmp_path, packed):
    given = {
        "amy-1": BiasingList(TEXTS["amy-1"], ("CAT",), ("CAT", "P", "Q")),
        "bob-1": BiasingList(TEXTS["bob-1"], ("YORK",), ("R", "S", "YORK")),
        "not-1": BiasingList("ELSE", (), ("T", "U")),
        "amy-2": BiasingList(TEXTS["amy-2"], (), ("P", "S")),
    }
    content = format_lists(given).encode()
    path = tmp_path / ("lists.tsv.gz" if packed else "lists.tsv")
    path.write_bytes(gzip.compress(content) if packed else content)
    made = run(tmp_path, "--published", str(path), "--sizes", "0 2 4")
    assert made["2.tsv"] == {utt: given[utt] for utt in TEXTS}
    for utt in TEXTS:
        assert made["0.tsv"][utt].phrases == given[utt].true
        assert made["4.tsv"][utt].true == given[utt].true
        assert len(distractors(made["4.tsv"][utt])) == 4


def test_published_lists_of_another_set_are_refused(tmp_path, capsys):
    path = tmp_path / "lists.tsv"
    other = {"amy-1": BiasingList("OTHER", (), ()), "bob-1": BiasingList("X", (), ())}
    path.write_text(format_lists(other))
    assert run(tmp_path, "--published", str(path)) == 1
    error = capsys.readouterr().err
    assert f"{path}: no list of amy-2" in error
    assert "amy-1 says 'OTHER', and the set 'THE CAT MET STEELS'" in error


@pytest.mark.parametrize("sizes", ["", "a", "1 -2", "100,500"])
def test_sizes_are_numbers(tmp_path, capsys, sizes):
    assert run(tmp_path, *by_frequency(tmp_path), "--sizes", sizes) == 1
    assert f"--sizes {sizes!r}: must be numbers" in capsys.readouterr().err
    assert not (tmp_path / "lists").exists()


def test_real_lists_grow_around_what_is_published(dynlook_data, tmp_path):
    folder = dynlook_data / "arctic_kathleen"
    path = folder / "biasing_names.test.tsv"
    given = read_lists(path)
    texts = {utt: one.text for utt, one in list(given.items())[:30]}
    made = run(tmp_path, "--published", str(path), "--sizes", "100 1000", texts=texts)
    assert made["100.tsv"] == {utt: given[utt] for utt in texts}
    for utt, one in made["1000.tsv"].items():
        assert set(one.true) == set(given[utt].true)
        assert len(distractors(one)) == 1000
