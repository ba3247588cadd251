# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Encoders frame by frame: what streams equals what an offline pass gives.

Nothing is computed twice: each layer computes the keys and values of a frame when it
arrives, and runs all rows whose wait is over in one call, in all streams together.
Streams of a batch need not keep step: each has its own numbers of frames.
"""

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F

from espnet_dynlook.encoder.attention import MaskedRelPositionMultiHeadedAttention
from espnet_dynlook.encoder.ragged import append, drop, rows, take
from espnet_dynlook.encoder.readiness import (
    SegmentEnds,
    fixed_needs,
    learned_needs,
    ready_rows,
)
from espnet_dynlook.encoder.stream_state import (
    EncoderState,
    LayerState,
    checked_input,
)
from espnet_dynlook.encoder.subsampling import around_positions
from espnet_dynlook.lookahead.dynamic import DynamicLookahead
from espnet_dynlook.lookahead.random import RandomLookahead


class StreamingEncoder:
    """The streaming pass of an encoder; keeps nothing but the encoder.

    Args:
        encoder: In evaluation mode.
    """

    def __init__(self, encoder: Any):
        self.encoder = encoder
        kind = encoder.kind
        if isinstance(kind, RandomLookahead):
            kind = kind.evaluated()
        self.kind = kind
        self.scheduler = kind if isinstance(kind, DynamicLookahead) else None

    def begin(self, batch_size: int) -> EncoderState:
        """Return the state of streams that have heard nothing.

        Raises:
            ValueError: the encoder cannot stream; says what to change.
        """
        encoder = self.encoder
        if encoder.training:
            raise ValueError("streaming is for inference: call encoder.eval() first")
        for number, layer in enumerate(encoder.encoders, 1):
            conv = getattr(layer, "conv_module", None)
            if conv is not None and conv.padding[1]:
                raise ValueError(
                    f"layer {number} of {encoder.name} cannot stream: its convolution "
                    f"sees {conv.padding[1]} future frames; train with causal_conv: "
                    "true"
                )
        weight = next(encoder.parameters())
        like = weight.new_zeros(batch_size)
        zeros = torch.zeros(batch_size, dtype=torch.long, device=weight.device)
        size = encoder.output_size()
        nothing = like.new_zeros(batch_size, 0, size)
        asks = self.scheduler is not None and not self.scheduler.shared
        layers = []
        for layer in encoder.encoders:
            heads = like.new_zeros(
                batch_size, 0, layer.self_attn.h, layer.self_attn.d_k
            )
            conv = getattr(layer, "conv_module", None)
            layers.append(
                LayerState(
                    inputs=nothing if asks else None,
                    rows=nothing,
                    hidden=nothing,
                    queries=heads,
                    stamps=zeros.new_zeros(batch_size, 0),
                    keys=heads,
                    values=heads,
                    done=zeros,
                    received=zeros,
                    first=zeros,
                    horizon=zeros,
                    past=None if conv is None else conv.initial_past(like),
                )
            )
        segments = None
        if self.scheduler is not None and self.scheduler.shared:
            segments = SegmentEnds.begin(like, size)
        return EncoderState(
            features=like.new_zeros(batch_size, 0, 0),
            held=zeros,
            frames=zeros,
            layers=tuple(layers),
            segments=segments,
            over=zeros.bool(),
            latency=zeros.new_zeros(batch_size, 0),
        )

    def step(
        self,
        state: EncoderState,
        feats: torch.Tensor,
        lengths: torch.Tensor | None,
        final: bool | torch.Tensor,
        ctc: Any = None,
    ) -> tuple[torch.Tensor, torch.Tensor, EncoderState]:
        """Take in further features; see ``DynlookEncoder.step``."""
        lengths, over = checked_input(state, feats, lengths, final)
        encoder = self.encoder
        x, added, state = self._embed(state, feats, lengths)
        state = replace(state, over=over)
        stamps = state.frames[:, None] + torch.arange(x.shape[1], device=x.device)
        state = replace(state, frames=state.frames + added)
        if state.segments is not None:
            assert self.scheduler is not None
            segments = state.segments.add(self.scheduler, x, added)
            state = replace(state, segments=segments)
        layers = []
        for number, layer in enumerate(encoder.encoders, 1):
            own = self._receive(state.layers[number - 1], layer, x, stamps, added)
            own, x, stamps, added = self._run(state, own, number, layer)
            layers.append(own)
            if number in encoder.interctc_layer_idx and encoder.conditioning_layer:
                before = encoder.after_norm(x) if encoder.normalize_before else x
                x = x + encoder.conditioning_layer(ctc.softmax(before))
        if encoder.normalize_before:
            x = encoder.after_norm(x)
        kept = state.segments
        if kept is not None:
            kept = kept.forget(layers[-1].done)
        inside = rows(x.shape[1], added)
        number_of_row = (layers[-1].done - added)[:, None] + torch.arange(
            x.shape[1], device=x.device
        )
        state = replace(
            state,
            layers=tuple(layers),
            segments=kept,
            latency=(stamps - number_of_row).masked_fill(~inside, 0),
        )
        return x.masked_fill(~inside[:, :, None], 0.0), added, state

    def _embed(
        self, state: EncoderState, feats: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, EncoderState]:
        """Return new frames of the input layer, how many each stream has, the state."""
        encoder = self.encoder
        arithmetic = encoder.arithmetic
        features = state.features
        if not features.shape[2:] or features.shape[2:] != feats.shape[2:]:
            features = feats[:, :0]  # the first call says what features are
        features = append(features, state.held, feats, lengths)
        held = state.held + lengths
        added = arithmetic.output_lengths(held)
        most = int(added.max())
        if not most:
            empty = next(encoder.parameters()).new_zeros(
                len(held), 0, encoder.output_size()
            )
            return empty, added, replace(state, features=features, held=held)
        needed = (most - 1) * arithmetic.stride + arithmetic.window
        before, positions, after = around_positions(encoder.embed)
        x = before(features[:, :needed])
        if positions is not None:
            x = positions(x, state.frames)
        x = after(x)
        x = x.masked_fill(~rows(most, added)[:, :, None], 0.0)
        encoder._check_finite(x)
        used = added * arithmetic.stride
        features = drop(features, held, used)
        return x, added, replace(state, features=features, held=held - used)

    def _receive(
        self,
        own: LayerState,
        layer: Any,
        x: torch.Tensor,
        stamps: torch.Tensor,
        added: torch.Tensor,
    ) -> LayerState:
        """Queue new input frames of a layer, with their keys and values."""
        if not int(added.max()):
            return own
        attention = layer.self_attn
        before, hidden = layer.attention_input(x)
        q, k, v = (one.transpose(1, 2) for one in attention.forward_qkv(*(hidden,) * 3))
        waiting, kept = own.received - own.done, own.received - own.first
        inputs = own.inputs
        if inputs is not None:
            inputs = append(inputs, waiting, x, added)
        return replace(
            own,
            inputs=inputs,
            rows=append(own.rows, waiting, before, added),
            hidden=append(own.hidden, waiting, hidden, added),
            queries=append(own.queries, waiting, q, added),
            stamps=append(own.stamps, waiting, stamps, added),
            keys=append(own.keys, kept, k, added),
            values=append(own.values, kept, v, added),
            received=own.received + added,
        )

    def _needs(self, state: EncoderState, own: LayerState, number: int) -> torch.Tensor:
        """Return the last frame that each waiting row of a layer waits for (B, P)."""
        width = own.rows.shape[1]
        if self.scheduler is None:
            return fixed_needs(self.kind, number, own.done, width)
        if state.segments is not None:
            return state.segments.of(own.done, width)
        assert own.inputs is not None
        waiting = own.received - own.done
        return learned_needs(self.scheduler, number, own.inputs, own.done, waiting)

    def _run(
        self, state: EncoderState, own: LayerState, number: int, layer: Any
    ) -> tuple[LayerState, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Run the rows of a layer whose wait is over.

        Returns:
            The layer's state; their output (B, n, size); the last input frame that each
            needed (B, n); how many there are of each stream (B,).
        """
        waiting = own.received - own.done
        needs = self._needs(state, own, number)
        ready = ready_rows(needs, waiting, own.received, state.over)
        most = int(ready.max()) if len(ready) else 0
        if not most:
            return own, own.rows[:, :0], own.stamps[:, :0], ready
        inside = rows(most, ready)
        number_of_row = own.done[:, None] + torch.arange(most, device=ready.device)
        last = torch.minimum(needs[:, :most], own.received[:, None] - 1)
        furthest = torch.maximum(
            last.masked_fill(~inside, -1).cummax(dim=1).values, own.horizon[:, None]
        )
        # What earlier rows waited for is there, too.
        share = self.scheduler is not None and self.scheduler.share_wait
        seen = torch.maximum(number_of_row, furthest if share else last)
        attended = self._attend(own, layer.self_attn, number_of_row, seen, most)
        x, past = layer.step(
            own.rows[:, :most], own.hidden[:, :most], attended, own.past, ready
        )
        at = (furthest - own.done[:, None]).clamp(0, own.stamps.shape[1] - 1)
        stamps = take(own.stamps, at)
        end = furthest.gather(1, (ready - 1).clamp(min=0)[:, None])[:, 0]
        done = own.done + ready
        kept = own.received - own.first
        context = self.encoder.left_context
        gone = torch.zeros_like(done)
        if context >= 0:
            gone = (done - context - own.first).clamp(min=0)
            gone = torch.minimum(gone, kept)
        own = replace(
            own,
            inputs=None if own.inputs is None else drop(own.inputs, waiting, ready),
            rows=drop(own.rows, waiting, ready),
            hidden=drop(own.hidden, waiting, ready),
            queries=drop(own.queries, waiting, ready),
            stamps=drop(own.stamps, waiting, ready),
            keys=drop(own.keys, kept, gone),
            values=drop(own.values, kept, gone),
            done=done,
            first=own.first + gone,
            horizon=torch.where(ready > 0, end, own.horizon),
            past=past,
        )
        return own, x, stamps, ready

    def _attend(
        self,
        own: LayerState,
        attention: Any,
        number_of_row: torch.Tensor,
        seen: torch.Tensor,
        most: int,
    ) -> torch.Tensor:
        """Return what rows attend to (B, n, size)."""
        q = own.queries[:, :most].transpose(1, 2)
        k, v = own.keys.transpose(1, 2), own.values.transpose(1, 2)
        key = own.first[:, None] + torch.arange(k.shape[2], device=q.device)
        ahead = key[:, None] - number_of_row[:, :, None]  # (B, n, C)
        closed = key[:, None] > seen[:, :, None]
        closed |= key[:, None] >= own.received[:, None, None]
        if self.encoder.left_context >= 0:
            closed |= ahead < -self.encoder.left_context
        lowest = max(torch.finfo(q.dtype).min / 2, -1e30)
        bias = torch.zeros_like(closed, dtype=q.dtype).masked_fill(closed, lowest)
        bias = bias[:, None]
        if isinstance(attention, MaskedRelPositionMultiHeadedAttention):
            bias = bias + attention.position_scores(q, -ahead)
            q = q + attention.pos_bias_u[:, None]
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        return attention.linear_out(out.transpose(1, 2).flatten(2))
