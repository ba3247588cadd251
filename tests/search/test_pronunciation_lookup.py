"""Pronunciation lookup: which words become names, and which never do."""

import itertools
import math

import pytest
from ctc_beam_cases import (
    LETTERS,
    names,
    nearly,
    random_rows,
    said,
    seeded,
    write_arpa,
)
from ctc_beam_cases import (
    spoken as spoken_tokens,
)
from phone_cases import Letters, known, phones

from espnet_dynlook.biasing.phones import PHONE_TOKENS
from espnet_dynlook.search.biased_decoder import BiasedDecoder
from espnet_dynlook.search.ctc_beam import CTCBeamSearch
from espnet_dynlook.search.naive_phones import naive_lookup, naive_share
from espnet_dynlook.search.ngram import NgramLM
from espnet_dynlook.search.phone_alignment import ctc_scores
from espnet_dynlook.search.pronunciation_lookup import Lookup, PronunciationLookup
from espnet_dynlook.search.spoken_units import SpokenUnits, Unit
from espnet_dynlook.search.techniques import Techniques
from espnet_dynlook.search.token_words import TokenWords
from espnet_dynlook.search.word_sounds import heard_phones


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


def spoken_as(said):
    return spoken_tokens(list(PHONE_TOKENS), said.split())


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
    sounds = ["B", "T", "B T", "T B", "B AA"]
    phone_list = ["<blank>", "B", "T", "AA", "<unk>"]
    hits = idle = 0
    for seed in range(25):
        draw = seeded(seed)
        rows = random_rows(draw, 5, 5, 3.0)
        small = [tuple(map(phone_list.index, sound.split())) for sound in sounds]
        words = [[draw.choice(small[:2])] for _ in range(draw.randint(1, 2))]
        chosen = draw.sample(range(len(sounds)), 3)
        weights = draw.choices([0.0, 1.0, 2.0], k=3)
        doubtful = [draw.random() < 0.7 for _ in words]
        units = [Unit(n, n + 1, tuple(ways)) for n, ways in enumerate(words)]
        listed = zip("abc", weights, (sounds[n] for n in chosen), strict=True)
        spoken = SpokenUnits(known(listed), phone_list)
        lookup = Lookup(PronunciationLookup(span=2), spoken, [], TokenWords(LETTERS))
        found = [
            (a, b, sorted(alike)) for a, b, alike in lookup.alike(units, doubtful, rows)
        ]
        given = words, doubtful, [[small[n]] for n in chosen], rows.tolist(), 2
        assert found == naive_lookup(*given, weights=weights)
        hits += len(found)
        idle += naive_lookup(*given) != found
    assert hits > 10 and idle > 3


def test_the_share_is_that_of_the_naive_one_and_has_the_weight_of_the_entry():
    rows = random_rows(seeded(3), 5, 4, 1.0)
    for row, token in ((0, 1), (2, 2)):  # "ab" on its best path
        rows[row, token] += 5
    rows[[1, 3, 4], 0] += 5
    rows = rows.log_softmax(1)
    tokens = ["<blank>", "a", "b", "<space>"]
    for weight in (0.5, 1.0, 5.0):
        catalog = names([("ba", weight, "B T AA")], tokens, pronouncer=Letters())
        spoken = SpokenUnits(catalog, PHONE_TOKENS, " ")
        technique = PronunciationLookup(weight=2.0, confidence=1.0)
        lookup = Lookup(technique, spoken, catalog.token_ids(), TokenWords(tokens))
        one = CTCBeamSearch(tokens)(rows, None, 1)[0]
        assert one.text == "ab"
        heard = spoken_as("B T AA")
        swaps = lookup.replacements(one, rows, heard)
        share = naive_share(rows.tolist(), [1, 2], [2, 1], 3, (2.0, weight))
        assert (share > 0) == bool(swaps)
        assert [swap.share for swap in swaps] == pytest.approx([share] * len(swaps))
    assert swaps


@pytest.mark.parametrize("other", [[], ["bob"]])
def test_an_entry_of_weight_0_takes_no_part(other):
    rows = nearly("call kathleen now", "call cathleen now", sure=0.7, second=0.2)
    heard = phones("call kathleen now", sure=0.9)
    found = decode(rows, known([("kathleen", 0), *other]), heard)
    assert found[0].text == "call cathleen now"
    assert all(one.parts["lookup"] == 0 for one in found)
    for phrases in ([("cathleen", 0), "kathleen"], ["kathleen"]):
        found = decode(rows, known(phrases), heard)
        assert found[0].text == "call kathleen now"


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
