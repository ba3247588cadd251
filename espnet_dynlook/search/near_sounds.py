"""Which pronunciations are nearly what was heard in some frames.

A recogniser that hears a name for the first time has a phone of it wrong as often as
not: nobody's pronunciation is then exactly the best path of the phones. A pronunciation
that is near loses what its own best path is below that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from espnet_dynlook.search.compiled import compiled
from espnet_dynlook.search.phone_alignment import Way


@dataclass(frozen=True)
class Near:
    """A pronunciation that is near to what was heard.

    Attributes:
        span: Number of the frames.
        way: Number of the pronunciation.
        lost: Nats below the best path, at least 0.
    """

    span: int
    way: int
    lost: float


class NearWays:
    """Finds pronunciations of a list that are near to what was heard.

    Args:
        ways: Pronunciations, none of them empty.
        blank: Index of the blank.
    """

    def __init__(self, ways: Sequence[Way], blank: int = 0):
        self._starts = np.cumsum([0] + [len(way) for way in ways])
        self._phones = np.array([p for way in ways for p in way], dtype=np.int64)
        self._blank = blank

    def __call__(
        self,
        log_probs: torch.Tensor,
        spans: Sequence[tuple[int, int]],
        distance: float,
    ) -> list[Near]:
        """Return what is near.

        Args:
            log_probs: Of the phones (T, P).
            spans: First frames, and those after the last, of the words of a hypothesis.
            distance: At most so many nats may be lost for each phone.

        Returns:
            Where the best CTC path of a pronunciation, in all frames of a span, loses
            no more than that to the best path of all: in the order of the spans, then
            of the ways.
        """
        starts, phones = self._starts, self._phones
        if not len(log_probs) or not len(phones):
            return []
        rows = log_probs.detach().cpu().numpy().astype(np.float64)
        # A path alone gives -inf - -inf nowhere: the best label is never impossible.
        lost = rows - rows.max(axis=1, keepdims=True)
        limits = -distance * np.diff(starts) - 1e-9
        found = []
        for number, (begin, end) in enumerate(spans):
            if begin >= end:
                continue
            some = lost[begin:end]
            # No path of a way is better than its phones, each in its best frame.
            bound = np.add.reduceat(some.max(axis=0)[phones], starts[:-1])
            chosen = np.flatnonzero(bound >= limits)
            values = _paths(some, phones, starts, limits, chosen, self._blank)
            kept = values >= limits[chosen]
            for way, value in zip(chosen[kept].tolist(), values[kept], strict=True):
                found.append(Near(number, way, max(-float(value), 0.0)))
        return found


@compiled
def _paths(lost, phones, starts, limits, chosen, blank):
    """Return what the best path of each way is worth, at most 0; -inf: below its limit.

    Args:
        lost: How far each label is below the best one (T, P).
        phones: Of all ways, one behind another.
        starts: Where each way begins in them, and where the last one ends.
        limits: Of each way: what is below it does not count.
        chosen: The ways that are looked at.
        blank: Index of the blank.
    """
    found = np.full(len(chosen), -np.inf)
    for n in range(len(chosen)):
        way = chosen[n]
        base = starts[way]
        states = 2 * (starts[way + 1] - base) + 1  # phones, with blanks around them
        value = np.full(states, -np.inf)
        for t in range(len(lost)):
            alive = False
            for state in range(states - 1, -1, -1):  # what is before it is still old
                own = value[state]
                if t == 0:
                    own = 0.0 if state < 2 else -np.inf
                elif state > 0:
                    own = max(own, value[state - 1])
                    place = base + state // 2
                    if state > 2 and state % 2 and phones[place] != phones[place - 1]:
                        own = max(own, value[state - 2])
                label = phones[base + state // 2] if state % 2 else blank
                own += lost[t, label]
                if own < limits[way]:
                    own = -np.inf
                else:
                    alive = True
                value[state] = own
            if not alive:
                break
        found[n] = max(value[states - 1], value[states - 2])
    return found
