# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""The Conformer's convolution module, causal, and blind to padding."""

from typing import Any

import torch
import torch.nn.functional as F

from espnet_dynlook.compat import espnet_nets

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
        x = F.glu(self.pointwise_conv1(x.transpose(1, 2)), dim=1)
        if padding is not None:
            x = x.masked_fill(padding[:, None], 0.0)
        x = self.depthwise_conv(F.pad(x, self.padding))
        x = self.pointwise_conv2(self.activation(self.norm(x)))
        return x.transpose(1, 2)
