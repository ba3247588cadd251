# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Encoder layers: ESPnet's parameters, with an additive mask and known padding."""

from collections.abc import Callable
from typing import Any

import torch

from espnet_dynlook.compat import espnet_nets
from espnet_dynlook.encoder.expected import ExpectedMask
from espnet_dynlook.encoder.ragged import Counts

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
    norm_of_attention: Callable[[], torch.nn.Module]
    before: Callable[..., torch.Tensor]
    after: Callable[..., tuple[torch.Tensor, torch.Tensor | None]]

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
        h = norm(x) if self.normalize_before else x
        return self._join(norm, x, h, self.self_attn(h, pos_emb, mask), scale)

    def _join(
        self,
        norm: torch.nn.Module,
        x: torch.Tensor,
        h: torch.Tensor,
        attended: torch.Tensor,
        scale: float = 1.0,
    ) -> torch.Tensor:
        """Return x plus what its input h of the attention attended to."""
        if not self.concat_after:
            y = self.dropout(attended)
            x = x + scale * y if scale != 1.0 else x + y
        else:
            x = x + scale * self.concat_linear(torch.cat((h, attended), dim=-1))
        return x if self.normalize_before else norm(x)

    def attention_input(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a row before its attention: as it is, and as attention sees it.

        Args:
            x: Input tensor (#batch, time, size).
        """
        x = self.before(x)
        return x, self.norm_of_attention()(x) if self.normalize_before else x

    def step(
        self,
        x: torch.Tensor,
        h: torch.Tensor,
        attended: torch.Tensor,
        past: torch.Tensor | None,
        counts: Counts,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Finish rows of streams, in order.

        Args:
            x: Rows as ``attention_input`` returned them (#batch, time, size).
            h: As attention saw them, likewise.
            attended: What they attended to, likewise.
            past: Of the convolution, from the call before; None where there is none.
            counts: Rows of each stream (#batch,).

        Returns:
            Output tensor (#batch, time, size); the convolution's past for the next
            call.
        """
        x = self._join(self.norm_of_attention(), x, h, attended)
        return self.after(x, None, 1.0, past, counts)

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
        x = self._attend(self.norm_mha, self.before(x, depth), pos_emb, mask, depth)
        return self.after(x, padding, depth)[0]

    def norm_of_attention(self) -> torch.nn.Module:
        """Normalization before attention, or after it."""
        return self.norm_mha

    def before(self, x: torch.Tensor, depth: float = 1.0) -> torch.Tensor:
        """Return rows before their attention, each by itself."""
        if self.feed_forward_macaron is None:
            return x
        scale = depth * self.ff_scale
        return self._add(self.norm_ff_macaron, self.feed_forward_macaron, x, scale)

    def after(
        self,
        x: torch.Tensor,
        padding: torch.Tensor | None = None,
        depth: float = 1.0,
        past: torch.Tensor | None = None,
        counts: Counts | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return rows after their attention, and the past of the convolution.

        Args:
            x: With what they attended to (#batch, time, size).
            padding: As for ``forward``.
            depth: Scale of the residual branches.
            past: Of the convolution, for streams; None: the rows are from the first on.
            counts: Rows of each stream (#batch,), where there is a past.
        """
        if self.conv_module is not None:

            def convolve(h: torch.Tensor) -> torch.Tensor:
                nonlocal past
                if past is None:
                    return self.conv_module(h, padding)
                out, past = self.conv_module.step(h, past, counts)
                return out

            x = self._add(self.norm_conv, convolve, x, depth)
        x = self._add(self.norm_ff, self.feed_forward, x, depth * self.ff_scale)
        if self.conv_module is not None:
            x = self.norm_final(x)
        return x, past


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
        return self.after(x, depth=depth)[0]

    def norm_of_attention(self) -> torch.nn.Module:
        """Normalization before attention, or after it."""
        return self.norm1

    def before(self, x: torch.Tensor, depth: float = 1.0) -> torch.Tensor:
        """Return rows before their attention: as they are."""
        return x

    def after(
        self,
        x: torch.Tensor,
        padding: torch.Tensor | None = None,
        depth: float = 1.0,
        past: torch.Tensor | None = None,
        counts: Counts | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return rows after their attention; as in the Conformer layer."""
        return self._add(self.norm2, self.feed_forward, x, depth), past
