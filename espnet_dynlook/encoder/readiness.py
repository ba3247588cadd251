# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""When rows of streams may run: what each waits for, decided as its input comes in.

The same decisions as in an offline pass with rounded masks, made from the same inputs
by the same code. Rows of a layer run in order: row i once all that rows 0 .. i wait for
is there, or the stream has ended.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch

from espnet_dynlook.encoder.ragged import Counts, append, drop, rows
from espnet_dynlook.lookahead.dynamic import DynamicLookahead
from espnet_dynlook.lookahead.kinds import FixedLookahead

#: Frame that a row waits for which waits for the end, or has not decided.
UNDECIDED = 1 << 40


@dataclass(frozen=True)
class SegmentEnds:
    """Where the segments of streams end, which all layers share.

    Attributes:
        context: Last inputs of the scheduler, which its convolution sees (B, N, size).
        held: How many each stream has (B,).
        age: Of the next frame in its segment (B,).
        first: Number of the frame in the first column of ``end`` (B,).
        end: Last frame of each frame's segment, ``UNDECIDED`` while it is open (B, E),
            on the host.
        count: Frames of each stream in ``end`` (B,).
    """

    context: torch.Tensor
    held: Counts
    age: Counts
    first: Counts
    end: torch.Tensor
    count: Counts

    @classmethod
    def begin(cls, like: torch.Tensor, size: int) -> "SegmentEnds":
        """Return that of streams that begin; ``like`` (B, ...) has device and dtype."""
        batch = like.shape[0]
        zeros = np.zeros(batch, dtype=np.int64)
        nothing = torch.zeros(batch, 0, dtype=torch.long)
        return cls(like.new_zeros(batch, 0, size), zeros, zeros, zeros, nothing, zeros)

    def add(
        self, scheduler: DynamicLookahead, x: torch.Tensor, added: Counts
    ) -> "SegmentEnds":
        """Decide on further frames.

        Args:
            scheduler: Whose segments.
            x: Input of the first layer (B, N, size).
            added: New frames of each stream (B,).
        """
        if not added.max():
            return self
        window = append(self.context, self.held, x, added)
        goes_on = (scheduler.logits(1, window) >= 0).cpu().numpy()  # (B, N, R)
        new = torch.full(x.shape[:2], UNDECIDED, dtype=torch.long)
        end = append(self.end, self.count, new, added).clone()
        ends, age = end.numpy(), self.age.copy()
        for stream, number in enumerate(added.tolist()):
            for n in range(number):
                at, here = self.held[stream] + n, self.count[stream] + n
                old = age[stream]
                if old < scheduler.frames and goes_on[stream, at, old]:
                    age[stream] += 1
                else:  # the segment: this frame and the ``old`` frames before it
                    ends[stream, max(here - old, 0) : here + 1] = (
                        self.first[stream] + here
                    )
                    age[stream] = 0
        held = self.held + added
        keep = scheduler.context
        return replace(
            self,
            context=drop(window, held, (held - keep).clip(min=0)),
            held=held.clip(max=keep),
            age=age,
            end=end,
            count=self.count + added,
        )

    def forget(self, before: Counts) -> "SegmentEnds":
        """Forget the frames that no layer asks about any more.

        Args:
            before: Number of the first frame that is still needed (B,).
        """
        gone = (before - self.first).clip(min=0)
        return replace(
            self,
            end=drop(self.end, self.count, gone),
            first=self.first + gone,
            count=self.count - gone,
        )

    def of(self, first: Counts, width: int) -> np.ndarray:
        """Return where the segments of frames from ``first`` on end, (B, width).

        Past the frames that are there: ``UNDECIDED``.
        """
        index = np.arange(width) + (first - self.first)[:, None]
        padded = np.pad(self.end.numpy(), ((0, 0), (0, 1)), constant_values=UNDECIDED)
        at = np.where(index < self.count[:, None], index, padded.shape[1] - 1)
        return np.take_along_axis(padded, at, axis=1)


def fixed_needs(
    kind: FixedLookahead, layer: int, first: Counts, width: int
) -> np.ndarray:
    """Return the last frame that rows of a fixed kind wait for.

    Args:
        kind: The kind.
        layer: From 1.
        first: Number of the first row of each stream (B,).
        width: How many rows.

    Returns:
        (B, width) of frame numbers.
    """
    row = first[:, None] + np.arange(width)
    per_layer = kind.frames_per_layer()
    if per_layer is None:
        return np.full_like(row, UNDECIDED)
    frames = per_layer[layer - 1]
    if kind.kind == "chunked":
        return row + frames - (row + kind.phase) % (frames + 1)
    return row + frames


def learned_needs(
    scheduler: DynamicLookahead,
    layer: int,
    inputs: torch.Tensor,
    first: Counts,
    counts: Counts,
) -> np.ndarray:
    """Return the last frame that rows wait for which decide for themselves.

    Args:
        scheduler: ``frame`` or ``sequential``.
        layer: From 1.
        inputs: Of the rows of each stream that have not run (B, P, size).
        first: Number of the first of them (B,).
        counts: How many there are (B,).

    Returns:
        (B, P) of frame numbers; ``UNDECIDED`` where a row has to see more to decide.
    """
    width = inputs.shape[1]
    row = first[:, None] + np.arange(width)
    if not scheduler.looks_ahead(layer) or not width:
        return row
    going_on = scheduler.rounded_rows(scheduler.logits(layer, inputs))  # (B, P, R)
    wait = going_on.sum(dim=2).cpu().numpy()
    if scheduler.decides_at_once:
        return row + wait
    # The gate to frame i + d is known once frame i + d - 1 is there.
    there = counts[:, None] - np.arange(width)
    undecided = (wait >= there) & (there < scheduler.frames)
    return np.where(undecided, UNDECIDED, row + wait)


def ready_rows(
    needs: np.ndarray, counts: Counts, received: Counts, over: np.ndarray
) -> Counts:
    """Return how many rows of each stream may run now, in order, (B,).

    Args:
        needs: Last frame that each row waits for (B, P).
        counts: Rows that have not run (B,).
        received: Frames of the layer's input that are there (B,).
        over: Whether no more will come (B,) bool.
    """
    there = (needs < received[:, None]) | over[:, None]
    return (there & rows(needs.shape[1], counts)).cumprod(axis=1).sum(axis=1)
