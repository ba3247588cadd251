# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""The attention masks of a forward pass, layer by layer, and the trace of them."""

from typing import Any

import torch

from espnet_dynlook.encoder.attention import additive_mask
from espnet_dynlook.encoder.expected import ExpectedMask
from espnet_dynlook.lookahead.bands import log_weights
from espnet_dynlook.lookahead.dynamic import DynamicLookahead, Waits
from espnet_dynlook.lookahead.kinds import (
    ALL_KINDS,
    FixedLookahead,
    check_frames,
    check_name,
)
from espnet_dynlook.lookahead.random import RandomLookahead
from espnet_dynlook.lookahead.trace import LookaheadTrace
from espnet_dynlook.lookahead.values import check_types

Kind = FixedLookahead | RandomLookahead | DynamicLookahead


def make_kind(
    name: str,
    size: int,
    num_layers: int,
    frames: int,
    total: int | None,
    **scheduler: Any,
) -> Kind:
    """Return what a configuration asks for.

    A configuration may change its base's kind by one word: what belongs to a learned
    lookahead may stay where none is learned, but has to be right there too. Not so
    what would change what layers see, ``share_wait`` and ``lookahead_layers``.

    Args:
        name: ``lookahead`` in the configuration.
        size: Dimension of the layers.
        num_layers: L.
        frames: ``lookahead_frames``.
        total: ``lookahead_total``.
        scheduler: The other arguments of ``DynamicLookahead``.

    Raises:
        ValueError: a value is out of range or does not belong to the kind.
    """
    check_name(name, ALL_KINDS)
    check_types(**scheduler)
    if name in ("dynamic", "random") and total is not None:
        raise ValueError(
            f"lookahead_total={total} belongs to lookahead: layerwise, not to {name}; "
            "use lookahead_frames"
        )
    if name == "dynamic":
        check_frames(frames, name)
        return DynamicLookahead(size, num_layers, frames, **scheduler)
    _check_unused(name, size, num_layers, scheduler)
    if name == "random":
        return RandomLookahead(num_layers, frames)
    return FixedLookahead(name, num_layers, frames, total)


def _check_unused(
    name: str, size: int, num_layers: int, scheduler: dict[str, Any]
) -> None:
    """Refuse what a kind without a scheduler is given for one, and cannot be right."""
    for key, value in (
        ("share_wait", scheduler.get("share_wait") or None),
        ("lookahead_layers", scheduler.get("layers")),
    ):
        if value is not None:
            raise ValueError(
                f"{key}={value!r} belongs to lookahead: dynamic, and would do nothing "
                f"with lookahead: {name}; leave it out"
            )
    with torch.device("meta"):  # to be judged: takes no memory, draws no numbers
        DynamicLookahead(size, num_layers, 1, **scheduler)


class LayerMasks:
    """Gives each layer of a forward pass its mask, when its input is there.

    Args:
        kind: What fills the masks in.
        training: Whether this is a training step.
        num_layers: L.
        lengths: Frames of each utterance (B,).
        left_context: Past frames that a row sees in one layer; -1: all.
        x: Input of the first layer (B, T, size).
    """

    def __init__(
        self,
        kind: Kind,
        training: bool,
        num_layers: int,
        lengths: torch.Tensor,
        left_context: int,
        x: torch.Tensor,
    ):
        self.lengths = lengths
        self.left_context = left_context
        self.num_frames = x.size(1)
        device = x.device.type
        autocast = torch.is_autocast_enabled(device)
        self.dtype = torch.get_autocast_dtype(device) if autocast else x.dtype
        self.scheduler = kind if isinstance(kind, DynamicLookahead) else None
        self.waits: list[Waits | None] = [None] * num_layers
        self.bands: list[torch.Tensor] | None = None
        if isinstance(kind, DynamicLookahead):
            nothing = torch.zeros(1, self.num_frames, 0, device=x.device)
            self.bands = [nothing] * num_layers
        else:
            if isinstance(kind, FixedLookahead):
                fixed = kind.bands(self.num_frames, x.device)
            elif training:
                fixed = kind.draw(self.num_frames, x.device)
            else:
                fixed = kind.evaluated().bands(self.num_frames, x.device)
            self.bands = None if fixed is None else list(fixed)
        self._made: dict[int, torch.Tensor | ExpectedMask] = {}

    def layer(self, number: int, x: torch.Tensor) -> torch.Tensor | ExpectedMask:
        """Return the mask of a layer, additive (B or 1, 1, T, T) where it is decided.

        Equal bands share one.

        Args:
            number: Of the layer, from 1.
            x: Its input (B, T, size).
        """
        wait = self._decide(number, x)
        band = None if self.bands is None else self.bands[number - 1]
        if id(band) not in self._made:
            self._made[id(band)] = self._mask(band, wait)
        return self._made[id(band)]

    def _mask(
        self, band: torch.Tensor | None, wait: Waits | None
    ) -> torch.Tensor | ExpectedMask:
        if wait is None:
            return self._additive(band)
        hard = None if wait.drawn is None else self._additive(wait.drawn)
        if wait.soft is None:
            assert hard is not None
            return hard
        past = self._additive(wait.soft[:1, :, :0].detach())
        return ExpectedMask(wait.soft, past, hard)

    def _additive(self, band: torch.Tensor | None) -> torch.Tensor:
        return additive_mask(
            self.num_frames,
            None if band is None else log_weights(band),
            self.lengths,
            self.left_context,
            self.dtype,
        )

    def _decide(self, number: int, x: torch.Tensor) -> Waits | None:
        scheduler = self.scheduler
        if scheduler is None or not scheduler.looks_ahead(number):
            return None
        assert self.bands is not None
        if scheduler.shared and self.waits[0] is not None:
            return self.waits[0]
        wait = scheduler(number, x, self.lengths)
        # Segments are the same in all layers, also in one that is not run this time.
        layers = range(len(self.waits)) if scheduler.shared else [number - 1]
        for layer in layers:
            self.waits[layer] = wait
            self.bands[layer] = wait.band
        return wait

    def trace(self) -> LookaheadTrace:
        """Return what the layers looked at, once all have their masks."""
        bands = None if self.bands is None else tuple(self.bands)
        waits = tuple(self.waits) if self.scheduler is not None else None
        return LookaheadTrace(bands, self.lengths, waits)
