"""Error counts, against alignments worked by hand."""

import pytest

from espnet_dynlook.metrics.wer import (
    ErrorCounts,
    count_errors,
    pool,
    score_utterances,
    split_characters,
    split_words,
)


def test_counts_equal_a_hand_worked_alignment():
    # she had your dark suit in     greasy wash
    # she had a    dark suit in the greasy         : 1 sub, 1 ins, 1 del
    reference = split_words("she had your dark suit in greasy wash")
    hypothesis = split_words("she had a dark suit in the greasy")
    counts = count_errors(reference, hypothesis)
    assert counts == ErrorCounts(
        sentences=1,
        units=8,
        correct=6,
        substitutions=1,
        deletions=1,
        insertions=1,
        wrong_sentences=1,
    )
    assert counts.rate == pytest.approx(3 / 8)


def test_equal_texts_have_no_error():
    counts = count_errors(["a", "b"], ["a", "b"])
    assert (counts.errors, counts.correct, counts.wrong_sentences) == (0, 2, 0)


def test_empty_hypothesis_is_all_deletions():
    assert count_errors(["a", "b"], []).deletions == 2


def test_empty_reference_is_all_insertions():
    counts = count_errors([], ["a", "b"])
    assert (counts.insertions, counts.units, counts.rate) == (2, 0, float("inf"))
    assert count_errors([], []).rate == 0


def test_characters_count_the_space():
    counts = count_errors(split_characters("ab  c"), split_characters("abc"))
    assert (counts.units, counts.deletions, counts.errors) == (4, 1, 1)


def test_white_space_between_words_does_not_matter():
    assert split_words("  a \t b ") == ["a", "b"]
    assert split_characters("  a \t b ") == ["a", " ", "b"]


def test_rate_is_pooled_not_averaged():
    counts = score_utterances({"u": "a", "v": "a b c"}, {"u": "b", "v": "a b c"})
    assert pool(counts.values()).rate == pytest.approx(1 / 4)


def test_missing_hypothesis_is_named():
    with pytest.raises(
        ValueError, match="1 of 2 utterances have no hypothesis, the first is v"
    ):
        score_utterances({"u": "a", "v": "b"}, {"u": "a"})
    with pytest.raises(ValueError, match="no reference, the first is w"):
        score_utterances({"u": "a"}, {"u": "a", "w": "b"})
