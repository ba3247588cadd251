"""Token delay: words of tokens, the tokens that were recognised, their lateness."""

import pytest

from espnet_dynlook.metrics.delay import (
    SPACE,
    matching_tokens,
    token_delays,
    words_of_tokens,
)


@pytest.mark.parametrize(
    ("token_type", "tokens", "words"),
    [
        ("char", ["a", "b", SPACE, "c"], [[0, 1], [3]]),
        ("char", [SPACE, "a", SPACE, SPACE, "b", SPACE], [[1], [4]]),
        ("bpe", ["▁a", "b", "▁", "c"], [[0, 1], [2, 3]]),
        ("bpe", ["a", "▁b"], [[0], [1]]),
        ("word", ["ab", "c"], [[0], [1]]),
        ("char", [], []),
    ],
)
def test_tokens_are_grouped_into_words(token_type, tokens, words):
    assert words_of_tokens(tokens, token_type) == words


def test_type_without_words_is_named():
    with pytest.raises(ValueError, match=r"token_type='phn'.*char, bpe, word"):
        words_of_tokens(["AH"], "phn")


@pytest.mark.parametrize(
    ("reference", "hypothesis", "pairs"),
    [
        ("a b c", "a b c", [(0, 0), (1, 1), (2, 2)]),
        ("a b c", "a x c", [(0, 0), (2, 2)]),
        ("a b c", "x a b c", [(0, 1), (1, 2), (2, 3)]),
        ("a b", "", []),
        ("", "a", []),
        ("a", "b", []),
    ],
)
def test_only_tokens_in_both_are_paired(reference, hypothesis, pairs):
    assert matching_tokens(reference.split(), hypothesis.split()) == pairs


def test_delay_counts_from_the_end_of_the_word_and_leaves_out_spaces():
    delays = token_delays(
        ["a", "b", SPACE, "c"],
        [100.0, 300.0],
        ["a", SPACE, "x", "c"],
        [90.0, 150.0, 200.0, 420.0],
        "char",
    )
    assert delays == [-10.0, 120.0]


def test_alignment_of_another_transcript_is_refused():
    with pytest.raises(ValueError, match="1 word ends for 2 words"):
        token_delays(["a", SPACE, "b"], [1.0], ["a"], [1.0], "char")
