"""Error rates of words and characters, by jiwer's alignment.

Counts, not rates, are what these functions return: rates over a set are pooled from
counts, and the paired bootstrap resamples them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import jiwer

from espnet_dynlook.metrics.counts import Counts


@dataclass(frozen=True)
class ErrorCounts(Counts):
    """What an alignment of references and hypotheses counts.

    Attributes:
        sentences: Utterances.
        units: Words or characters of the references.
        correct: Units recognised.
        substitutions: Units taken for another.
        deletions: Units missing.
        insertions: Units too many.
        wrong_sentences: Utterances with an error.
    """

    sentences: int = 0
    units: int = 0
    correct: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    wrong_sentences: int = 0

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions together."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors per unit of the reference; inf for errors without any unit."""
        if self.units:
            return self.errors / self.units
        return float("inf") if self.errors else 0.0


def split_words(text: str) -> list[str]:
    """Split into words at white space."""
    return text.split()


def split_characters(text: str) -> list[str]:
    """Split into characters, a space between words being one of them."""
    return list(" ".join(text.split()))


def count_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> ErrorCounts:
    """Align one utterance and count its errors.

    Args:
        reference: Units that were said; may be empty, then all is inserted.
        hypothesis: Units recognised; may be empty, then all is deleted.
    """
    if not reference:
        n = len(hypothesis)
        return ErrorCounts(1, 0, 0, 0, 0, n, int(n > 0))
    # jiwer splits at spaces; a unit that is itself a space needs another name.
    joined = [
        " ".join("\N{OPEN BOX}" if unit == " " else unit for unit in units)
        for units in (reference, hypothesis)
    ]
    found = jiwer.process_words(
        joined[0],
        joined[1],
        reference_transform=_SPLIT,
        hypothesis_transform=_SPLIT,
    )
    errors = found.substitutions + found.deletions + found.insertions
    return ErrorCounts(
        1,
        len(reference),
        found.hits,
        found.substitutions,
        found.deletions,
        found.insertions,
        int(errors > 0),
    )


_SPLIT = jiwer.Compose([jiwer.ReduceToListOfListOfWords(word_delimiter=" ")])


def score_utterances(
    references: Mapping[str, str],
    hypotheses: Mapping[str, str],
    split: Callable[[str], list[str]] = split_words,
) -> dict[str, ErrorCounts]:
    """Count the errors of every utterance.

    Args:
        references: Transcript by utterance.
        hypotheses: Recognised text by utterance.
        split: ``split_words`` or ``split_characters``.

    Raises:
        ValueError: The two do not have the same utterances.
    """
    for name, one, other in (
        ("hypothesis", references, hypotheses),
        ("reference", hypotheses, references),
    ):
        missing = [utt for utt in one if utt not in other]
        if missing:
            raise ValueError(
                f"{len(missing)} of {len(one)} utterances have no {name}, the first is "
                f"{missing[0]}: decode the set again"
            )
    return {
        utt: count_errors(split(references[utt]), split(hypotheses[utt]))
        for utt in references
    }


def pool(counts: Iterable[ErrorCounts]) -> ErrorCounts:
    """Pool the counts of several utterances or sets."""
    return sum(counts, ErrorCounts())
