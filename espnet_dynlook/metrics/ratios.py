"""Paired bootstrap for ratios whose denominator is the system's own, such as F1."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from espnet_dynlook.metrics.bootstrap import Comparison, draw_seeds, memberships

#: Numerators and denominators by utterance (N,), or by training seed too (S, N).
Sums = tuple[Any, Any]


def paired_ratios(
    measures: Mapping[str, tuple[Sums, Sums]],
    clusters: Sequence[Hashable] | None = None,
    draws: int = 10_000,
    seed: int = 0,
) -> dict[str, Comparison]:
    """Compare sum(numerator) / sum(denominator) of two systems on the same utterances.

    The same utterances (or speakers) are drawn for both systems and all measures; of
    systems with several training seeds, seeds are drawn too, as ``metrics.bootstrap``
    does.

    Args:
        measures: The sums of system A and of system B, by name of the measure. With as
            many seeds in B as in A the same seeds are drawn.
        clusters: Speaker of each utterance.
        draws: Number of draws.
        seed: Of the random numbers.

    Raises:
        ValueError: Numbers of utterances or seeds differ, there are fewer than two
            utterances or speakers, or a denominator is zero on the whole set.
    """
    sums = {name: _Pair(name, a, b) for name, (a, b) in measures.items()}
    shapes = {(x.a.shape[1:], x.b.shape[1:]) for x in sums.values()}
    if len(shapes) != 1 or len({shape[1] for shape in next(iter(shapes))}) != 1:
        raise ValueError(
            f"{sorted(shapes)} seeds and utterances: the same for all measures, and "
            "the same utterances for both systems"
        )
    [((seeds_a, n), (seeds_b, _))] = shapes
    if clusters is not None:
        if len(clusters) != n:
            raise ValueError(f"{len(clusters)} clusters for {n} utterances: one each")
        belongs = memberships(clusters)
        n = belongs.shape[1]
        for pair in sums.values():
            pair.a, pair.b = pair.a @ belongs, pair.b @ belongs
    if n < 2:
        raise ValueError(f"{n} utterances or speakers: a bootstrap needs 2 or more")
    rng = np.random.default_rng(seed)
    found = {name: np.empty(draws) for name in sums}
    block = max(1, 4_000_000 // n)
    for start in range(0, draws, block):
        size = min(block, draws - start)
        times = rng.multinomial(n, np.full(n, 1 / n), size=size)  # (size, N)
        shares_a = draw_seeds(rng, size, seeds_a)
        same = seeds_a == seeds_b
        shares_b = shares_a if same else draw_seeds(rng, size, seeds_b)
        for name, pair in sums.items():
            gap = _ratio(pair.b, times, shares_b) - _ratio(pair.a, times, shares_a)
            found[name][start : start + size] = gap
    return {name: _compare(sums[name], found[name]) for name in sums}


class _Pair:
    """A measure's sums as arrays (2, S, N): numerators, then denominators."""

    def __init__(self, name: str, a: Sums, b: Sums):
        self.a, self.b = (
            np.stack([np.atleast_2d(np.asarray(x, dtype=np.float64)) for x in side])
            for side in (a, b)
        )
        if not (self.a[1].sum() > 0 and self.b[1].sum() > 0):
            raise ValueError(f"{name}: nothing to divide by, it is not defined")
        rate_a, rate_b = (float(x[0].sum() / x[1].sum()) for x in (self.a, self.b))
        self.difference = rate_b - rate_a


def _ratio(sums: np.ndarray, times: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return the ratio of each draw, NaN where there is nothing to divide by."""
    above, below = (((times @ x.T) * shares).sum(axis=1) for x in sums)
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def _compare(pair: _Pair, gaps: np.ndarray) -> Comparison:
    """Summarise the differences of all draws."""
    # A draw without anything to divide by says nothing about the difference.
    valid = gaps[np.isfinite(gaps)]
    low, high = np.quantile(valid, [0.025, 0.975])
    tail = min(np.count_nonzero(valid <= 0), np.count_nonzero(valid >= 0))
    p = min(1.0, 2 * (tail + 1) / (len(valid) + 1))
    return Comparison(pair.difference, float(low), float(high), float(p))
