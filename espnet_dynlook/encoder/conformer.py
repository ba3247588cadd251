# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Conformer encoder with lookahead that is decided per frame and per layer."""

import logging

import torch

from espnet_dynlook.compat import espnet_nets
from espnet_dynlook.encoder.attention import (
    MaskedMultiHeadedAttention,
    MaskedRelPositionMultiHeadedAttention,
)
from espnet_dynlook.encoder.base import DynlookEncoder
from espnet_dynlook.encoder.convolution import CausalConvolutionModule
from espnet_dynlook.encoder.layers import DynlookConformerLayer
from espnet_dynlook.encoder.masks import make_kind
from espnet_dynlook.encoder.parts import activation_module, check_sizes, positionwise
from espnet_dynlook.encoder.subsampling import arithmetic_of, input_layer_module

_embedding = espnet_nets("pytorch_backend.transformer.embedding")

NAME = "dynlook_conformer"
POSITIONS = {
    "abs_pos": _embedding.PositionalEncoding,
    "scaled_abs_pos": _embedding.ScaledPositionalEncoding,
    "rel_pos": _embedding.RelPositionalEncoding,
}


class DynlookConformerEncoder(DynlookEncoder):
    """ESPnet's Conformer (https://arxiv.org/abs/2005.08100) under a kind of lookahead.

    Every key of ESPnet's ``conformer`` is accepted, with the same parameter names and
    shapes, so a configuration works with only the encoder's name changed and offline
    weights load with ``--init_param``. With ``lookahead: full`` and
    ``causal_conv: false`` the output of an utterance equals ESPnet's.

    Args:
        input_size: Input dimension.
        output_size: Dimension of attention.
        attention_heads: The number of heads of multi head attention.
        linear_units: The number of units of position-wise feed forward.
        num_blocks: The number of encoder blocks.
        dropout_rate: Dropout rate.
        positional_dropout_rate: Dropout rate after adding positional encoding.
        attention_dropout_rate: Dropout rate in attention.
        input_layer: conv2d, conv2d1, conv2d2, conv2d6, conv2d8, conv1d2, linear, embed,
            null, or a module.
        normalize_before: Whether to use layer_norm before the first block.
        concat_after: Whether to concat attention layer's input and output, i.e.
            x -> x + linear(concat(x, att(x))).
        positionwise_layer_type: "linear"; ESPnet's convolutional ones cannot stream.
        positionwise_conv_kernel_size: Belongs to those, so it is not used.
        macaron_style: Whether to use macaron style for positionwise layer.
        rel_pos_type: "latest", also when left out; "legacy" cannot stream.
        pos_enc_layer_type: rel_pos, abs_pos or scaled_abs_pos.
        selfattention_layer_type: rel_selfattn (with rel_pos) or selfattn.
        activation_type: Encoder activation function type.
        use_cnn_module: Whether to use convolution module.
        zero_triu: Whether future frames get no relative-position term.
        cnn_module_kernel: Kernel size of convolution module, odd.
        padding_idx: Padding idx for input_layer=embed.
        interctc_layer_idx: Layers (from 1) whose output gets a CTC loss.
        interctc_use_conditioning: Whether those posteriors are fed back.
        ctc_trim: Must be false: it drops frames by looking at the whole utterance.
        stochastic_depth_rate: Probability to skip a layer's residual branches in
            training, one value or one a layer.
        layer_drop_rate: Probability of skipping a layer in training.
        max_pos_emb_len: Positions that are computed beforehand.
        qk_norm: Whether selfattn normalizes queries and keys.
        use_flash_attn: Accepted; attention is always one call of torch's
            scaled_dot_product_attention, which chooses its kernel itself.
        use_sdpa: Likewise.
        lookahead: causal, layerwise, chunked, full, dynamic (learned), or random (drawn
            for every batch of the training: a parent for the others; in evaluation
            chunks of ``lookahead_frames`` + 1 frames).
        lookahead_frames: R, future frames in one layer, at most for dynamic and random
            (chunks and learned segments have at most R + 1 frames).
        lookahead_total: Future frames summed over the layers, instead of
            ``lookahead_frames`` (layerwise only); the remainder goes to the lowest.
        left_context: Past frames that a row sees in one layer; -1: all.
        causal_conv: Whether the convolution sees the past only; may be false with
            ``lookahead: full`` alone.
        lookahead_scheduler: For dynamic: frame, sequential or segment.
        lookahead_layers: For frame and sequential: layers (from 1) that look ahead;
            null: all.
        share_wait: For dynamic: whether a row also sees what earlier rows have waited
            for.
        scheduler_hidden: Units of a scheduler.
        scheduler_bias: Added to the gates' logits, from -3 to 3: above 0, they are
            open at first.
        scheduler_detach: Whether the encoder gets no gradient through the schedulers.
        scheduler_noise: Scale of the logistic noise on the logits in training.
        scheduler_tau: Temperature of the gates at first and at the end.
        scheduler_anneal: Fraction of the training after which masks are rounded, with
            straight-through gradients.
        scheduler_lr_factor: What the schedulers' learning rate is multiplied by.
        scheduler_steps: Batches of the whole training, for a trainer that does not tell
            how far it is (ESPnet3's); 0: it tells.

    Raises:
        ValueError: a value is out of range or cannot stream; the message says which and
            what to use.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int = 256,
        attention_heads: int = 4,
        linear_units: int = 2048,
        num_blocks: int = 6,
        dropout_rate: float = 0.1,
        positional_dropout_rate: float = 0.1,
        attention_dropout_rate: float = 0.0,
        input_layer: str | torch.nn.Module | None = "conv2d",
        normalize_before: bool = True,
        concat_after: bool = False,
        positionwise_layer_type: str = "linear",
        positionwise_conv_kernel_size: int = 3,
        macaron_style: bool = False,
        rel_pos_type: str | None = None,
        pos_enc_layer_type: str = "rel_pos",
        selfattention_layer_type: str = "rel_selfattn",
        activation_type: str = "swish",
        use_cnn_module: bool = True,
        zero_triu: bool = False,
        cnn_module_kernel: int = 31,
        padding_idx: int = -1,
        interctc_layer_idx: list[int] = [],  # noqa: B006, as ESPnet, never changed
        interctc_use_conditioning: bool = False,
        ctc_trim: bool = False,
        stochastic_depth_rate: float | list[float] = 0.0,
        layer_drop_rate: float = 0.0,
        max_pos_emb_len: int = 5000,
        qk_norm: bool = False,
        use_flash_attn: bool = True,
        use_sdpa: bool = False,
        lookahead: str = "causal",
        lookahead_frames: int = 0,
        lookahead_total: int | None = None,
        left_context: int = -1,
        causal_conv: bool = True,
        lookahead_scheduler: str = "segment",
        lookahead_layers: list[int] | None = None,
        share_wait: bool = False,
        scheduler_hidden: int = 64,
        scheduler_bias: float = 2.5,
        scheduler_detach: bool = True,
        scheduler_noise: float = 1.0,
        scheduler_tau: list[float] = [1.0, 0.2],  # noqa: B006, never changed
        scheduler_anneal: float = 0.8,
        scheduler_lr_factor: float = 3.0,
        scheduler_steps: int = 0,
    ):
        check_sizes(
            NAME,
            output_size=output_size,
            attention_heads=attention_heads,
            linear_units=linear_units,
            num_blocks=num_blocks,
            layer_drop_rate=layer_drop_rate,
        )
        _check_positions(rel_pos_type, pos_enc_layer_type, selfattention_layer_type)
        if ctc_trim:
            raise ValueError(
                f"ctc_trim=True cannot stream in {NAME}: it drops frames by looking at "
                "the whole utterance; use ctc_trim: false"
            )
        if use_cnn_module and (cnn_module_kernel < 1 or cnn_module_kernel % 2 == 0):
            near = cnn_module_kernel + 1 if cnn_module_kernel > 0 else 31
            raise ValueError(
                f"cnn_module_kernel={cnn_module_kernel} must be odd and above 0, for "
                f"the convolution of {NAME}; use {near}"
            )
        if use_cnn_module and not causal_conv and lookahead != "full":
            raise ValueError(
                f"causal_conv=False lets every layer see {cnn_module_kernel // 2} "
                f"future frames that lookahead={lookahead} does not count; use "
                "causal_conv: true, or lookahead: full"
            )
        depths = _per_layer(stochastic_depth_rate, num_blocks)
        activation = activation_module(NAME, activation_type)
        feed_forward = positionwise(
            NAME,
            positionwise_layer_type,
            output_size,
            linear_units,
            dropout_rate,
            activation,
        )

        def attention() -> torch.nn.Module:
            heads = (attention_heads, output_size, attention_dropout_rate)
            if selfattention_layer_type == "rel_selfattn":
                return MaskedRelPositionMultiHeadedAttention(*heads, zero_triu)
            return MaskedMultiHeadedAttention(*heads, qk_norm)

        def layer(depth: float) -> torch.nn.Module:
            return DynlookConformerLayer(
                output_size,
                attention(),
                feed_forward(),
                feed_forward() if macaron_style else None,
                CausalConvolutionModule(
                    output_size, cnn_module_kernel, activation, causal_conv
                )
                if use_cnn_module
                else None,
                dropout_rate,
                normalize_before,
                concat_after,
                depth,
            )

        # Input layer before layers, as ESPnet: equal seeds give equal weights.
        embed = input_layer_module(
            NAME,
            input_layer,
            input_size,
            output_size,
            dropout_rate,
            POSITIONS[pos_enc_layer_type](
                output_size, positional_dropout_rate, max_pos_emb_len
            ),
            padding_idx=padding_idx,
        )
        super().__init__(
            name=NAME,
            output_size=output_size,
            embed=embed,
            arithmetic=arithmetic_of(input_layer),
            layers=[layer(depth) for depth in depths],
            layer_drop_rate=layer_drop_rate,
            normalize_before=normalize_before,
            interctc_layer_idx=interctc_layer_idx,
            interctc_use_conditioning=interctc_use_conditioning,
            # After the layers, so that equal seeds give them equal weights.
            kind=make_kind(
                lookahead,
                output_size,
                num_blocks,
                lookahead_frames,
                lookahead_total,
                scheduler=lookahead_scheduler,
                share_wait=share_wait,
                layers=lookahead_layers,
                hidden=scheduler_hidden,
                bias=scheduler_bias,
                detach=scheduler_detach,
                noise=scheduler_noise,
                tau=scheduler_tau,
                anneal=scheduler_anneal,
                lr_factor=scheduler_lr_factor,
                steps=scheduler_steps,
            ),
            left_context=left_context,
        )


def _check_positions(
    rel_pos_type: str | None, pos_enc_layer_type: str, selfattention_layer_type: str
) -> None:
    """Refuse positions that depend on the length of the utterance."""
    legacy = [
        f"{key}={value}"
        for key, value in (
            ("rel_pos_type", rel_pos_type),
            ("pos_enc_layer_type", pos_enc_layer_type),
            ("selfattention_layer_type", selfattention_layer_type),
        )
        if value is not None and value.startswith("legacy")
    ]
    if legacy:
        raise ValueError(
            f"{', '.join(legacy)} cannot stream in {NAME}: legacy relative positions "
            "depend on the length of the utterance; use rel_pos_type: latest with "
            "pos_enc_layer_type: rel_pos and selfattention_layer_type: rel_selfattn"
        )
    if rel_pos_type not in (None, "latest"):
        raise ValueError(f"rel_pos_type={rel_pos_type!r} must be latest")
    if pos_enc_layer_type == "conv":
        raise ValueError(
            f"pos_enc_layer_type=conv cannot stream in {NAME}: it convolves over "
            "future frames; use rel_pos or abs_pos"
        )
    if pos_enc_layer_type not in POSITIONS:
        raise ValueError(
            f"pos_enc_layer_type={pos_enc_layer_type!r} must be one of "
            f"{', '.join(POSITIONS)}"
        )
    relative = pos_enc_layer_type == "rel_pos"
    if selfattention_layer_type != ("rel_selfattn" if relative else "selfattn"):
        raise ValueError(
            f"selfattention_layer_type={selfattention_layer_type!r} does not go with "
            f"pos_enc_layer_type={pos_enc_layer_type}; use "
            f"{'rel_selfattn' if relative else 'selfattn'}"
        )
    if relative and rel_pos_type is None:
        logging.warning(
            "%s uses rel_pos_type: latest; ESPnet's conformer, when it is left out, "
            "uses legacy, which cannot stream. Write rel_pos_type: latest to silence "
            "this",
            NAME,
        )


def _per_layer(rate: float | list[float], num_blocks: int) -> list[float]:
    rates = [rate] * num_blocks if isinstance(rate, (int, float)) else list(rate)
    if len(rates) != num_blocks:
        raise ValueError(
            f"stochastic_depth_rate has {len(rates)} values for num_blocks="
            f"{num_blocks} layers; give one value or one a layer"
        )
    for value in rates:
        if not 0 <= value < 1:
            raise ValueError(
                f"stochastic_depth_rate={value} of {NAME} must be from 0 to below 1"
            )
    return rates
