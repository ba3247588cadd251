# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Encoders frame by frame: what streams equals what an offline pass gives.

Nothing is computed twice: each layer computes the keys and values of a frame once, and
runs all rows whose wait is over in one call, in all streams together. Streams of a
batch need not keep step: each has its own numbers of frames, which are on the host, so
that nothing waits for a device but decisions of a scheduler.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from espnet_dynlook.encoder.attention import MaskedRelPositionMultiHeadedAttention
from espnet_dynlook.encoder.layer_queue import projected, queue_parts, received
from espnet_dynlook.encoder.ragged import Counts, append, drop, in_step, rows, take
from espnet_dynlook.encoder.readiness import (
    SegmentEnds,
    fixed_needs,
    learned_needs,
    ready_rows,
)
from espnet_dynlook.encoder.stream_state import (
    EncoderState,
    Intermediate,
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

    def begin(self, batch_size: int, taps: Sequence[int] = ()) -> EncoderState:
        """Return the state of streams that have heard nothing.

        Args:
            batch_size: How many.
            taps: Layers whose outputs are wanted; see ``DynlookEncoder.initial_state``.

        Raises:
            ValueError: the encoder cannot stream, and what to change; or it has no
                such layers.
        """
        encoder = self.encoder
        outside = [tap for tap in taps if not 1 <= tap <= len(encoder.encoders)]
        if outside:
            raise ValueError(
                f"taps={list(taps)}: {outside} is not in 1 .. {len(encoder.encoders)}, "
                f"the layers of {encoder.name}"
            )
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
        like = next(encoder.parameters()).new_zeros(batch_size)
        zeros = np.zeros(batch_size, dtype=np.int64)
        size = encoder.output_size()
        nothing = like.new_zeros(batch_size, 0, size)
        nowhere = torch.zeros(batch_size, 0, dtype=torch.long)
        asks = self.scheduler is not None and not self.scheduler.shared
        layers = []
        for layer in encoder.encoders:
            conv = getattr(layer, "conv_module", None)
            layers.append(
                LayerState(
                    pending=nothing,
                    inputs=nothing if asks else None,
                    stamps=nowhere,
                    queue=like.new_zeros(batch_size, 0, len(queue_parts(layer)) * size),
                    memory=like.new_zeros(batch_size, 0, 2 * size),
                    past=None if conv is None else conv.initial_past(like),
                    done=zeros,
                    received=zeros,
                    projected=zeros,
                    first=zeros,
                    horizon=zeros,
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
            over=zeros.astype(bool),
            latency=nowhere,
            intermediate=tuple(
                Intermediate(number, nothing, nothing)
                for number in sorted({*encoder.interctc_layer_idx, *taps})
            ),
        )

    def step(
        self,
        state: EncoderState,
        feats: torch.Tensor,
        lengths: Any,
        final: Any,
        ctc: Any = None,
    ) -> tuple[torch.Tensor, torch.Tensor, EncoderState]:
        """Take in further features; see ``DynlookEncoder.step``."""
        lengths, over = checked_input(state, feats, lengths, final)
        encoder = self.encoder
        x, added, state = self._embed(state, feats, lengths)
        stamps = torch.from_numpy(state.frames[:, None] + np.arange(x.shape[1]))
        state = replace(state, over=over, frames=state.frames + added)
        if state.segments is not None:
            assert self.scheduler is not None
            segments = state.segments.add(self.scheduler, x, added)
            state = replace(state, segments=segments)
        layers: list[LayerState] = []
        queues: list[torch.Tensor] = []
        given = state.layers[-1].done
        wanted = [one.layer for one in state.intermediate]
        conditioned = (
            encoder.interctc_layer_idx if encoder.interctc_use_conditioning else ()
        )
        for number, layer in enumerate(encoder.encoders, 1):
            own = received(state.layers[number - 1], x, stamps, added)
            own, x, stamps, added = self._run(state, own, number, layer)
            layers.append(own)
            if number in wanted:
                before = encoder.after_norm(x) if encoder.normalize_before else x
                queue = state.intermediate[len(queues)].waiting
                queues.append(append(queue, own.done - added - given, before, added))
                if number in conditioned:
                    x = x + encoder.conditioning_layer(ctc.softmax(before))
        if encoder.normalize_before:
            x = encoder.after_norm(x)
        intermediate = []
        for number, queue in zip(wanted, queues, strict=True):
            waiting = drop(queue, layers[number - 1].done - given, added)
            out = _cleared(queue[:, : x.shape[1]], added)
            intermediate.append(Intermediate(number, waiting, out))
        kept = state.segments
        if kept is not None:
            kept = kept.forget(layers[-1].done)
        inside = torch.from_numpy(rows(x.shape[1], added))
        number_of_row = (layers[-1].done - added)[:, None] + np.arange(x.shape[1])
        latency = (stamps - torch.from_numpy(number_of_row)).masked_fill(~inside, 0)
        state = replace(
            state,
            layers=tuple(layers),
            segments=kept,
            latency=latency,
            intermediate=tuple(intermediate),
        )
        x = _cleared(x, added)
        return x, torch.from_numpy(added).to(x.device), state

    def _embed(
        self, state: EncoderState, feats: torch.Tensor, lengths: Counts
    ) -> tuple[torch.Tensor, Counts, EncoderState]:
        """Return new frames of the input layer, how many each stream has, the state."""
        encoder = self.encoder
        arithmetic = encoder.arithmetic
        features = state.features
        if not features.shape[2:] or features.shape[2:] != feats.shape[2:]:
            features = feats[:, :0]  # the first call says what features are
        features = append(features, state.held, feats, lengths)
        held = state.held + lengths
        added = arithmetic.output_lengths(torch.from_numpy(held)).numpy()
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
            x = positions(x, torch.from_numpy(state.frames).to(x.device))
        x = after(x)
        x = _cleared(x, added)
        encoder._check_finite(x)
        used = added * arithmetic.stride
        features = drop(features, held, used)
        return x, added, replace(state, features=features, held=held - used)

    def _needs(self, state: EncoderState, own: LayerState, number: int) -> np.ndarray:
        """Return the last frame that each waiting row of a layer waits for (B, P)."""
        width = own.stamps.shape[1]
        if self.scheduler is None:
            return fixed_needs(self.kind, number, own.done, width)
        if state.segments is not None:
            return state.segments.of(own.done, width)
        assert own.inputs is not None
        waiting = own.received - own.done
        return learned_needs(self.scheduler, number, own.inputs, own.done, waiting)

    def _run(
        self, state: EncoderState, own: LayerState, number: int, layer: Any
    ) -> tuple[LayerState, torch.Tensor, torch.Tensor, Counts]:
        """Run the rows of a layer whose wait is over.

        Returns:
            The layer's state; their output (B, n, size); the last input frame that each
            needed (B, n); how many there are of each stream (B,).
        """
        waiting = own.received - own.done
        needs = self._needs(state, own, number)
        ready = ready_rows(needs, waiting, own.received, state.over)
        most = int(ready.max())
        if not most:
            return own, own.pending[:, :0], own.stamps[:, :0], ready
        own = projected(own, layer)
        number_of_row = own.done[:, None] + np.arange(most)
        last = np.minimum(needs[:, :most], own.received[:, None] - 1)
        furthest = np.maximum.accumulate(np.where(rows(most, ready), last, -1), axis=1)
        furthest = np.maximum(furthest, own.horizon[:, None])
        # What earlier rows waited for is there, too.
        share = self.scheduler is not None and self.scheduler.share_wait
        seen = np.maximum(number_of_row, furthest if share else last)
        parts = own.queue[:, :most].chunk(len(queue_parts(layer)), dim=2)
        attended = self._attend(own, layer.self_attn, parts[0], number_of_row, seen)
        x, past = layer.step(parts[1], parts[-1], attended, own.past, ready)
        at = (furthest - own.done[:, None]).clip(0, own.stamps.shape[1] - 1)
        stamps = take(own.stamps, at)
        end = furthest[np.arange(len(ready)), (ready - 1).clip(min=0)]
        done = own.done + ready
        kept = own.received - own.first
        gone = np.zeros_like(done)
        if self.encoder.left_context >= 0:
            gone = (done - self.encoder.left_context - own.first).clip(min=0)
            gone = np.minimum(gone, kept)
        inputs = own.inputs
        own = replace(
            own,
            inputs=None if inputs is None else drop(inputs, waiting, ready),
            stamps=drop(own.stamps, waiting, ready),
            queue=drop(own.queue, waiting, ready),
            memory=drop(own.memory, kept, gone),
            past=past,
            done=done,
            first=own.first + gone,
            horizon=np.where(ready > 0, end, own.horizon),
        )
        return own, x, stamps, ready

    def _attend(
        self,
        own: LayerState,
        attention: Any,
        queries: torch.Tensor,
        number_of_row: np.ndarray,
        seen: np.ndarray,
    ) -> torch.Tensor:
        """Return what rows attend to (B, n, size)."""
        split = (attention.h, attention.d_k)
        q = queries.unflatten(2, split).transpose(1, 2)  # (B, head, n, d_k)
        k, v = (
            one.unflatten(2, split).transpose(1, 2) for one in own.memory.chunk(2, 2)
        )
        key = own.first[:, None] + np.arange(k.shape[2])
        ahead = key[:, None] - number_of_row[:, :, None]  # (B, n, C)
        closed = key[:, None] > seen[:, :, None]
        closed |= key[:, None] >= own.received[:, None, None]
        if self.encoder.left_context >= 0:
            closed |= ahead < -self.encoder.left_context
        if len(ahead) > 1 and (ahead == ahead[:1]).all():
            ahead = ahead[:1]  # streams that keep step share their positions
        lowest = max(torch.finfo(q.dtype).min / 2, -1e30)
        bias = torch.from_numpy(np.where(closed, lowest, 0.0)[:, None])
        bias = bias.to(q.device, q.dtype)
        if isinstance(attention, MaskedRelPositionMultiHeadedAttention):
            bias = bias + attention.position_scores(q, -ahead)
            q = q + attention.pos_bias_u[:, None]
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return attention.linear_out(out.transpose(1, 2).flatten(2))


def _cleared(x: torch.Tensor, counts: Counts) -> torch.Tensor:
    """Return x (B, n, size) with zeros past the rows of each stream."""
    if in_step(counts) is not None:
        return x
    inside = torch.from_numpy(rows(x.shape[1], counts)).to(x.device)
    return x.masked_fill(~inside[:, :, None], 0.0)
