"""The arrays that a CTC beam search works in; each thread keeps its own.

A search makes nothing in them that lasts: what it found is copied out. To make them
anew for each piece of an utterance, memory would have to be asked for, most of the time
of a short piece.
"""

import threading
from dataclasses import dataclass

import numpy as np

from espnet_dynlook.search.ctc_beam_arrays import (
    EMISSIONS,
    HALF,
    MATCHED,
    NODES,
    POOL,
    SAY_TOKENS,
    Frame,
    Lattice,
    Settings,
)
from espnet_dynlook.search.ctc_beam_room import Room, room_for
from espnet_dynlook.search.lattice import empty_lattice, fill, widened


@dataclass
class Desk:
    """Room for an utterance's lattice, and for a frame.

    Attributes:
        beam: Hypotheses that are kept.
        labels: Of the model.
        frame: What is worked out once a frame.
        lattice: What is known, with room for more.
        room: With the match scores.
    """

    beam: int
    labels: int
    frame: Frame
    lattice: Lattice
    room: Room

    @classmethod
    def of(cls, settings: Settings, labels: int) -> "Desk":
        """Return one for a search."""
        beam, tokens = settings.beam, tokens_of_frame(settings)
        held = beam if settings.language == SAY_TOKENS else 0
        frame = Frame(
            np.zeros(tokens, dtype=np.int64),
            np.zeros(tokens),
            np.zeros((held, tokens)),
            np.zeros((held, tokens), dtype=np.int64),
        )
        lattice = widened(empty_lattice(), beam, 16 * beam, 1024)
        return cls(beam, labels, frame, lattice, room_for(beam, tokens, labels, 512))

    def fits(self, settings: Settings, labels: int) -> bool:
        """Tell whether a search can work here."""
        held = settings.beam if settings.language == SAY_TOKENS else 0
        return (
            (self.beam, self.labels) == (settings.beam, labels)
            and len(self.frame.tokens) == tokens_of_frame(settings)
            and len(self.frame.token_lm) == held
        )

    def put(self, lattice: Lattice, match_scores: np.ndarray) -> None:
        """Begin with what is known so far."""
        counts, own = lattice.counts, self.lattice
        more = 2 * self.beam
        if (
            counts[NODES] + more > len(own.nodes)
            or counts[EMISSIONS] + more > len(own.emissions)
            or counts[POOL] > len(own.pool)
        ):
            self.lattice = widened(lattice, self.beam, 16 * self.beam, 1024)
        else:
            fill(own, lattice)
        while len(match_scores) > len(self.room.values):
            self.widen_room()
        self.lattice.counts[MATCHED], self.lattice.counts[HALF] = len(match_scores), 0
        self.room.matches[0, : len(match_scores)] = match_scores
        self.room.known.fill(-1)

    def match_scores(self) -> np.ndarray:
        """Return a copy of those of the hypotheses' open entries."""
        counts = self.lattice.counts
        return self.room.matches[counts[HALF], : counts[MATCHED]].copy()

    def widen_lattice(self) -> None:
        """Make room for twice as much."""
        own = self.lattice
        self.lattice = widened(own, self.beam, 2 * len(own.nodes), 2 * len(own.pool))

    def widen_room(self) -> None:
        """Make room for twice as many open entries in a frame."""
        before, held = self.room, len(self.room.values)
        tokens = len(self.frame.tokens)
        self.room = room_for(self.beam, tokens, self.labels, 2 * held)
        self.room.matches[:, :held] = before.matches


def tokens_of_frame(settings: Settings) -> int:
    """Return how many tokens a frame of a search may have."""
    return max(settings.candidates, int(settings.boosting[2]))


_OWN = threading.local()


def desk_for(settings: Settings, labels: int) -> Desk:
    """Return the desk of this thread; another one if a search needs that."""
    desk: Desk | None = getattr(_OWN, "desk", None)
    if desk is None or not desk.fits(settings, labels):
        desk = _OWN.desk = Desk.of(settings, labels)
    return desk
