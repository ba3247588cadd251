"""The arrays that a CTC beam search works in; each thread keeps its own.

Nothing in them lasts: what a search found is copied out. To make them anew for each
piece of an utterance takes longer than to search a short one.
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
from espnet_dynlook.search.ctc_beam_scratch import Scratch, scratch_for
from espnet_dynlook.search.lattice import empty_lattice, fill, widened


@dataclass
class Workspace:
    """An utterance's lattice with room for more, and scratch arrays for a frame.

    Attributes:
        beam: Hypotheses that are kept.
        labels: Of the model.
        frame: What is worked out once a frame.
        lattice: What is known, with room for more.
        scratch: With the match scores.
    """

    beam: int
    labels: int
    frame: Frame
    lattice: Lattice
    scratch: Scratch

    @classmethod
    def of(cls, settings: Settings, labels: int) -> "Workspace":
        """Return a workspace for a search."""
        beam, tokens = settings.beam, tokens_of_frame(settings)
        held = beam if settings.language == SAY_TOKENS else 0
        frame = Frame(
            np.zeros(tokens, dtype=np.int64),
            np.zeros(tokens),
            np.zeros((held, tokens)),
            np.zeros((held, tokens), dtype=np.int64),
        )
        lattice = widened(empty_lattice(), beam, 16 * beam, 1024)
        return cls(beam, labels, frame, lattice, scratch_for(beam, tokens, labels, 512))

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
        while len(match_scores) > len(self.scratch.values):
            self.widen_scratch()
        self.lattice.counts[MATCHED], self.lattice.counts[HALF] = len(match_scores), 0
        self.scratch.matches[0, : len(match_scores)] = match_scores
        self.scratch.known.fill(-1)

    def match_scores(self) -> np.ndarray:
        """Return a copy of those of the hypotheses' open entries."""
        counts = self.lattice.counts
        return self.scratch.matches[counts[HALF], : counts[MATCHED]].copy()

    def widen_lattice(self) -> None:
        """Make the lattice twice as large."""
        own, counts = self.lattice, self.lattice.counts
        nodes, pool = 2 * len(own.nodes), 2 * len(own.pool)
        self.lattice = widened(
            own, self.beam, nodes - int(counts[NODES]), pool - int(counts[POOL])
        )

    def widen_scratch(self) -> None:
        """Make room for twice as many open entries in a frame."""
        before, held = self.scratch, len(self.scratch.values)
        tokens = len(self.frame.tokens)
        self.scratch = scratch_for(self.beam, tokens, self.labels, 2 * held)
        self.scratch.matches[:, :held] = before.matches


def tokens_of_frame(settings: Settings) -> int:
    """Return how many tokens a frame of a search may have."""
    return max(settings.candidates, int(settings.boosting[2]))


_OWN = threading.local()


def take_workspace(settings: Settings, labels: int) -> Workspace:
    """Return the workspace of this thread; another one if a search needs that.

    It is nobody else's until it is given back: what a search asks on its way, such as a
    language model, may search itself.
    """
    workspace: Workspace | None = getattr(_OWN, "workspace", None)
    _OWN.workspace = None
    if workspace is None or not workspace.fits(settings, labels):
        workspace = Workspace.of(settings, labels)
    return workspace


def give_back(workspace: Workspace) -> None:
    """Keep a workspace for the next search of this thread."""
    _OWN.workspace = workspace
