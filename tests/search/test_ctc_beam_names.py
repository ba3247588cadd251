"""Names in the CTC beam search: what users of comparable systems complain about."""

import math

import pytest
import torch
from ctc_beam_cases import (
    BLANK,
    LETTERS,
    SMALL,
    SYLLABLES,
    all_of,
    names,
    nearly,
    random_rows,
    said,
    same,
    search,
    seeded,
    spoken,
    text_of,
)

from espnet_dynlook.search.boosting import Boosting
from espnet_dynlook.search.incremental import tokens_of

HUGE = 1e6


def random_names(number, seed=0):
    draw = seeded(seed)
    syllables = "ba den gor il ka lo mar ne pa qui ra stein tho u vic wa xi zan".split()
    found = set()
    while len(found) < number:
        found.add("".join(draw.choices(syllables, k=draw.randint(2, 4))))
    return sorted(found)


# What bias does


def test_a_name_that_is_nearly_as_likely_is_found():
    rows = nearly("call kathleen", "call cathleen")
    assert text_of(rows) == "call cathleen"
    assert text_of(rows, names(["kathleen"])) == "call kathleen"
    assert text_of(rows, names(["kathleen"]), boosting=None) == "call cathleen"
    assert text_of(rows, names(["kathleen"]), boosting=Boosting(weight=0.0)) == (
        "call cathleen"
    )


def test_a_weight_of_an_entry_multiplies_its_bias():
    rows = nearly("kathleen", "cathleen", sure=0.8, second=0.02)
    gained = {}
    for weight in (0.0, 0.5, 1.0, 3.0):
        catalog = names([("kathleen", weight)])
        found = {one.text: one for one in search(200)(rows, catalog)}
        gained[weight] = found["kathleen"].parts["bias"]
    assert gained[0.0] == 0.0
    # In nats it is the sum over paths that is multiplied, not its logarithm.
    assert gained[0.5] == pytest.approx(gained[1.0] / 2, rel=0.15)
    assert gained[3.0] == pytest.approx(gained[1.0] * 3, rel=0.15)


def test_what_an_entry_gets_does_not_depend_on_the_weight_of_another():
    rows = nearly("kathleen", "cathleen")
    one = search(50, boosting=Boosting(floor=-4.0))
    alone = one(rows, names(["kathleen"]), 1)
    both = one(rows, names(["kathleen", ("kathy", 9.0)]), 1)
    assert both[0].text == "kathleen"
    assert both[0].score == alone[0].score


def test_phrases_of_several_words_and_those_within_them():
    rows = nearly("in new york city now", "in nev yorc zity now")
    for phrases, expected in (
        (["new york city"], "in new york city now"),
        (["new york"], "in new york zity now"),
        (["new york", "new york city", "city"], "in new york city now"),
        (["york city"], "in nev york city now"),
        (["new city"], "in nev yorc zity now"),
    ):
        assert text_of(rows, names(phrases)) == expected


def test_overlapping_entries_take_the_maximum_and_never_the_sum():
    rows = nearly("new york", "nev yorc")

    def bias(*phrases):
        found = search(200)(rows, names(phrases))
        return {one.text: one for one in found}["new york"].parts["bias"]

    whole = bias("new york")
    assert bias("new york", "york") == pytest.approx(whole, abs=0.02)
    assert bias("new york", "york", "new york city") == pytest.approx(whole, abs=0.02)
    assert bias("new york", "york new") == pytest.approx(whole, abs=0.02)
    # One word after another is no overlap.
    assert bias("new", "york") == pytest.approx(whole, rel=0.2)
    assert 0 < bias("york") < whole


def test_every_segmentation_is_followed():
    """sherpa-onnx#786: only the tokenizer's own segmentation matched."""
    token_list = [BLANK, "<unk>", "▁", "▁jo", "▁john", "hn", "h", "n", "s", "o", "▁th"]
    own = names(["john"], token_list, segmentations=1)
    more = names(["john"], token_list, segmentations=4)
    assert own.entries[0].segmentations == (("▁john",),)
    assert len(more.entries[0].segmentations) > 1
    rows = spoken(token_list, ["▁jo", "s"], sure=0.7, others=[(1, {"hn": 0.25})])
    assert text_of(rows, own, token_list=token_list) == "jos"
    assert text_of(rows, more, token_list=token_list) == "john"


def test_bias_acts_before_pruning():
    """wenet#2019: the first piece was gone before the bias was looked at."""
    rows = nearly("kathleen", "cathleen", sure=0.998, second=math.exp(-7))
    one = {"token_threshold": -5.0, "beam": 4}
    found = search(**one)(rows, names([("kathleen", 2.0)]), 1)[0]
    assert found.text == "kathleen"
    assert all("k" not in one.text for one in search(**one)(rows))


def test_how_far_behind_a_token_may_be_by_default():
    """One token gets at most weight * cap; at -7 only a heavier entry gets enough."""
    boosting = Boosting()
    assert boosting.boost(0.0, -7.0) == boosting.weight * boosting.cap == 3.75
    for behind, weight, expected in (
        (3.5, 1.0, "kathleen"),
        (4.5, 1.0, "cathleen"),
        (7.0, 1.0, "cathleen"),
        (7.0, 2.0, "kathleen"),
    ):
        most = 0.998 / (1 + math.exp(-behind))
        rows = nearly("kathleen", "cathleen", most, most * math.exp(-behind))
        assert text_of(rows, names([("kathleen", weight)])) == expected


def test_a_blank_that_is_sure_leaves_room_for_entries():
    rows = nearly("kathleen", "cathleen", sure=0.5, second=0.3)
    rows[0] = math.log(1e-9)
    rows[0, LETTERS.index(BLANK)] = math.log(0.9995)
    rows[0, LETTERS.index("k")] = math.log(0.0004)
    assert text_of(rows) == "athleen"
    listed = names([("kathleen", 2.0)])
    assert text_of(rows, listed) == "athleen"  # no name begins in silence
    late = Boosting(1.0, silence=1.0)
    assert text_of(rows, listed, boosting=late) == "kathleen"


# Whole phrases, or nothing


def test_whole_phrases_only():
    """pyctcdecode splits a phrase into words, and boosts each of them alone."""
    rows = nearly("new york", "nev yorc")
    assert text_of(rows, names(["new york"])) == "new york"
    for phrases in (["new orleans"], ["old york"], ["new york city"], ["york new"]):
        assert all_of(search()(rows, names(phrases), 1)) == all_of(
            search()(rows, None, 1)
        )


@pytest.mark.parametrize("weight", [1.0, 30.0, HUGE])
def test_no_partial_residue(weight):
    """pyctcdecode#18: with a huge weight, half a name was left in the text."""
    for heard, listed in (
        ("phil went home", "philippa"),
        ("philip went", "philipp"),
        ("we saw kat", "kathleen"),
        ("so new to me", "new york"),
        ("johnson came", "john"),
        ("a marco", "ark"),
    ):
        rows = said(heard, sure=0.9)
        one = search(20, boosting=Boosting(weight=weight))
        found = one(rows, names([listed]), 1)[0]
        assert found.text == heard
        same(found, search(20)(rows, None, 1)[0])


@pytest.mark.parametrize("weight", [1.0, HUGE])
def test_unfinished_names_change_nothing_at_random(weight):
    """pyctcdecode#18, at random: entries that cannot be completed leave no trace."""
    boosting = Boosting(weight=weight, confidence=0.0)
    for seed in range(30):
        draw = seeded(seed)
        rows = random_rows(draw, 9, len(LETTERS), 3.0)
        rows[:, LETTERS.index("'")] = -math.inf  # which every entry ends with
        rows[-1, :] = -math.inf
        rows[-1, 0] = 0.0
        starts = {draw.choice("abcdefghij") for _ in range(4)}
        tails = ["".join(draw.choices("abcdefghij", k=3)) + "'" for _ in range(4)]
        catalog = names([a + b for a, b in zip(starts, tails, strict=False)])
        wide = {"beam": 600, "beam_threshold": math.inf, "token_threshold": -4.0}
        plain = search(**wide)(rows, None, 5)
        found = search(**wide, boosting=boosting)(rows, catalog, 5)
        assert [one.text for one in found] == [one.text for one in plain]
        assert all(one.parts["bias"] == 0 for one in found)
        scores = [one.score for one in plain]
        assert [one.score for one in found] == pytest.approx(scores, abs=0.05)


@pytest.mark.parametrize("weight", [1.0, 3.0])
def test_neighbouring_words_are_not_swallowed(weight):
    """icefall#1948: the words beside a name went with a higher score."""
    rows = nearly("i saw kathleen off again", "i saw cathleen off again")
    found = search(20, boosting=Boosting(weight=weight))(rows, names(["kathleen"]), 1)
    assert found[0].text == "i saw kathleen off again"
    starts = [word.start for word in found[0].words]
    assert starts == [
        2 * "i saw kathleen off again".index(w)
        for w in ["i", "saw", "kathleen", "off", "again"]
    ]


def test_other_words_stay_as_they_are():
    """FunASR#3302: with hotwords, other words got worse."""
    rows = said("the weather in the north is fine today", sure=0.8)
    catalog = names(random_names(2000))
    assert text_of(rows, catalog) == text_of(rows)


# Silence, and what is no speech


@pytest.mark.parametrize("kind", ["silence", "sparse", "flat", "diffuse"])
def test_no_emission_without_speech(kind):
    """OpenTranscribe#366: a name was hallucinated in silence, 200 times."""
    token_list = [BLANK, "<unk>", *(f"▁{s}" for s in SYLLABLES), *SYLLABLES]
    assert len(token_list) > 200
    draw = seeded(0)
    size = len(token_list)
    if kind == "silence":
        rows = random_rows(draw, 200, size, 1.0)
        rows[:, 0] += 15
    elif kind == "sparse":  # now and then a token is a little likely
        rows = random_rows(draw, 200, size, 2.0)
        rows[:, 0] += 15
    elif kind == "flat":
        rows = torch.zeros(200, size, dtype=torch.double)
    else:
        rows = random_rows(draw, 200, size, 1.0)
    rows = rows.log_softmax(1)
    phrases = {
        "".join(draw.choices(SYLLABLES, k=draw.randint(2, 4))) for _ in range(13000)
    }
    catalog = names(sorted(phrases), token_list)
    assert len(catalog) > 10000
    found = search(20, token_list)(rows, catalog, 1)[0]
    assert found.parts["bias"] == 0.0
    plain = search(20, token_list)(rows, None, 1)[0]
    assert found.text == plain.text
    if kind in ("silence", "sparse"):
        assert found.text == ""


@pytest.mark.parametrize("sharpness", [1.5, 2.0, 2.5, 3.0])
def test_no_names_of_a_long_list_in_random_letters(sharpness):
    catalog = names(random_names(10_000))
    entries = {entry.text for entry in catalog.entries}
    for seed in range(3):
        rows = random_rows(seeded(seed), 200, len(LETTERS), sharpness)
        found = search(20)(rows, catalog, 1)[0]
        assert found.words
        assert not entries.intersection(word.text for word in found.words)


# Pruning and states


def test_settled_tokens_leave_the_arrays():
    one = search(8)
    rows = said("the quick brown fox jumps over the lazy dog " * 10)
    state = one.begin(names(["fox", "lazy dog"]))
    for row in rows:
        state = state.step(row[None])
        assert len(state.lattice.nodes) < 300
    assert state.stable > 400
    assert len(tokens_of(state.said)) > 400


def test_small_vocabularies_of_every_kind_find_their_names():
    for kind, token_list in SMALL.items():
        phrase = {"char": "ab c", "bpe": "ab b", "word": "aa cc"}[kind]
        catalog = names([phrase], token_list)
        tokens = catalog.entries[0].tokens
        rows = spoken(token_list, tokens, sure=0.999)
        found = search(20, token_list)(rows, catalog, 1)[0]
        assert (found.text, len(found.words)) == (phrase, 2)
