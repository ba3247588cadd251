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


@dataclass(frozen=True)
class PipelineState:
    """What is known of streams; a value.

    Attributes:
        frontends: Of each stream.
        encoder: Of all.
        segments: Utterance that each stream is in.
        ended: Utterances of each stream that ended in the last call, but for its last.
        rules: Where utterances end before the stream does; None: nowhere.
    """

    frontends: tuple[FrontendState, ...]
    encoder: EncoderState
    segments: tuple[Segment, ...]
    ended: tuple[tuple[Segment, ...], ...]
    rules: Rules | None = None

    @property
    def searches(self) -> tuple[Search, ...]:
        """What is known of the utterance that each stream is in."""
        return tuple(one.search for one in self.segments)

    def over(self, stream: int) -> bool:
        """Whether a stream has ended."""
        return self.frontends[stream].over


class Pipeline:
    """Front end, encoder and search of a model, packet by packet.

    Args:
        model: ESPnet's ASR model with an encoder of this plugin, in evaluation mode.
        search: What is known before the first frame: of a transducer, where the model
            is one, else of its CTC head.

    Attributes:
        frontend: Makes the features.

    Raises:
        CannotStream: a part needs the whole utterance, or there is no CTC head.
    """

    def __init__(self, model: Any, search: Search):
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
        self.frontend = StreamingFrontend(model)
        try:
            model.encoder.initial_state(1)
        except ValueError as error:
            raise CannotStream(str(error)) from None

    def begin(self, streams: int, rules: Rules | None = None) -> PipelineState:
        """Return the state of streams that have heard nothing.

        Args:
            streams: How many.
            rules: Where their utterances end; None: with the stream.
        """
        return PipelineState(
            tuple(self.frontend.begin() for _ in range(streams)),
            self.model.encoder.initial_state(streams),
            (Segment(self.search),) * streams,
            ((),) * streams,
            rules,
        )

    def restart(self, state: PipelineState, streams: Sequence[bool]) -> PipelineState:
        """Return a state in which some streams begin anew."""
        fronts = zip(state.frontends, streams, strict=True)
        known = zip(state.segments, streams, strict=True)
        return replace(
            state,
            frontends=tuple(
                self.frontend.begin() if new else old for old, new in fronts
            ),
            encoder=self.model.encoder.restart(state.encoder, torch.tensor(streams)),
            segments=tuple(Segment(self.search) if new else old for old, new in known),
            ended=((),) * len(streams),
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
        lengths = torch.tensor([len(feats) for feats in features])
        if size:
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
            if not self.transducer:
                out = self.model.ctc.log_softmax(out).float().cpu()
            segments, ended, waited = [], [], []
            for n, count in enumerate(olens.tolist()):
                now, over = follow(state.segments[n], out[n, :count], state.rules)
                segments.append(now)
                ended.append(over)
                waited.append(encoder.latency[n, :count])
        else:
            encoder, segments = state.encoder, list(state.segments)
            ended = [() for _ in packets]
            waited = [torch.zeros(0, dtype=torch.long) for _ in packets]
        after = replace(
            state,
            frontends=tuple(fronts),
            encoder=encoder,
            segments=tuple(segments),
            ended=tuple(ended),
        )
        return after, waited
