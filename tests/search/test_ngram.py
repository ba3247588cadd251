"""N-gram language models: what ARPA files say, and how a search counts it."""

import math
import sys

import pytest
from ctc_beam_cases import BLANK, LETTERS, Asked, said, seeded, write_arpa

from espnet_dynlook.search import ngram
from espnet_dynlook.search.ctc_beam import CTCBeamSearch
from espnet_dynlook.search.ngram import ArpaModel, KenlmModel, NgramLM, load_ngram

ARPA = """
\\data\\
ngram 1=5
ngram 2=3
ngram 3=1

\\1-grams:
-1.5\t<unk>
-99\t<s>\t-0.5
-0.8\t</s>
-1.0\tone\t-0.25
-2.0\ttwo\t-0.125

\\2-grams:
-0.5\t<s> one\t-0.0625
-0.3\tone two\t-0.03125
-0.2\ttwo </s>

\\3-grams:
-0.1\t<s> one two

\\end\\
"""


@pytest.fixture
def model(tmp_path):
    (tmp_path / "lm.arpa").write_text(ARPA.lstrip())
    return ArpaModel(tmp_path / "lm.arpa")


def log10(model, words):
    state, found = model.begin(), []
    for word in words:
        score, state = model.score(state, word)
        found.append(score / math.log(10))
    return found


def test_the_longest_ngram_counts_else_its_back_off(model):
    assert log10(model, ["one", "two", "</s>"]) == pytest.approx([-0.5, -0.1, -0.23125])
    assert log10(model, ["two", "one"]) == pytest.approx([-0.5 - 2.0, -0.125 - 1.0])
    assert log10(model, ["one", "one", "two"]) == pytest.approx(
        [-0.5, -0.0625 - 0.25 - 1.0, -0.3]
    )


def test_unknown_words_are_unk(model):
    assert not model.knows("three")
    assert log10(model, ["three", "two"]) == pytest.approx([-0.5 - 1.5, -2.0])
    lm = NgramLM(model, unknown=-3.0)
    state = model.begin()
    assert lm.score(state, "three")[0] == pytest.approx(-2 * math.log(10) - 3.0)
    assert lm.score(state, "three")[1] == lm.score(state, "<unk>")[1]


def test_long_unknown_words_may_cost_more(model):
    lm = NgramLM(model, unknown=-3.0, unknown_length=-0.5)
    plain, state = NgramLM(model, unknown=-3.0), model.begin()
    for word in ("tre", "threeandtwo"):
        less = plain.score(state, word)[0] - lm.score(state, word)[0]
        assert less == pytest.approx(0.5 * len(word))
    assert lm.score(state, "two") == plain.score(state, "two")
    with pytest.raises(ValueError, match=r"unknown_length=-0.5 .* unit='token'"):
        NgramLM(model, unit="token", unknown_length=-0.5)


def test_known_words_come_out_of_an_unknown_one(model):
    """All unknown words are one to the n-gram, however many words are in them."""
    rows = said("one two", sure=0.05, others=[(3, {BLANK: 0.9})])

    def best(length, lm=model):
        lm = NgramLM(lm, 0.5, unknown=0.0, end=False, unknown_length=length)
        return CTCBeamSearch(LETTERS, 20, lm)(rows, None, 1)[0].text

    assert best(0.0) == "onetwo"
    assert best(-1.0) == best(-1.0, Asked(model)) == "one two"


@pytest.mark.parametrize("name", ["lm.arpa", "lm.arpa.gz"])
@pytest.mark.parametrize("order", [2, 3, 4])
def test_plain_reader_equals_kenlm(tmp_path, order, name):
    pytest.importorskip("kenlm")
    words = ["a", "b", "c"]
    path = tmp_path / name
    plain = write_arpa(path, words, seeded(order), order)
    own = KenlmModel(path)
    draw = seeded(0)
    for _ in range(200):
        text = [draw.choice([*words, "d"]) for _ in range(draw.randint(0, 6))]
        assert log10(own, [*text, "</s>"]) == pytest.approx(
            log10(plain, [*text, "</s>"]), abs=1e-4
        )
    assert own.knows("a") and not own.knows("d")
    rows = said("a b c a")
    found = [
        CTCBeamSearch(LETTERS, 10, NgramLM(one))(rows, None, 3) for one in (plain, own)
    ]
    assert [one.text for one in found[0]] == [one.text for one in found[1]]
    assert [one.score for one in found[0]] == pytest.approx(
        [one.score for one in found[1]], abs=1e-3
    )


def test_large_files_are_left_to_kenlm(tmp_path, monkeypatch):
    path = tmp_path / "lm.arpa"
    path.write_text(ARPA.lstrip())
    assert type(load_ngram(path)) is ArpaModel
    monkeypatch.setattr(ngram, "MOST_NGRAMS", 8)  # it has 9
    monkeypatch.setattr(ngram, "KenlmModel", lambda path: f"KenLM of {path.name}")
    monkeypatch.setitem(sys.modules, "kenlm", object())
    assert load_ngram(path) == "KenLM of lm.arpa"


def test_ngrams_without_their_beginning_are_read_as_before(tmp_path):
    """Pruning tools leave them; nothing can be at a state that is not there."""
    text = ARPA.lstrip().replace("-1.0\tone\t-0.25\n", "")
    path = tmp_path / "lm.arpa"
    path.write_text(text)
    rows = said("one two")
    for unit in ("word", "token"):
        found = [
            CTCBeamSearch(LETTERS, 10, NgramLM(model, unit=unit))(rows, None, 5)
            for model in (ArpaModel(path), Asked(ArpaModel(path)))
        ]
        assert [one.score for one in found[0]] == pytest.approx(
            [one.score for one in found[1]]
        )


def test_without_kenlm_arpa_is_read_and_binaries_are_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "kenlm", None)
    (tmp_path / "lm.arpa").write_text(ARPA.lstrip())
    assert type(load_ngram(tmp_path / "lm.arpa")) is ArpaModel
    (tmp_path / "lm.bin").write_bytes(b"mmap lm\x00")
    with pytest.raises(ValueError, match=r"lm\.bin: .* needs the package kenlm"):
        load_ngram(tmp_path / "lm.bin")


def test_files_that_are_no_models_are_refused(tmp_path):
    with pytest.raises(ValueError, match="is no file"):
        load_ngram(tmp_path / "nowhere.arpa")
    file = tmp_path / "a.arpa"
    for text, message in (
        ("hello\n", r"a\.arpa:1: no ARPA file"),
        ("", "no n-grams"),
        ("\\data\\\n\n\\2-grams:\n-1 one\n", r"a\.arpa:4: no 2-gram .*'-1 one'"),
    ):
        file.write_text(text)
        with pytest.raises(ValueError, match=message):
            ArpaModel(file)


def test_parts_of_the_score_are_what_they_say(model):
    lm = NgramLM(model, weight=0.7, word_insertion=1.5)
    rows = said("one two", sure=0.99)
    found = CTCBeamSearch(LETTERS, 10, lm)(rows, None, 1)[0]
    plain = CTCBeamSearch(LETTERS, 10)(rows, None, 1)[0]
    assert found.text == plain.text == "one two"
    expected = 0.7 * math.log(10) * (-0.5 - 0.1 - 0.23125)
    assert found.parts["lm"] == pytest.approx(expected)
    assert found.parts["word_insertion"] == pytest.approx(3.0)
    assert found.parts["ctc"] == pytest.approx(plain.score, abs=1e-3)
    assert sum(found.parts.values()) == pytest.approx(found.score)


def test_the_model_decides_between_words_that_sound_alike(tmp_path):
    model = write_arpa(tmp_path / "lm.arpa", ["for", "you"], seeded(0))
    rows = said("four you", sure=0.5, others=[(2, {"r": 0.3}), (3, {"<blank>": 0.45})])
    assert CTCBeamSearch(LETTERS, 20)(rows, None, 1)[0].text == "four you"
    lm = NgramLM(model, weight=1.0)
    assert CTCBeamSearch(LETTERS, 20, lm)(rows, None, 1)[0].text == "for you"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unit": "phone"}, "unit='phone'"),
        ({"weight": -1.0}, r"weight=-1\.0"),
        ({"word_insertion": math.inf}, "word_insertion=inf must be finite"),
    ],
)
def test_wrong_numbers_are_named(model, options, message):
    with pytest.raises(ValueError, match=message):
        NgramLM(model, **options)
