"""Paired bootstrap over utterances and seeds for the difference of two error rates.

Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR performance
evaluation", ICASSP 2004: utterances (or speakers) are drawn with replacement, both
systems are scored on the same draw, and the spread of the difference is its error.
Where systems were trained with several seeds, seeds are drawn too: one training says
little about a system, however many utterances it is tested on.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

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
    errors_a: Any,
    errors_b: Any,
    units: Sequence[int],
    clusters: Sequence[Hashable] | None = None,
    draws: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Compare the pooled error rates of two systems on the same utterances.

    Args:
        errors_a: Errors (or summed losses) of system A, by utterance (N,), or by
            training seed and utterance (S, N): then seeds are drawn too. With few
            seeds their spread is somewhat underestimated, by (S - 1) / S in variance.
        errors_b: Those of system B. With as many seeds as A's, the same seeds are drawn
            for both, as they share what the seed decides (the order of the data).
        units: Words (or tokens) of the reference, by utterance (N,).
        clusters: Speaker of each utterance: then speakers are drawn, which is right
            where the errors of a speaker go together.
        draws: Number of draws.
        seed: Of the random numbers; the same seed gives the same result.

    Raises:
        ValueError: Lengths differ, or there is nothing to draw from.
    """
    a, b = (
        np.atleast_2d(np.asarray(e, dtype=np.float64)) for e in (errors_a, errors_b)
    )
    words = np.asarray(units, dtype=np.float64)
    if not a.shape[1] == b.shape[1] == len(words):
        raise ValueError(
            f"{a.shape[1]} and {b.shape[1]} errors for {len(words)} utterances: one "
            "each, for every seed"
        )
    if clusters is not None:
        if len(clusters) != len(words):
            raise ValueError(
                f"{len(clusters)} clusters for {len(words)} utterances: one each"
            )
        belongs = memberships(clusters)
        a, b, words = a @ belongs, b @ belongs, words @ belongs
    n = len(words)
    if n < 2:
        raise ValueError(f"{n} utterances or speakers: a bootstrap needs 2 or more")
    if words.sum() <= 0:
        raise ValueError("the references have no words: there is no error rate")
    rng = np.random.default_rng(seed)
    found = np.empty(draws)
    block = max(1, 4_000_000 // n)
    for start in range(0, draws, block):
        size = min(block, draws - start)
        times = rng.multinomial(n, np.full(n, 1 / n), size=size)  # (size, N)
        drawn = times @ words
        shares = draw_seeds(rng, size, len(a))
        paired = shares if len(b) == len(a) else draw_seeds(rng, size, len(b))
        gap = ((times @ b.T) * paired).sum(axis=1) - ((times @ a.T) * shares).sum(
            axis=1
        )
        # A draw of nothing but empty references says nothing: no difference.
        found[start : start + size] = np.where(drawn > 0, gap / np.maximum(drawn, 1), 0)
    low, high = np.quantile(found, [0.025, 0.975])
    tail = min(np.count_nonzero(found <= 0), np.count_nonzero(found >= 0))
    return Comparison(
        difference=float((b.mean(axis=0) - a.mean(axis=0)).sum() / words.sum()),
        low=float(low),
        high=float(high),
        p=float(min(1.0, 2 * (tail + 1) / (draws + 1))),
    )


def memberships(clusters: Sequence[Hashable]) -> np.ndarray:
    """Return which cluster each utterance belongs to, (N, C) of zeros and ones."""
    names = {name: i for i, name in enumerate(dict.fromkeys(clusters))}
    belongs = np.zeros((len(clusters), len(names)))
    belongs[np.arange(len(clusters)), [names[name] for name in clusters]] = 1
    return belongs


def draw_seeds(rng: np.random.Generator, size: int, seeds: int) -> np.ndarray:
    """Return the share of each seed in each draw, (size, S)."""
    if seeds == 1:
        return np.ones((size, 1))
    return rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=size) / seeds
