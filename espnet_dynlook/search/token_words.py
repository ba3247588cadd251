"""Which tokens begin words, and the words that tokens make."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from espnet_dynlook.biasing.spelling import WORD_START, is_special
from espnet_dynlook.biasing.tokenizers import SPACE
from espnet_dynlook.search.ctc_beam_arrays import BEGINS, INSIDE, SEPARATES
from espnet_dynlook.search.incremental import Token


@dataclass(frozen=True)
class WordSpan:
    """A word, and where it was heard.

    Attributes:
        text: As written.
        start: Frame that emitted its first token.
        end: Frame after the one that emitted its last.
    """

    text: str
    start: int
    end: int


class TokenWords:
    """Tells words from tokens, by the token list alone.

    Pieces of sentencepiece begin words where they have its mark; characters are of one
    word up to ``<space>``; of token lists with neither, every token is a word.

    Args:
        token_list: The model's tokens.

    Attributes:
        kinds: What each token does to words (V,).
        pieces: What each token adds to a word.
        between: What is written between words.
    """

    def __init__(self, token_list: Sequence[str]):
        self.token_list = tuple(token_list)
        marked = any(token.startswith(WORD_START) for token in self.token_list)
        if marked:
            kinds = [
                BEGINS if token.startswith(WORD_START) else INSIDE
                for token in self.token_list
            ]
        elif SPACE in self.token_list:
            kinds = [
                SEPARATES if token == SPACE else INSIDE for token in self.token_list
            ]
        else:
            kinds = [BEGINS] * len(self.token_list)
        self._kinds = kinds
        self.kinds = np.array(kinds, dtype=np.int64)
        self.pieces = [token.replace(WORD_START, "") for token in self.token_list]
        spaced = marked or SPACE in self.token_list
        # Where nothing separates words, such as in Chinese, every character is one.
        long = any(len(t) > 1 and not is_special(t) for t in self.token_list)
        self.between = " " if spaced or long else ""

    def text(self, tokens: Sequence[int]) -> str:
        """Return the text of the tokens of one word."""
        return "".join([self.pieces[t] for t in tokens])

    def text_of(self, tokens: Sequence[int]) -> str:
        """Return the words of tokens as a text."""
        return self.between.join(self.text(tokens[a:b]) for a, b in self.places(tokens))

    def places(self, tokens: Sequence[int]) -> list[tuple[int, int]]:
        """Return where each word's first token is, and the place after its last.

        Words without any letter are none.
        """
        found: list[tuple[int, int]] = []
        start, lettered = -1, False
        for at, token in enumerate(tokens):
            kind = self._kinds[token]
            if kind != INSIDE:
                if lettered:
                    found.append((start, at))
                start, lettered = -1, False
            if kind != SEPARATES:
                start = at if start < 0 else start
                lettered = lettered or self.pieces[token] != ""
        if lettered:
            found.append((start, len(tokens)))
        return found

    def spans(self, tokens: Sequence[Token]) -> list[WordSpan]:
        """Return the words of a hypothesis, without empty ones."""
        ids = [token.token for token in tokens]
        return [
            WordSpan(self.text(ids[a:b]), tokens[a].frame, tokens[b - 1].frame + 1)
            for a, b in self.places(ids)
        ]
