"""Pronunciation lookup: which words become names, and which never do."""

import itertools
import math

import pytest
from ctc_beam_cases import LETTERS, nearly, random_rows, said, seeded, write_arpa
from phone_cases import known, numbers, phones

from espnet_dynlook.biasing.phones import PHONE_TOKENS
from espnet_dynlook.search.biased_decoder import BiasedDecoder
from espnet_dynlook.search.naive_phones import naive_lookup
from espnet_dynlook.search.ngram import NgramLM
from espnet_dynlook.search.phone_alignment import ctc_scores
from espnet_dynlook.search.pronunciation_lookup import (
    Lookup,
    PronunciationLookup,
    heard_phones,
)
from espnet_dynlook.search.spoken_units import SpokenUnits, Unit
from espnet_dynlook.search.techniques import Techniques
from espnet_dynlook.search.token_words import TokenWords


def decode(rows, catalog, heard, lm=None, **options):
    techniques = Techniques(boosting=None, lookup=PronunciationLookup(**options))
    return BiasedDecoder(LETTERS, 10, lm, techniques)(rows, catalog, heard)


def test_an_unsure_word_that_sounds_like_a_name_becomes_it():
    rows = nearly("call kathleen now", "call cathleen now", sure=0.7, second=0.2)
    heard = phones("call kathleen now", sure=0.9)
    found = decode(rows, known(["kathleen"]), heard)
    assert found[0].text == "call kathleen now"
    assert found[0].parts["lookup"] > 0
    assert found[0].score == pytest.approx(sum(found[0].parts.values()))
    assert len({one.text for one in found}) == len(found)
    assert [word.text for word in found[0].words] == ["call", "kathleen", "now"]
    written = "".join(LETTERS[t] for t in found[0].tokens).replace("<space>", " ")
    assert written == "call kathleen now"
    assert found[0].frames == sorted(found[0].frames)


def test_a_sure_word_stays():
    rows = nearly("call kathleen now", "call cathleen now", sure=0.97, second=0.02)
    heard = phones("call kathleen now")
    assert decode(rows, known(["kathleen"]), heard)[0].text == "call cathleen now"
    found = decode(rows, known(["kathleen"]), heard, confidence=0.99)
    assert found[0].text == "call kathleen now"


def test_other_sounds_change_nothing():
    rows = nearly("call kathleen now", "call cathleen now", sure=0.7, second=0.2)
    for heard in ("call cathleen now", "call katlin now"):
        found = decode(rows, known(["bob", "katlin"]), phones(heard))
        plain = decode(rows, known(["bob", "katlin"]), phones(heard), weight=0.0)
        if "katlin" in heard:  # heard exactly, but the tokens say something else
            assert found[0].text in ("call cathleen now", "call katlin now")
        else:
            assert [o.text for o in found] == [o.text for o in plain]
            assert [o.score for o in found] == [o.score for o in plain]


def test_what_was_heard_counts_not_only_how_the_word_is_said():
    """The recognised word is said in another way; what was heard is the name."""
    rows = nearly("call katlin", "call catlin", sure=0.7, second=0.2)
    catalog = known(["katlin"])
    catalog.pronouncer._lexicon["catlin"] = (("K", "AE", "T", "L", "AY", "N"),)
    assert decode(rows, catalog, phones("call katlin"))[0].text == "call katlin"
    assert decode(rows, catalog, phones("call catlean"))[0].text == "call catlin"


def test_several_words_become_one_entry_and_one_word_becomes_several():
    rows = said("the cat lean now", sure=0.8)
    heard = phones("the catlean now")
    found = decode(rows, known(["catlean"]), heard, weight=3.0)
    assert found[0].text == "the catlean now"
    assert decode(rows, known(["catlean"]), heard, weight=3.0, span=1)[0].text == (
        "the cat lean now"
    )
    rows = said("the vandyke now", sure=0.8)
    found = decode(rows, known(["van dyke"]), phones("the van dyke now"), weight=3.0)
    assert found[0].text == "the van dyke now"
    rows = said("the van dike now", sure=0.8)
    found = decode(rows, known(["van dyke"]), phones("the van dyke now"), weight=3.0)
    assert found[0].text == "the van dyke now"


def test_the_weight_pays_for_what_the_tokens_lose():
    rows = nearly("call kathleen", "call cathleen", sure=0.89, second=1e-4)
    heard = phones("call kathleen")
    lost = -ctc_difference(rows, "cathleen", "kathleen")
    for weight, expected in (
        (lost / 6 - 0.05, "cathleen"),
        (lost / 6 + 0.05, "kathleen"),
    ):
        found = decode(rows, known(["kathleen"]), heard, weight=weight)
        assert found[0].text == f"call {expected}"
    assert found[0].parts["lookup"] == pytest.approx(6 * 0.05, abs=0.01)


def ctc_difference(rows, old, new):
    """Of the tokens of the second word, in its frames."""
    ids = [[LETTERS.index(c) for c in word] for word in (old, new)]
    a, b = ctc_scores(rows[2 * len("call ") - 1 :], ids)
    return b - a


def test_rare_and_unknown_words_are_doubtful(tmp_path):
    rows = nearly("call kathleen", "call cathleen", sure=0.95, second=0.03)
    heard = phones("call kathleen")
    catalog = known(["kathleen"])
    for content, expected in (
        ("call 9\ncathleen 3\n", "cathleen"),
        ("call 9\ncathleen\t2\n", "kathleen"),
        ("call 9\n", "kathleen"),
    ):
        path = tmp_path / str(hash(content))
        path.write_text(content)
        found = decode(rows, catalog, heard, counts=str(path))
        assert found[0].text == f"call {expected}"
    for words, expected in ((["call"], "kathleen"), (["call", "cathleen"], "cathleen")):
        model = write_arpa(tmp_path / f"{len(words)}.arpa", words, seeded(0))
        found = decode(rows, catalog, heard, NgramLM(model, 0.1, unknown=-1.0))
        assert found[0].text == f"call {expected}"


def test_words_of_the_list_stay():
    rows = said("call cathleen", sure=0.6)
    for phrases in (["kathleen", "cathleen"], ["cathleen", ("kathleen", 9.0)]):
        found = decode(rows, known(phrases), phones("call kathleen"))
        assert found[0].text == "call cathleen"


def test_homophones_are_settled_by_weight_then_tokens_then_text(tmp_path):
    rows = said("call qathleen", sure=0.7, others=[(5, {"k": 0.2, "c": 0.05})])
    heard = phones("call kathleen")

    def winner(*phrases, rows=rows, lm=None):
        found = set()
        for some in itertools.permutations(phrases):
            catalog = known(some)
            catalog.pronouncer._lexicon["qathleen"] = (("K",),)
            found.add(decode(rows, catalog, heard, lm, weight=2.0)[0].text)
        assert len(found) == 1
        return found.pop()

    assert winner("kathleen", "cathleen") == "call kathleen"
    assert winner("kathleen", ("cathleen", 2.0)) == "call cathleen"
    level = said("call qathleen", sure=0.7, others=[(5, {"k": 0.1, "c": 0.1})])
    assert winner("kathleen", "cathleen", rows=level) == "call cathleen"
    model = write_arpa(tmp_path / "lm.arpa", ["call", "kathleen"], seeded(0))
    lm = NgramLM(model, 0.01)
    assert winner("kathleen", "cathleen", rows=level, lm=lm) == "call kathleen"


def test_spans_are_those_of_the_naive_one():
    """Random words, entries and posteriors; every path is looked at."""
    sounds = [numbers(text) for text in ("B", "T", "B T", "T B", "B AA")]
    hits = 0
    for seed in range(25):
        draw = seeded(seed)
        rows = random_rows(draw, 5, 5, 3.0)
        # Few phones: B, T and AA are the first ones of a small list.
        table = {number: n for n, number in enumerate(numbers("B T AA"), 1)}
        small = [tuple(table[p] for p in sound) for sound in sounds]
        words = [[draw.choice(small[:2])] for _ in range(draw.randint(1, 2))]
        entries = [[sound] for sound in draw.sample(small, 3)]
        doubtful = [draw.random() < 0.7 for _ in words]
        units = [Unit(n, n + 1, tuple(ways)) for n, ways in enumerate(words)]
        lookup = Lookup(
            PronunciationLookup(span=2),
            SpokenUnits(known([]), PHONE_TOKENS),
            [],
            TokenWords(LETTERS),
        )
        lookup._sounds = {}
        for n, ways in enumerate(entries):
            for way in ways:
                lookup._sounds.setdefault(way, []).append(n)
        found = [
            (a, b, sorted(alike)) for a, b, alike in lookup.alike(units, doubtful, rows)
        ]
        expected = naive_lookup(words, doubtful, entries, rows.tolist(), 2)
        assert found == expected
        hits += len(found)
    assert hits > 10


def test_what_is_heard_is_the_best_path():
    rows = phones("call bob", blanks=2)
    labels = [PHONE_TOKENS[label] for label, _ in heard_phones(rows)]
    assert labels == "K AO L B AA B".split()
    assert [frame for _, frame in heard_phones(rows)] == [0, 3, 6, 9, 12, 15]
    assert heard_phones(rows[:0]) == []


def test_frames_of_phones_may_be_others_than_those_of_tokens():
    rows = nearly("call kathleen now", "call cathleen now", sure=0.7, second=0.2)
    heard = phones("call kathleen now", sure=0.9, blanks=3)
    assert len(heard) != len(rows)
    assert decode(rows, known(["kathleen"]), heard)[0].text == "call kathleen now"


def test_words_that_nobody_can_pronounce_leave_a_text_as_it_is():
    rows = nearly("call kathleen '", "call cathleen '", sure=0.7, second=0.2)
    found = decode(rows, known(["kathleen"]), phones("call kathleen"))
    assert found[0].text == "call cathleen '"


@pytest.mark.parametrize(
    "options",
    [
        {"weight": -1.0},
        {"weight": math.nan},
        {"confidence": 1.5},
        {"rare": -1},
        {"span": 0},
        {"counts": "no-such-file"},
    ],
)
def test_numbers_out_of_range_are_errors(options, tmp_path):
    (key,) = options
    with pytest.raises(ValueError, match=key):
        PronunciationLookup(**options)


def test_faults_of_a_count_file_are_named(tmp_path):
    path = tmp_path / "counts"
    path.write_text("the 10\nand\n")
    with pytest.raises(ValueError, match="counts:2: 'and' is not a word and its count"):
        PronunciationLookup(counts=str(path))
