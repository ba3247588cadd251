"""Unigram boosting: words of the catalog as a class of the language model."""

import math
from dataclasses import dataclass

from espnet_dynlook.biasing.entries import MOST_WEIGHT
from espnet_dynlook.search.checks import check_weight


@dataclass(frozen=True)
class UnigramBoost:
    """How likely a language model takes a word of the catalog to be, at least.

    ``log p(w | h) = max(LM, log p(<unk> | h) + gamma - alpha * log N)`` for a word w of
    an entry that is complete, N being the number of entries: they share the place that
    the model has for a word it does not know. The model itself is never changed, and
    its state goes on with w, or with ``<unk>`` where it does not know w. Models without
    ``<unk>`` are refused: there is no such place in them.
    After https://arxiv.org/abs/2210.09510.

    Attributes:
        gamma: How much likelier than an unknown word, in nats.
        alpha: 1: the entries share that; 0: each has it all.

    Raises:
        ValueError: a number is out of its range.
    """

    gamma: float = 5.0
    alpha: float = 0.0

    def __post_init__(self) -> None:
        check_weight("gamma", self.gamma, "unigram", -MOST_WEIGHT)
        check_weight("alpha", self.alpha, "unigram")

    def lift(self, entries: int) -> float:
        """Return how far above ``<unk>`` a word of so many entries is, at least."""
        return self.gamma - self.alpha * math.log(entries)

    def gain(self, score: float, unknown: float, entries: int) -> float:
        """Return how much a word of an entry is above what the model says of it.

        Args:
            score: What the model says, in nats.
            unknown: What it says of ``<unk>`` there.
            entries: Their number.
        """
        if not entries:
            return 0.0
        return max(0.0, unknown + self.lift(entries) - score)
