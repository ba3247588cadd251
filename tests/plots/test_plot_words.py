"""Words and their times, from tokens and from files."""

import pytest
import torch

from espnet_dynlook.plots.style import PlotError
from espnet_dynlook.plots.words import (
    aligned,
    join_tokens,
    read_words,
    recognised,
    token_type_of,
)

CHARS = ["<blank>", "<unk>", "A", "B", "<space>", "<sos/eos>"]
A, B, SPACE = 2, 3, 4


def posteriors(labels):
    """Return log-probabilities that are sure of a label a frame."""
    log_probs = torch.full((len(labels), len(CHARS)), -10.0)
    log_probs[range(len(labels)), labels] = -0.01
    return log_probs


def shown(words):
    return [(round(w.start, 2), round(w.end, 2), w.text) for w in words]


def test_recognised_words_are_where_their_tokens_are_emitted():
    log_probs = posteriors([0, A, A, 0, B, SPACE, 0, A])
    assert shown(recognised(log_probs, 0, CHARS, 0.04)) == [
        (0.04, 0.20, "AB"),
        (0.28, 0.32, "A"),
    ]


def test_aligned_words_are_where_the_path_of_the_transcript_is():
    log_probs = posteriors([0, A, A, 0, B, B, SPACE, 0, A])
    found = aligned(log_probs, [A, B, SPACE, A], 0, CHARS, 0.04)
    assert shown(found) == [(0.04, 0.24, "AB"), (0.32, 0.36, "A")]


def test_a_transcript_longer_than_the_audio_is_refused():
    with pytest.raises(PlotError, match="is it of this audio"):
        aligned(posteriors([A, B]), [A, A], 0, CHARS, 0.04)


def test_nothing_recognised_is_no_word():
    assert recognised(posteriors([0, 0, 0]), 0, CHARS, 0.04) == ()
    assert recognised(posteriors([SPACE, SPACE]), 0, CHARS, 0.04) == ()


def test_subwords_begin_a_word_with_their_mark():
    pieces = ["<blank>", "▁HE", "LLO", "▁YOU"]
    assert token_type_of(pieces) == "bpe"
    words = join_tokens(pieces, [1, 2, 3], [0, 2, 4], [1, 3, 5], 1.0)
    assert shown(words) == [(0, 3, "HELLO"), (4, 5, "YOU")]


def test_tokens_without_marks_are_words():
    tokens = ["<blank>", "YES", "NO"]
    words = join_tokens(tokens, [1, 2], [0, 1], [1, 2], 1.0)
    assert shown(words) == [(0, 1, "YES"), (1, 2, "NO")]


def test_words_of_an_utterance_are_read_from_a_ctm_file(tmp_path):
    path = tmp_path / "words.ctm"
    path.write_text("u1 1 0.50 0.25 HELLO\n")
    assert shown(read_words(path, None)) == [(0.5, 0.75, "HELLO")]
    path.write_text("u1 1 0.50 0.25 HELLO\nu2 1 0.1 0.1 NO\n")
    assert shown(read_words(path, "u2")) == [(0.1, 0.2, "NO")]


@pytest.mark.parametrize("utt", [None, "u3"])
def test_an_utterance_that_the_file_lacks_is_refused(tmp_path, utt):
    path = tmp_path / "words.ctm"
    path.write_text("u1 1 0.50 0.25 HELLO\nu2 1 0.1 0.1 NO\n")
    with pytest.raises(PlotError, match=r"2 utterances \(u1, u2\)"):
        read_words(path, utt)


def test_a_file_of_words_that_is_missing_or_broken_is_named(tmp_path):
    with pytest.raises(PlotError, match=r"--words .*none\.ctm"):
        read_words(tmp_path / "none.ctm", None)
    (tmp_path / "w.ctm").write_text("HELLO\n")
    with pytest.raises(PlotError, match=r"w\.ctm:1"):
        read_words(tmp_path / "w.ctm", None)
