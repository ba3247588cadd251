# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""What an encoder keeps of its streams between calls, and what it may be given next."""

from dataclasses import dataclass, field, replace
from typing import Any

import torch

from espnet_dynlook.encoder.readiness import SegmentEnds


@dataclass(frozen=True)
class LayerState:
    """What a layer keeps of its streams. Rows of a stream are at the left.

    Attributes:
        inputs: Of rows that have not run (B, P, size); None where nobody asks for them.
        rows: The same rows before their attention (B, P, size).
        hidden: As attention sees them (B, P, size).
        queries: Theirs (B, P, heads, d_k).
        stamps: Last input frame that each of these inputs needed (B, P).
        keys: Of the frames that rows to come can see (B, C, heads, d_k).
        values: Likewise.
        done: Rows that have run (B,).
        received: Frames of input (B,).
        first: Number of the first frame in ``keys`` (B,).
        horizon: Last frame that any row so far has waited for (B,).
        past: Of the convolution, or None.
    """

    inputs: torch.Tensor | None
    rows: torch.Tensor
    hidden: torch.Tensor
    queries: torch.Tensor
    stamps: torch.Tensor
    keys: torch.Tensor
    values: torch.Tensor
    done: torch.Tensor
    received: torch.Tensor
    first: torch.Tensor
    horizon: torch.Tensor
    past: torch.Tensor | None


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
            the last one is that they needed (B, n), 0 past a stream's count.
    """

    features: torch.Tensor
    held: torch.Tensor
    frames: torch.Tensor
    layers: tuple[LayerState, ...]
    segments: SegmentEnds | None
    over: torch.Tensor
    latency: torch.Tensor = field(repr=False)

    @property
    def batch_size(self) -> int:
        """Number of streams."""
        return len(self.held)


def _mapped(value: Any, function: Any) -> Any:
    """Return a state with a function applied to each of its tensors."""
    if isinstance(value, torch.Tensor):
        return function(value)
    if isinstance(value, tuple):
        return tuple(_mapped(one, function) for one in value)
    if hasattr(value, "__dataclass_fields__"):
        names = value.__dataclass_fields__
        return replace(
            value, **{name: _mapped(getattr(value, name), function) for name in names}
        )
    return value


def restarted(state: EncoderState, streams: torch.Tensor) -> EncoderState:
    """Return a state in which some streams begin anew.

    Args:
        state: Of all streams.
        streams: Which (B,) bool.
    """

    def cleared(tensor: torch.Tensor) -> torch.Tensor:
        at = streams.reshape(-1, *(1,) * (tensor.dim() - 1))
        return tensor.masked_fill(at, False if tensor.dtype == torch.bool else 0)

    return _mapped(state, cleared)


def checked_input(
    state: EncoderState,
    feats: torch.Tensor,
    lengths: torch.Tensor | None,
    final: bool | torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return lengths (B,) and which streams are over now (B,), or say what is wrong."""
    batch = state.batch_size
    if feats.dim() != 3 or len(feats) != batch:
        raise ValueError(
            f"feats has shape {tuple(feats.shape)}, and the state is of {batch} "
            f"streams: give ({batch}, new frames, dimension)"
        )
    if lengths is None:
        lengths = torch.full((batch,), feats.shape[1])
    lengths = torch.as_tensor(lengths).to(state.held)
    if lengths.shape != (batch,) or not bool(
        ((lengths >= 0) & (lengths <= feats.shape[1])).all()
    ):
        raise ValueError(
            f"lengths={lengths.tolist()} must be {batch} numbers of new frames from 0 "
            f"to {feats.shape[1]}, the frames in feats"
        )
    over = torch.as_tensor(final, device=state.over.device).expand(batch).bool()
    late = (state.over & (lengths > 0)).nonzero().flatten().tolist()
    if late:
        raise ValueError(
            f"streams {late} have ended (final) and get more frames: restart them "
            "first, with encoder.restart(state, streams)"
        )
    return lengths, over | state.over
