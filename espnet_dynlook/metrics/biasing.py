"""What a list of names did: U-WER and B-WER, names found, names where none was said.

U-WER and B-WER are those of the public LibriSpeech biasing benchmark (Le et al.,
"Contextualized Streaming End-to-End Speech Recognition with Trie-Based Deep Biasing and
Shallow Fusion", Interspeech 2021; fbai-speech, is21_deep_bias/score.py).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from espnet_dynlook.metrics.alignment import Pair, align
from espnet_dynlook.metrics.counts import Counts
from espnet_dynlook.metrics.wer import ErrorCounts


@dataclass(frozen=True)
class EntityCounts(Counts):
    """Occurrences of a list's phrases.

    Attributes:
        utterances: How many were scored.
        reference: Occurrences in what was said.
        hypothesis: Occurrences in what was recognised.
        correct: Of those, the ones aligned, word for word, with the same phrase in what
            was said.
        wrong_utterances: Utterances with a phrase that was not said there.
    """

    utterances: int = 0
    reference: int = 0
    hypothesis: int = 0
    correct: int = 0
    wrong_utterances: int = 0

    @property
    def false_insertions(self) -> int:
        """Phrases of the list that were recognised where they were not said."""
        return self.hypothesis - self.correct

    @property
    def precision(self) -> float | None:
        """Share of the recognised phrases that were said; None without any."""
        return self.correct / self.hypothesis if self.hypothesis else None

    @property
    def recall(self) -> float | None:
        """Share of the phrases said that were recognised; None without any."""
        return self.correct / self.reference if self.reference else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall; None where there is no phrase."""
        both = self.reference + self.hypothesis
        return 2 * self.correct / both if both else None

    @property
    def false_insertions_per_100(self) -> float:
        """False insertions per 100 utterances."""
        return 100 * self.false_insertions / max(1, self.utterances)


@dataclass(frozen=True)
class BiasingCounts(Counts):
    """What the scoring of utterances with lists counts.

    Attributes:
        words: All words; WER is its rate.
        unbiased: Words outside the phrases of the list that were said: U-WER.
        biased: Words of these phrases: B-WER. With ``unbiased`` they are ``words``.
        entities: Whole phrases of the list.
    """

    words: ErrorCounts = field(default_factory=ErrorCounts)
    unbiased: ErrorCounts = field(default_factory=ErrorCounts)
    biased: ErrorCounts = field(default_factory=ErrorCounts)
    entities: EntityCounts = field(default_factory=EntityCounts)


class PhraseFinder:
    """Finds the phrases of a list in words.

    Args:
        phrases: Words or phrases, words apart by spaces.
    """

    def __init__(self, phrases: Iterable[str]):
        self._by_first: dict[str, list[tuple[str, ...]]] = {}
        for phrase in set(phrases):
            words = tuple(phrase.split())
            if words:
                self._by_first.setdefault(words[0], []).append(words)
        for several in self._by_first.values():
            several.sort(key=len, reverse=True)

    def __call__(self, words: Sequence[str]) -> list[tuple[int, int]]:
        """Return where phrases stand, as (first, last + 1).

        From left to right the longest phrase that begins there; none overlap.
        """
        found = []
        i = 0
        while i < len(words):
            for phrase in self._by_first.get(words[i], ()):
                if tuple(words[i : i + len(phrase)]) == phrase:
                    found.append((i, i + len(phrase)))
                    i += len(phrase)
                    break
            else:
                i += 1
        return found


def count_biasing(
    reference: Sequence[str],
    hypothesis: Sequence[str],
    true: Iterable[str],
    phrases: Iterable[str],
) -> BiasingCounts:
    """Score one utterance.

    A word said counts as biased if it belongs to a phrase of ``true``; so does an
    inserted word. A distractor that was inserted is an error of U-WER there, as in the
    benchmark, and a false insertion of the entities.

    Args:
        reference: Words that were said.
        hypothesis: Words recognised.
        true: Phrases of the list that were said (third column of a list file).
        phrases: All phrases of the list (fourth column).
    """
    pairs = align(reference, hypothesis)
    finder = PhraseFinder(true)
    said = _covered(finder(reference))
    recognised = _covered(finder(hypothesis))
    kinds: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}
    for i, j in pairs:
        if i is None:
            kinds[j in recognised]["insertions"] += 1
        elif j is None:
            kinds[i in said]["deletions"] += 1
        elif reference[i] == hypothesis[j]:
            kinds[i in said]["correct"] += 1
        else:
            kinds[i in said]["substitutions"] += 1
    words = _errors(kinds[False] + kinds[True])
    unbiased, biased = _errors(kinds[False]), _errors(kinds[True])
    entities = _count_entities(reference, hypothesis, pairs, PhraseFinder(phrases))
    return BiasingCounts(words, unbiased, biased, entities)


def _errors(tally: Mapping[str, int]) -> ErrorCounts:
    """Return what an alignment tallied in one utterance as counts."""
    wrong = tally["substitutions"] + tally["deletions"]
    return ErrorCounts(
        sentences=1,
        units=tally["correct"] + wrong,
        wrong_sentences=int(wrong + tally["insertions"] > 0),
        **tally,
    )


def _covered(spans: Iterable[tuple[int, int]]) -> set[int]:
    """Return the positions inside spans."""
    return {i for first, end in spans for i in range(first, end)}


def _count_entities(
    reference: Sequence[str],
    hypothesis: Sequence[str],
    pairs: Iterable[Pair],
    finder: PhraseFinder,
) -> EntityCounts:
    """Match the phrases of both sides by their places in the alignment."""
    said, recognised = finder(reference), finder(hypothesis)
    places = set(recognised)
    aligned = dict(pairs)  # of each position of the reference; None means nothing here
    correct = 0
    for first, end in said:
        start = aligned[first]
        if start is None or (start, start + end - first) not in places:
            continue
        # The same words side by side, each aligned with itself.
        correct += all(
            aligned[first + k] == start + k
            and reference[first + k] == hypothesis[start + k]
            for k in range(end - first)
        )
    wrong = int(correct < len(recognised))
    return EntityCounts(1, len(said), len(recognised), correct, wrong)


def score_biasing(
    references: Mapping[str, str],
    hypotheses: Mapping[str, str],
    lists: Mapping[str, tuple[Iterable[str], Iterable[str]]],
) -> dict[str, BiasingCounts]:
    """Score utterances, each with its list.

    Args:
        references: Transcript by utterance.
        hypotheses: Recognised text by utterance.
        lists: The phrases said and all phrases, by utterance.

    Raises:
        ValueError: An utterance of the references has no hypothesis or no list.
    """
    for name, table in (("hypothesis", hypotheses), ("list", lists)):
        missing = [utt for utt in references if utt not in table]
        if missing:
            raise ValueError(
                f"{len(missing)} of {len(references)} utterances have no {name}, the "
                f"first is {missing[0]}"
            )
    return {
        utt: count_biasing(text.split(), hypotheses[utt].split(), *lists[utt])
        for utt, text in references.items()
    }


def pool_biasing(counts: Iterable[BiasingCounts]) -> BiasingCounts:
    """Pool the counts of several utterances or sets."""
    return sum(counts, BiasingCounts())
