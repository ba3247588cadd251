"""Phonetic rescoring: the sound decides, and nobody loses for having no names."""

import math

import pytest
from ctc_beam_cases import LETTERS, nearly, random_rows, seeded
from phone_cases import SAID, known, numbers, phones

from espnet_dynlook.biasing.phones import PHONE_TOKENS
from espnet_dynlook.search.biased_decoder import PARTS, BiasedDecoder
from espnet_dynlook.search.ctc_beam import Hypothesis
from espnet_dynlook.search.naive_phones import naive_rescoring
from espnet_dynlook.search.phonetic_rescoring import PhoneticRescoring
from espnet_dynlook.search.spoken_units import SpokenUnits
from espnet_dynlook.search.techniques import Techniques
from espnet_dynlook.search.token_words import WordSpan


def hypothesis(text, score):
    spans = [WordSpan(word, n, n + 1) for n, word in enumerate(text.split())]
    return Hypothesis(text, [], score, {"ctc": score}, [], spans)


def decoder(weight=1.0, boosting=None, **options):
    techniques = Techniques(
        boosting=boosting, rescoring=PhoneticRescoring(weight), **options
    )
    return BiasedDecoder(LETTERS, 20, techniques=techniques)


def test_the_sound_decides_between_texts_that_are_nearly_as_likely():
    rows = nearly("call katlin", "call catlin")
    heard = phones("call katlin", sure=0.9)
    catalog = known([("katlin", 1.0, SAID["katlin"])])
    plain = decoder(0.0)(rows, catalog)
    assert plain[0].text == "call catlin"
    # catlin is said by rule here; the catalog's own word fits what was heard.
    words = {"catlin": ["K AE TH L AY N"]}
    catalog.pronouncer._lexicon.update(
        {w: tuple(tuple(s.split()) for s in said) for w, said in words.items()}
    )
    found = decoder()(rows, catalog, heard)
    assert found[0].text == "call katlin"
    for one in found:
        assert set(one.parts) == set(PARTS)
        assert one.score == pytest.approx(sum(one.parts.values()))
    assert [one.score for one in found] == sorted(
        (o.score for o in found), reverse=True
    )


def test_it_does_what_the_naive_one_does():
    draw = seeded(1)
    ways = {"a": ["B"], "b": ["B AA", "T"], "c": ["T"], "d": []}
    units = SpokenUnits(known([]), PHONE_TOKENS)
    units._words = {w: tuple(map(numbers, said)) for w, said in ways.items()}
    rescoring = PhoneticRescoring(0.7)
    for _ in range(10):
        rows = random_rows(draw, 5, len(PHONE_TOKENS), 2.0)
        texts = [" ".join(draw.choices("abcd", k=draw.randint(0, 2))) for _ in range(5)]
        scores = sorted((-draw.uniform(0, 5) for _ in texts), reverse=True)
        some = [hypothesis(*pair) for pair in zip(texts, scores, strict=True)]
        expected = naive_rescoring(
            scores,
            [[units.word(w) for w in t.split()] for t in texts],
            rows.tolist(),
            0.7,
        )
        found = rescoring(some, rows, units)
        assert sorted(one.score for one in found) == pytest.approx(sorted(expected))


def test_a_text_without_names_loses_nothing_for_that():
    """All words are looked up alike: as likely a sound counts as much."""
    units = SpokenUnits(known(["kathleen", "bob"]), PHONE_TOKENS)
    some = [hypothesis("call cathleen", -1.0), hypothesis("call kathleen", -2.0)]
    found = PhoneticRescoring(3.0)(some, phones("call kathleen"), units)
    assert [one.parts["rescoring"] for one in found] == [0.0, 0.0]
    assert [one.score for one in found] == [-1.0, -2.0]


def test_the_denominator_is_one_for_the_whole_list():
    """Shares differ by the weighted difference of the scores, whatever the lengths."""
    units = SpokenUnits(known(["bob"]), PHONE_TOKENS)
    rows = phones("call bob now", sure=0.8)
    texts = ["call bob", "call bob now", "call", "bob now the cat"]
    some = [hypothesis(text, -float(n)) for n, text in enumerate(texts)]
    one = {
        h.text: h.parts["rescoring"] for h in PhoneticRescoring(1.0)(some, rows, units)
    }
    half = {
        h.text: h.parts["rescoring"] for h in PhoneticRescoring(0.5)(some, rows, units)
    }
    last = PhoneticRescoring(1.0)(some[1:], rows, units)
    less = {h.text: h.parts["rescoring"] for h in last}
    for text in texts[1:]:
        assert half[text] == pytest.approx(one[text] / 2)
        assert one[text] - less[text] == pytest.approx(one["call bob now"])
    assert max(one, key=one.get) == "call bob now"


def test_what_cannot_be_judged_stays_as_good_as_the_first():
    units = SpokenUnits(known(["bob"]), PHONE_TOKENS)
    rows = phones("bob", sure=0.9)
    some = [hypothesis("日本", -1.0), hypothesis("bob", -2.0), hypothesis("now", -3.0)]
    found = {
        h.text: h.parts["rescoring"] for h in PhoneticRescoring()(some, rows, units)
    }
    assert found["日本"] == found["bob"] == 0.0
    assert found["now"] < 0
    # More phones than there are frames.
    some = [hypothesis("bob", -1.0), hypothesis("vandyke vandyke", -2.0)]
    found = PhoneticRescoring()(some, rows, units)
    assert [one.parts["rescoring"] for one in found] == [0.0, 0.0]


def test_the_best_pronunciation_counts():
    """The first one of "the" is not the one that was said."""
    units = SpokenUnits(known(["bob"]), PHONE_TOKENS)
    some = [hypothesis("now bob", -1.0), hypothesis("the bob", -1.0)]
    for said in SAID["the"]:
        rows = phones(f"{said} bob", sure=0.99)
        found = PhoneticRescoring()(some, rows, units)
        assert found[0].text == "the bob"
    given = known([("bob", 1.0, ["N AW", "V AE N"])])
    rows = phones("V AE N", sure=0.99)
    found = PhoneticRescoring()(
        [hypothesis("now", 0.0), hypothesis("bob", 0.0)],
        rows,
        SpokenUnits(given, PHONE_TOKENS),
    )
    assert found[0].text == "bob"


def test_without_names_no_technique_acts():
    rows = nearly("call katlin", "call catlin")
    for catalog in (None, known([])):
        found = decoder(5.0)(rows, catalog)
        assert found[0].text == "call catlin"
        assert found == decoder(0.0)(rows, None)


def test_phones_that_are_missing_or_do_not_fit():
    rows = nearly("bob", "bob")
    one = decoder()
    assert one.needs_phones and not decoder(0.0).needs_phones
    with pytest.raises(ValueError, match="need phone_log_probs"):
        one(rows, known(["bob"]))
    with pytest.raises(ValueError, match="30 labels for a phone_list of 41"):
        one(rows, known(["bob"]), phones("bob")[:, :30])
    with pytest.raises(ValueError, match=r"rescoring of techniques need whole .* null"):
        one.begin()
    with pytest.raises(ValueError, match="weight=-1"):
        PhoneticRescoring(-1)
    assert math.isfinite(one(rows, known(["bob"]), phones("bob")[:0])[0].score)
