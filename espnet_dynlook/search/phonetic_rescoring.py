"""Phonetic rescoring: hypotheses by how well their sound fits the phone posteriors."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from espnet_dynlook.search.checks import check_weight
from espnet_dynlook.search.ctc_beam import Hypothesis
from espnet_dynlook.search.phone_alignment import ctc_scores, said_ways
from espnet_dynlook.search.spoken_units import SpokenUnits

#: The key of ``Hypothesis.parts``.
PART = "rescoring"


@dataclass(frozen=True)
class PhoneticRescoring:
    """How much the phones count.

    A hypothesis h gets ``weight * (log P(phones(h) | X) - d)``: its CTC score under the
    posteriors of the phone head, summed over the paths of its pronunciation, and one d
    for the whole list. d is the score of the best-ranked hypothesis that has one, so
    that the share says how much better (or worse) than that one the sound fits; being
    the same for all, it never depends on a hypothesis's length.

    Every word is looked up in the same way, names in their list and all others by its
    pronouncer, so that a text without names loses nothing by having none. Of several
    pronunciations of a word, that on the most probable path counts, the best
    combination of all; a sum would reward words that can be said in many ways.
    A hypothesis with a word that nobody can pronounce, or with more phones than there
    are frames, cannot be judged: it gets 0, as the first one does.
    After https://arxiv.org/abs/2210.09510; the numbers are our own.

    Attributes:
        weight: Of the technique; 0: off.

    Raises:
        ValueError: a number is out of its range.
    """

    weight: float = 0.3

    def __post_init__(self) -> None:
        check_weight("weight", self.weight, "rescoring")

    def __call__(
        self,
        hypotheses: Sequence[Hypothesis],
        phone_log_probs: torch.Tensor,
        units: SpokenUnits,
        blank: int = 0,
    ) -> list[Hypothesis]:
        """Return the hypotheses with what they get, the best first.

        Args:
            hypotheses: The best first.
            phone_log_probs: (T', P).
            units: Knows how words are said.
            blank: Index of the blank among the phones.
        """
        if self.weight == 0:
            return list(hypotheses)
        scores = phone_scores(
            [[word.text for word in one.words] for one in hypotheses],
            phone_log_probs,
            units,
            blank,
        )
        first = next((score for score in scores if score is not None), 0.0)
        found = []
        for one, score in zip(hypotheses, scores, strict=True):
            share = 0.0 if score is None else self.weight * (score - first)
            parts = one.parts | {PART: share}
            found.append(replace(one, score=one.score + share, parts=parts))
        return sorted(found, key=lambda one: -one.score)


def phone_scores(
    texts: Sequence[Sequence[str]],
    phone_log_probs: torch.Tensor,
    units: SpokenUnits,
    blank: int = 0,
) -> list[float | None]:
    """Return the CTC score of each text's phones, in nats; None: it has none.

    Args:
        texts: Words of each.
        phone_log_probs: (T', P).
        units: Knows how words are said.
        blank: Index of the blank among the phones.
    """
    units.prepare(texts)
    ways = [[unit.ways for unit in units(words)] for words in texts]
    told = [n for n, text in enumerate(ways) if all(text)]
    chosen = said_ways(phone_log_probs, [ways[n] for n in told], blank)
    said: list[list[int] | None] = [None] * len(texts)
    for n, text in zip(told, chosen, strict=True):
        said[n] = None if text is None else [phone for way in text for phone in way]
    known = [phones for phones in said if phones is not None]
    scores = iter(ctc_scores(phone_log_probs, known, blank))
    found = [None if phones is None else next(scores) for phones in said]
    return [None if score == -math.inf else score for score in found]
