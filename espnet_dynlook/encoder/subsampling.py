# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Input layers that stream: ESPnet's own, with the arithmetic of their frames beside.

ESPnet's convolutional subsampling is not padded in time, so an output frame depends on
a fixed window of input frames and on nothing else. That window is written down here:
lengths come from it (ESPnet 202511 slices them out of the padding mask instead, which
gives an utterance more frames in a padded batch than alone), and so does latency.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from espnet_dynlook.compat import espnet_nets
from espnet_dynlook.encoder.attention import sinusoids

_subsampling = espnet_nets("pytorch_backend.transformer.subsampling")
TooShortUttError = _subsampling.TooShortUttError


@dataclass(frozen=True)
class FrameArithmetic:
    """Which input frames an output frame depends on.

    Output frame i sees the input frames ``i * stride`` .. ``i * stride + window - 1``.
    """

    stride: int
    window: int

    @classmethod
    def of_convolutions(cls, *layers: tuple[int, int]) -> "FrameArithmetic":
        """Compose unpadded convolutions given as (kernel size, stride)."""
        stride, window = 1, 1
        for kernel_size, layer_stride in layers:
            window += (kernel_size - 1) * stride
            stride *= layer_stride
        return cls(stride, window)

    def output_lengths(self, lengths: torch.Tensor) -> torch.Tensor:
        """Return the number of output frames of so many input frames, (B,) -> (B,)."""
        complete = torch.div(lengths - self.window, self.stride, rounding_mode="floor")
        return (complete + 1).clamp(min=0)

    @property
    def lookahead(self) -> int:
        """Input frames that are needed after the last one of the frame's own period."""
        return self.window - self.stride


# name: (class in ESPnet, (kernel size, stride) of its convolutions over time)
CONVOLUTIONAL: dict[str, tuple[type, FrameArithmetic]] = {
    name: (getattr(_subsampling, class_name), FrameArithmetic.of_convolutions(*layers))
    for name, class_name, layers in (
        ("conv1d2", "Conv1dSubsampling2", ((3, 1), (3, 2))),
        ("conv2d", "Conv2dSubsampling", ((3, 2), (3, 2))),
        ("conv2d1", "Conv2dSubsampling1", ((3, 1), (3, 1))),
        ("conv2d2", "Conv2dSubsampling2", ((3, 2), (3, 1))),
        ("conv2d6", "Conv2dSubsampling6", ((3, 2), (5, 3))),
        ("conv2d8", "Conv2dSubsampling8", ((3, 2), (3, 2), (3, 2))),
    )
}
FRAMEWISE = FrameArithmetic(stride=1, window=1)


def arithmetic_of(input_layer: str | torch.nn.Module | None) -> FrameArithmetic:
    """Return which input frames the outputs of that input layer depend on."""
    if isinstance(input_layer, str) and input_layer in CONVOLUTIONAL:
        return CONVOLUTIONAL[input_layer][1]
    return FRAMEWISE


def input_layer_module(
    name: str,
    input_layer: str | torch.nn.Module | None,
    input_size: int,
    output_size: int,
    dropout_rate: float,
    pos_enc: torch.nn.Module | None,
    activation: Sequence[torch.nn.Module] = (),
    padding_idx: int = -1,
) -> torch.nn.Module:
    """Build ESPnet's input layer of that name.

    Args:
        name: Name of the encoder, for messages.
        input_layer: Name, a module, or None (positions only).
        input_size: Input dimension.
        output_size: Output dimension.
        dropout_rate: Dropout rate.
        pos_enc: Positional encoding; None, for the convolutional ones: their default.
        activation: Activations of the layer ``linear``.
        padding_idx: Padding index of the layer ``embed``.

    Raises:
        ValueError: there is no input layer of that name, or it cannot stream.
    """
    if isinstance(input_layer, str) and input_layer in CONVOLUTIONAL:
        make = CONVOLUTIONAL[input_layer][0]
        return make(input_size, output_size, dropout_rate, pos_enc)
    parts: list[torch.nn.Module] = []
    if isinstance(input_layer, torch.nn.Module):
        parts = [input_layer]
    elif input_layer == "linear":
        parts = [
            torch.nn.Linear(input_size, output_size),
            torch.nn.LayerNorm(output_size),
            torch.nn.Dropout(dropout_rate),
            *activation,
        ]
    elif input_layer == "embed":
        parts = [torch.nn.Embedding(input_size, output_size, padding_idx=padding_idx)]
    elif input_layer is not None:
        raise ValueError(
            f"input_layer={input_layer!r} of {name} must be one of "
            f"{', '.join(CONVOLUTIONAL)}, linear, embed or null"
        )
    assert pos_enc is not None
    return torch.nn.Sequential(*parts, pos_enc)


_embedding = espnet_nets("pytorch_backend.transformer.embedding")
Rows = Callable[[torch.Tensor], torch.Tensor]


def around_positions(
    embed: torch.nn.Module | None,
) -> tuple[Rows, Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None, Rows]:
    """Take an input layer apart, so that its positions can begin anywhere.

    Args:
        embed: As ``input_layer_module`` returns it, a layer without positions, or None.

    Returns:
        What comes before the positions, frames in and out; the positions, called with
        frames (B, T, size) and the number of the first one (B,), or None; what follows.
    """

    def same(x: torch.Tensor) -> torch.Tensor:
        return x

    if embed is None:
        return same, None, same
    if isinstance(embed, tuple(c for c, _ in CONVOLUTIONAL.values())):
        # ESPnet has them beside the linear layer or behind it in a Sequential.
        beside = getattr(embed, "pos_enc", None)
        parts: Any = embed.out
        *linear, positions = (parts, beside) if beside is not None else parts

        def convolve(x: torch.Tensor) -> torch.Tensor:
            if isinstance(embed, _subsampling.Conv1dSubsampling2):
                x = embed.conv(x.transpose(1, 2)).transpose(1, 2)
            else:
                x = embed.conv(x[:, None]).transpose(1, 2).flatten(2)  # type: ignore
            for layer in linear:
                x = layer(x)
            return x

        return convolve, _from(positions), same
    if not isinstance(embed, torch.nn.Sequential):
        return embed, None, same
    place = [n for n, part in enumerate(embed) if hasattr(part, "extend_pe")]
    if not place:
        return embed, None, same
    at = place[0]
    return embed[:at], _from(embed[at]), embed[at + 1 :]


def _from(
    encoding: Any,
) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Return ESPnet's positional encoding as a function of frames and the first one."""

    def positions(x: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
        if isinstance(encoding, _embedding.RelPositionalEncoding):
            return x * encoding.xscale
        number = first[:, None] + torch.arange(x.shape[1], device=x.device)
        added = sinusoids(number, x.shape[2]).to(x.dtype)
        if isinstance(encoding, _embedding.ScaledPositionalEncoding):
            return x + encoding.alpha * added
        return x * encoding.xscale + added

    return positions
