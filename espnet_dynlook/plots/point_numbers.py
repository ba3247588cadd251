"""Numbers beside the points of a picture, where they cover as little as possible."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

#: Points (of print) from a mark to its number: as near as there is room.
DISTANCES = (4.0, 14.0, 24.0)
#: Points within which marks cover each other.
COVERED = 6.0


def number_points(axes: Axes, middles: dict[str, tuple[float, float]]) -> None:
    """Put a number beside each point, where there is room for it.

    Points whose marks cover each other have theirs together, beside all of them.
    """
    point = axes.figure.dpi / 72
    where = {n: axes.transData.transform(m) for n, m in middles.items()}
    low, high = axes.transAxes.transform([(0, 0), (1, 1)])
    boxes = [(at, np.full(2, 2.0 * point)) for at in where.values()]  # centres, halves
    for group in together(where, COVERED * point):
        own = np.array([where[number] for number in group])
        text = listed(group)
        size = 7 if len(group) == 1 else 6
        rows = text.split("\n")
        half = np.array([0.3 * max(map(len, rows)), 0.6 * len(rows)]) * size * point
        best, most = (own[0], np.ones(2), 0.0), -math.inf
        for distance in DISTANCES:
            for sign in np.array([(1, 1), (1, -1), (-1, 1), (-1, -1)]):
                # Of the box around the group, the corner that lies there.
                end = np.where(sign > 0, own.max(axis=0), own.min(axis=0))
                centre = end + sign * (half + np.array([4.0, distance]) * point)
                room = min(gap(centre, half, *box) for box in boxes)
                if (centre - half < low - point).any() or (centre + half > high).any():
                    room = -math.inf  # it would leave the panel
                if room > most and most < point:
                    best, most = (end, sign, distance), room
        end, (dx, dy), distance = best
        steps = np.array([4.0 * dx, distance * dy])
        boxes.append((end + point * steps + half * (dx, dy), half))
        axes.annotate(
            text,
            tuple(axes.transData.inverted().transform(end)),
            xytext=tuple(steps),
            textcoords="offset points",
            ha="left" if dx > 0 else "right",
            va="bottom" if dy > 0 else "top",
            fontsize=size,
            linespacing=0.95,
            zorder=4,
        )


def gap(
    centre: np.ndarray, half: np.ndarray, other: np.ndarray, other_half: np.ndarray
) -> float:
    """Return how far apart two boxes are; below zero: how far they overlap."""
    apart = np.abs(centre - other) - half - other_half
    return float(apart.max() if (apart < 0).any() else np.hypot(*apart))


def together(where: Mapping[str, np.ndarray], distance: float) -> list[list[str]]:
    """Return which points are so near each other, in the order of the first of each."""
    groups: list[list[str]] = []
    for number, at in where.items():
        near = [
            group
            for group in groups
            if any(np.hypot(*(at - where[other])) < distance for other in group)
        ]
        joined = [*(n for group in near for n in group), number]
        groups = [group for group in groups if group not in near] + [joined]
    order = list(where).index
    return sorted(
        (sorted(group, key=order) for group in groups), key=lambda g: order(g[0])
    )


def listed(numbers: Sequence[str], most: int = 4) -> str:
    """Return numbers in rows of at most so many."""
    rows = [numbers[at : at + most] for at in range(0, len(numbers), most)]
    return ",\n".join(", ".join(row) for row in rows)
