"""What users of comparable systems complain about, with all techniques together."""

import math

import pytest
import torch
from ctc_beam_cases import (
    LETTERS,
    names,
    nearly,
    random_rows,
    said,
    seeded,
    write_arpa,
)
from phone_cases import Letters, letter_phones

from espnet_dynlook.biasing.phones import PHONE_TOKENS
from espnet_dynlook.search.biased_decoder import BiasedDecoder
from espnet_dynlook.search.boosting import Boosting
from espnet_dynlook.search.grapheme_variants import GraphemeVariants
from espnet_dynlook.search.ngram import NgramLM
from espnet_dynlook.search.phonetic_rescoring import PhoneticRescoring
from espnet_dynlook.search.pronunciation_lookup import PronunciationLookup
from espnet_dynlook.search.shares import unigram_share
from espnet_dynlook.search.techniques import Techniques
from espnet_dynlook.search.unigram_boost import UnigramBoost

SYLLABLES = "ba den gor il ka lo mar ne pa qui ra stein tho u vic wa xi zan".split()
WORDS = ["we", "saw", "the", "weather", "is", "fine", "today", "in", "north", "off"]


@pytest.fixture(scope="module")
def lm(tmp_path_factory):
    path = tmp_path_factory.mktemp("lm") / "lm.arpa"
    return NgramLM(write_arpa(path, WORDS, seeded(0)), 0.3, unknown=-3.0)


def decoder(lm=None, weight=1.0, variants=2, lookup=None, **options):
    techniques = Techniques(
        Boosting(weight),
        None if lm is None else UnigramBoost(3.0),
        PhoneticRescoring(),
        lookup or PronunciationLookup(),
        GraphemeVariants(variants),
    )
    return BiasedDecoder(LETTERS, 20, lm, techniques, **options)


def random_names(number):
    draw, found = seeded(0), set()
    while len(found) < number:
        found.add("".join(draw.choices(SYLLABLES, k=draw.randint(2, 4))))
    return sorted(found)


def listed(phrases, **options):
    return names(phrases, pronouncer=Letters(), **options)


def test_a_name_is_found_by_all_together(lm):
    rows = nearly("we saw kathleen off", "we saw cathleen off")
    heard = letter_phones("we saw kathleen off", sure=0.9)
    found = decoder(lm)(rows, listed(["kathleen"]), heard)
    assert found[0].text == "we saw kathleen off"
    for one in found:
        assert one.score == pytest.approx(sum(one.parts.values()))
    assert found[0].parts["boosting"] > 0 and found[0].parts["unigram"] > 0


def test_each_technique_has_its_share_and_they_add_up(lm):
    rows = nearly("we saw bob off", "we saw pob off", sure=0.6, second=0.3)
    heard = letter_phones("we saw bob off", sure=0.9)
    catalog = listed(["bob"])
    for techniques, own in (
        (Techniques(boosting=Boosting()), "boosting"),
        (Techniques(boosting=None, unigram=UnigramBoost(6.0)), "unigram"),
        (Techniques(boosting=None, rescoring=PhoneticRescoring(1.0)), "rescoring"),
        (Techniques(boosting=None, lookup=PronunciationLookup(3.0)), "lookup"),
    ):
        found = BiasedDecoder(LETTERS, 20, lm, techniques)(rows, catalog, heard)
        shares = {h.text: h.parts for h in found}["we saw bob off"]
        biased = {k for k, v in shares.items() if v and k not in ("ctc", "lm")}
        assert biased == {own}


def test_the_share_of_unigram_boosting_is_what_the_search_gave(lm):
    """Of texts with several entries, nested ones too; without the other technique."""
    rows = said("we saw bob lee ann", sure=0.95)
    phrases = ["bob", "bob lee", ("lee", 0.5), "ann", "zoe"]
    techniques = Techniques(boosting=None, unigram=UnigramBoost(6.0))
    one = BiasedDecoder(LETTERS, 50, lm, techniques)
    found = one(rows, listed(phrases))[0]
    weights = one.names(listed(phrases)).weights
    words = [word.text for word in found.words]
    assert words == ["we", "saw", "bob", "lee", "ann"]
    share = unigram_share(words, weights, lm, UnigramBoost(6.0), len(phrases))
    assert found.parts["unigram"] == pytest.approx(share, abs=0.02)


def test_whole_phrases_only_and_no_residue_of_a_huge_weight():
    """pyctcdecode#18: half a phrase was boosted, and half a word left in the text."""
    for heard, phrase in (
        ("we saw new orc", "new york"),
        ("philip went", "philipp"),
        ("so new to me", "new york"),
        ("we saw kat", "kathleen"),
    ):
        rows, sound = said(heard, sure=0.95), letter_phones(heard, sure=0.95)
        for weight in (1.0, 1e6):
            found = decoder(weight=weight, variants=0)(rows, listed([phrase]), sound)
            assert found[0].text == heard
            assert found[0].parts["boosting"] == found[0].parts["lookup"] == 0.0


def test_order_and_duplicates_of_the_list_never_matter(lm):
    phrases = ["ann", "anna", "annabel lee", "lee", ("bell", 2.0), "an"]
    for seed in range(3):
        draw = seeded(seed)
        rows = random_rows(draw, 24, len(LETTERS), 3.0)
        heard = random_rows(draw, 24, len(PHONE_TOKENS), 3.0)
        one = decoder(lm)
        first = one(rows, listed(phrases), heard)
        again = [*phrases, *draw.sample(phrases, 3)]
        draw.shuffle(again)
        assert decoder(lm)(rows, listed(again), heard) == first


def test_an_empty_list_is_no_list(lm):
    rows = random_rows(seeded(0), 30, len(LETTERS), 3.0)
    plain = decoder(lm)(rows)
    for phrases in ([], [" "]):
        assert decoder(lm)(rows, listed(phrases)) == plain


def test_a_first_piece_that_pruning_would_drop_needs_both_halves():
    """wenet#2019: the encoder lifts it to -7, and the decoder to the top."""
    text, wrong = "kathleen", "cathleen"
    before = nearly(text, wrong, sure=0.998, second=math.exp(-12))
    after = nearly(text, wrong, sure=0.998, second=math.exp(-7))
    catalog = listed([(text, 2.0)])
    plain = BiasedDecoder(LETTERS, 4, techniques=Techniques(boosting=None))
    boosted = BiasedDecoder(LETTERS, 4)
    assert plain(before, catalog)[0].text == wrong
    assert plain(after, catalog)[0].text == wrong  # the encoder alone
    assert boosted(before, catalog)[0].text == wrong  # the decoder alone
    assert boosted(after, catalog)[0].text == text


def test_other_words_stay_as_they_are(lm):
    """FunASR#3302: with hotwords, other words got worse."""
    text = "the weather in the north is fine today"
    rows, heard = said(text, sure=0.85), letter_phones(text, sure=0.85)
    one = decoder(lm)
    assert one(rows, listed(random_names(500)), heard)[0].text == text


@pytest.mark.parametrize("weight", [1.0, 100.0])
def test_neighbouring_words_are_not_swallowed(weight):
    """icefall#1948: a higher score, and the words beside it were gone."""
    rows = nearly("i saw kathleen off again", "i saw cathleen off again")
    heard = letter_phones("i saw kathleen off again", sure=0.9)
    found = decoder(weight=weight)(rows, listed(["kathleen"]), heard)
    assert found[0].text == "i saw kathleen off again"


@pytest.fixture(scope="module", params=[0.0, 0.67])
def many(request):
    """Return a decoder and 10,000 names, which may be nearly heard."""
    catalog = listed(random_names(10_000))
    assert len(catalog) == 10_000
    lookup = PronunciationLookup(weight=3.0, distance=request.param)
    return decoder(variants=1, lookup=lookup), catalog


def without_speech(kind, size, draw):
    """Return posteriors of 200 frames (T, V) in which nobody speaks.

    "diffuse" is a model that is not trained.
    """
    rows = random_rows(draw, 200, size, 1.0)
    if kind == "silence":
        rows[:, 0] += 15
    return rows.log_softmax(1)


@pytest.mark.parametrize("kind", ["silence", "diffuse"])
def test_no_names_without_speech(many, kind):
    """OpenTranscribe#366: a name was hallucinated in silence, 200 times."""
    one, catalog = many
    draw = seeded(0)
    rows = without_speech(kind, len(LETTERS), draw)
    heard = without_speech(kind, len(PHONE_TOKENS), draw)
    found = one(rows, catalog, heard)[0]
    assert found.parts["boosting"] == found.parts["lookup"] == 0.0
    entries = {entry.text for entry in catalog.entries}
    assert not entries.intersection(word.text for word in found.words)
    assert torch.isfinite(torch.tensor(found.score))
