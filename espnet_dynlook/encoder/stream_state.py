# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""What an encoder keeps of its streams between calls, and what it may be given next."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from espnet_dynlook.encoder.ragged import Counts
from espnet_dynlook.encoder.readiness import SegmentEnds


@dataclass(frozen=True)
class LayerState:
    """What a layer keeps of its streams. Rows of a stream are at the left.

    A frame of input is queued as it is until some row of the layer runs: then all that
    are there are projected together. So packets that make nothing ready cost nothing.

    Attributes:
        pending: Frames of input that are not projected (B, N, size).
        inputs: Of rows that have not run (B, P, size); None where nobody asks for them.
        stamps: Last input frame that each of these inputs needed (B, P), on the host.
        queue: Projected rows that have not run (B, P, parts): before their attention,
            as attention sees them where the layer joins both, and their queries.
        memory: Keys and values of the frames that rows to come can see (B, C, 2 size).
        past: Of the convolution, or None.
        done: Rows that have run (B,).
        received: Frames of input (B,).
        projected: Those of them in ``memory`` or forgotten (B,).
        first: Number of the first frame in ``memory`` (B,).
        horizon: Last frame that any row so far has waited for (B,).
    """

    pending: torch.Tensor
    inputs: torch.Tensor | None
    stamps: torch.Tensor
    queue: torch.Tensor
    memory: torch.Tensor
    past: torch.Tensor | None
    done: Counts
    received: Counts
    projected: Counts
    first: Counts
    horizon: Counts


@dataclass(frozen=True)
class Intermediate:
    """What a layer gives out, in step with the encoder.

    After the encoder's last norm, where layers normalize their input.

    Attributes:
        layer: From 1.
        waiting: Its output for frames that the encoder has not given out (B, P, size).
        out: For those that the last call gave out (B, n, size), 0 past the counts.
    """

    layer: int
    waiting: torch.Tensor
    out: torch.Tensor


@dataclass(frozen=True)
class EncoderState:
    """What an encoder keeps of its streams between calls of ``step``.

    A value: ``step`` leaves it as it is and returns another.

    Attributes:
        features: Input frames that an output of the input layer still needs (B, N, D).
        held: How many of each stream (B,).
        frames: Frames that the input layer has made (B,).
        layers: By layer.
        segments: Of a ``segment`` scheduler, else None.
        over: Streams that have ended (B,) bool.
        latency: Of the frames that the last call gave out, how many frames after them
            the last one is that they needed (B, n), 0 past a stream's count; on the
            host.
        intermediate: Of the layers with an intermediate CTC and those that were asked
            for, the lowest first.
    """

    features: torch.Tensor
    held: Counts
    frames: Counts
    layers: tuple[LayerState, ...]
    segments: SegmentEnds | None
    over: np.ndarray
    latency: torch.Tensor = field(repr=False)
    intermediate: tuple[Intermediate, ...] = ()

    @property
    def batch_size(self) -> int:
        """Number of streams."""
        return len(self.held)


def _mapped(value: Any, function: Any) -> Any:
    """Return a state with a function applied to each of its tensors and arrays."""
    if isinstance(value, torch.Tensor | np.ndarray):
        return function(value)
    if isinstance(value, tuple):
        return tuple(_mapped(one, function) for one in value)
    if hasattr(value, "__dataclass_fields__"):
        names = value.__dataclass_fields__
        return replace(
            value, **{name: _mapped(getattr(value, name), function) for name in names}
        )
    return value


def restarted(state: EncoderState, streams: Any) -> EncoderState:
    """Return a state in which some streams begin anew.

    Args:
        state: Of all streams.
        streams: Which (B,) bool.

    Raises:
        ValueError: there is not one for each stream.
    """
    chosen = torch.as_tensor(streams).bool().cpu()
    if chosen.shape != (state.batch_size,):
        raise ValueError(
            f"streams has shape {tuple(chosen.shape)} and must be "
            f"({state.batch_size},) bool, one for each stream"
        )

    def cleared(values: Any) -> Any:
        if isinstance(values, np.ndarray):
            return np.where(chosen.numpy(), np.zeros_like(values), values)
        at = chosen.to(values.device).reshape(-1, *(1,) * (values.dim() - 1))
        return values.masked_fill(at, 0)

    return _mapped(state, cleared)


def checked_input(
    state: EncoderState,
    feats: torch.Tensor,
    lengths: Any,
    final: Any,
) -> tuple[Counts, np.ndarray]:
    """Return lengths (B,) and which streams are over now (B,), or say what is wrong."""
    batch = state.batch_size
    if feats.dim() != 3 or len(feats) != batch:
        raise ValueError(
            f"feats has shape {tuple(feats.shape)}, and the state is of {batch} "
            f"streams: give ({batch}, new frames, dimension)"
        )
    if lengths is None:
        lengths = torch.full((batch,), feats.shape[1])
    counts = torch.as_tensor(lengths).long().cpu().numpy()
    if (
        counts.shape != (batch,)
        or not ((counts >= 0) & (counts <= feats.shape[1])).all()
    ):
        raise ValueError(
            f"lengths={counts.tolist()} must be {batch} numbers of new frames from 0 "
            f"to {feats.shape[1]}, the frames in feats"
        )
    over = torch.as_tensor(final).bool().cpu().expand(batch).numpy()
    late = (state.over & (counts > 0)).nonzero()[0].tolist()
    if late:
        raise ValueError(
            f"streams {late} have ended (final) and get more frames: restart them "
            "first, with encoder.restart(state, streams)"
        )
    return counts, over | state.over
