"""Lists in the CTC beam search: empty, in any order, changing, in a stream."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from ctc_beam_cases import (
    BLANK,
    LETTERS,
    SYLLABLES,
    Pieces,
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
from espnet_dynlook.biasing.weight_levels import LEVELS
from espnet_dynlook.search.boosting import Boosting
from espnet_dynlook.search.ctc_beam_arrays import COMMON, TOKENS
from espnet_dynlook.search.ctc_beam_expand import candidates
from espnet_dynlook.search.ctc_beam_pruning import choose_tokens
from espnet_dynlook.search.ctc_beam_scratch import ENTRIES
from espnet_dynlook.search.ctc_beam_workspace import Workspace
from espnet_dynlook.search.phrase_graph import build_graph, kept_graph
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


def test_a_beam_of_one_refuses_names():
    """A name that has begun would never be kept beside the best text."""
    rows, catalog = nearly("kathleen", "cathleen"), names(["kathleen"])
    assert text_of(rows, None, beam=1) == text_of(rows, names([]), beam=1) == "cathleen"
    with pytest.raises(ValueError, match=r"beam_size=1 .* give beam_size=2 or more"):
        search(1)(rows, catalog)
    with pytest.raises(ValueError, match="beam_size=1"):
        search(1).begin().with_catalog(catalog)
    assert text_of(rows, catalog, beam=2) == "kathleen"
    # Those that act elsewhere, such as in an adapter, may be decoded so.
    assert text_of(rows, catalog, beam=1, boosting=None) == "cathleen"


def test_a_catalog_never_gets_the_graph_of_another():
    """Equal as long as they do not know the tokens; not behind that."""
    token_list = [BLANK, "<unk>", "▁", "▁jo", "▁john", "hn", "h", "n", "s", "o", "▁th"]
    other = [*token_list[:4], "x", *token_list[5:]]

    def made(**options):
        return Catalog(["john", "joxx"], Pieces(["▁john", "▁jo", "x"]), **options)

    plain, more = made(segmentations=1), made(segmentations=4)
    assert plain == more

    def paths(catalog, token_list):
        graph = kept_graph(catalog, tuple(token_list))
        return int((graph.arrays.arcs[:, 0] >= 0).sum())

    assert paths(plain, token_list) < paths(more, token_list)
    assert paths(more, token_list) == paths(made(), token_list)
    assert kept_graph(made(), tuple(token_list)) is kept_graph(more, tuple(token_list))
    assert kept_graph(more, tuple(other)) is not kept_graph(more, tuple(token_list))
    with pytest.raises(CatalogError, match="joxx"):
        kept_graph(made(strict=True), tuple(token_list))


@pytest.mark.parametrize("weights", [1, 7])
def test_work_does_not_grow_with_the_list(weights):
    """pyctcdecode#109: 100 hotwords, and 2 s became 23 s."""
    draw = seeded(0)
    token_list = [BLANK, *(f"▁{s}" for s in SYLLABLES), *SYLLABLES]
    found: set[tuple[str, ...]] = set()
    while len(found) < 50_000:
        found.add(tuple(draw.choices(SYLLABLES, k=draw.randint(2, 4))))
    phrases = sorted(found)
    draw.shuffle(phrases)
    ids = {token: n for n, token in enumerate(token_list)}
    rows = random_rows(draw, 40, len(token_list), 3.0)
    one = search(10, token_list, boosting=Boosting(confidence=0.0, silence=1.0))
    work = {}
    for size in (0, 1000, 50_000):
        paths = [[[ids["▁" + p[0]], *(ids[s] for s in p[1:])]] for p in phrases[:size]]
        levels = [1 + n % weights for n in range(size)]
        state = one.begin()
        state = replace(state, graph=build_graph(paths, levels))
        work[size] = [0, 0]
        for row in rows:
            seen = looked_at(state, row.numpy())
            work[size] = [a + b for a, b in zip(work[size], seen, strict=True)]
            state = state.step(row[None])
    candidates, entries = zip(*work.values(), strict=True)
    assert entries[0] == 0 < entries[1]
    assert candidates[2] <= 1.2 * candidates[1] and candidates[1] <= 1.2 * candidates[0]
    # Of each candidate at most an entry for each weight in each place it may begin.
    assert entries[2] <= weights * 2 * candidates[2]


def test_entries_do_not_grow_with_the_number_of_weights():
    """Weights that are too many count as a few that are near."""
    draw = seeded(0)
    phrases = sorted({"".join(draw.choices("abc", k=6)) for _ in range(300)})
    rows = random_rows(draw, 20, len(LETTERS), 2.0)
    rows[:, [LETTERS.index(letter) for letter in "abc"]] += 3
    one = search(10, boosting=Boosting(confidence=0.0, silence=1.0))
    entries = []
    for listed in (phrases, [(p, 1 + n / 300) for n, p in enumerate(phrases)]):
        state, seen = one.begin(names(listed)), 0
        for row in rows.log_softmax(1):
            seen += looked_at(state, row.numpy())[1]
            state = state.step(row[None])
        entries.append(seen)
    assert 0 < entries[1] <= LEVELS * entries[0]
    levels = kept_graph(names(listed), tuple(LETTERS)).arrays.weights
    assert len(set(levels.tolist())) <= LEVELS
    # As few as they are, they are the same in any order, with any duplicates.
    again = [*listed, *draw.sample(listed, 30)]
    draw.shuffle(again)
    rows = rows.log_softmax(1)
    assert all_of(one(rows, names(again))) == all_of(one(rows, names(listed)))


def looked_at(state, row):
    """Return how many candidates a frame has, and how many open entries these."""
    settings, graph = state.search.settings, state.graph.arrays
    workspace = Workspace.of(settings, len(row))
    workspace.put(state.lattice, state.match_scores)
    chosen = choose_tokens(row, settings, graph.roots > 0, workspace.frame)
    workspace.lattice.counts[[TOKENS, COMMON]] = chosen
    found = -1
    while found < 0:
        found = candidates(
            row, settings, graph, workspace.lattice, workspace.frame, workspace.scratch
        )
        if found < 0:
            workspace.widen_scratch()
    return found, int(workspace.scratch.rows[:found, ENTRIES].sum())


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
