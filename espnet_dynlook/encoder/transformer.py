# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Transformer encoder with lookahead that is decided per frame and per layer."""

from typing import Any

import torch

from espnet_dynlook.compat import espnet_nets
from espnet_dynlook.encoder.attention import MaskedMultiHeadedAttention
from espnet_dynlook.encoder.base import DynlookEncoder
from espnet_dynlook.encoder.layers import DynlookTransformerLayer
from espnet_dynlook.encoder.masks import make_kind
from espnet_dynlook.encoder.parts import check_sizes, positionwise
from espnet_dynlook.encoder.subsampling import arithmetic_of, input_layer_module

_embedding = espnet_nets("pytorch_backend.transformer.embedding")

NAME = "dynlook_transformer"


class DynlookTransformerEncoder(DynlookEncoder):
    """ESPnet's Transformer encoder under a kind of lookahead.

    Every key of ESPnet's ``transformer`` is accepted, with the same parameter names and
    shapes. With ``lookahead: full`` the output of an utterance equals ESPnet's.

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
            wav2vec or null.
        pos_enc_class: PositionalEncoding or ScaledPositionalEncoding.
        pos_enc_layer_type: "abs_pos"; "conv" cannot stream.
        normalize_before: Whether to use layer_norm before the first block.
        concat_after: Whether to concat attention layer's input and output, i.e.
            x -> x + linear(concat(x, att(x))).
        positionwise_layer_type: "linear"; ESPnet's convolutional ones cannot stream.
        positionwise_conv_kernel_size: Belongs to those, so it is not used.
        padding_idx: Padding idx for input_layer=embed.
        interctc_layer_idx: Layers (from 1) whose output gets a CTC loss.
        interctc_use_conditioning: Whether those posteriors are fed back.
        layer_drop_rate: Probability of skipping a layer in training.
        qk_norm: Whether to normalize queries and keys.
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
        causal_conv: Accepted, as for dynlook_conformer; there is no convolution here.
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
        input_layer: str | None = "conv2d",
        pos_enc_class: Any = _embedding.PositionalEncoding,
        pos_enc_layer_type: str = "abs_pos",
        normalize_before: bool = True,
        concat_after: bool = False,
        positionwise_layer_type: str = "linear",
        positionwise_conv_kernel_size: int = 1,
        padding_idx: int = -1,
        interctc_layer_idx: list[int] = [],  # noqa: B006, as ESPnet, never changed
        interctc_use_conditioning: bool = False,
        layer_drop_rate: float = 0.0,
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
        if not isinstance(pos_enc_class, type):
            raise ValueError(
                f"pos_enc_class={pos_enc_class!r} of {NAME} must be a class, which "
                "only code can give; leave it out of the configuration, "
                "PositionalEncoding is used"
            )
        if pos_enc_layer_type != "abs_pos":
            raise ValueError(
                f"pos_enc_layer_type={pos_enc_layer_type!r} cannot stream in {NAME}: "
                "use abs_pos"
            )
        feed_forward = positionwise(
            NAME, positionwise_layer_type, output_size, linear_units, dropout_rate
        )

        def layer() -> torch.nn.Module:
            return DynlookTransformerLayer(
                output_size,
                MaskedMultiHeadedAttention(
                    attention_heads, output_size, attention_dropout_rate, qk_norm
                ),
                feed_forward(),
                dropout_rate,
                normalize_before,
                concat_after,
            )

        super().__init__(
            name=NAME,
            output_size=output_size,
            embed=_input_layer(
                input_layer,
                input_size,
                output_size,
                dropout_rate,
                pos_enc_class(output_size, positional_dropout_rate),
                normalize_before,
                padding_idx,
            ),
            arithmetic=arithmetic_of(input_layer),
            layers=[layer() for _ in range(num_blocks)],
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


def _input_layer(
    input_layer: str | None,
    input_size: int,
    output_size: int,
    dropout_rate: float,
    pos_enc: torch.nn.Module,
    normalize_before: bool,
    padding_idx: int,
) -> torch.nn.Module | None:
    """Build the input layer with the peculiarities of ESPnet's transformer."""
    if input_layer is None:  # no positions
        if input_size == output_size:
            return None
        return torch.nn.Linear(input_size, output_size)
    if input_layer == "wav2vec":
        norm = torch.nn.LayerNorm if normalize_before else torch.nn.Identity
        return torch.nn.Sequential(
            pos_enc, norm(output_size), torch.nn.Dropout(dropout_rate)
        )
    return input_layer_module(
        NAME,
        input_layer,
        input_size,
        output_size,
        dropout_rate,
        # Its two-dimensional subsampling has positions of its own.
        None if input_layer.startswith("conv2d") else pos_enc,
        activation=(torch.nn.ReLU(),),
        padding_idx=padding_idx,
    )
