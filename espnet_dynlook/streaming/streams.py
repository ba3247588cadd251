# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Streams of a recogniser: packets of samples in, text out."""

import array
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import torch

from espnet_dynlook.search.incremental import Search
from espnet_dynlook.streaming.endpoint import Endpoint
from espnet_dynlook.streaming.names import Names
from espnet_dynlook.streaming.pipeline import Pipeline
from espnet_dynlook.streaming.transcript import Partial, Result, Transcript
from espnet_dynlook.streaming.words import WordReader


class Source(Protocol):
    """What streams ask of a recogniser.

    Attributes:
        pipeline: From samples to tokens.
        words: From tokens to words.
        period: Of an encoder frame, in seconds.
        constant_ms: What front end and subsampling add to every wait.
    """

    pipeline: Pipeline
    words: WordReader
    period: float
    constant_ms: float

    def samples_of(self, audio: Any) -> torch.Tensor:
        """Return samples (N,) of audio in any form."""

    def names_of(self, names: Any) -> Names:
        """Return a list of names as streams have it."""


class Streams:
    """Several streams of one recogniser: they begin, pause and end on their own.

    Args:
        recognizer: Whose.
        number: How many.
        endpoint: Where they are cut into utterances; None: nowhere.
        names: What each is given to begin with, as ``set_names`` takes it.
    """

    def __init__(
        self,
        recognizer: Source,
        number: int,
        endpoint: Endpoint | None = None,
        names: Sequence[Any] | None = None,
    ):
        if number < 1:
            raise ValueError(f"{number} streams: give at least 1")
        self.recognizer = recognizer
        lists = [recognizer.names_of(one) for one in names or [None] * number]
        rules = None
        if endpoint is not None:
            rules = endpoint.rules(1000.0 * recognizer.period)
        self.state = recognizer.pipeline.begin(number, rules, lists)
        # Of the utterance that each stream is in.
        self.transcripts = [Transcript(recognizer.words) for _ in range(number)]
        self.waits = [array.array("l") for _ in range(number)]

    def push(self, packets: Sequence[Any]) -> list[Partial]:
        """Take in a packet of each stream.

        Args:
            packets: Samples (N,) in +-1, any number; None or none where one pauses.

        Raises:
            ValueError: a packet is wrong; then none has been taken in.
        """
        found = self._step(packets, [False] * len(packets))
        partials = []
        for n, (waits, ended) in enumerate(found):
            transcript = self.transcripts[n]
            rest = transcript.read(self.state.searches[n])
            complete = transcript.complete
            words = (transcript.reader, complete, len(complete), rest)
            partials.append(Partial(self._in_ms(waits), ended, *words))
        both = zip(self.state.segments, self.transcripts, strict=True)
        spared = (replace(s, search=t.spared(s.search)) for s, t in both)
        self.state = replace(self.state, segments=tuple(spared))
        return partials

    def finish(self, packets: Sequence[Any] | None = None) -> list[Result]:
        """End all streams that have not ended, with a last packet of each.

        Args:
            packets: As for ``push``; None: nothing more.
        """
        number = len(self.waits)
        found = self._step(packets or [None] * number, [True] * number)
        return [self._last(n, ended) for n, (_, ended) in enumerate(found)]

    def end(self, stream: int, packet: Any = None) -> Result:
        """End one stream, with a last packet."""
        self._check(stream)
        packets: list[Any] = [None] * len(self.waits)
        packets[stream] = packet
        found = self._step(packets, [n == stream for n in range(len(packets))])
        return self._last(stream, found[stream][1])

    def set_names(self, stream: int, names: Any) -> None:
        """Give a stream another list, in the middle of speech too.

        It counts from the next frame on that comes out of the encoder. What is stable
        stays as it is; what is not may still become a name of the new list.

        Args:
            stream: Its number.
            names: As for ``Recognizer.transcribe``; None: no names any more.
        """
        self._check(stream)
        found = self.recognizer.names_of(names)
        self.state = self.recognizer.pipeline.renamed(self.state, stream, found)

    def reset(self, stream: int) -> None:
        """Let a stream begin anew: it equals a fresh one with its names."""
        self._check(stream)
        chosen = [n == stream for n in range(len(self.waits))]
        self.state = self.recognizer.pipeline.restart(self.state, chosen)
        self._begin(stream)

    def _check(self, stream: int) -> None:
        if not 0 <= stream < len(self.waits):
            raise ValueError(
                f"stream {stream} is none of 0 .. {len(self.waits) - 1}, the streams "
                "here"
            )

    def _begin(self, stream: int) -> None:
        self.transcripts[stream] = Transcript(self.recognizer.words)
        self.waits[stream] = array.array("l")

    def _step(
        self, packets: Sequence[Any], final: list[bool]
    ) -> list[tuple[list[int], tuple[Result, ...]]]:
        """Take in packets; return each stream's waits and utterances that ended."""
        if len(packets) != len(self.waits):
            raise ValueError(f"{len(packets)} packets for {len(self.waits)} streams")
        nothing = torch.zeros(0)
        samples = [
            nothing if one is None else self.recognizer.samples_of(one)
            for one in packets
        ]
        self.state, waited = self.recognizer.pipeline.step(self.state, samples, final)
        found = []
        for n, new in enumerate(waited):
            own = new.tolist()
            self.waits[n].extend(own)
            ended = []
            for segment in self.state.ended[n]:
                size = segment.stop - segment.start
                rest = self.waits[n][size:]
                ended.append(self._result(n, segment.search, size))
                self._begin(n)
                self.waits[n] = rest
            found.append((own, tuple(ended)))
        return found

    def _in_ms(self, waits: Iterable[int]) -> tuple[float, ...]:
        one = self.recognizer
        return tuple(1000.0 * one.period * wait + one.constant_ms for wait in waits)

    def _result(self, stream: int, search: Search, frames: int) -> Result:
        """Return what there is of the utterance that a stream is in."""
        waits = self._in_ms(self.waits[stream][:frames])
        return self.transcripts[stream].result(search, waits)

    def _last(self, stream: int, ended: tuple[Result, ...]) -> Result:
        search = self.state.searches[stream]
        last = self._result(stream, search, len(self.waits[stream]))
        return replace(last, ended=ended)


class Stream:
    """One stream of speech.

    Args:
        recognizer: Whose.
        endpoint: Where it is cut into utterances; None: nowhere.
        names: What it is given to begin with, as ``set_names`` takes it.
    """

    def __init__(
        self, recognizer: Source, endpoint: Endpoint | None = None, names: Any = None
    ):
        self._streams = Streams(recognizer, 1, endpoint, [names])

    def push(self, samples: Any) -> Partial:
        """Take in samples (N,) in +-1, any number of them.

        Raises:
            ValueError: they are NaN or of another shape, or the stream has ended.
        """
        return self._streams.push([samples])[0]

    def finish(self, samples: Any = None) -> Result:
        """End the stream, with the last samples where there are any."""
        return self._streams.finish([samples])[0]

    def set_names(self, names: Any) -> None:
        """Give it another list, in the middle of speech too; as for ``Streams``."""
        self._streams.set_names(0, names)

    def reset(self) -> None:
        """Begin anew: equals a fresh stream with its names."""
        self._streams.reset(0)
