# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""The Conformer's convolution module, causal, and blind to padding."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from espnet_dynlook.compat import espnet_nets
from espnet_dynlook.encoder.ragged import Counts, in_step, take

ConvolutionModule: Any = espnet_nets(
    "pytorch_backend.conformer.convolution"
).ConvolutionModule


#: Up to so many rows, a depthwise convolution is faster as a product and a sum.
FEW_ROWS = 64


class CausalConvolutionModule(ConvolutionModule):
    """ESPnet's convolution module with a choice of what its depthwise kernel sees.

    Args:
        channels: The number of channels.
        kernel_size: Kernel size of the depthwise convolution, odd.
        activation: Activation after the normalization.
        causal: Whether the kernel sees the frame and the ``kernel_size - 1`` before it,
            or as many before as after.
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        activation: torch.nn.Module,
        causal: bool = True,
    ):
        super().__init__(channels, kernel_size, activation)
        self.depthwise_conv.padding = (0,)  # padded below, on the side that is wanted
        half = (kernel_size - 1) // 2
        self.padding = (kernel_size - 1, 0) if causal else (half, half)

    def forward(
        self, x: torch.Tensor, padding: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Convolve.

        Args:
            x: Input tensor (#batch, time, channels).
            padding: True past the end of an utterance, (#batch, time), or None.

        Returns:
            Output tensor (#batch, time, channels).
        """
        x = self._gated(x)
        if padding is not None:
            x = x.masked_fill(padding[:, None], 0.0)
        return self._convolved(F.pad(x, self.padding))

    def initial_past(self, like: torch.Tensor) -> torch.Tensor:
        """Return the past of streams that begin (#batch, kernel_size - 1, channels).

        Args:
            like: Tensor (#batch, ...) of their device and dtype.
        """
        return like.new_zeros(
            like.shape[0], self.padding[0], self.pointwise_conv2.out_channels
        )

    def step(
        self, x: torch.Tensor, past: torch.Tensor, counts: Counts
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Convolve further rows of streams; only causal.

        The module's arithmetic, laid out for a few rows: convolutions of one frame are
        linear layers, and nothing is transposed.

        Args:
            x: Input tensor (#batch, time, channels), rows of a stream at the left.
            past: From the call before, or ``initial_past``.
            counts: Rows of each stream (#batch,).

        Returns:
            Output tensor (#batch, time, channels); the past for the next call.
        """
        gated = F.glu(_of_one_frame(self.pointwise_conv1, x), dim=-1)
        both = torch.cat((past, gated), dim=1)
        y = self._depthwise(both)
        y = self.norm(y.flatten(0, 1)).view_as(y)  # statistics are known: row by row
        y = _of_one_frame(self.pointwise_conv2, self.activation(y))
        number, size = in_step(counts), past.shape[1]
        if number is not None:
            return y, both[:, number : number + size]
        return y, take(both, np.arange(size) + counts[:, None])

    def _depthwise(self, x: torch.Tensor) -> torch.Tensor:
        """Return the depthwise convolution of x (#batch, past + time, channels)."""
        conv = self.depthwise_conv
        size = conv.kernel_size[0]
        batch, width, channels = x.shape
        if batch * (width - size + 1) > FEW_ROWS:
            return conv(x.transpose(1, 2)).transpose(1, 2)
        windows = x.contiguous().as_strided(
            (batch, width - size + 1, size, channels),
            (width * channels, channels, channels, 1),
        )
        y = (windows * conv.weight[:, 0].t()).sum(dim=2)
        return y if conv.bias is None else y + conv.bias

    def _gated(self, x: torch.Tensor) -> torch.Tensor:
        return F.glu(self.pointwise_conv1(x.transpose(1, 2)), dim=1)

    def _convolved(self, x: torch.Tensor) -> torch.Tensor:
        x = self.depthwise_conv(x)
        x = self.pointwise_conv2(self.activation(self.norm(x)))
        return x.transpose(1, 2)


def _of_one_frame(conv: torch.nn.Conv1d, x: torch.Tensor) -> torch.Tensor:
    """Return a convolution with a kernel of one frame, of x (#batch, time, size)."""
    return F.linear(x, conv.weight[:, :, 0], conv.bias)
