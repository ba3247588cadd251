"""Arguments of searches and keys of techniques that cannot be meant."""

import math

import numpy as np
import pytest
import torch
from ctc_beam_cases import LETTERS, all_of, names, nearly, said, search

from espnet_dynlook.search.biased_decoder import BiasedDecoder
from espnet_dynlook.search.boosting import Boosting
from espnet_dynlook.search.ctc_beam import CTCBeamSearch
from espnet_dynlook.search.explain import explain
from espnet_dynlook.search.grapheme_variants import GraphemeVariants
from espnet_dynlook.search.phonetic_rescoring import PhoneticRescoring
from espnet_dynlook.search.pronunciation_lookup import PronunciationLookup
from espnet_dynlook.search.techniques import Techniques
from espnet_dynlook.search.unigram_boost import UnigramBoost


@pytest.mark.parametrize(
    ("technique", "key", "least"),
    [
        (Boosting, "top", 1),
        (GraphemeVariants, "number", 0),
        (PronunciationLookup, "span", 1),
        (PronunciationLookup, "rare", 0),
    ],
)
def test_keys_that_count_are_whole_numbers(technique, key, least):
    for value in (2.7, 2.0, True, "2", math.nan):
        with pytest.raises(ValueError, match=f"{key}={value!r} of .* a whole number"):
            technique(**{key: value})
    with pytest.raises(ValueError, match=f"{key}={least - 1} of .* at least {least}"):
        technique(**{key: least - 1})
    assert getattr(technique(**{key: np.int64(3)}), key) == 3
    with pytest.raises(ValueError, match=r"top=2.5 of boosting must be a whole"):
        Techniques.from_mapping({"boosting": {"top": 2.5}})


@pytest.mark.parametrize(
    ("technique", "key"),
    [
        (Boosting, "weight"),
        (Boosting, "slope"),
        (Boosting, "cap"),
        (UnigramBoost, "gamma"),
        (UnigramBoost, "alpha"),
        (PhoneticRescoring, "weight"),
        (PronunciationLookup, "weight"),
    ],
)
def test_weights_are_bounded(technique, key):
    for value in (1e17, 1e308, math.inf, math.nan, -1e7, True):
        with pytest.raises(
            ValueError, match=rf"{key}=.* must be a number .* to 1e\+06"
        ):
            technique(**{key: value})
    assert getattr(technique(**{key: 1e5}), key) == 1e5


def test_what_a_token_gets_is_bounded():
    with pytest.raises(ValueError, match=r"up to 1e\+09 nats \(cap=100000.0\)"):
        Boosting(weight=1e4, cap=1e5)


def test_the_largest_weights_leave_the_words_around_a_name():
    rows = nearly("call kathleen now please", "call cathleen now please")
    one = CTCBeamSearch(LETTERS, 20, boosting=Boosting(weight=1e6))
    found = one(rows, names([("kathleen", 1e6)]), 1)[0]
    assert found.text == "call kathleen now please"
    plain = one(rows, None, 1)[0]
    assert found.parts["ctc"] == pytest.approx(plain.score, abs=1.0)


def test_arrays_are_as_good_as_tensors():
    rows, catalog = nearly("kathleen", "cathleen"), names(["kathleen"])
    one = search()
    expected = all_of(one(rows, catalog))
    array = rows.numpy()
    array.flags.writeable = False
    assert all_of(one(array, catalog)) == expected
    assert all_of(one(array.astype(">f8"), catalog)) == expected
    assert all_of(one.batch(array[None], [len(rows)], [catalog])[0]) == expected
    decoded = BiasedDecoder(LETTERS, 20)(array, catalog, nbest=1)[0]
    assert decoded.text == "kathleen"
    assert explain(BiasedDecoder(LETTERS, 20), "kathleen", array, catalog).recognised
    for given in (rows.tolist(), None, np.array([["a"]])):
        with pytest.raises(TypeError, match="log_probs is a"):
            one(given)


def test_what_is_no_catalog_is_refused():
    rows, one = said("call"), search()
    decoder = BiasedDecoder(LETTERS, 20)
    for given in (["kathleen"], "kathleen", 3):
        for asked in (
            lambda given=given: one(rows, given),
            lambda given=given: one.begin(given),
            lambda given=given: one.begin().with_catalog(given),
            lambda given=given: one.batch(rows[None], [3], [given]),
            lambda given=given: decoder(rows, given),
            lambda given=given: decoder.begin(given),
            lambda given=given: explain(decoder, "kathleen", rows, given),
        ):
            with pytest.raises(TypeError, match=r"is no Catalog: make one with Cat"):
                asked()


def test_a_batch_has_a_length_and_a_catalog_for_each():
    rows, one, catalog = torch.stack([said("call")] * 2), search(), names(["bob"])
    for lengths, message in (
        ([8, -3], "lengths has -3: an utterance has from 0 to 8 frames"),
        (torch.tensor([8, 999]), "lengths has 999: "),
        ([8, 2.5], "lengths has 2.5: "),
        ([8], "lengths has 1 numbers for 2 utterances"),
    ):
        with pytest.raises(ValueError, match=message):
            one.batch(rows, lengths)
    with pytest.raises(TypeError, match=r"must be a list with a catalog .* of 2"):
        one.batch(rows, [8, 8], catalog)
    with pytest.raises(ValueError, match="catalogs has 1 lists for 2 utterances"):
        one.batch(rows, [8, 8], [catalog])
    with pytest.raises(ValueError, match=r"must be \(B, T, V\)"):
        one.batch(rows[0], [8])
    found = one.batch(rows, torch.tensor([8, 4]), (catalog, None), 1)
    assert [own[0].text for own in found] == ["call", "ca"]


def test_numbers_of_the_search_are_what_they_can_be():
    for options, message in (
        ({"beam_size": 2.5}, "beam_size=2.5 must be a whole number, at least 1"),
        ({"beam_size": True}, "beam_size=True must be a whole number"),
        ({"candidates": 1.5}, "candidates=1.5 must be a whole number"),
        ({"token_threshold": math.nan}, "token_threshold=nan is a log-probability"),
        ({"token_threshold": 1.0}, "token_threshold=1.0 is a log-probability: 0 or"),
        ({"beam_threshold": math.nan}, "beam_threshold=nan must be above 0"),
        ({"blank": 0.5}, "blank=0.5 must be a whole number"),
    ):
        with pytest.raises(ValueError, match=message):
            CTCBeamSearch(LETTERS, **options)
    rows = said("call")
    for one in (search(), BiasedDecoder(LETTERS, 20)):
        for number in (0, -1, 1.5):
            with pytest.raises(ValueError, match=f"nbest={number} must be"):
                one(rows, nbest=number)
            with pytest.raises(ValueError, match=f"nbest={number} must be"):
                one(rows, names(["bob"]), nbest=number)
        assert len(one(rows, names(["bob"]), nbest=10_000)) >= 1
