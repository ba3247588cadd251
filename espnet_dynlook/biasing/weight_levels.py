"""Few weights in place of many: what a search takes them for.

Entries of different weights share nothing in a search, so that its time would grow with
the number of weights.
"""

import itertools
from collections.abc import Iterable, Mapping

import numpy as np

#: At most so many different weights above 0 are followed.
LEVELS = 8


def weight_levels(weights: Iterable[float], number: int = LEVELS) -> dict[float, float]:
    """Return what each weight counts as: itself, where there are few enough.

    Else neighbours count alike, as the geometric mean of the smallest and the largest
    of them, and the groups are those for which the largest relative change of a weight
    is as small as it can be. 0 stays 0. It depends on the set of the weights alone.

    Args:
        weights: 0 or more each.
        number: At most so many above 0.
    """
    known = sorted(set(weights))
    some = np.array([weight for weight in known if weight > 0])
    if len(some) <= number:
        return {weight: weight for weight in known}
    logs = np.log(some)
    low, high = 0.0, float(logs[-1] - logs[0]) * (1 + 1e-9)
    for _ in range(40):  # the narrowest groups that are few enough, by bisection
        width = (low + high) / 2
        if len(_groups(logs, width, number)) <= number:
            high = width
        else:
            low = width
    levels = {weight: weight for weight in known}
    firsts = _groups(logs, high, number)
    for first, beyond in itertools.pairwise([*firsts, len(some)]):
        middle = float(np.exp((logs[first] + logs[beyond - 1]) / 2))
        levels |= dict.fromkeys(some[first:beyond].tolist(), middle)
    return levels


def largest_change(levels: Mapping[float, float]) -> float:
    """Return the largest relative change of a weight, such as 0.05."""
    changes = (abs(level / weight - 1) for weight, level in levels.items() if weight)
    return max(changes, default=0.0)


def _groups(logs: np.ndarray, width: float, number: int) -> list[int]:
    """Return where groups begin whose logs are at most so far apart.

    Where there are more than ``number`` groups, the others are left out.
    """
    found: list[int] = []
    at = 0
    while at < len(logs) and len(found) <= number:
        found.append(at)
        at = int(np.searchsorted(logs, logs[at] + width, side="right"))
    return found
