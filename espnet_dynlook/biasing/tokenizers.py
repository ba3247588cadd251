"""Tokenizers for catalogs: ESPnet's objects as they are, or made from a token list."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from espnet_dynlook.biasing.spelling import is_special

SPACE = "<space>"
TOKEN_TYPES = ("char", "bpe", "word")


class Tokenizer(Protocol):
    """What a catalog asks of a tokenizer; ESPnet's char, bpe and word ones do it."""

    def text2tokens(self, line: str) -> list[str]:
        """Split a text into tokens."""

    def tokens2text(self, tokens: Iterable[str]) -> str:
        """Join tokens to a text."""


class CharTokenizer:
    """Characters, a space between words being ``<space>``."""

    def __init__(self, token_list: Sequence[str]):
        self.token_list = tuple(token_list)

    def text2tokens(self, line: str) -> list[str]:
        """Split a text into characters."""
        return [SPACE if c == " " else c for c in line]

    def tokens2text(self, tokens: Iterable[str]) -> str:
        """Join characters to a text."""
        return "".join(" " if token == SPACE else token for token in tokens)


class WordTokenizer:
    """Words between spaces."""

    def __init__(self, token_list: Sequence[str]):
        self.token_list = tuple(token_list)

    def text2tokens(self, line: str) -> list[str]:
        """Split a text into words."""
        return line.split()

    def tokens2text(self, tokens: Iterable[str]) -> str:
        """Join words to a text."""
        return " ".join(tokens)


class SentencepieceTokenizer:
    """Pieces of a sentencepiece model.

    Args:
        token_list: The model's tokens; None: the pieces of the file.
        bpemodel: File of sentencepiece.

    Attributes:
        token_scores: Log-probability by piece of a unigram model; None for BPE.
    """

    def __init__(self, token_list: Sequence[str] | None, bpemodel: str | Path):
        self.bpemodel = str(bpemodel)
        self._load()
        pieces, self.token_scores = _pieces(self._processor)
        self.token_list = tuple(pieces if token_list is None else token_list)

    def _load(self) -> None:
        from sentencepiece import SentencePieceProcessor

        if not Path(self.bpemodel).is_file():
            raise ValueError(f"bpemodel={self.bpemodel} is no file")
        self._processor = SentencePieceProcessor(model_file=self.bpemodel)

    def text2tokens(self, line: str) -> list[str]:
        """Split a text into pieces."""
        return self._processor.encode(line, out_type=str)

    def tokens2text(self, tokens: Iterable[str]) -> str:
        """Join pieces to a text."""
        return self._processor.decode_pieces(list(tokens))

    def __getstate__(self) -> dict[str, Any]:
        """Leave the processor out, which older releases cannot pickle."""
        return {k: v for k, v in self.__dict__.items() if k != "_processor"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._load()


def _pieces(processor: Any) -> tuple[list[str], dict[str, float] | None]:
    """Return the pieces of a model, and their scores if it is a unigram model."""
    size = processor.get_piece_size()
    names = [processor.id_to_piece(i) for i in range(size)]
    scores = {name: processor.get_score(i) for i, name in enumerate(names)}
    # BPE keeps the negative rank of its merges there: no probability.
    unigram = any(score != int(score) for score in scores.values())
    return names, scores if unigram else None


def build_tokenizer(
    token_list: Sequence[str], token_type: str, bpemodel: str | Path | None = None
) -> Tokenizer:
    """Make the tokenizer of a model from what its configuration says.

    Args:
        token_list: The model's tokens.
        token_type: ``char``, ``bpe`` or ``word``.
        bpemodel: File of sentencepiece, for ``bpe``.

    Raises:
        ValueError: Names cannot be spelled in tokens of this type.
    """
    if token_type == "char":
        return CharTokenizer(token_list)
    if token_type == "word":
        return WordTokenizer(token_list)
    if token_type == "bpe":
        if bpemodel is None:
            raise ValueError("token_type=bpe: give bpemodel, the sentencepiece file")
        return SentencepieceTokenizer(token_list, bpemodel)
    raise ValueError(
        f"token_type={token_type}: a catalog of names can be made for "
        f"{', '.join(TOKEN_TYPES)}; other tokens cannot be put together from a text"
    )


def known_tokens(tokenizer: Tokenizer) -> tuple[str, ...] | None:
    """Return the tokens that a tokenizer can give, None if it does not say."""
    given = getattr(tokenizer, "token_list", None)
    if given is not None:
        return tuple(given)
    processor = _processor_of(tokenizer)
    return None if processor is None else tuple(_pieces(processor)[0])


def token_scores(tokenizer: Tokenizer) -> dict[str, float] | None:
    """Return log-probabilities of tokens where the tokenizer has them."""
    if hasattr(tokenizer, "token_scores"):
        return tokenizer.token_scores
    processor = _processor_of(tokenizer)
    return None if processor is None else _pieces(processor)[1]


def _processor_of(tokenizer: Tokenizer) -> Any:
    """Return the sentencepiece processor of ESPnet's tokenizer, which loads it late."""
    if hasattr(tokenizer, "sp"):
        tokenizer.text2tokens("")
        return tokenizer.sp
    return None


def has_subwords(token_list: Iterable[str]) -> bool:
    """Tell whether a word can be put together from these tokens in several ways."""
    return any(len(token) > 1 and not is_special(token) for token in token_list)
