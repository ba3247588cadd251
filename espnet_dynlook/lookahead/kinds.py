"""The fixed kinds of lookahead, as bands.

``band[i, d - 1]``, d = 1 .. R, is 1 where row i of a layer may attend to frame i + d
and 0 where it may not. Frames are counted after subsampling.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from espnet_dynlook.lookahead.values import is_whole

KINDS = ("causal", "layerwise", "chunked", "full")
#: What ``lookahead`` may be in a configuration: also drawn a batch, and learned.
ALL_KINDS = (*KINDS, "random", "dynamic")


def check_name(kind: object, known: Sequence[str]) -> None:
    """Refuse what is not the name of a kind.

    Args:
        kind: ``lookahead`` in a configuration.
        known: The names that it may be.

    Raises:
        ValueError: lists them all, and names the nearest where there is one.
    """
    if kind in known:
        return
    near: list[str] = []
    if isinstance(kind, str):
        near = difflib.get_close_matches(kind.lower(), known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"lookahead={kind!r} must be one of {', '.join(known)}{hint}")


def check_frames(frames: object, kind: str) -> None:
    """Refuse a number of future frames with which a kind would not look ahead.

    Args:
        frames: ``lookahead_frames`` in a configuration.
        kind: Name of the kind.

    Raises:
        ValueError: it is no whole number from 1.
    """
    if not is_whole(frames):
        raise ValueError(
            f"lookahead_frames={frames!r} must be a whole number of frames, at least 1 "
            f"for lookahead: {kind}"
        )
    if frames < 1:
        raise ValueError(
            f"lookahead_frames={frames} must be at least 1 for lookahead: {kind}; for "
            "no lookahead set lookahead: causal"
        )


@dataclass(frozen=True)
class FixedLookahead:
    """A kind of lookahead that depends on the position of a frame and on nothing else.

    Args:
        kind: ``causal`` (no future frames), ``layerwise`` (every layer sees its own
            number of future frames), ``chunked`` (a frame sees to the end of its chunk
            of R + 1 frames, the same chunks in every layer) or ``full`` (everything).
        num_layers: L, the number of layers.
        frames: R, future frames in one layer. Ignored by ``causal`` and ``full``, and
            by ``layerwise`` when ``total`` is given.
        total: For ``layerwise``, the sum over the layers instead of ``frames``; what
            does not divide evenly goes to the lowest layers.
        phase: For ``chunked``: the frame that would be first is this far into a chunk.

    Raises:
        ValueError: a value is out of range or does not belong to the kind.
    """

    kind: str
    num_layers: int
    frames: int = 0
    total: int | None = None
    phase: int = 0

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        check_name(self.kind, KINDS)
        if not is_whole(self.frames) or self.frames < 0:
            raise ValueError(
                f"lookahead_frames={self.frames!r} must be a whole number of frames "
                "from 0"
            )
        if self.total is not None:
            if self.kind != "layerwise":
                raise ValueError(
                    f"lookahead_total={self.total} belongs to lookahead: layerwise, "
                    f"not to {self.kind}; remove it or set lookahead: layerwise"
                )
            if not is_whole(self.total):
                raise ValueError(
                    f"lookahead_total={self.total!r} must be a whole number of frames, "
                    "at least 1"
                )
            if self.total < 1:
                raise ValueError(
                    f"lookahead_total={self.total} must be at least 1; for no "
                    "lookahead set lookahead: causal"
                )
        elif self.kind in ("layerwise", "chunked"):
            check_frames(self.frames, self.kind)

    @property
    def name(self) -> str:
        """Return the kind's name in a configuration."""
        return self.kind

    def frames_per_layer(self) -> tuple[int, ...] | None:
        """Return R of each layer, lowest first, or None where there is no band."""
        if self.kind == "full":
            return None
        if self.kind == "causal":
            return (0,) * self.num_layers
        if self.total is not None:
            each, rest = divmod(self.total, self.num_layers)
            return tuple(each + (layer < rest) for layer in range(self.num_layers))
        return (self.frames,) * self.num_layers

    def bands(
        self, num_frames: int, device: torch.device | None = None
    ) -> tuple[torch.Tensor, ...] | None:
        """Return the binary band (T, R_l) of each layer, or None for ``full``.

        Bands reach past the last frame of an utterance: the length, not the band, says
        where it ends.
        """
        per_layer = self.frames_per_layer()
        if per_layer is None:
            return None
        made: dict[int, torch.Tensor] = {}
        for frames in per_layer:
            if frames not in made:
                made[frames] = self._band(num_frames, frames, device)
        return tuple(made[frames] for frames in per_layer)

    def _band(
        self, num_frames: int, frames: int, device: torch.device | None
    ) -> torch.Tensor:
        if self.kind != "chunked":
            return torch.ones(num_frames, frames, device=device)
        index = torch.arange(num_frames, device=device)
        position = (index + self.phase) % (frames + 1)
        distance = torch.arange(1, frames + 1, device=device)
        return (position[:, None] + distance <= frames).float()  # (T, R)

    def waits(self) -> tuple[int, ...] | None:
        """Return the latency in frames of one period of frames, None for ``full``.

        Before the end of an utterance cuts it short: ``causal`` and ``layerwise`` wait
        the same for every frame, ``chunked`` R, R - 1, ..., 0 in turn.
        """
        per_layer = self.frames_per_layer()
        if per_layer is None:
            return None
        if self.kind == "chunked":
            return tuple(range(self.frames, -1, -1))
        return (sum(per_layer),)
