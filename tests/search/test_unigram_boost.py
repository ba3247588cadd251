"""Unigram boosting: words of the catalog in the language model."""

import math

import pytest
from ctc_beam_cases import (
    names,
    nearly,
    said,
    same,
    search,
    seeded,
    text_of,
    write_arpa,
)

from espnet_dynlook.search.ngram import NgramLM
from espnet_dynlook.search.unigram_boost import UnigramBoost


@pytest.fixture
def lm(tmp_path):
    path = tmp_path / "lm.arpa"
    words = ["call", "cathleen", "new", "york", "orc"]
    model = write_arpa(path, words, seeded(0))
    return path, NgramLM(model, weight=1.0)


def test_unigram_boosting_lifts_words_that_the_model_does_not_know(lm):
    path, model = lm
    before = path.read_bytes()
    rows = nearly("call kathleen", "call cathleen", sure=0.5, second=0.4)
    catalog = names(["kathleen"])
    off = {"lm": model, "boosting": None}
    assert text_of(rows, catalog, **off) == "call cathleen"
    assert text_of(rows, catalog, **off, unigram=UnigramBoost(10.0)) == "call kathleen"
    assert text_of(rows, None, **off, unigram=UnigramBoost(10.0)) == "call cathleen"
    both = {"lm": model, "unigram": UnigramBoost(10.0)}
    assert text_of(rows, catalog, **both) == "call kathleen"
    assert path.read_bytes() == before


def test_a_word_gets_the_class_or_the_model_whichever_is_more(lm):
    _, model = lm
    rows = said("call kathleen")
    state = model.score(model.model.begin(), "call")[1]
    unknown = model.model.score(state, "<unk>")[0]
    plain = search(lm=model, boosting=None)(rows, None, 1)[0]
    for gamma, alpha, size in ((4.0, 0.0, 1), (4.0, 1.0, 3), (-50.0, 0.0, 2)):
        catalog = names(["kathleen", "bob", "lee"][:size])
        one = search(lm=model, boosting=None, unigram=UnigramBoost(gamma, alpha))
        found = one(rows, catalog, 1)[0]
        least = unknown + gamma - alpha * math.log(size)
        own = max(unknown + model.unknown, least)
        assert found.text == "call kathleen"
        expected = own - (unknown + model.unknown)
        assert found.score - plain.score == pytest.approx(expected, abs=0.02)


def test_words_of_an_unfinished_phrase_give_theirs_back(lm):
    _, model = lm
    one = search(lm=model, boosting=None, unigram=UnigramBoost(30.0))
    rows = said("call new orc")
    plain = one(rows, None, 1)[0]
    same(one(rows, names(["new york"]), 1)[0], plain)
    whole = one(said("call new york"), names(["new york"]), 1)[0]
    assert whole.parts["bias"] > 10
