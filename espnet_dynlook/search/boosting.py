"""Adaptive subword boosting: what the tokens of catalog entries get in a frame."""

import math
from dataclasses import dataclass

from espnet_dynlook.biasing.entries import MOST_WEIGHT
from espnet_dynlook.search.checks import check_weight, check_whole

#: That a token can get, in nats: with the largest weight of an entry, what was heard is
#: still more than the rounding of the sum.
MOST_OF_A_TOKEN = 10 * MOST_WEIGHT


@dataclass(frozen=True)
class Boosting:
    """How much the next token of an entry is lifted, by how far it is from the best.

    A token s that continues an entry gets, in the frame t that emits it,
    ``weight * w * min(slope * (max_v log p_t(v) - log p_t(s)), cap)``, w being the
    entry's own weight, if it is among the ``top`` tokens but for the blank and its
    log-probability is at least ``floor``. The entry keeps what its tokens got only if
    it is complete at the end of a word. So a token that is more than ``weight * w *
    cap`` nats behind the best label (3.75 by default) does not win by itself: raise the
    entry's own weight, or the technique's. Where the best labels are at random, names
    of a few tokens come out by chance. After the adaptive boosting of
    https://arxiv.org/abs/2210.09510; numbers and guards are our own.

    Attributes:
        weight: Of the technique; 0: entries are followed, and get nothing.
        slope: Of the distance to the best label.
        cap: The most that one token can get, in nats.
        top: Among how many of the best tokens of a frame it has to be.
        floor: Its least log-probability.
        confidence: Least probability of the frame's best label: where the model knows
            nothing, it knows no names either.
        silence: Probability of the blank from which an entry's first token gets
            nothing: no name begins in silence.

    Raises:
        ValueError: a number is out of its range.
    """

    weight: float = 0.75
    slope: float = 2.0
    cap: float = 5.0
    top: int = 4
    floor: float = -8.0
    confidence: float = 0.2
    silence: float = 0.9

    def __post_init__(self) -> None:
        for name in ("weight", "slope", "cap"):
            check_weight(name, getattr(self, name), "boosting")
        if self.weight * self.cap > MOST_OF_A_TOKEN:
            raise ValueError(
                f"weight={self.weight} of boosting gives a token up to "
                f"{self.weight * self.cap:g} nats (cap={self.cap}), and at most "
                f"{MOST_OF_A_TOKEN:g} may be: lower one of them"
            )
        check_whole("top", self.top, 1, "boosting")
        if not self.floor <= 0:
            raise ValueError(f"floor={self.floor} is a log-probability: 0 or less")
        for name in ("confidence", "silence"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(
                    f"{name}={getattr(self, name)} of boosting is no probability"
                )

    def boost(self, best: float, value: float) -> float:
        """Return what a token gets that is likely enough; weights are not in it.

        Args:
            best: Log-probability of the frame's best label.
            value: Of the token.
        """
        if best < self.least_best or value < self.floor:
            return 0.0
        return self.weight * min(self.slope * (best - value), self.cap)

    @property
    def least_best(self) -> float:
        """Least log-probability of the frame's best label."""
        return _log(self.confidence)

    def numbers(self) -> list[float]:
        """Return slope, cap, top, floor, least best label and surest blank, as logs.

        The weight is in the first two.
        """
        slope, cap = self.weight * self.slope, self.weight * self.cap
        silence = math.inf if self.silence == 1 else _log(self.silence)
        return [slope, cap, float(self.top), self.floor, self.least_best, silence]


def _log(probability: float) -> float:
    return math.log(probability) if probability else -math.inf
