# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""From packets of samples to tokens, in several streams together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from espnet_dynlook.encoder.stream_state import EncoderState
from espnet_dynlook.search.incremental import Search
from espnet_dynlook.streaming.endpoint import Rules, Segment, follow
from espnet_dynlook.streaming.frontend import (
    CannotStream,
    FrontendState,
    StreamingFrontend,
)
from espnet_dynlook.streaming.names import EncoderBias, Heard, Names


@dataclass(frozen=True)
class PipelineState:
    """What is known of streams; a value.

    Attributes:
        frontends: Of each stream.
        encoder: Of all.
        segments: Utterance that each stream is in.
        ended: Utterances of each stream that ended in the last call, but for its last.
        names: Of each stream.
        rules: Where utterances end before the stream does; None: nowhere.
        heard: What an adapter knows of their past; None: there is none.
    """

    frontends: tuple[FrontendState, ...]
    encoder: EncoderState
    segments: tuple[Segment, ...]
    ended: tuple[tuple[Segment, ...], ...]
    names: tuple[Names, ...]
    rules: Rules | None = None
    heard: Heard | None = None

    @property
    def searches(self) -> tuple[Search, ...]:
        """What is known of the utterance that each stream is in."""
        return tuple(one.search for one in self.segments)

    def over(self, stream: int) -> bool:
        """Whether a stream has ended."""
        return self.frontends[stream].over


@dataclass(frozen=True)
class Encoded:
    """What the encoder gave out in a call, as the search has it; of each stream.

    Attributes:
        frames: Log-probabilities of the CTC head (n, V); of a transducer the encoder's
            output (n, D). With the bias of names.
        waited: How many encoder frames each of them had to wait for (n,).
        phones: Log-probabilities of the phone head (n, P); none where nobody asks.
    """

    frames: list[torch.Tensor]
    waited: list[torch.Tensor]
    phones: list[torch.Tensor]


class Pipeline:
    """Front end, encoder and search of a model, packet by packet.

    Args:
        model: ESPnet's ASR model with an encoder of this plugin, in evaluation mode.
        search: What is known before the first frame: of a transducer, where the model
            is one, else of its CTC head.
        bias: Of an adapter for this model; None: none.
        phones: Whether ``encode`` gives out what the model's phone head says.

    Attributes:
        frontend: Makes the features.
        taps: Layers of the encoder that are read besides the last one.

    Raises:
        CannotStream: a part needs the whole utterance, or there is no CTC head; or the
            encoder has no such layers as the adapter reads.
    """

    def __init__(
        self,
        model: Any,
        search: Search,
        bias: EncoderBias | None = None,
        phones: bool = False,
    ):
        self.transducer = bool(model.use_transducer_decoder)
        if model.ctc is None and not self.transducer:
            raise CannotStream(
                "the model has no CTC head (ctc_weight: 0), which streaming reads, and "
                "is no transducer"
            )
        if not hasattr(model.encoder, "initial_state"):
            raise CannotStream(
                f"the encoder {type(model.encoder).__name__} does not stream here; "
                "train with encoder: dynlook_conformer"
            )
        self.model = model
        self.search = search
        self.bias = bias
        self.phone_layer: int | None = None
        if phones:
            (self.phone_layer,) = model.phones.taps.layers
        taps = {} if bias is None else dict.fromkeys(bias.adapter.layers)
        if self.phone_layer is not None:
            taps[self.phone_layer] = None
        self.taps = tuple(taps)
        self.frontend = StreamingFrontend(model)
        try:
            model.encoder.initial_state(1, self.taps)
        except ValueError as error:
            raise CannotStream(str(error)) from None

    def begin(
        self,
        streams: int,
        rules: Rules | None = None,
        names: Sequence[Names] | None = None,
    ) -> PipelineState:
        """Return the state of streams that have heard nothing.

        Args:
            streams: How many.
            rules: Where their utterances end; None: with the stream.
            names: Of each; None: none.
        """
        lists = tuple(names or [Names(self.search)] * streams)
        return PipelineState(
            tuple(self.frontend.begin() for _ in range(streams)),
            self.model.encoder.initial_state(streams, self.taps),
            tuple(Segment(one.search) for one in lists),
            ((),) * streams,
            lists,
            rules,
            None if self.bias is None else self.bias.begin(streams),
        )

    def renamed(self, state: PipelineState, stream: int, names: Names) -> PipelineState:
        """Return a state in which a stream goes on with another list.

        The encoder has it from the next frame on that comes out of it. What the search
        has not settled may still become an entry of the new list; nothing that was said
        before gets a bias for it.
        """
        segments, lists = list(state.segments), list(state.names)
        own = segments[stream]
        search = names.taken_up(own.search, lists[stream])
        segments[stream] = replace(own, search=search)
        lists[stream] = names
        return replace(state, segments=tuple(segments), names=tuple(lists))

    def restart(self, state: PipelineState, streams: Sequence[bool]) -> PipelineState:
        """Return a state in which some streams begin anew, each with its names."""
        fronts = zip(state.frontends, streams, strict=True)
        known = zip(state.segments, state.names, streams, strict=True)
        heard = state.heard
        if heard is not None:
            heard = heard.restarted(streams)
        return replace(
            state,
            frontends=tuple(
                self.frontend.begin() if new else old for old, new in fronts
            ),
            encoder=self.model.encoder.restart(state.encoder, torch.tensor(streams)),
            segments=tuple(
                Segment(names.search) if new else old for old, names, new in known
            ),
            ended=((),) * len(streams),
            heard=heard,
        )

    @torch.inference_mode()
    def step(
        self,
        state: PipelineState,
        packets: Sequence[torch.Tensor],
        final: Sequence[bool],
    ) -> tuple[PipelineState, list[torch.Tensor]]:
        """Take in a packet of each stream.

        Args:
            state: From ``begin`` or the call before; it stays as it is.
            packets: Samples (N,) of each stream, in +-1; none (0,) where it pauses.
            final: Whether each stream ends with its packet.

        Returns:
            The state for the next call; of each stream, how many encoder frames the
            frames that it gave out had to wait for.

        Raises:
            ValueError: a stream has ended, or a packet is of another shape or has NaN
                or infinite values. Nothing has then been taken in, by any stream.
        """
        after, found = self.encode(state, packets, final)
        segments = list(state.segments)
        ended: list[tuple[Segment, ...]] = [()] * len(packets)
        for n, frames in enumerate(found.frames):
            if not state.over(n):  # nothing comes after the end
                segments[n], ended[n] = follow(segments[n], frames, state.rules)
        after = replace(after, segments=tuple(segments), ended=tuple(ended))
        return after, found.waited

    @torch.inference_mode()
    def encode(
        self,
        state: PipelineState,
        packets: Sequence[torch.Tensor],
        final: Sequence[bool],
    ) -> tuple[PipelineState, Encoded]:
        """Take in a packet of each stream, without the search; as ``step``."""
        for number, packet in enumerate(packets):
            if not bool(torch.isfinite(packet).all()):
                raise ValueError(
                    f"the packet of stream {number} has NaN or infinite samples: leave "
                    "it out, or give zeros for what is missing"
                )
        fronts, features = [], []
        for front, packet, last in zip(state.frontends, packets, final, strict=True):
            if front.over:
                if len(packet):
                    raise ValueError("this utterance has ended: begin another one")
                feats = packet.new_zeros(0, 0)
            else:
                feats, front = self.frontend.push(front, packet, last)
            fronts.append(front)
            features.append(feats)
        size = max(feats.shape[1] for feats in features)
        if not size:
            nothing = [torch.zeros(0) for _ in packets]
            waited = [torch.zeros(0, dtype=torch.long) for _ in packets]
            return replace(state, frontends=tuple(fronts)), Encoded(
                nothing, waited, nothing
            )
        lengths = torch.tensor([len(feats) for feats in features])
        device, dtype = self.frontend.device, self.frontend.dtype
        features = [f if f.shape[1] else f.new_zeros(0, size) for f in features]
        padded = torch.nn.utils.rnn.pad_sequence(features, batch_first=True)
        out, olens, encoder = self.model.encoder.step(
            state.encoder,
            padded.to(device, dtype),
            lengths,
            torch.tensor([front.over for front in fronts]),
            ctc=self.model.ctc,
        )
        counts, heard = olens.tolist(), state.heard
        if self.bias is not None and heard is not None:
            out, heard = self.bias(out, olens, encoder.intermediate, state.names, heard)
        if not self.transducer:
            out = self.model.ctc.log_softmax(out).float().cpu()
        found = Encoded(
            [out[n, :count] for n, count in enumerate(counts)],
            [encoder.latency[n, :count] for n, count in enumerate(counts)],
            self._phones(encoder, counts),
        )
        after = replace(state, frontends=tuple(fronts), encoder=encoder, heard=heard)
        return after, found

    def _phones(
        self, encoder: EncoderState, counts: Sequence[int]
    ) -> list[torch.Tensor]:
        """Return what the phone head says of the frames that came out (n, P)."""
        if self.phone_layer is None:
            return [torch.zeros(0) for _ in counts]
        found = {one.layer: one.out for one in encoder.intermediate}
        log_probs = self.model.phone_ctc.log_probs(found[self.phone_layer]).cpu()
        return [log_probs[n, :count] for n, count in enumerate(counts)]
