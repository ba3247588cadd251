"""Paired bootstrap for ratios whose denominator is the system's own, such as F1."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from espnet_dynlook.metrics.bootstrap import Comparison, draw_seeds, memberships


def paired_ratios(
    a: tuple[Any, Any],
    b: tuple[Any, Any],
    clusters: Sequence[Hashable] | None = None,
    draws: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Compare sum(numerator) / sum(denominator) of two systems on the same utterances.

    The same utterances (or speakers) are drawn for both; of systems with several
    training seeds, seeds are drawn too, as ``metrics.bootstrap`` does.

    Args:
        a: Numerators and denominators of system A, each by utterance (N,), or by seed
            and utterance (S, N).
        b: Those of system B; with as many seeds as A the same seeds are drawn.
        clusters: Speaker of each utterance.
        draws: Number of draws.
        seed: Of the random numbers.

    Raises:
        ValueError: Lengths differ, there are fewer than two utterances or speakers, or
            a denominator is zero on the whole set.
    """
    sums = [np.atleast_2d(np.asarray(x, dtype=np.float64)) for x in (*a, *b)]
    lengths = {x.shape[1] for x in sums}
    if len(lengths) > 1 or len(sums[0]) != len(sums[1]) or len(sums[2]) != len(sums[3]):
        raise ValueError(
            f"{' and '.join(str(x.shape) for x in sums)} values by seed and utterance: "
            "the same utterances for all"
        )
    if clusters is not None:
        if {len(clusters)} != lengths:
            raise ValueError(f"{len(clusters)} clusters for {lengths.pop()} utterances")
        belongs = memberships(clusters)
        sums = [x @ belongs for x in sums]
    n = sums[0].shape[1]
    if n < 2:
        raise ValueError(f"{n} utterances or speakers: a bootstrap needs 2 or more")
    if not (sums[1].sum() > 0 and sums[3].sum() > 0):
        raise ValueError("there is nothing to divide by: the ratio is not defined")
    rng = np.random.default_rng(seed)
    found = np.empty(draws)
    block = max(1, 4_000_000 // n)
    for start in range(0, draws, block):
        size = min(block, draws - start)
        times = rng.multinomial(n, np.full(n, 1 / n), size=size)  # (size, N)
        seeds_a = draw_seeds(rng, size, len(sums[0]))
        same = len(sums[0]) == len(sums[2])
        seeds_b = seeds_a if same else draw_seeds(rng, size, len(sums[2]))
        found[start : start + size] = _ratio(
            (times @ sums[2].T * seeds_b).sum(axis=1),
            (times @ sums[3].T * seeds_b).sum(axis=1),
        ) - _ratio(
            (times @ sums[0].T * seeds_a).sum(axis=1),
            (times @ sums[1].T * seeds_a).sum(axis=1),
        )
    # A draw without anything to divide by says nothing about the difference.
    valid = found[np.isfinite(found)]
    low, high = np.quantile(valid, [0.025, 0.975])
    tail = min(np.count_nonzero(valid <= 0), np.count_nonzero(valid >= 0))
    return Comparison(
        difference=float(sums[2].sum() / sums[3].sum() - sums[0].sum() / sums[1].sum()),
        low=float(low),
        high=float(high),
        p=float(min(1.0, 2 * (tail + 1) / (len(valid) + 1))),
    )


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Divide, NaN where there is nothing to divide by."""
    return np.divide(
        numerator,
        denominator,
        out=np.full_like(numerator, np.nan),
        where=denominator > 0,
    )
