# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Encoder layers: ESPnet's parameters, with an additive mask and known padding."""

from collections.abc import Callable
from typing import Any

import torch

from espnet_dynlook.compat import espnet_nets
from espnet_dynlook.encoder.expected import ExpectedMask

ConformerLayer: Any = espnet_nets(
    "pytorch_backend.conformer.encoder_layer"
).EncoderLayer
TransformerLayer: Any = espnet_nets(
    "pytorch_backend.transformer.encoder_layer"
).EncoderLayer


class _Residual:
    """What both layers share: a block around a function, and stochastic depth."""

    training: bool
    normalize_before: bool
    concat_after: bool
    stochastic_depth_rate: float
    dropout: torch.nn.Module
    self_attn: torch.nn.Module
    concat_linear: torch.nn.Module

    def _add(
        self,
        norm: torch.nn.Module,
        function: Callable[[torch.Tensor], torch.Tensor],
        x: torch.Tensor,
        scale: float = 1.0,
    ) -> torch.Tensor:
        """Return x + scale * dropout(function(x)), normalized before or after."""
        y = self.dropout(function(norm(x) if self.normalize_before else x))
        y = x + scale * y if scale != 1.0 else x + y
        return y if self.normalize_before else norm(y)

    def _attend(
        self,
        norm: torch.nn.Module,
        x: torch.Tensor,
        pos_emb: torch.Tensor | None,
        mask: torch.Tensor | ExpectedMask,
        scale: float,
    ) -> torch.Tensor:
        if not self.concat_after:
            return self._add(norm, lambda h: self.self_attn(h, pos_emb, mask), x, scale)
        h = norm(x) if self.normalize_before else x
        attended = self.self_attn(h, pos_emb, mask)
        x = x + scale * self.concat_linear(torch.cat((h, attended), dim=-1))
        return x if self.normalize_before else norm(x)

    def _draw_depth(self) -> float:
        """Return what the residual branches are scaled by: 0 skips the layer.

        Stochastic depth (https://arxiv.org/abs/1603.09382), scaled in training.
        """
        if not (self.training and self.stochastic_depth_rate > 0):
            return 1.0
        if torch.rand(1).item() < self.stochastic_depth_rate:
            return 0.0
        return 1.0 / (1.0 - self.stochastic_depth_rate)


class DynlookConformerLayer(_Residual, ConformerLayer):
    """Conformer layer: half feed-forward, attention, convolution, half feed-forward."""

    def forward(
        self,
        x: torch.Tensor,
        pos_emb: torch.Tensor | None,
        mask: torch.Tensor | ExpectedMask,
        padding: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Compute encoded features.

        Args:
            x: Input tensor (#batch, time, size).
            pos_emb: Positional embedding (1, 2 * time - 1, size), or None.
            mask: Additive attention mask (#batch or 1, 1, time, time), or that of rows
                which have not decided how long they wait.
            padding: True past the end of an utterance, (#batch, time), or None.

        Returns:
            Output tensor (#batch, time, size).
        """
        depth = self._draw_depth()
        if depth == 0.0:
            return x
        half = depth * self.ff_scale
        if self.feed_forward_macaron is not None:
            x = self._add(self.norm_ff_macaron, self.feed_forward_macaron, x, half)
        x = self._attend(self.norm_mha, x, pos_emb, mask, depth)
        if self.conv_module is not None:
            x = self._add(
                self.norm_conv, lambda h: self.conv_module(h, padding), x, depth
            )
        x = self._add(self.norm_ff, self.feed_forward, x, half)
        if self.conv_module is not None:
            x = self.norm_final(x)
        return x


class DynlookTransformerLayer(_Residual, TransformerLayer):
    """Transformer layer: attention, feed-forward."""

    def forward(
        self,
        x: torch.Tensor,
        pos_emb: torch.Tensor | None,
        mask: torch.Tensor | ExpectedMask,
        padding: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Compute encoded features; shapes as in the Conformer layer."""
        depth = self._draw_depth()
        if depth == 0.0:
            return x
        x = self._attend(self.norm1, x, pos_emb, mask, depth)
        return self._add(self.norm2, self.feed_forward, x, depth)
