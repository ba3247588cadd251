"""N-gram language models of words or of tokens: ARPA files, and KenLM's."""

import gzip
import itertools
import math
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from espnet_dynlook.search.ngram_arrays import Trie, make_trie

LN10 = math.log(10.0)
#: Of larger models, files that KenLM maps into memory begin sooner and take less.
MOST_NGRAMS = 1_000_000
BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"


class NgramModel(Protocol):
    """What a search asks of an n-gram model; scores are in nats."""

    def begin(self) -> Hashable:
        """Return the state before the first word."""

    def score(self, state: Any, word: str) -> tuple[float, Hashable]:
        """Return the log-probability of a word, as ``<unk>`` if unknown; the state."""

    def knows(self, word: str) -> bool:
        """Tell whether the vocabulary has a word."""


class ArpaModel:
    """An ARPA file, read by plain Python; compiled searches ask it without Python.

    Of a million n-grams that takes some seconds and about half a GB.

    Args:
        path: The file, which may be gzipped.

    Raises:
        ValueError: It is no ARPA file.
    """

    def __init__(self, path: str | Path):
        # Of every n-gram: log10 of its probability, and of its back-off weight.
        self._ngrams: dict[tuple[str, ...], tuple[float, float]] = {}
        self.order = 0
        section, known = 0, False
        for number, line in enumerate(_lines(path), 1):
            line = line.strip()
            if line.startswith("\\"):
                known = known or line == "\\data\\"
                grams = line.endswith("-grams:")
                section = int(line[1 : line.index("-")]) if grams else 0
                self.order = max(self.order, section)
            elif line and section:
                try:
                    self._enter(line.split(), section)
                except (ValueError, IndexError):
                    raise ValueError(
                        f"{path}:{number}: no {section}-gram of an ARPA file: {line!r}"
                    ) from None
            if not known and line:
                raise ValueError(f"{path}:{number}: no ARPA file: no \\data\\")
        if not self._ngrams:
            raise ValueError(f"{path}: no ARPA file: it has no n-grams")

    def _enter(self, parts: list[str], order: int) -> None:
        backoff = float(parts[order + 1]) if len(parts) > order + 1 else 0.0
        words = tuple(parts[1 : order + 1])
        if len(words) < order:
            raise ValueError
        self._ngrams[words] = (float(parts[0]), backoff)

    @cached_property
    def trie(self) -> Trie:
        """The model as arrays."""
        nats = {
            gram: (LN10 * score, LN10 * backoff)
            for gram, (score, backoff) in self._ngrams.items()
        }
        return make_trie(nats, self.order, self.begin())

    @property
    def words(self) -> list[str]:
        """Its vocabulary."""
        return [gram[0] for gram in self._ngrams if len(gram) == 1]

    def begin(self) -> tuple[str, ...]:
        """Return the state before the first word: the words that count."""
        return (BEGIN,) if self.order > 1 else ()

    def knows(self, word: str) -> bool:
        """Tell whether the vocabulary has a word."""
        return (word,) in self._ngrams

    def score(self, state: tuple[str, ...], word: str) -> tuple[float, tuple[str, ...]]:
        """Return the log-probability of a word, as ``<unk>`` if unknown; the state."""
        word = word if self.knows(word) else UNKNOWN
        context, total = state, 0.0
        while (*context, word) not in self._ngrams and context:
            total += self._ngrams.get(context, (0.0, 0.0))[1]
            context = context[1:]
        total += self._ngrams.get((*context, word), (-100.0, 0.0))[0]
        history = (*state, word)[max(0, len(state) + 2 - self.order) :]
        while history and history not in self._ngrams:  # it only backs off, for nothing
            history = history[1:]
        return LN10 * total, history


class KenlmModel:
    """A file of KenLM: ARPA, or what its ``build_binary`` wrote.

    Raises:
        ValueError: The package ``kenlm`` is missing, or cannot read the file.
    """

    def __init__(self, path: str | Path):
        try:
            import kenlm
        except ImportError:
            raise ValueError(
                f"{path}: reading a binary language model needs the package kenlm: "
                "pip install kenlm, or give the ARPA file it was made of"
            ) from None
        if not Path(path).is_file():
            raise ValueError(f"{path} is no file")
        try:
            self._model = kenlm.Model(str(path))
        except OSError as error:
            raise ValueError(f"{path}: KenLM cannot read it: {error}") from None
        self._state = kenlm.State

    def begin(self) -> Hashable:
        """Return the state before the first word."""
        state = self._state()
        self._model.BeginSentenceWrite(state)
        return state

    def knows(self, word: str) -> bool:
        """Tell whether the vocabulary has a word."""
        return word in self._model

    def score(self, state: Any, word: str) -> tuple[float, Hashable]:
        """Return the log-probability of a word, as ``<unk>`` if unknown; the state."""
        after = self._state()
        return LN10 * self._model.BaseScore(state, word, after), after


def load_ngram(path: str | Path) -> NgramModel:
    """Read a language model: a small ARPA file into arrays, others by KenLM.

    Where KenLM is not installed, large ARPA files are read into arrays, too.

    Raises:
        ValueError: It cannot be read, and why.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"the language model {path} is no file")
    if path.name.endswith((".arpa", ".arpa.gz", ".lm")):
        if _number_of_ngrams(path) <= MOST_NGRAMS:
            return ArpaModel(path)
        try:
            import kenlm  # noqa: F401
        except ImportError:
            return ArpaModel(path)
    return KenlmModel(path)


def _number_of_ngrams(path: Path) -> int:
    """Return how many n-grams the head of an ARPA file says it has."""
    total = 0
    for line in itertools.islice(_lines(path), 100):
        if line.startswith("ngram ") and line.rpartition("=")[2].strip().isdigit():
            total += int(line.rpartition("=")[2])
        elif line.startswith("\\") and line.strip() != "\\data\\":
            break
    return total


def _lines(path: str | Path) -> Iterator[str]:
    opened: Any = gzip.open if str(path).endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8") as file:
        yield from file


@dataclass(frozen=True)
class NgramLM:
    """An n-gram model, and how much it counts.

    A hypothesis gets ``weight * log p(words) + word_insertion * words``.

    Attributes:
        model: See ``load_ngram``.
        weight: Of its log-probabilities.
        word_insertion: For every word (or token), in nats; below 0: fewer words.
        unknown: Added to the log-probability of words that the model does not know, in
            nats: it has one probability for all of them together.
        unit: ``word``, or ``token`` for a model of the recogniser's tokens.
        end: Whether the end of the utterance is scored.
        unknown_length: Added, beside ``unknown``, for each character of such a word;
            below 0, known words that run together cost more than each alone.

    Raises:
        ValueError: a number is out of its range, there is no such unit, or
            ``unknown_length`` is given for tokens.
    """

    model: NgramModel
    weight: float = 0.5
    word_insertion: float = 0.0
    unknown: float = -10.0
    unit: str = "word"
    end: bool = True
    unknown_length: float = 0.0

    def __post_init__(self) -> None:
        if self.unit not in ("word", "token"):
            raise ValueError(f"unit={self.unit!r} of a language model: word or token")
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise ValueError(f"weight={self.weight} of a language model: 0 or more")
        for name in ("word_insertion", "unknown", "unknown_length"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"{name}={getattr(self, name)} must be finite")
        if self.unit == "token" and self.unknown_length:
            raise ValueError(
                f"unknown_length={self.unknown_length} counts characters of words: "
                "leave it 0 with unit='token'"
            )

    def score(self, state: Any, word: str) -> tuple[float, Hashable]:
        """Return the log-probability of a word, without the weight; the state."""
        value, after = self.model.score(state, word)
        if not self.model.knows(word):
            value += self.unknown + self.unknown_length * len(word)
        return value, after

    def finish(self, state: Any) -> float:
        """Return what the end of the utterance adds, weighted."""
        return self.weight * self.model.score(state, END)[0] if self.end else 0.0
