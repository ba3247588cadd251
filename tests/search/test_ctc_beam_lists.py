"""Lists in the CTC beam search: empty, in any order, changing, in a stream."""

import itertools
import math

import pytest
import torch
from ctc_beam_cases import (
    LETTERS,
    all_of,
    names,
    nearly,
    random_rows,
    said,
    search,
    seeded,
    text_of,
)

from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.biasing.entries import CatalogError
from espnet_dynlook.biasing.tokenizers import CharTokenizer
from espnet_dynlook.search.boosting import Boosting
from espnet_dynlook.search.unigram_boost import UnigramBoost


def test_an_empty_catalog_is_identity():
    """wenet#1022: an empty list crashed. Blank lines and one entry are lists, too."""
    for seed in range(20):
        rows = random_rows(seeded(seed), 30, len(LETTERS), 3.0)
        plain = all_of(search()(rows))
        for phrases in ([], [""], [" ", "\t"]):
            assert all_of(search()(rows, names(phrases))) == plain
    assert text_of(said("one"), names(["one"])) == "one"
    assert text_of(torch.zeros(0, len(LETTERS)), names(["one"])) == ""


def test_order_and_duplicates_never_matter():
    """wenet, icefall: order changed scores."""
    phrases = ["ann", "anna", "annabel lee", "lee", ("bell", 2.0), "ann"]
    for seed in range(10):
        draw = seeded(seed)
        rows = random_rows(draw, 30, len(LETTERS), 3.0)
        boosting = Boosting(confidence=0.0)
        first = all_of(search(boosting=boosting)(rows, names(phrases)))
        again = [*phrases, *draw.sample(phrases, 3)]
        draw.shuffle(again)
        assert all_of(search(boosting=boosting)(rows, names(again))) == first


def test_a_short_phrase_after_a_longer_one_stays():
    """wenet, icefall: a short phrase added after a longer one vanished."""
    rows = nearly("kat ran", "cat ran")
    for phrases in itertools.permutations(["kathleen", "kat", "kate"]):
        assert text_of(rows, names(phrases)) == "kat ran"
    rows = nearly("kathleen ran", "cathleen ran")
    for phrases in itertools.permutations(["kathleen", "kat", "kate"]):
        assert text_of(rows, names(phrases)) == "kathleen ran"


def test_lists_change_per_request_and_per_utterance():
    """sherpa-onnx#551, #1793: the list could not change per request."""
    one = search()
    rows = nearly("kathleen", "cathleen")
    batch = torch.stack([rows, rows, rows])
    catalogs = [names(["kathleen"]), None, names(["bob"])]
    found = one.batch(batch, [len(rows)] * 3, catalogs, 1)
    assert [own[0].text for own in found] == ["kathleen", "cathleen", "cathleen"]
    assert [own[0].text for own in one.batch(batch, [len(rows), 2, 0])] == [
        "cathleen",
        "c",
        "",
    ]


def test_a_batch_equals_each_alone():
    one = search()
    draw = seeded(0)
    lengths = [17, 30, 0, 5]
    rows = torch.stack([random_rows(draw, 30, len(LETTERS), 3.0) for _ in lengths])
    catalogs = [names([a]) for a in ("ann", "bob", "kat", "lee")]
    found = one.batch(rows, lengths, catalogs)
    for own, row, length, catalog in zip(found, rows, lengths, catalogs, strict=True):
        assert all_of(own) == all_of(one(row[:length], catalog))


def test_names_that_cannot_be_written_are_said_and_never_half_used():
    """sherpa-onnx#2991, #1095: an error with exit 0, or silently half the phrase."""
    tokenizer = CharTokenizer(LETTERS)
    catalog = Catalog(["kathleen", "kath日"], tokenizer, LETTERS)
    assert len(catalog) == 1
    assert "日" in str(catalog.unusable[0])
    rows = nearly("kath", "cath")
    assert text_of(rows, catalog) == "cath"
    with pytest.raises(CatalogError, match="日"):
        search()(rows, Catalog(["kath日"], tokenizer, strict=True))


def test_unsupported_combinations_are_errors():
    """sherpa-onnx#2307, FunASR#2713: hotwords were silently ignored."""
    with pytest.raises(ValueError, match="language model of words"):
        search(unigram=UnigramBoost())


# Streams


def test_streaming_equals_offline_with_names():
    """NeMo PR#15327: biased streaming differed from biased offline."""
    phrases = ["ann", "annabel", "ann lee", "lee", ("bob", 2.0)]
    boosting = Boosting(confidence=0.0, weight=2.0)
    biased = 0
    for seed in range(25):
        draw = seeded(seed)
        rows = random_rows(draw, 60, len(LETTERS), 2.5)
        for letter in "anble o":
            rows[:, LETTERS.index(letter if letter != " " else "<space>")] += 2.5
        rows = rows.log_softmax(1)
        one = search(8, boosting=boosting)
        catalog = names(phrases)
        whole = all_of(one(rows, catalog))
        state, at = one.begin(catalog), 0
        while at < len(rows):
            size = draw.randint(0, 7)
            state, at = state.step(rows[at : at + size]), at + size
        assert all_of(one.results(state)) == whole
        biased += whole[0][2]["bias"] > 0
    assert biased > 10


def test_the_list_may_change_in_the_middle_of_a_stream():
    """sherpa-onnx#551: from now on; and what was said before stays."""
    one = search()
    early, late = nearly("kathleen ", "cathleen "), nearly("kathleen", "cathleen")
    state = one.begin().step(early)
    assert one.results(state)[0].text == "cathleen"
    state = state.with_catalog(names(["kathleen"])).step(late)
    assert one.results(state)[0].text == "cathleen kathleen"
    state = one.begin(names(["kathleen"])).step(early).with_catalog(None).step(late)
    assert one.results(state)[0].text == "kathleen cathleen"


def test_another_list_in_the_middle_of_a_word_is_safe():
    one = search(8, boosting=Boosting(confidence=0.0))
    lists = [None, names(["ann", "bob lee"]), names(["lee", ("an", 2.0), "bob"])]
    for seed in range(20):
        draw = seeded(seed)
        state = one.begin()
        for row in random_rows(draw, 60, len(LETTERS), 3.0).split(5):
            state = state.step(row)
            state = state.with_catalog(draw.choice(lists)).step(row)
        scores = [found.score for found in one.results(state)]
        assert scores == sorted(scores, reverse=True)
        assert all(math.isfinite(score) for score in scores)
