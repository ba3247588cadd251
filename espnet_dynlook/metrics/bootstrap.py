"""Paired bootstrap over utterances for the difference of two error rates.

Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR performance
evaluation", ICASSP 2004: utterances (or speakers) are drawn with replacement, both
systems are scored on the same draw, and the spread of the difference is its error.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Comparison:
    """How two systems differ on one set.

    Attributes:
        difference: Error rate of B minus that of A, as a fraction.
        low: Lower end of the 95 % interval.
        high: Upper end of the 95 % interval.
        p: Two-sided: how often draws lie on the other side of zero, twice.
    """

    difference: float
    low: float
    high: float
    p: float


def paired_bootstrap(
    errors_a: Sequence[int],
    errors_b: Sequence[int],
    units: Sequence[int],
    clusters: Sequence[Hashable] | None = None,
    draws: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Compare the pooled error rates of two systems on the same utterances.

    Args:
        errors_a: Errors of system A, by utterance.
        errors_b: Errors of system B, by utterance.
        units: Words of the reference, by utterance.
        clusters: Speaker of each utterance: then speakers are drawn, which is right
            where the errors of a speaker go together.
        draws: Number of draws.
        seed: Of the random numbers; the same seed gives the same result.

    Raises:
        ValueError: Lengths differ, or there is nothing to draw from.
    """
    table = np.array([errors_a, errors_b, units], dtype=np.float64)  # (3, N)
    if clusters is not None:
        if len(clusters) != table.shape[1]:
            raise ValueError(
                f"{len(clusters)} clusters for {table.shape[1]} utterances: one each"
            )
        names = {name: i for i, name in enumerate(dict.fromkeys(clusters))}
        summed = np.zeros((3, len(names)))
        np.add.at(summed.T, [names[name] for name in clusters], table.T)
        table = summed
    n = table.shape[1]
    if n < 2:
        raise ValueError(f"{n} utterances or speakers: a bootstrap needs 2 or more")
    if table[2].sum() <= 0:
        raise ValueError("the references have no words: there is no error rate")
    gap = table[1] - table[0]
    rng = np.random.default_rng(seed)
    found = np.empty(draws)
    block = max(1, 4_000_000 // n)
    for start in range(0, draws, block):
        size = min(block, draws - start)
        times = rng.multinomial(n, np.full(n, 1 / n), size=size)  # (size, N)
        words = times @ table[2]
        # A draw of nothing but empty references says nothing: no difference.
        found[start : start + size] = np.where(
            words > 0, (times @ gap) / np.maximum(words, 1), 0.0
        )
    low, high = np.quantile(found, [0.025, 0.975])
    tail = min(np.count_nonzero(found <= 0), np.count_nonzero(found >= 0))
    return Comparison(
        difference=float(gap.sum() / table[2].sum()),
        low=float(low),
        high=float(high),
        p=float(min(1.0, 2 * (tail + 1) / (draws + 1))),
    )
