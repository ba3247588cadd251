# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""The outputs of an encoder's layers, without a change to the encoder.

ESPnet's encoders return intermediate outputs of ``interctc_layer_idx`` only, and each
of those then gets a CTC loss and is fed back under self-conditioning.
"""

import functools
from collections.abc import Sequence
from typing import Any

import torch


class LayerTaps:
    """Keeps what layers of an encoder put out in its last forward pass.

    For every encoder of ESPnet or this plugin whose layers are ``encoder.encoders``.
    A layer that was dropped in training gives what the layer below it gave. Outputs are
    normalized by the encoder's last norm, as ESPnet's Conformer does with intermediate
    ones, and streams of this plugin's encoders.

    Args:
        encoder: The encoder.
        layers: Which, from 1.
        source: Key that names the layers, for the message.

    Raises:
        ValueError: the encoder has no such layer, or changes the number of frames
            between its layers.
    """

    def __init__(self, encoder: Any, layers: Sequence[int], source: str):
        stack: Any = getattr(encoder, "encoders", None)
        if not isinstance(stack, torch.nn.Sequential | torch.nn.ModuleList):
            raise ValueError(
                f"{source} needs an encoder with a stack of layers, such as conformer, "
                f"e_branchformer or dynlook_conformer; this is {type(encoder).__name__}"
            )
        number = len(stack)
        outside = [layer for layer in layers if not 1 <= layer <= number]
        if outside:
            raise ValueError(
                f"{source}={list(layers)}: {outside} is not in 1 .. {number}, the "
                "layers of the encoder"
            )
        if getattr(encoder, "ctc_trim", False):
            raise ValueError(
                f"{source} does not go with ctc_trim: true, which drops frames between "
                "the layers; set ctc_trim: false"
            )
        self.layers = tuple(layers)
        normalizes = getattr(encoder, "normalize_before", True)
        self._norm = getattr(encoder, "after_norm", None) if normalizes else None
        self._found: dict[int, torch.Tensor] = {}
        # Partials of methods, so that a deep copy of the model has taps of its own.
        encoder.register_forward_pre_hook(self._begin)
        for position, layer in enumerate(stack, 1):
            if position <= max(layers):
                layer.register_forward_hook(functools.partial(self._keep, position))

    def _begin(self, module: torch.nn.Module, args: Any) -> None:
        self._found.clear()

    def _keep(
        self, position: int, module: torch.nn.Module, args: Any, output: Any
    ) -> None:
        while isinstance(output, tuple):  # ((x, positions), mask)
            output = output[0]
        for layer in self.layers:
            if position <= layer:
                self._found[layer] = output

    def take(self) -> list[torch.Tensor] | None:
        """Return the layers' outputs (B, T, D), once.

        None if there was no forward pass since, or all layers up to one were dropped.
        """
        found = [self._found.get(layer) for layer in self.layers]
        self._found.clear()
        kept = [self._normalized(one) for one in found if one is not None]
        return kept if len(kept) == len(found) else None

    def _normalized(self, x: torch.Tensor) -> torch.Tensor:
        if self._norm is None:
            return x
        if not torch.is_autocast_enabled(x.device.type):
            x = x.to(self._norm.weight.dtype)  # the encoder alone may have had it
        return self._norm(x)
