# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""When rows of streams may run: what each waits for, decided as its input comes in.

The same decisions as in an offline pass with rounded masks, made from the same inputs
by the same code. Rows of a layer run in order: row i once all that rows 0 .. i wait for
is there, or the stream has ended.
"""

from dataclasses import dataclass, replace

import torch

from espnet_dynlook.encoder.ragged import append, drop, rows
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
        end: Last frame of each frame's segment, ``UNDECIDED`` while it is open (B, E).
        count: Frames of each stream in ``end`` (B,).
    """

    context: torch.Tensor
    held: torch.Tensor
    age: torch.Tensor
    first: torch.Tensor
    end: torch.Tensor
    count: torch.Tensor

    @classmethod
    def begin(cls, like: torch.Tensor, size: int) -> "SegmentEnds":
        """Return that of streams that begin; ``like`` (B, ...) has device and dtype."""
        zeros = torch.zeros(like.shape[0], dtype=torch.long, device=like.device)
        nothing = zeros.new_zeros(like.shape[0], 0)
        context = like.new_zeros(like.shape[0], 0, size)
        return cls(context, zeros, zeros, zeros, nothing, zeros)

    def add(
        self, scheduler: DynamicLookahead, x: torch.Tensor, added: torch.Tensor
    ) -> "SegmentEnds":
        """Decide on further frames.

        Args:
            scheduler: Whose segments.
            x: Input of the first layer (B, N, size).
            added: New frames of each stream (B,).
        """
        if not int(added.max()):
            return self
        window = append(self.context, self.held, x, added)
        logits = scheduler.logits(1, window)
        frames = scheduler.frames
        age, end, count = self.age, self.end, self.count
        end = append(end, count, end.new_full(x.shape[:2], UNDECIDED), added)
        number = torch.arange(end.shape[1], device=x.device)
        stream = torch.arange(len(added), device=x.device)
        for n in range(int(added.max())):
            real = n < added
            at = (self.held + n).clamp(max=window.shape[1] - 1)
            gate = logits[stream, at, age.clamp(max=frames - 1)]
            ends = real & ((age == frames) | (gate < 0))
            # Closes the segment: this frame and the ``age`` frames before it.
            here = (count + n)[:, None]
            inside = (number <= here) & (number >= here - age[:, None]) & ends[:, None]
            end = torch.where(inside, here + self.first[:, None], end)
            age = torch.where(ends, 0, age + real.long())
        held = self.held + added
        keep = scheduler.context
        window = drop(window, held, (held - keep).clamp(min=0))
        return replace(
            self,
            context=window,
            held=held.clamp(max=keep),
            age=age,
            end=end,
            count=count + added,
        )

    def forget(self, before: torch.Tensor) -> "SegmentEnds":
        """Forget the frames that no layer asks about any more.

        Args:
            before: Number of the first frame that is still needed (B,).
        """
        gone = (before - self.first).clamp(min=0)
        return replace(
            self,
            end=drop(self.end, self.count, gone),
            first=self.first + gone,
            count=self.count - gone,
        )

    def of(self, first: torch.Tensor, width: int) -> torch.Tensor:
        """Return where the segments of frames from ``first`` on end, (B, width).

        Past the frames that are there: ``UNDECIDED``.
        """
        index = torch.arange(width, device=first.device) + (first - self.first)[:, None]
        padded = torch.nn.functional.pad(self.end, (0, 1), value=UNDECIDED)
        inside = index < self.count[:, None]
        at = torch.where(inside, index, padded.shape[1] - 1)
        return padded.gather(1, at)


def fixed_needs(
    kind: FixedLookahead, layer: int, first: torch.Tensor, width: int
) -> torch.Tensor:
    """Return the last frame that rows of a fixed kind wait for.

    Args:
        kind: The kind.
        layer: From 1.
        first: Number of the first row of each stream (B,).
        width: How many rows.

    Returns:
        (B, width) of frame numbers.
    """
    row = first[:, None] + torch.arange(width, device=first.device)
    per_layer = kind.frames_per_layer()
    if per_layer is None:
        return torch.full_like(row, UNDECIDED)
    frames = per_layer[layer - 1]
    if kind.kind == "chunked":
        return row + frames - (row + kind.phase) % (frames + 1)
    return row + frames


def learned_needs(
    scheduler: DynamicLookahead,
    layer: int,
    inputs: torch.Tensor,
    first: torch.Tensor,
    counts: torch.Tensor,
) -> torch.Tensor:
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
    row = first[:, None] + torch.arange(width, device=first.device)
    if not scheduler.looks_ahead(layer) or not width:
        return row
    going_on = scheduler.rounded_rows(scheduler.logits(layer, inputs))  # (B, P, R)
    wait = going_on.sum(dim=2)
    if scheduler.decides_at_once:
        return row + wait
    # The gate to frame i + d is known once frame i + d - 1 is there.
    there = counts[:, None] - torch.arange(width, device=first.device)
    undecided = (wait >= there) & (there < scheduler.frames)
    return torch.where(undecided, UNDECIDED, row + wait)


def ready_rows(
    needs: torch.Tensor,
    counts: torch.Tensor,
    received: torch.Tensor,
    over: torch.Tensor,
) -> torch.Tensor:
    """Return how many rows of each stream may run now, in order, (B,).

    Args:
        needs: Last frame that each row waits for (B, P).
        counts: Rows that have not run (B,).
        received: Frames of the layer's input that are there (B,).
        over: Whether no more will come (B,) bool.
    """
    there = (needs < received[:, None]) | over[:, None]
    waiting = rows(needs.shape[1], counts)
    return (there & waiting).long().cumprod(dim=1).sum(dim=1)
