"""Where in an utterance a name fits best, whether it was recognised or not."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from espnet_dynlook.search.compiled import compiled


@dataclass(frozen=True)
class Spotted:
    """The frames in which labels are the least improbable.

    Attributes:
        labels: That were looked for.
        frames: The likeliest frame of each.
        start: First frame of the first.
        end: Frame after the last one of the last.
        score: Log-probability of their best path through these frames.
        best: That of the best path of all, through the same frames: not below it.
    """

    labels: tuple[int, ...]
    frames: tuple[int, ...]
    start: int
    end: int
    score: float
    best: float

    @property
    def margin(self) -> float:
        """How much is missing to the best path, in nats: 0 or below."""
        return min(self.score - self.best, 0.0)


def spot(
    log_probs: torch.Tensor, labels: Sequence[int], blank: int = 0
) -> Spotted | None:
    """Find where the forced path of labels is nearest to the best path.

    Args:
        log_probs: Of one utterance (T, V).
        labels: At least one.
        blank: Index of the blank.

    Returns:
        The span of the largest ``margin``, the first one of several; None: there are
        too few frames.
    """
    if not labels:
        raise ValueError("labels are empty: there is nothing to look for")
    rows = log_probs.detach().cpu().numpy().astype(np.float64)
    top = rows.max(axis=1) if len(rows) else np.zeros(0)
    # A path on its own gives -inf - -inf nowhere: the best label is never impossible.
    columns = np.array([blank, *labels], dtype=np.int64)
    lost = rows[:, columns] - top[:, None]
    alike = [a == b for a, b in itertools.pairwise(labels)]
    path = _nearest(lost, np.array([False, *alike]))
    if not len(path):
        return None
    frames: dict[int, int] = {}
    for frame, state in path.tolist():
        place = state // 2
        if state % 2 == 0:
            known = frames.setdefault(place, frame)
            if rows[frame, labels[place]] > rows[known, labels[place]]:
                frames[place] = frame
    start, end = int(path[0, 0]), int(path[-1, 0]) + 1
    score = float(
        sum(rows[f, blank if s % 2 else labels[s // 2]] for f, s in path.tolist())
    )
    places = tuple(frames[place] for place in range(len(labels)))
    best = float(top[start:end].sum())
    return Spotted(tuple(labels), places, start, end, score, best)


@compiled
def _nearest(lost, alike):
    """Return frames and states of the best path, which may begin and end anywhere.

    Args:
        lost: How far the blank, then each label, is below the best one (T, N + 1).
        alike: Whether each label is that before it.
    """
    states = 2 * (lost.shape[1] - 1) - 1  # labels, with blanks between them
    value = np.full(states, -np.inf)
    came = np.full((len(lost), states), -2, dtype=np.int32)
    best, at = -np.inf, -1
    for t in range(len(lost)):
        old = value.copy()
        for state in range(states):
            source, own = state, old[state]
            if state == 0 and own < 0.0:
                source, own = -1, 0.0  # it begins here
            if state > 0 and old[state - 1] > own:
                source, own = state - 1, old[state - 1]
            if state > 1 and state % 2 == 0 and not alike[state // 2]:
                if old[state - 2] > own:
                    source, own = state - 2, old[state - 2]
            came[t, state] = source
            value[state] = own + lost[t, 0 if state % 2 else state // 2 + 1]
        if value[states - 1] > best:
            best, at = value[states - 1], t
    path = np.empty((at + 1, 2), dtype=np.int64)
    state, first = states - 1, at
    while first >= 0:
        path[first, 0], path[first, 1] = first, state
        state = came[first, state]
        if state < 0:
            break
        first -= 1
    return path[max(first, 0) :]
