"""The words that tokens make, with their times."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from espnet_dynlook.metrics.delay import (
    BPE_SPACE,
    SPACE,
    TOKEN_TYPES,
    words_of_tokens,
)
from espnet_dynlook.search.incremental import Token


@dataclass(frozen=True, slots=True)  # there are many
class Word:
    """A recognised word.

    Attributes:
        text: As written.
        start: When its first token is emitted, in seconds of audio.
        end: When the frame of its last token ends.
        confidence: Geometric mean of its tokens' probabilities.
    """

    text: str
    start: float
    end: float
    confidence: float


class WordReader:
    """Reads words from the tokens of a model.

    Args:
        names: Of the tokens, by their number.
        token_type: char, bpe or word.
        period: Of an encoder frame, in seconds.

    Attributes:
        between: What is written between words.

    Raises:
        ValueError: words cannot be told from tokens of this type.
    """

    def __init__(self, names: Sequence[str], token_type: str, period: float):
        if token_type not in TOKEN_TYPES:
            raise ValueError(
                f"token_type={token_type!r}: words are told from tokens only of "
                f"{', '.join(TOKEN_TYPES)}"
            )
        self.names = list(names)
        # Where nothing separates words, such as in Chinese, every character is one.
        spaced = token_type != "char" or SPACE in self.names
        self.token_type = token_type if spaced else "word"
        self.between = " " if spaced else ""
        self.period = period

    def text_of(self, words: Sequence[Word]) -> str:
        """Return words as a text."""
        return self.between.join(word.text for word in words)

    def words_of(self, tokens: Sequence[Token]) -> tuple[Word, ...]:
        """Return the words that tokens make."""
        names = [self.names[one.token] for one in tokens]
        words = []
        for places in words_of_tokens(names, self.token_type):
            text = "".join(names[n] for n in places).replace(BPE_SPACE, "")
            if not text:
                continue
            own = [tokens[n] for n in places]
            product = float(np.prod([one.probability for one in own]))
            words.append(
                Word(
                    text,
                    own[0].frame * self.period,
                    (own[-1].frame + 1) * self.period,
                    product ** (1 / len(own)),
                )
            )
        return tuple(words)

    def closed_tokens(self, tokens: Sequence[Token]) -> int:
        """Return how many tokens, from the first, are of words that are complete.

        Those that no further token can make longer, and the spaces around them.
        """
        names = [self.names[one.token] for one in tokens]
        groups = words_of_tokens(names, self.token_type)
        spaced = self.token_type == "char" and names[-1:] == [SPACE]
        if not groups or self.token_type == "word" or spaced:
            return len(names)
        return groups[-1][0]  # only what begins the next word closes one
