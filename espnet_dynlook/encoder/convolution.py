# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""The Conformer's convolution module, causal, and blind to padding."""

from typing import Any

import torch
import torch.nn.functional as F

from espnet_dynlook.compat import espnet_nets
from espnet_dynlook.encoder.ragged import take

ConvolutionModule: Any = espnet_nets(
    "pytorch_backend.conformer.convolution"
).ConvolutionModule


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
        self, x: torch.Tensor, past: torch.Tensor, counts: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Convolve further rows of streams; only causal.

        Args:
            x: Input tensor (#batch, time, channels), rows of a stream at the left.
            past: From the call before, or ``initial_past``.
            counts: Rows of each stream (#batch,).

        Returns:
            Output tensor (#batch, time, channels); the past for the next call.
        """
        both = torch.cat((past, self._gated(x).transpose(1, 2)), dim=1)
        out = self._convolved(both.transpose(1, 2))
        index = torch.arange(past.shape[1], device=counts.device) + counts[:, None]
        return out, take(both, index)

    def _gated(self, x: torch.Tensor) -> torch.Tensor:
        return F.glu(self.pointwise_conv1(x.transpose(1, 2)), dim=1)

    def _convolved(self, x: torch.Tensor) -> torch.Tensor:
        x = self.depthwise_conv(x)
        x = self.pointwise_conv2(self.activation(self.norm(x)))
        return x.transpose(1, 2)
