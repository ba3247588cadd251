"""Scratch arrays in which the CTC beam search works out a frame."""

from typing import NamedTuple

import numpy as np

# Columns of candidates: the hypothesis they come from; its new token, -1 for none;
# their labelling, -1 if it was not looked up; the last emission before this frame, and
# whether there is one in it; where their open entries begin, and how many; the place of
# the token among those of the frame.
ORIGIN, ADDED, LABELLING, SOURCE, EMITS, ENTRY, ENTRIES, PLACED = range(8)
# Columns of what grew from a hypothesis: the first; the next one from the same.
FIRST_GROWN, NEXT_GROWN = range(2)
# Heaps of the best candidates: by their scores, and with the bias of open entries.
PLAINLY, RANKED = range(2)


class Scratch(NamedTuple):
    """Arrays that every frame fills anew, for C candidates with E open entries.

    Attributes:
        rows: Where candidates come from (C, 8); hypotheses as they may be after a
            frame, those without a new token first.
        scores: Their log-probabilities (C, 6).
        extras: What the language model adds (C,).
        values: Of their open entries (E, 3): log-probabilities of paths that end with a
            blank or with the last token, and their sum.
        entries: Nodes of the phrase graph that these are in (E,).
        matches: The same values of the hypotheses' open entries (2, E, 3): before a
            frame and behind it, in turns.
        totals: What candidates are chosen by (C,).
        ranks: The same, with the bias of their open entries (C,).
        taken: Whether they are chosen (C,).
        places: Candidates in order (C,).
        ends: Of the parts of these that are not in order (C + 1,).
        chosen: Candidates that are kept (beam,).
        heaps: The least of the best is the root of each; the last place holds infinity
            (2, beam + 1).
        single: The best single way into each hypothesis (beam,).
        longer: What grew from each, as linked lists (beam, 2).
        begun: The entries that each token of the frame begins (tokens, 2).
        known: What a hypothesis grew to, by token; -1 outside of use (V,).
    """

    rows: np.ndarray
    scores: np.ndarray
    extras: np.ndarray
    values: np.ndarray
    entries: np.ndarray
    matches: np.ndarray
    totals: np.ndarray
    ranks: np.ndarray
    taken: np.ndarray
    places: np.ndarray
    ends: np.ndarray
    chosen: np.ndarray
    heaps: np.ndarray
    single: np.ndarray
    longer: np.ndarray
    begun: np.ndarray
    known: np.ndarray


def scratch_for(beam: int, tokens: int, labels: int, entries: int) -> Scratch:
    """Return scratch arrays.

    Args:
        beam: Hypotheses that are kept.
        tokens: Most of a frame.
        labels: Of the model.
        entries: Open ones of all candidates of a frame.
    """
    most = beam * (1 + tokens)
    return Scratch(
        np.empty((most, 8), dtype=np.int64),
        np.empty((most, 6)),
        np.empty(most),
        np.empty((entries, 3)),
        np.empty(entries, dtype=np.int64),
        np.empty((2, entries, 3)),
        np.empty(most),
        np.empty(most),
        np.empty(most, dtype=np.bool_),
        np.empty(most, dtype=np.int64),
        np.empty(most + 1, dtype=np.int64),
        np.empty(beam, dtype=np.int64),
        np.empty((2, beam + 1)),
        np.empty(beam),
        np.empty((beam, 2), dtype=np.int64),
        np.empty((tokens, 2), dtype=np.int64),
        np.full(labels, -1, dtype=np.int64),
    )
