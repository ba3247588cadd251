"""Transcripts as a model sees them, token numbers, read as words."""

from collections.abc import Sequence
from dataclasses import dataclass

from espnet_dynlook.biasing.spelling import WORD_START, is_special
from espnet_dynlook.metrics.delay import SPACE, words_of_tokens


@dataclass(frozen=True)
class TranscriptWord:
    """A word of a transcript.

    Attributes:
        text: As written; "" where a token of it is no text, such as ``<unk>``.
        start: Position of its first token.
        end: Position after its last token.
    """

    text: str
    start: int
    end: int


def token_type_of(token_list: Sequence[str]) -> str:
    """Tell from the tokens themselves whether they are char, bpe or word."""
    plain = [token for token in token_list if not is_special(token)]
    if any(token.startswith(WORD_START) for token in plain):
        return "bpe"
    return "word" if any(len(token) > 1 for token in plain) else "char"


class TranscriptReader:
    """Reads the words of transcripts that are given as token numbers.

    Args:
        token_list: The model's tokens.
    """

    def __init__(self, token_list: Sequence[str]):
        self.token_list = tuple(token_list)
        self.token_type = token_type_of(self.token_list)

    def text(self, ids: Sequence[int]) -> str:
        """Return tokens as written; "" if one of them is no text."""
        tokens = [self.token_list[i] for i in ids]
        if any(is_special(token) and token != SPACE for token in tokens):
            return ""
        between = " " if self.token_type == "word" else ""
        written = between.join(" " if token == SPACE else token for token in tokens)
        return " ".join(written.replace(WORD_START, " ").split())

    def words(self, ids: Sequence[int]) -> list[TranscriptWord]:
        """Return the words of a transcript, in order."""
        tokens = [self.token_list[i] for i in ids]
        return [
            TranscriptWord(
                self.text([ids[n] for n in places]), places[0], places[-1] + 1
            )
            for places in words_of_tokens(tokens, self.token_type)
        ]
