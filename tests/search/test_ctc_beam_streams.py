"""A CTC beam search as a stream's search: a value that goes on where it stopped."""

import math

import pytest
import torch
from ctc_beam_cases import LETTERS, names, random_rows, said, seeded, write_arpa

from espnet_dynlook.search.boosting import Boosting
from espnet_dynlook.search.ctc_beam import CTCBeamSearch
from espnet_dynlook.search.incremental import Search
from espnet_dynlook.search.ngram import NgramLM
from espnet_dynlook.search.prefix_beam import PrefixBeam
from espnet_dynlook.search.unigram_boost import UnigramBoost

PHRASES = ["ann", "annabel", "ann lee", "lee", ("bob", 2.0)]


@pytest.fixture(params=["plain", "words", "tokens"])
def search(request, tmp_path):
    boosting = Boosting(confidence=0.0)
    if request.param == "plain":
        return CTCBeamSearch(LETTERS, 8, boosting=boosting)
    word = request.param == "words"
    units = ["ann", "lee", "a", "b"] if word else LETTERS[2:]
    model = write_arpa(tmp_path / "lm.arpa", units, seeded(0), 3 if word else 2)
    lm = NgramLM(model, 0.3, 0.5, -1.0, "word" if word else "token")
    unigram = UnigramBoost(3.0) if word else None
    return CTCBeamSearch(LETTERS, 8, lm, boosting=boosting, unigram=unigram)


def rows_of(seed, frames=60):
    rows = random_rows(seeded(seed), frames, len(LETTERS), 3.0)
    for letter in ("a", "n", "b", "l", "e", "o", "<space>"):
        rows[:, LETTERS.index(letter)] += 2.5
    return rows.log_softmax(1)


def known(state):
    results = state.search.results(state)
    return [(one.tokens, one.score, one.parts, one.frames) for one in results]


def test_packets_equal_the_whole_and_states_are_values(search):
    for seed in range(8):
        rows = rows_of(seed)
        begin: Search = search.begin(names(PHRASES))
        whole = begin.step(rows)
        draw = seeded(seed)
        state, at = begin, 0
        while at < len(rows):
            before = (state.tokens, state.score, state.stable, known(state))
            size = draw.randint(0, 9)
            following = state.step(rows[at : at + size])
            assert (state.tokens, state.score, state.stable, known(state)) == before
            state, at = following, at + size
        assert state.tokens == whole.tokens
        assert state.score == whole.score
        assert state.stable == whole.stable
        assert state.silence == whole.silence
        assert known(state) == known(whole)


def test_stable_tokens_never_change(search):
    moved = 0
    for seed in range(6):
        state = search.begin(names(PHRASES))
        stable = []
        for row in rows_of(seed):
            state = state.step(row[None])
            tokens = [one.token for one in state.tokens]
            assert tokens[: len(stable)] == stable
            assert state.stable >= len(stable)
            moved += state.stable > len(stable)
            stable = tokens[: state.stable]
    assert moved > 10


def test_what_is_forgotten_still_counts(search):
    forgot = 0
    for seed in range(6):
        whole = short = search.begin(names(PHRASES))
        for row in rows_of(seed):
            whole, short = whole.step(row[None]), short.step(row[None])
            first = max(whole.stable - seed % 3, 0)
            short = short.forgetting(first)
            forgot += len(whole.tokens) > len(short.tokens)
            assert (short.stable, short.score) == (whole.stable, whole.score)
            assert short.tokens_from(first) == whole.tokens_from(first)
    assert forgot > 20


def test_another_utterance_begins_at_its_frame(search):
    rows = rows_of(1)
    catalog = names(PHRASES)
    first = search.begin(catalog).step(rows).beginning_at(60).step(rows)
    alone = search.begin(catalog).step(rows)
    assert [(t.token, t.frame - 60) for t in first.tokens] == [
        (t.token, t.frame) for t in alone.tokens
    ]
    assert first.score == alone.score


def test_without_names_it_is_the_plain_prefix_beam():
    for seed in range(10):
        rows = random_rows(seeded(seed), 25, 8, 2.0)
        search = CTCBeamSearch(
            list("_abcdefg"),
            6,
            token_threshold=-math.inf,
            beam_threshold=5.0,
            blank_threshold=1.0,
        )
        found, plain = search.begin(), PrefixBeam.begin(beam=6)
        for row in rows:
            found, plain = found.step(row[None]), plain.step(row[None])
            assert [(t.token, t.frame) for t in found.tokens] == [
                (t.token, t.frame) for t in plain.tokens
            ]
            assert found.score == pytest.approx(plain.score)
            assert found.stable == plain.stable
            assert found.silence == plain.silence


def test_words_have_the_frames_that_emit_them():
    found = CTCBeamSearch(LETTERS, 10)(said("to be or not", blanks=2), None, 1)[0]
    assert [(w.text, w.start, w.end) for w in found.words] == [
        ("to", 0, 4),
        ("be", 9, 13),
        ("or", 18, 22),
        ("not", 27, 34),
    ]


def test_long_utterances_go_through_in_blocks():
    rows = said("the quick brown fox " * 20, sure=0.95, blanks=3)
    assert len(rows) > 1500
    found = CTCBeamSearch(LETTERS, 10)(rows, names(["brown fox"]), 1)[0]
    assert found.text == ("the quick brown fox " * 20).strip()


def test_wrong_input_is_refused():
    one = CTCBeamSearch(LETTERS)
    for rows, message in (
        (torch.zeros(5), r"must be \(n, V\)"),
        (torch.full((2, len(LETTERS)), math.nan), "has NaN"),
        (torch.zeros(2, 5), f"5 labels for a token_list of {len(LETTERS)}"),
    ):
        with pytest.raises(ValueError, match=message):
            one(rows)
    for options, message in (
        ({"beam_size": 0}, "beam_size=0 must be at least 1"),
        ({"candidates": 0}, "candidates=0 must be"),
        ({"beam_threshold": 0}, "beam_threshold=0 must be above 0 nats"),
        ({"blank_threshold": 2}, "blank_threshold=2 is a probability"),
        ({"blank": 99}, "blank=99 is none of"),
    ):
        with pytest.raises(ValueError, match=message):
            CTCBeamSearch(LETTERS, **options)
    for options in ({"weight": -1}, {"top": 0}, {"floor": 1}, {"silence": 2}):
        with pytest.raises(ValueError, match=f"{next(iter(options))}="):
            Boosting(**options)
    for options in ({"gamma": math.inf}, {"alpha": -1}):
        with pytest.raises(ValueError, match=f"{next(iter(options))}="):
            UnigramBoost(**options)
