# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""What both encoders share: the forward pass under a kind of lookahead."""

import difflib
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from espnet_dynlook.compat import espnet_imports, espnet_nets
from espnet_dynlook.encoder.attention import additive_mask
from espnet_dynlook.encoder.subsampling import (
    CONVOLUTIONAL,
    FrameArithmetic,
    TooShortUttError,
)
from espnet_dynlook.lookahead.kinds import FixedLookahead
from espnet_dynlook.lookahead.latency import LookaheadLatency, LookaheadTrace

with espnet_imports():
    from espnet2.asr.ctc import CTC
    from espnet2.asr.encoder.abs_encoder import AbsEncoder

LayerNorm = espnet_nets("pytorch_backend.transformer.layer_norm").LayerNorm
MultiSequential = espnet_nets("pytorch_backend.transformer.repeat").MultiSequential
PositionwiseFeedForward = espnet_nets(
    "pytorch_backend.transformer.positionwise_feed_forward"
).PositionwiseFeedForward


get_activation = espnet_nets("pytorch_backend.nets_utils").get_activation

#: What ESPnet's ``get_activation`` knows.
ACTIVATIONS = ("hardtanh", "tanh", "relu", "selu", "swish")

#: Samples in an analysis window of ESPnet's DefaultFrontend.
ESPNET_WINDOW = 512


class DynlookEncoder(AbsEncoder):
    """Encoder whose layers see what its kind of lookahead lets them see.

    Args:
        name: Name in the configuration, for messages.
        output_size: Dimension of attention.
        embed: Input layer, positions included; None: the input is used as it is.
        arithmetic: Which input frames an output of the input layer depends on.
        layers: L modules, each called with (x, pos_emb, mask, padding).
        layer_drop_rate: Probability of skipping a layer in training.
        normalize_before: Whether layers normalize their input, not their output.
        interctc_layer_idx: Layers (from 1) whose output gets a CTC loss.
        interctc_use_conditioning: Whether those posteriors are fed back.
        kind: The kind of lookahead.
        left_context: Past frames that a row sees in one layer; -1: all.

    Attributes:
        lookahead: Trace of the last forward pass; None before the first.
        frame_shift: Input frames per output frame.
    """

    def __init__(
        self,
        name: str,
        output_size: int,
        embed: torch.nn.Module | None,
        arithmetic: FrameArithmetic,
        layers: Sequence[torch.nn.Module],
        layer_drop_rate: float,
        normalize_before: bool,
        interctc_layer_idx: list[int],
        interctc_use_conditioning: bool,
        kind: FixedLookahead,
        left_context: int,
    ):
        super().__init__()
        outside = [i for i in interctc_layer_idx if not 0 < i < len(layers)]
        if outside:
            raise ValueError(
                f"interctc_layer_idx={interctc_layer_idx}: {outside} is not in 1 .. "
                f"{len(layers) - 1}, the layers below the last of num_blocks="
                f"{len(layers)}"
            )
        if left_context < -1:
            raise ValueError(
                f"left_context={left_context} must be -1 (all past frames) or a number "
                "of frames from 0"
            )
        self.name = name
        self._output_size = output_size
        self.embed = embed
        self.arithmetic = arithmetic
        self.frame_shift = arithmetic.stride
        # ESPnet's container, for its parameter names.
        self.encoders = MultiSequential(*layers, layer_drop_rate=layer_drop_rate)
        self.normalize_before = normalize_before
        if normalize_before:
            self.after_norm = LayerNorm(output_size)
        self.interctc_layer_idx = interctc_layer_idx
        self.interctc_use_conditioning = interctc_use_conditioning
        self.conditioning_layer = None  # ESPnet's model puts it here
        self.kind = kind
        self.left_context = left_context
        self.lookahead: LookaheadTrace | None = None

    def output_size(self) -> int:
        """Return the dimension of the output."""
        return self._output_size

    def constant_ms(
        self, hop_length: int, fs: int, win_length: int | None = None
    ) -> float:
        """Return the latency of front end and subsampling in ms.

        What an output frame needs beyond the end of its own frame period when no layer
        looks ahead: the rest of the convolutions' window, and half an analysis window
        (ESPnet's STFT is centred) beyond the hop that a feature frame stands for.

        Args:
            hop_length: Samples between feature frames.
            fs: Samples per second.
            win_length: Samples in an analysis window; None: the 512 that ESPnet's
                front end has when nothing else is configured.
        """
        window = ESPNET_WINDOW if win_length is None else win_length
        samples = self.arithmetic.lookahead * hop_length + window / 2 - hop_length
        return 1000.0 * samples / fs

    def lookahead_ms(
        self, hop_length: int, fs: int, win_length: int | None = None
    ) -> LookaheadLatency:
        """Return the latency of a frame in ms, counted from the end of the frame.

        Front end and subsampling included; see ``constant_ms`` for the arguments.
        Infinite for ``lookahead: full``, where every frame waits for the end.
        """
        waits = self.kind.waits()
        if waits is None:
            infinite = float("inf")
            return LookaheadLatency(infinite, infinite, infinite, infinite)
        period = 1000.0 * self.frame_shift * hop_length / fs
        constant = self.constant_ms(hop_length, fs, win_length)
        return LookaheadLatency.of(torch.tensor(waits) * period + constant)

    def _check_input(self, xs_pad: torch.Tensor, ilens: torch.Tensor) -> None:
        shortest = int(ilens.min())
        if shortest < self.arithmetic.window:
            which = int(ilens.argmin())
            raise TooShortUttError(
                f"has {shortest} frames (utterance {which} of the batch) and is too "
                f"short for {self.name}, whose subsampling needs at least "
                f"{self.arithmetic.window}; remove it, or raise --min_wav_duration",
                shortest,
                self.arithmetic.window,
            )
        if int(ilens.max()) > xs_pad.size(1):
            raise ValueError(
                f"ilens={ilens.tolist()} is longer than the input, which has "
                f"{xs_pad.size(1)} frames"
            )

    def forward(
        self,
        xs_pad: torch.Tensor,
        ilens: torch.Tensor,
        prev_states: torch.Tensor | None = None,
        masks: torch.Tensor | None = None,
        ctc: CTC | None = None,
        return_all_hs: bool = False,
    ) -> tuple[
        torch.Tensor | tuple[torch.Tensor, list], torch.Tensor, torch.Tensor | None
    ]:
        """Encode.

        Args:
            xs_pad: Input tensor (#batch, L, input_size).
            ilens: Input length (#batch).
            prev_states: Not used.
            masks: True for frames that are padding (#batch, L), instead of ``ilens``;
                padding is at the end.
            ctc: CTC module, for self-conditioning on intermediate CTC.
            return_all_hs: Whether to return the output of every layer.

        Returns:
            Output tensor (#batch, T, output_size), or that and a list of the
            intermediate outputs: (layer, tensor) of the intermediate CTC layers, else
            with ``return_all_hs`` every layer's tensor.
            Output length (#batch).
            None.

        Raises:
            TooShortUttError: an utterance is shorter than the subsampling.
            ValueError: the input has NaN or infinite values, or lengths do not fit.
        """
        if masks is not None:
            ilens = (~masks).sum(dim=1)
        ilens = ilens.to(xs_pad.device)
        self._check_input(xs_pad, ilens)
        xs_pad = xs_pad[:, : int(ilens.max())]
        olens = self.arithmetic.output_lengths(ilens)

        x, pos_emb = self._embed(xs_pad)
        num_frames = x.size(1)
        padding = None
        if int(olens.min()) < num_frames:
            index = torch.arange(num_frames, device=x.device)
            padding = index >= olens[:, None]  # (#batch, T)
            x = x.masked_fill(padding[:, :, None], 0.0)
        self._check_finite(x)

        bands = self.kind.bands(num_frames, x.device)
        self.lookahead = LookaheadTrace(bands, olens)
        layer_masks = self._masks(x, olens, bands)

        outputs: list[Any] = []
        for number, layer in enumerate(self.encoders, 1):
            if not self._drops_layer():
                x = layer(x, pos_emb, layer_masks[number - 1], padding)
            if number in self.interctc_layer_idx:
                intermediate = self.after_norm(x) if self.normalize_before else x
                outputs.append((number, intermediate))
                if self.interctc_use_conditioning:
                    assert ctc is not None and self.conditioning_layer is not None
                    x = x + self.conditioning_layer(ctc.softmax(intermediate))
            elif return_all_hs and not self.interctc_layer_idx:
                outputs.append(x)
        if self.normalize_before:
            x = self.after_norm(x)
        return ((x, outputs) if outputs else x), olens, None

    def _embed(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        if self.embed is None:
            return x, None
        if isinstance(self.embed, tuple(c for c, _ in CONVOLUTIONAL.values())):
            embedded, _ = self.embed(x, None)
        else:
            embedded = self.embed(x)
        # Relative positions come as a pair.
        return embedded if isinstance(embedded, tuple) else (embedded, None)

    def _check_finite(self, x: torch.Tensor) -> None:
        # The sum is NaN or infinite where any value is: one reduction, and padding,
        # which may hold anything, has been cleared before.
        if torch.isfinite(x.detach().sum(dtype=torch.float32)):
            return
        broken = (~torch.isfinite(x)).flatten(1).any(dim=1).nonzero().flatten().tolist()
        raise ValueError(
            f"utterances {broken} of the batch have NaN or infinite values after the "
            f"input layer of {self.name}: check the audio and the normalization "
            "statistics, or, when the loss has just exploded, lower the learning rate"
        )

    def _masks(
        self,
        x: torch.Tensor,
        olens: torch.Tensor,
        bands: tuple[torch.Tensor, ...] | None,
    ) -> list[torch.Tensor]:
        """Return the additive mask of each layer; equal bands share one."""
        device = x.device.type
        dtype = x.dtype
        if torch.is_autocast_enabled(device):
            dtype = torch.get_autocast_dtype(device)
        masks: dict[int, torch.Tensor] = {}
        per_layer = bands if bands is not None else (None,) * len(self.encoders)
        for band in per_layer:
            if id(band) not in masks:
                masks[id(band)] = additive_mask(
                    x.size(1), band, olens, self.left_context, dtype
                )
        return [masks[id(band)] for band in per_layer]

    def _drops_layer(self) -> bool:
        rate = self.encoders.layer_drop_rate
        return self.training and rate > 0 and torch.rand(1).item() < rate


def check_sizes(
    name: str,
    *,
    output_size: int,
    attention_heads: int,
    linear_units: int,
    num_blocks: int,
    **rates: float,
) -> None:
    """Refuse sizes with which no encoder can be built, before one is.

    Args:
        name: Of the encoder in the configuration, for messages.
        output_size: Dimension of attention.
        attention_heads: Its heads.
        linear_units: Units of the feed-forward part.
        num_blocks: Layers.
        rates: Probabilities by their key, in [0, 1).

    Raises:
        ValueError: a size or a rate is out of range.
    """
    sizes = {
        "output_size": output_size,
        "attention_heads": attention_heads,
        "linear_units": linear_units,
        "num_blocks": num_blocks,
    }
    for key, value in sizes.items():
        if value < 1:
            raise ValueError(f"{key}={value} of {name} must be at least 1")
    # Positions are sines and cosines in turn, so it is even besides.
    unit = math.lcm(attention_heads, 2)
    if output_size % unit:
        larger = output_size + unit - output_size % unit
        near = [str(size) for size in (larger - unit, larger) if size > 0]
        raise ValueError(
            f"output_size={output_size} of {name} must be even and a multiple of "
            f"attention_heads={attention_heads}; use output_size: {' or '.join(near)}"
        )
    for key, rate in rates.items():
        if not 0 <= rate < 1:
            raise ValueError(f"{key}={rate} of {name} must be from 0 to below 1")


def activation_module(name: str, activation_type: str) -> torch.nn.Module:
    """Return the activation of that name in a configuration.

    Args:
        name: Of the encoder, for messages.
        activation_type: As for ESPnet's encoders.

    Raises:
        ValueError: there is none of that name; says the nearest.
    """
    try:
        return get_activation(activation_type)
    except KeyError:
        near = difflib.get_close_matches(activation_type, ACTIVATIONS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"activation_type={activation_type!r} of {name} must be one of "
            f"{', '.join(ACTIVATIONS)}{hint}"
        ) from None


def positionwise(
    name: str,
    positionwise_layer_type: str,
    output_size: int,
    linear_units: int,
    dropout_rate: float,
    *activation: torch.nn.Module,
) -> Callable[[], torch.nn.Module]:
    """Return what makes the feed-forward part of a layer.

    Raises:
        ValueError: the type convolves over time, which cannot stream.
    """
    if positionwise_layer_type != "linear":
        raise ValueError(
            f"positionwise_layer_type={positionwise_layer_type!r} cannot stream in "
            f"{name}: it convolves over future frames that no mask controls; use "
            "positionwise_layer_type: linear"
        )
    return lambda: PositionwiseFeedForward(
        output_size, linear_units, dropout_rate, *activation
    )
