"""Which pronunciations are nearly what was heard, and what lookup makes of them."""

import math

import pytest
from ctc_beam_cases import nearly, random_rows, seeded
from phone_cases import known, numbers, phones
from test_pronunciation_lookup import decode

from espnet_dynlook.search.naive_phones import naive_near
from espnet_dynlook.search.near_sounds import NearWays
from espnet_dynlook.search.pronunciation_lookup import PronunciationLookup


def as_mapping(found):
    return {(one.span, one.way): one.lost for one in found}


def test_it_is_the_naive_one():
    """Random posteriors, pronunciations and spans; every path is looked at."""
    hits = none = 0
    for seed in range(60):
        draw = seeded(seed)
        rows = random_rows(draw, draw.randint(1, 6), 4, 2.0)
        ways = [
            tuple(draw.choices([1, 2, 3], k=draw.randint(1, 3)))
            for _ in range(draw.randint(1, 4))
        ]
        edges = [sorted(draw.choices(range(len(rows) + 1), k=2)) for _ in range(3)]
        spans, distance = [tuple(pair) for pair in edges], draw.choice([0, 0.5, 1, 3])
        found = NearWays(ways)(rows, spans, distance)
        assert [(o.span, o.way) for o in found] == sorted(as_mapping(found))
        expected = naive_near(rows.tolist(), ways, spans, distance)
        assert as_mapping(found) == pytest.approx(expected, abs=1e-5)
        hits += len(found)
        none += not found
    assert hits > 50 and none > 5


def test_what_is_heard_exactly_loses_nothing():
    rows = phones("call kathleen now", sure=0.6)
    frames = len(phones("call")), len(phones("call kathleen"))
    ways = [numbers("K AE TH L IY N"), numbers("K AO L"), numbers("B AA B")]
    spans = [(0, frames[0]), frames, (0, frames[1])]
    assert as_mapping(NearWays(ways)(rows, spans, 0.0)) == {(0, 1): 0.0, (1, 0): 0.0}


def test_a_longer_list_changes_nothing_for_an_entry():
    draw = seeded(1)
    rows = random_rows(draw, 30, 40, 2.0)
    ways = [tuple(draw.choices(range(1, 40), k=4)) for _ in range(200)]
    spans = [(0, 12), (5, 16), (0, 30)]
    alone = {
        (one.span, number): one.lost
        for number, way in enumerate(ways)
        for one in NearWays([way])(rows, spans, 12.0)
    }
    assert 20 < len(alone) < 500
    assert as_mapping(NearWays(ways)(rows, spans, 12.0)) == alone


def test_nothing_gives_nothing():
    rows = phones("call bob")
    assert NearWays([(1,)])(rows[:0], [(0, 0)], 1.0) == []
    assert NearWays([])(rows, [(0, 1)], 1.0) == []
    assert NearWays([(1,)])(rows, [], 1.0) == []
    assert NearWays([(1,)])(rows, [(2, 2)], 1.0) == []


def misheard(lost):
    """Return phones of "call katlin", TH and IY so many nats below T and IH."""
    rows = phones("call katlin now", sure=0.9)
    for frame in range(len(rows)):
        for one, other in zip(numbers("T IH"), numbers("TH IY"), strict=True):
            if int(rows[frame].argmax()) == one:
                rows[frame, other] = rows[frame, one] - lost
    return rows.log_softmax(1)


def catalog(*phrases):
    """Return a catalog; "qathleen" is no word that sounds like any."""
    made = known(phrases)
    made.pronouncer._lexicon["qathleen"] = (("K", "AE", "T", "L", "AY", "N"),)
    return made


def unsure(sure=0.7, second=0.2):
    return nearly("call kathleen now", "call qathleen now", sure=sure, second=second)


def test_a_name_that_was_misheard_is_found_within_the_distance():
    heard = misheard(0.5)  # K AE TH L IY N: loses 1 nat in 6 phones
    for distance, expected in ((0.0, "qathleen"), (0.1, "qathleen"), (0.5, "kathleen")):
        found = decode(
            unsure(), catalog("kathleen"), heard, weight=2.0, distance=distance
        )
        assert found[0].text == f"call {expected} now"
    exact = phones("call kathleen now", sure=0.9)
    best = decode(unsure(), catalog("kathleen"), exact, weight=2.0, distance=0.5)[0]
    lost = best.parts["lookup"] - found[0].parts["lookup"]
    assert lost == pytest.approx(2.0 * 1.0 / 0.5, abs=1e-4)


@pytest.mark.parametrize("said", ["kathleen", "katlin"])
def test_the_nearer_of_two_names_is_taken(said):
    heard = phones(f"call {said} now", sure=0.9)
    for phrases in (["kathleen", "katlin"], ["katlin", "kathleen"]):
        found = decode(unsure(), catalog(*phrases), heard, weight=30.0, distance=9.0)
        assert found[0].text == f"call {said} now"


def test_sure_words_and_words_of_the_list_stay():
    for rows, phrases in (
        (unsure(0.97, 0.02), ["kathleen"]),
        (unsure(), ["kathleen", "qathleen"]),
    ):
        found = decode(rows, catalog(*phrases), misheard(0.5), weight=9.0, distance=2.0)
        assert found[0].text == "call qathleen now"


@pytest.mark.parametrize("distance", [-1.0, math.inf, math.nan])
def test_a_distance_out_of_range_is_an_error(distance):
    with pytest.raises(ValueError, match="distance"):
        PronunciationLookup(distance=distance)
