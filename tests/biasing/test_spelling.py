"""Text in a model's spelling: case, apostrophes, dashes, diacritics."""

import pytest
from biasing_tokens import CASED, LOWER, UPPER

from espnet_dynlook.biasing.spelling import Spelling, alphabet_of

ACCENTS = [*LOWER, "é", "-", "’"]


@pytest.mark.parametrize(
    "token_list, text, expected",
    [
        (UPPER, "new york", "NEW YORK"),
        (LOWER, "New  York ", "new york"),
        (CASED, "McKay", "McKay"),
        (UPPER, "ＭｃKay ﬁnn", "MCKAY FINN"),
        (UPPER, "D‘Arc D´Arc D`Arc DʼArc D＇Arc", "D'ARC D'ARC D'ARC D'ARC D'ARC"),
        (UPPER, "Jean-Luc Jean–Luc Jean‑Luc", "JEAN LUC JEAN LUC JEAN LUC"),
        (ACCENTS, "Jean–Luc", "jean-luc"),
        (UPPER, "Beyoncé Nuñez A\u030angström", "BEYONCE NUNEZ ANGSTROM"),
        (ACCENTS, "Beyoncé Nuñez e\u0301", "beyoncé nunez é"),
        (UPPER, "Søren Łukasz Strauß Æthel", "SOREN LUKASZ STRAUSS AETHEL"),
        (LOWER, "İstanbul", "istanbul"),
        (UPPER, "soft\u00adhyphen zero\u200bwidth", "SOFTHYPHEN ZEROWIDTH"),
        (UPPER, "a\u00a0b\u2009c", "A B C"),
    ],
)
def test_text_becomes_what_the_tokens_can_write(token_list, text, expected):
    spelling = Spelling(token_list)
    assert spelling(text) == expected
    assert spelling.unknown(expected) == []
    assert spelling(expected) == expected


def test_apostrophe_is_the_one_that_the_tokens_have():
    curly = [token.replace("'", "’") for token in LOWER]
    assert Spelling(curly)("o'brien") == "o’brien"


@pytest.mark.parametrize(
    ("text", "expected", "left_out"),
    [
        ("O'Neil d’Arc D‘Arc", "oneil darc darc", ["'"]),
        ("McDonald's", "mcdonalds", ["'"]),
        ("Mr. Smith", "mr smith", ["."]),
        ("Bob,", "bob", [","]),
        ('“Who?” «Me!» "it": a; b', "who me it a b", [*'!"', ":", ";", "?", *"«»“”"]),
        ("U.S. Grant…", "us grant", ["."]),
        ("' .", "", ["'", "."]),
    ],
)
def test_marks_that_no_token_has_are_left_out(text, expected, left_out):
    spelling = Spelling([token for token in LOWER if token != "'"])
    assert spelling(text) == expected
    assert spelling.unknown(expected) == []
    assert spelling.left_out(text) == left_out
    assert Spelling(None)(text) == Spelling(None)(Spelling(None)(text))
    assert Spelling(None).left_out(text) == []


def test_marks_that_a_token_has_stay():
    spelling = Spelling([*LOWER, "."])
    assert spelling("Mr. O’Neil,") == "mr. o'neil"
    assert spelling.left_out("Mr. O’Neil,") == [","]


def test_marks_are_made_equal_before_the_tokens_are_known():
    for text in ("O`Brien Jean-Luc", "O’Brien\u00a0Jean–Luc"):
        assert Spelling(None)(text) == "O'Brien Jean-Luc"


def test_decomposed_tokens_get_decomposed_text():
    assert Spelling([*"abce", "\u0301"])("é") == "e\u0301"


def test_unknown_characters_stay_to_be_reported():
    spelling = Spelling(UPPER)
    assert spelling.unknown(spelling("R2D2 & 日本")) == ["&", "2", "日", "本"]
    assert Spelling(None).unknown("日本") == []


def test_special_tokens_are_no_text():
    assert alphabet_of(["<blank>", "[laughter]", "<", "▁ab", "c"]) == set("<abc")
