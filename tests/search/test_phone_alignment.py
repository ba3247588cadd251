"""Alignments and scores of phones, held against a look at every path."""

import math

import pytest
import torch
from ctc_beam_cases import random_rows, seeded

from espnet_dynlook.search.alignment import align, frames_needed
from espnet_dynlook.search.naive_phones import (
    naive_alignment,
    naive_ctc_score,
    paths,
    value,
)
from espnet_dynlook.search.phone_alignment import align_words, ctc_scores, said_ways


def random_words(draw, words, size):
    return [
        [
            tuple(draw.choices(range(1, size), k=draw.randint(1, 2)))
            for _ in range(draw.randint(1, 3))
        ]
        for _ in range(draw.randint(1, words))
    ]


def best_value(rows, said):
    """Return the value of the best path that has these spans."""
    labels = [phone for word in said for phone in word.way]
    return max(value(p, labels, rows, 0) for p in paths(labels, len(rows)))


def test_scores_are_sums_over_all_paths():
    for seed in range(20):
        draw = seeded(seed)
        rows = random_rows(draw, draw.randint(1, 6), 4, 2.0)
        some = [tuple(draw.choices([1, 2, 3], k=n)) for n in (0, 1, 2, 3, 4)]
        for score, labels in zip(ctc_scores(rows, some), some, strict=True):
            expected = naive_ctc_score(rows.tolist(), labels)
            assert score == pytest.approx(expected, abs=1e-9)


def test_scores_of_nothing():
    rows = torch.zeros(0, 4)
    assert ctc_scores(rows, [(), (1,)]) == [0.0, -math.inf]
    assert ctc_scores(torch.zeros(3, 4).log_softmax(1), []) == []


def test_scores_are_those_of_the_log_domain_however_small():
    """Long and improbable texts, labels that are impossible, repeated ones."""
    draw = seeded(5)
    for frames, sharp in ((5, 1.0), (60, 3.0), (150, 30.0), (400, 5.0)):
        rows = random_rows(draw, frames, 12, sharp)
        rows[draw.randrange(frames), 3] = -math.inf
        rows[0, 4] = -800.0
        some = [
            tuple(draw.choices(range(1, 12), k=draw.randint(0, frames // 2)))
            for _ in range(20)
        ] + [(3,) * (frames // 2), (4,) * (frames // 3)]
        fit = [one for one in some if frames_needed(one) <= frames]
        expected = torch.nn.functional.ctc_loss(
            rows.double()[:, None].expand(-1, len(fit), -1),
            torch.tensor([label for one in fit for label in one], dtype=torch.long),
            torch.full((len(fit),), frames),
            torch.tensor([len(one) for one in fit]),
            reduction="none",
        )
        found = ctc_scores(rows, fit)
        assert found == pytest.approx((-expected).tolist(), rel=1e-9, abs=1e-9)


def test_an_alignment_is_the_best_path_of_all_pronunciations():
    found = 0
    for seed in range(40):
        draw = seeded(seed)
        rows = random_rows(draw, draw.randint(2, 5), 4, 2.0)
        words = random_words(draw, 2, 4)
        said = align_words(rows, words)
        expected = naive_alignment(rows.tolist(), words)
        assert (said is None) == (expected is None)
        if said is not None:
            found += 1
            assert len(said) == len(words)
            # Of paths that are equally good any one may be taken.
            assert best_value(rows.tolist(), said) == pytest.approx(
                best_value(rows.tolist(), expected)
            )
            assert all(w.way in ways for w, ways in zip(said, words, strict=True))
    assert found > 20


def test_ways_of_many_texts_are_those_of_each():
    told, missing = 0, 0
    for seed in range(300):
        draw = seeded(f"many {seed}")
        rows = random_rows(draw, draw.randint(0, 14), 6, 2.0)
        texts = [random_words(draw, 5, 6) for _ in range(draw.randint(0, 6))]
        if draw.random() < 0.3:
            texts.insert(draw.randint(0, len(texts)), [])
        for said, words in zip(said_ways(rows, texts), texts, strict=True):
            spans = align_words(rows, words)
            assert said == (None if spans is None else [one.way for one in spans])
            told += bool(said)
            missing += said is None
    assert min(told, missing) > 50


def test_one_pronunciation_is_a_forced_alignment():
    for seed in range(10):
        draw = seeded(seed)
        rows = random_rows(draw, 40, 8, 3.0)
        words = [[tuple(draw.choices(range(1, 8), k=3))] for _ in range(4)]
        spans = align(rows, [phone for word in words for phone in word[0]])
        said = align_words(rows, words)
        assert [(w.start, w.end) for w in said] == [
            (spans[n].start, spans[n + 2].end) for n in range(0, 12, 3)
        ]


def test_what_cannot_be_aligned():
    rows = torch.zeros(3, 4).log_softmax(1)
    assert align_words(rows, [[(1, 2)], [(3, 1)]]) is None
    assert align_words(rows, [[(1, 1)]]) is not None
    assert align_words(rows, [[(1, 1)], [(1,)]]) is None
    assert align_words(torch.zeros(0, 4), [[(1,)]]) is None
    assert align_words(rows, []) == []
    with pytest.raises(ValueError, match="cannot be said"):
        align_words(rows, [[]])
