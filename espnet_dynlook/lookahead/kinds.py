"""The fixed kinds of lookahead, as bands.

``band[i, d - 1]``, d = 1 .. R, is 1 where row i of a layer may attend to frame i + d
and 0 where it may not. Frames are counted after subsampling.
"""

from dataclasses import dataclass

import torch

KINDS = ("causal", "layerwise", "chunked", "full")


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
        if self.kind not in KINDS:
            raise ValueError(
                f"lookahead={self.kind!r} must be one of {', '.join(KINDS)}"
            )
        if self.frames < 0:
            raise ValueError(
                f"lookahead_frames={self.frames} must be a number of frames from 0"
            )
        if self.total is not None:
            if self.kind != "layerwise":
                raise ValueError(
                    f"lookahead_total={self.total} belongs to lookahead: layerwise, "
                    f"not to {self.kind}; remove it or set lookahead: layerwise"
                )
            if self.total < 1:
                raise ValueError(
                    f"lookahead_total={self.total} must be at least 1; for no "
                    "lookahead set lookahead: causal"
                )
        elif self.kind in ("layerwise", "chunked") and self.frames < 1:
            raise ValueError(
                f"lookahead_frames={self.frames} must be at least 1 for lookahead: "
                f"{self.kind}; for no lookahead set lookahead: causal"
            )

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
