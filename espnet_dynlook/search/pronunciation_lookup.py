"""Pronunciation lookup: a doubtful word that sounds like a name becomes it."""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from espnet_dynlook.search.checks import check_weight, check_whole
from espnet_dynlook.search.ctc_beam import Hypothesis
from espnet_dynlook.search.ngram import NgramLM
from espnet_dynlook.search.phone_alignment import ctc_scores
from espnet_dynlook.search.rewriting import distinct, rewritten
from espnet_dynlook.search.spoken_units import SpokenUnits
from espnet_dynlook.search.token_words import TokenWords
from espnet_dynlook.search.word_sounds import Sound, WordSounds

#: The key of ``Hypothesis.parts``.
PART = "lookup"


@dataclass(frozen=True)
class PronunciationLookup:
    """Which words are looked up by their sound, and how much that counts.

    The words of the best hypothesis are aligned with the phone posteriors, which gives
    their boundaries. What was heard between the boundaries of one word or of several
    neighbours, the labels of the best phone path there, is looked up among the
    pronunciations of the catalog; so is the pronunciation that the alignment took. A
    span that has a doubtful word and matches an entry exactly is replaced by it, if
    ``weight * w`` for each of its phones, w being the entry's own weight, makes up for
    what the tokens lose, ``log P(tokens of the entry) - log P(tokens of the span)``,
    summed over CTC paths in the frames of the span. The sum of both, which is above 0,
    is its share of the score. The language model is not asked: it does not know names.

    With ``distance`` above 0 what is near to an entry counts, too (``near_sounds``).
    For each nat that its best path between the boundaries loses to the best of all,
    ``1 / distance`` phones count as not matched: nothing is left of an entry that loses
    ``distance`` nats a phone.

    A word is doubtful that is rare (``counts``), unknown (to a language model of words)
    or unsure (``confidence``). Words of entries never are, but for entries of weight 0,
    which take no part: as if the list did not have them. Of several entries with the
    same sound the one with the largest weight is taken, then that with the largest
    token score, then the likelier one for the language model, then the first one in
    the order of the texts; of entries with different sounds the one with the largest
    share, and so of spans that overlap.
    After https://arxiv.org/abs/2210.09510; rules and numbers are our own.

    Attributes:
        weight: Of a phone that matches, in nats; 0: off.
        confidence: A word is unsure if a token of it has a lower probability in the
            frame that emitted it.
        counts: File of training words, ``word count`` a line; None: no word is rare.
        rare: A word is rare up to this count; one that is not in the file has none.
        span: At most so many words become one entry.
        distance: Nats a phone by which an entry may be below what was heard; 0: what
            matches exactly, and nothing else.

    Raises:
        ValueError: a number is out of its range.
    """

    weight: float = 1.0
    confidence: float = 0.9
    counts: str | None = None
    rare: int = 2
    span: int = 3
    distance: float = 0.0

    def __post_init__(self) -> None:
        check_weight("weight", self.weight, "lookup")
        if not 0 <= self.confidence <= 1:
            raise ValueError(f"confidence={self.confidence} of lookup: a probability")
        check_whole("rare", self.rare, 0, "lookup")
        check_whole("span", self.span, 1, "lookup")
        check_weight("distance", self.distance, "lookup")
        if self.counts is not None:
            read_counts(str(self.counts))  # what is wrong with it is said now

    def is_known_rare(self, word: str, lm: NgramLM | None) -> bool:
        """Tell whether a word is rare or unknown, whatever was heard."""
        if self.counts is not None:
            if read_counts(str(self.counts)).get(word, 0) <= self.rare:
                return True
        return lm is not None and lm.unit == "word" and not lm.model.knows(word)


@functools.lru_cache(maxsize=4)
def read_counts(path: str) -> dict[str, int]:
    """Read a file of words with their counts, as ``word count`` or ``word<tab>count``.

    Raises:
        ValueError: It is no file, or a line is not like that.
    """
    if not Path(path).is_file():
        raise ValueError(f"counts={path} of lookup is no file")
    found = {}
    for number, line in enumerate(Path(path).read_text("utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            word, count = line.split()
            found[word] = int(count)
        except ValueError:
            raise ValueError(
                f"{path}:{number}: {line!r} is not a word and its count"
            ) from None
    return found


@dataclass(frozen=True)
class Replacement:
    """Words that sound like an entry.

    Attributes:
        start: The first of them.
        end: The one after the last.
        entry: Number of the entry.
        tokens: That are written then.
        share: What the hypothesis gets for it, in nats.
    """

    start: int
    end: int
    entry: int
    tokens: tuple[int, ...]
    share: float


class Lookup:
    """Looks the words of hypotheses up, for one catalog.

    Args:
        options: Of the technique.
        units: Knows how words are said, and the catalog.
        token_ids: Of every segmentation of every entry.
        words: Of the model's tokens.
        lm: For words that it does not know; None: none.
        blank: Index of the blank, in both lists.
    """

    def __init__(
        self,
        options: PronunciationLookup,
        units: SpokenUnits,
        token_ids: Sequence[Sequence[Sequence[int]]],
        words: TokenWords,
        lm: NgramLM | None = None,
        blank: int = 0,
    ):
        self.options, self.units, self.words = options, units, words
        self.lm, self.blank = lm, blank
        self.token_ids = token_ids
        self.alike = WordSounds(units, options.span, options.distance, blank)

    def __call__(
        self,
        hypotheses: Sequence[Hypothesis],
        log_probs: torch.Tensor,
        phone_log_probs: torch.Tensor,
    ) -> list[Hypothesis]:
        """Return the hypotheses with the words of the best one looked up.

        The others stay as they are: with a doubtful word in place of a sure one, they
        would get a name past the guard.

        Args:
            hypotheses: The best first.
            log_probs: Of the tokens (T, V).
            phone_log_probs: (T', P).
        """
        if self.options.weight == 0 or not hypotheses:
            return list(hypotheses)
        one, *others = hypotheses
        self.units.prepare([[word.text for word in one.words]])
        swaps = self.replacements(one, log_probs, phone_log_probs)
        if not swaps:
            return list(hypotheses)
        for swap in sorted(swaps, key=lambda swap: -swap.start):
            one = rewritten(one, swap.start, swap.end, swap.tokens, self.words)
        share = sum(swap.share for swap in swaps)
        one = replace(one, score=one.score + share, parts=one.parts | {PART: share})
        return distinct([one, *others])

    def replacements(
        self, one: Hypothesis, log_probs: torch.Tensor, phone_log_probs: torch.Tensor
    ) -> list[Replacement]:
        """Return what becomes of a hypothesis's words; spans do not overlap."""
        units = self.units([word.text for word in one.words])
        doubtful = self.doubtful(one, log_probs)
        found = []
        for start, end, entries in self.alike(
            units,
            [any(doubtful[unit.start : unit.end]) for unit in units],
            phone_log_probs,
        ):
            span = units[start].start, units[end - 1].end
            swap = self._best(one, *span, entries, log_probs)
            if swap is not None and swap.share > 0:
                found.append(swap)
        chosen: list[Replacement] = []
        for swap in sorted(found, key=lambda swap: (-swap.share, swap.start)):
            if all(swap.end <= o.start or swap.start >= o.end for o in chosen):
                chosen.append(swap)
        return chosen

    def doubtful(self, one: Hypothesis, log_probs: torch.Tensor) -> list[bool]:
        """Tell which words of a hypothesis are rare, unknown or unsure."""
        least = math.log(self.options.confidence) if self.options.confidence else None
        found = []
        for (a, b), word in zip(self.words.places(one.tokens), one.words, strict=True):
            values = log_probs[one.frames[a:b], one.tokens[a:b]]
            unsure = least is not None and float(values.min()) < least
            found.append(unsure or self.options.is_known_rare(word.text, self.lm))
        return found

    def _best(
        self,
        one: Hypothesis,
        start: int,
        end: int,
        entries: Mapping[int, Sound],
        log_probs: torch.Tensor,
    ) -> Replacement | None:
        """Return which of some entries words become; None: the frames fit none."""
        places = self.words.places(one.tokens)
        first, last = places[start][0], places[end - 1][1]
        begin = one.frames[first - 1] + 1 if first else 0
        stop = one.frames[last] if last < len(one.tokens) else len(log_probs)
        paths = [one.tokens[first:last]]
        owners = [-1]
        for entry in entries:
            for path in self.token_ids[entry]:
                paths.append(list(path))
                owners.append(entry)
        scores = ctc_scores(log_probs[begin:stop], paths, self.blank)
        if scores[0] == -math.inf:
            return None
        known = {
            entry: self._language(self.units.catalog.entries[entry].words)
            for entry in entries
        }
        # Of entries that sound the same a rule says which; then the largest share.
        best: dict[Sound, tuple[tuple[float, float, float, int], Replacement]] = {}
        for path, entry, score in zip(paths, owners, scores, strict=True):
            if entry < 0 or score == -math.inf:
                continue
            written, sound = self.units.catalog.entries[entry], entries[entry]
            rule = (written.weight, score, known[entry], -entry)
            if sound not in best or rule > best[sound][0]:
                gain = self.options.weight * written.weight * sound.matched
                share = gain + score - scores[0]
                best[sound] = rule, Replacement(start, end, entry, tuple(path), share)
        chosen = max(
            best.values(), key=lambda pair: (pair[1].share, pair[0]), default=None
        )
        return None if chosen is None else chosen[1]

    def _language(self, words: Sequence[str]) -> float:
        """Return what the language model says of words at a beginning."""
        if self.lm is None or self.lm.unit != "word":
            return 0.0
        state, total = self.lm.model.begin(), 0.0
        for word in words:
            score, state = self.lm.score(state, word)
            total += score
        return total
