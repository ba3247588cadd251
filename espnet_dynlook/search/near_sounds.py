"""Which pronunciations are nearly what was heard, and over which words.

A recogniser that hears a name for the first time has a phone of it wrong as often as
not: nobody's pronunciation is then exactly the best path of the phones. Here the frames
of a pronunciation may begin and end anywhere, as in a word spotter
(https://arxiv.org/abs/2406.07096), and it loses what its best path there is below the
best path of all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from espnet_dynlook.search.compiled import compiled
from espnet_dynlook.search.phone_alignment import Way


@dataclass(frozen=True)
class Near:
    """A pronunciation, where it is nearest to what was heard.

    Attributes:
        way: Its number.
        first: The first word whose middle is in its frames.
        end: The one after the last.
        lost: Nats below the best path in its frames, at least 0.
    """

    way: int
    first: int
    end: int
    lost: float


def near_ways(
    log_probs: torch.Tensor,
    ways: Sequence[Way],
    middles: Sequence[float],
    distance: float,
    span: int,
    blank: int = 0,
) -> list[Near]:
    """Find pronunciations that are near to what was heard.

    Args:
        log_probs: Of the phones (T, P).
        ways: Pronunciations, none of them empty.
        middles: Of the words that were recognised, in frames, in their order.
        distance: At most so many nats may be lost for each phone.
        span: At most so many words are covered.
        blank: Index of the blank.

    Returns:
        For each pronunciation and span of words, the least that it loses. Of the paths
        from its first phone to its last, with blanks between, that end in a frame, the
        best one is compared with the best path of all in the same frames; words are
        covered whose middles are there. In the order of the ways, then of the words.
    """
    if not len(log_probs) or not ways or not middles:
        return []
    rows = log_probs.detach().cpu().numpy().astype(np.float64)
    # A path on its own gives -inf - -inf nowhere: the best label is never impossible.
    lost = rows - rows.max(axis=1, keepdims=True)
    starts = np.cumsum([0] + [len(way) for way in ways])
    phones = np.array([phone for way in ways for phone in way], dtype=np.int64)
    limits = -distance * np.diff(starts) - 1e-9
    # No path of a way is better than its phones, each in its best frame.
    bound = np.add.reduceat(lost.max(axis=0)[phones], starts[:-1])
    chosen = np.flatnonzero(bound >= limits)
    columns = _near(
        lost, phones, starts, limits, chosen, np.array(middles, float), span, blank
    )
    found = [column.tolist() for column in columns]
    return [
        Near(way, first, end, max(-value, 0.0))
        for way, first, end, value in zip(*found, strict=True)
    ]


@compiled
def _near(lost, phones, starts, limits, chosen, middles, span, blank):
    """Return ways, first words, ends of words, and values (at most 0).

    Args:
        lost: How far each label is below the best one (T, P).
        phones: Of all ways, one behind another.
        starts: Where each way begins in them, and where the last one ends.
        limits: Of each way: what is below it does not count.
        chosen: The ways that are looked for.
        middles: Of the words, in frames.
        span: At most so many words are covered.
        blank: Index of the blank.
    """
    words = len(middles)
    behind = np.empty(len(lost) + 1, dtype=np.int64)  # words before each frame
    for t in range(len(lost) + 1):
        behind[t] = np.searchsorted(middles, t)
    size = len(chosen) * 4 + 16
    numbers = np.empty((size, 3), dtype=np.int64)
    values = np.empty(size)
    count = 0
    for way in chosen:
        base = starts[way]
        states = 2 * (starts[way + 1] - base) - 1
        value = np.full(states, -np.inf)
        start = np.zeros(states, dtype=np.int64)
        best = np.full((words, span), -np.inf)
        for t in range(len(lost)):
            for state in range(states - 1, -1, -1):  # what is before it is still old
                own, came = value[state], start[state]
                if state == 0 and own < 0.0:
                    own, came = 0.0, t
                if state > 0 and value[state - 1] > own:
                    own, came = value[state - 1], start[state - 1]
                if state > 1 and state % 2 == 0:
                    place = base + state // 2
                    if phones[place] != phones[place - 1] and value[state - 2] > own:
                        own, came = value[state - 2], start[state - 2]
                label = blank if state % 2 else phones[base + state // 2]
                own += lost[t, label]
                value[state] = own if own >= limits[way] else -np.inf
                start[state] = came
            last = value[states - 1]
            if last > -np.inf:
                first, end = behind[start[states - 1]], behind[t + 1]
                if first < end <= first + span and last > best[first, end - first - 1]:
                    best[first, end - first - 1] = last
        for first in range(words):
            for n in range(span):
                if best[first, n] > -np.inf:
                    if count == len(values):
                        more = np.empty((2 * count, 3), dtype=np.int64)
                        more[:count] = numbers
                        again = np.empty(2 * count)
                        again[:count] = values
                        numbers, values = more, again
                    numbers[count, 0], numbers[count, 1] = way, first
                    numbers[count, 2] = first + n + 1
                    values[count] = best[first, n]
                    count += 1
    found = numbers[:count]
    return found[:, 0], found[:, 1], found[:, 2], values[:count]
