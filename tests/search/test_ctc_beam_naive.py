"""The compiled CTC beam search gives the n-best of clear code, and of enumeration."""

import itertools
import math

import pytest
from ctc_beam_cases import (
    SMALL,
    Asked,
    log_sum,
    paths_of,
    random_entries,
    random_rows,
    seeded,
    write_arpa,
)

from espnet_dynlook.search.boosting import Boosting
from espnet_dynlook.search.ctc_beam import CTCBeamSearch
from espnet_dynlook.search.ctc_beam_state import BLOCK, CTCBeam
from espnet_dynlook.search.naive import NaiveCTCBeam
from espnet_dynlook.search.ngram import NgramLM
from espnet_dynlook.search.phrase_graph import build_graph
from espnet_dynlook.search.unigram_boost import UnigramBoost

CASES = 240  # of each kind of tokens and of language model


def with_entries(search, entries):
    """Return the first state of a search for entries given by their tokens."""
    graph = build_graph([[tokens] for tokens, _ in entries], [w for _, w in entries])
    return CTCBeam(
        **{**vars(CTCBeam.begin(search, None)), "graph": graph},
    )


def drawn_search(draw, token_list, lm, **more):
    return CTCBeamSearch(
        token_list,
        draw.choice([1, 2, 3, 5, 5, 12]),
        lm,
        boosting=draw.choice(
            [
                None,
                Boosting(),
                Boosting(top=2, floor=-3.0, cap=1.0, confidence=0.5, silence=0.5),
                Boosting(weight=3.0, confidence=0.0, silence=1.0),
            ]
        ),
        token_threshold=draw.choice([-1.5, -3.0, -9.0]),
        candidates=draw.choice([1, 2, 9]),
        beam_threshold=draw.choice([1.0, 5.0, math.inf]),
        blank_threshold=draw.choice([0.5, 0.95, 1.0]),
        **more,
    )


def compare(search, entries, rows):
    found = search.results(with_entries(search, entries).step(rows))
    naive = NaiveCTCBeam(search, entries, len(entries))(rows.tolist())
    assert [tuple(one.tokens) for one in found] == [tokens for tokens, _ in naive]
    assert [one.score for one in found] == pytest.approx([score for _, score in naive])
    for one in found:
        assert sum(one.parts.values()) == pytest.approx(one.score)


@pytest.mark.parametrize("kind", SMALL)
def test_nbest_is_that_of_clear_code(kind):
    for seed in range(CASES):
        draw = seeded(f"{kind} {seed}")
        search = drawn_search(draw, SMALL[kind], None)
        entries = random_entries(draw, SMALL[kind], draw.randint(0, 4))
        rows = random_rows(draw, draw.randint(0, 6), len(SMALL[kind]), 2.0)
        compare(search, entries, rows)


@pytest.mark.parametrize("kind", SMALL)
def test_nbest_behind_silence_is_that_of_clear_code(kind):
    """Frames that are surely blank have no tokens, and may still change the order."""
    for seed in range(CASES):
        draw = seeded(f"silence {kind} {seed}")
        search = drawn_search(draw, SMALL[kind], None)
        entries = random_entries(draw, SMALL[kind], draw.randint(0, 2))
        rows = random_rows(draw, draw.randint(4, 9), len(SMALL[kind]), 2.0)
        silent = [draw.random() < 0.6 for _ in rows]
        rows[silent, 0] += draw.choice([3.0, 9.0])
        compare(search, entries, rows.log_softmax(1))


@pytest.mark.parametrize("unit", ["word", "token"])
@pytest.mark.parametrize("kind", SMALL)
def test_nbest_with_a_language_model_is_that_of_clear_code(kind, unit, tmp_path):
    words = {
        "char": ["a", "ab", "b", "cab"],
        "bpe": ["a", "ab", "b", "ba"],
        "word": ["aa", "bb"],
    }[kind]
    for seed in range(CASES):
        draw = seeded(f"{kind} {unit} {seed}")
        if seed % 40 == 0:
            units = words if unit == "word" else SMALL[kind][1:]
            model = write_arpa(
                tmp_path / "lm.arpa", units, draw, draw.choice([1, 2, 3])
            )
        if seed % 40 == 20:
            model = Asked(model)
        lm = NgramLM(
            model,
            draw.choice([0.3, 1.5]),
            draw.choice([-1.0, 0.0, 2.0]),
            draw.choice([-10.0, -1.0]),
            unit,
            draw.random() < 0.5,
            draw.choice([0.0, -0.7]) if unit == "word" else 0.0,
        )
        unigram = None
        if unit == "word" and draw.random() < 0.7:
            unigram = UnigramBoost(draw.uniform(0, 8), draw.choice([0.0, 1.0]))
        search = drawn_search(draw, SMALL[kind], lm, unigram=unigram)
        entries = random_entries(draw, SMALL[kind], draw.randint(0, 4))
        rows = random_rows(draw, draw.randint(0, 6), len(SMALL[kind]), 2.0)
        compare(search, entries, rows)


def test_long_utterances_are_those_of_clear_code(tmp_path):
    """Beyond a block of frames, behind which what is settled leaves the arrays."""
    for seed, kind in enumerate(SMALL):
        draw = seeded(seed)
        unit = {"char": "b", "bpe": "b", "word": "bb"}[kind]
        model = write_arpa(tmp_path / f"{kind}.arpa", [unit], draw, 3)
        lm = NgramLM(model, 0.3, 0.5, -1.0, unknown_length=-0.2)
        search = CTCBeamSearch(SMALL[kind], 4, lm, boosting=Boosting(confidence=0.0))
        entries = random_entries(draw, SMALL[kind], 3)
        rows = random_rows(draw, BLOCK + 9, len(SMALL[kind]), 4.0)
        state = with_entries(search, entries).step(rows)
        assert state.said is not None and state.said.length > 50
        compare(search, entries, rows)


def test_a_wide_beam_gives_every_labelling_its_probability():
    for seed in range(40):
        draw = seeded(seed)
        token_list = SMALL[draw.choice(list(SMALL))][:4]
        frames = draw.randint(1, 5)
        rows = random_rows(draw, frames, len(token_list), 1.0)
        search = CTCBeamSearch(
            token_list,
            10**4,
            token_threshold=-math.inf,
            beam_threshold=math.inf,
            blank_threshold=1.0,
        )
        found = {tuple(one.tokens): one.score for one in search(rows)}
        every = {}
        for path in itertools.product(range(len(token_list)), repeat=frames):
            tokens = tuple(k for k, _ in itertools.groupby(path) if k)
            score = sum(float(rows[t, label]) for t, label in enumerate(path))
            every.setdefault(tokens, []).append(score)
        assert found.keys() == every.keys()
        for tokens, scores in every.items():
            assert found[tokens] == pytest.approx(log_sum(scores))


def test_a_name_gets_the_boosts_of_the_frames_that_emit_it():
    """A labelling with one entry: the sum over its paths, boosts where they emit."""
    boosting = Boosting(top=9, confidence=0.0, silence=1.0)
    for seed in range(30):
        draw = seeded(seed)
        token_list = SMALL["char"][:4]
        rows = random_rows(draw, draw.randint(4, 5), len(token_list), 1.5)
        entry = [draw.choice([2, 3]) for _ in range(draw.randint(1, 3))]
        weight = draw.choice([0.5, 1.0, 2.0])
        search = CTCBeamSearch(
            token_list,
            10**4,
            boosting=boosting,
            token_threshold=-math.inf,
            beam_threshold=math.inf,
            blank_threshold=1.0,
        )
        state = with_entries(search, [(entry, weight)]).step(rows)
        found = {tuple(one.tokens): one for one in search.results(state)}
        for tokens, one in found.items():
            words = "".join(map(str, tokens)).split("1")
            name = "".join(map(str, entry))
            if words.count(name) > 1:
                continue
            # The places of the tokens that are in the entry.
            before = words.index(name) if name in words else None
            begin = None if before is None else sum(len(w) + 1 for w in words[:before])
            inside = () if begin is None else range(begin, begin + len(entry))
            scores, plain = [], []
            for path in paths_of(tokens, len(rows)):
                score, done, gained = 0.0, 0, 0.0
                for t, label in enumerate(path):
                    score += float(rows[t, max(label, 0)])
                    if label >= 0 and (t == 0 or path[t - 1] != label):
                        value = float(rows[t, label])
                        if done in inside and value >= boosting.floor:
                            best = float(rows[t].max())
                            gained += weight * boosting.boost(best, value)
                        done += 1
                plain.append(score)
                scores.append(score + gained)
            assert one.score == pytest.approx(log_sum(scores))
            assert one.parts["ctc"] == pytest.approx(log_sum(plain))
