# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Load a trained model, transcribe files, follow streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
import torchaudio

from espnet_dynlook.frontend.timing import FrontendTiming
from espnet_dynlook.search.incremental import GreedyCTC, Search
from espnet_dynlook.search.prefix_beam import PrefixBeam
from espnet_dynlook.search.transducer import GreedyTransducer
from espnet_dynlook.search.transducer_beam import TransducerBeam
from espnet_dynlook.streaming.pipeline import Pipeline
from espnet_dynlook.streaming.words import Word, WordReader
from espnet_dynlook.task import DynlookASRTask
from espnet_dynlook.training.packed import unpacked

#: Utterances in one batch.
BATCH = 16
Audio = str | Path | np.ndarray | torch.Tensor


@dataclass(frozen=True)
class Partial:
    """What is recognised of a stream so far.

    Attributes:
        text: Of the best hypothesis.
        stable_text: The words at its beginning that will not change any more.
        words: With their times.
        lookahead_ms: Of the encoder frames that came out with this packet: how long
            each waited, from its end; front end included.
    """

    text: str
    stable_text: str
    words: tuple[Word, ...]
    lookahead_ms: tuple[float, ...]


@dataclass(frozen=True)
class Result:
    """What is recognised of an utterance.

    Attributes:
        text: Its words.
        words: With their times.
        score: Log-probability of the hypothesis.
        lookahead_ms: Of all encoder frames.
    """

    text: str
    words: tuple[Word, ...]
    score: float
    lookahead_ms: tuple[float, ...]


class Recognizer:
    """A trained CTC model or transducer, offline and streaming by one path.

    Args:
        model: ESPnet's ASR model.
        token_type: char, bpe or word.
        beam: Labellings that a beam search keeps; 1: greedy.

    Attributes:
        fs: Samples per second of the audio that it takes.

    Raises:
        CannotStream: a part of the model needs the whole utterance.
        ValueError: words cannot be told from tokens of this type.

    Example:
        >>> recognizer = Recognizer.from_files("exp/config.yaml", "exp/model.pth")
        >>> recognizer.transcribe("speech.flac").text
        >>> stream = recognizer.stream()
        >>> stream.push(samples).stable_text
        >>> stream.finish().text
    """

    def __init__(self, model: Any, token_type: str, beam: int = 1):
        self.model = model.eval()
        search: Search = GreedyCTC(model.blank_id)
        if model.use_transducer_decoder:
            networks = (model.decoder, model.joint_network)
            search = GreedyTransducer(*networks, model.blank_id)
            if beam != 1:
                search = TransducerBeam(*networks, beam, model.blank_id)
        elif beam != 1:
            search = PrefixBeam.begin(beam, blank=model.blank_id)
        self.pipeline = Pipeline(model, search)
        timing = FrontendTiming(model)
        self.fs = timing.fs
        self.period = timing.frame_ms(model.encoder) / 1000.0
        self.constant_ms = timing.constant_ms(model.encoder)
        self.words = WordReader(model.token_list, token_type, self.period)

    @classmethod
    def from_files(
        cls,
        train_config: str | Path,
        model_file: str | Path,
        *,
        device: str = "cpu",
        dtype: str = "float32",
        threads: int | None = None,
        beam: int = 1,
        wait: float | None = None,
    ) -> Recognizer:
        """Load what a training wrote.

        Args:
            train_config: ``config.yaml`` of the training.
            model_file: Its checkpoint; no code in it is run.
            device: Where to run, such as cpu or cuda.
            dtype: float32, float64, bfloat16 or float16, of parameters and computation.
            threads: Of the CPU, for the whole process; None: as it is.
            beam: As for the class.
            wait: How long to wait, 0 to 1, for models of many latencies.

        Raises:
            CheckpointMismatch: the model file does not fit the configuration.
            ValueError: an option is wrong, or the model cannot stream.
        """
        kind = getattr(torch, dtype, None)
        if not isinstance(kind, torch.dtype) or not kind.is_floating_point:
            raise ValueError(f"dtype={dtype!r} must be float32, float64 or bfloat16")
        if threads is not None:
            if threads < 1:
                raise ValueError(f"threads={threads} must be at least 1")
            torch.set_num_threads(threads)
        model, args = DynlookASRTask.build_model_from_file(
            str(train_config), str(model_file), device
        )
        model.to(dtype=kind)
        if wait is not None:
            model.encoder.set_wait(wait)
        return cls(model, args.token_type, beam)

    @classmethod
    def from_zip(cls, archive: str | Path, **options: Any) -> Recognizer:
        """Load a packed model, as the recipes' stage "Packing" writes it.

        Args:
            archive: The zip. Nothing of it is executed, or left on the disk.
            options: As for ``from_files``.

        Raises:
            PackedModelError: it is damaged, or tries what a model has no need of.
        """
        with unpacked(archive) as (train_config, model_file):
            return cls.from_files(train_config, model_file, **options)

    def transcribe(self, audio: Audio) -> Result:
        """Transcribe one utterance.

        Args:
            audio: Path of a sound file of any rate, or samples (N,) in +-1 at ``fs``.

        Raises:
            ValueError: a file has several channels, or samples are NaN.
        """
        return self.transcribe_all([audio])[0]

    def transcribe_all(self, audio: Sequence[Audio]) -> list[Result]:
        """Transcribe many utterances, in batches; arguments as for ``transcribe``."""
        samples = [self._samples(one) for one in audio]
        order = sorted(range(len(samples)), key=lambda n: len(samples[n]))
        found: dict[int, Result] = {}
        for first in range(0, len(order), BATCH):
            batch = order[first : first + BATCH]
            streams = Streams(self, len(batch))
            results = streams.finish([samples[n] for n in batch])
            found.update(zip(batch, results, strict=True))
        return [found[n] for n in range(len(samples))]

    def stream(self) -> Stream:
        """Return a stream that has heard nothing."""
        return Stream(self)

    def streams(self, number: int) -> Streams:
        """Return several streams, which are computed together."""
        return Streams(self, number)

    def _samples(self, audio: Audio) -> torch.Tensor:
        if isinstance(audio, (str, Path)):
            values, rate = soundfile.read(str(audio), dtype="float32")
            if values.ndim > 1:
                raise ValueError(
                    f"{audio} has {values.shape[1]} channels: give one, such as with "
                    "sox IN OUT remix 1"
                )
            samples = torch.from_numpy(values)
            if rate != self.fs:
                samples = torchaudio.functional.resample(samples, rate, self.fs)
            return samples
        samples = torch.as_tensor(audio)
        if not samples.is_floating_point():
            raise ValueError(
                f"samples are {samples.dtype}: give floats in +-1, such as "
                "int16 / 32768"
            )
        return samples


class Streams:
    """Several streams of one recogniser: they begin, pause and end on their own.

    Args:
        recognizer: Whose.
        number: How many.
    """

    def __init__(self, recognizer: Recognizer, number: int):
        self.recognizer = recognizer
        self.state = recognizer.pipeline.begin(number)
        self.waits: list[list[torch.Tensor]] = [[] for _ in range(number)]

    def push(self, packets: Sequence[Any]) -> list[Partial]:
        """Take in a packet of each stream.

        Args:
            packets: Samples (N,) in +-1, any number; None or none where one pauses.

        Raises:
            ValueError: a packet is wrong; then none has been taken in.
        """
        waited = self._step(packets, [False] * len(packets))
        return [self._partial(n, waits) for n, waits in enumerate(waited)]

    def finish(self, packets: Sequence[Any] | None = None) -> list[Result]:
        """End all streams that have not ended, with a last packet of each.

        Args:
            packets: As for ``push``; None: nothing more.
        """
        number = len(self.waits)
        self._step(packets or [None] * number, [True] * number)
        return [self._result(n) for n in range(number)]

    def end(self, stream: int, packet: Any = None) -> Result:
        """End one stream, with a last packet."""
        packets: list[Any] = [None] * len(self.waits)
        packets[stream] = packet
        self._step(packets, [n == stream for n in range(len(packets))])
        return self._result(stream)

    def reset(self, stream: int) -> None:
        """Let a stream begin anew: it equals a fresh one."""
        chosen = [n == stream for n in range(len(self.waits))]
        self.state = self.recognizer.pipeline.restart(self.state, chosen)
        self.waits[stream] = []

    def _step(self, packets: Sequence[Any], final: list[bool]) -> list[torch.Tensor]:
        if len(packets) != len(self.waits):
            raise ValueError(f"{len(packets)} packets for {len(self.waits)} streams")
        nothing = torch.zeros(0)
        samples = [
            nothing if one is None else self.recognizer._samples(one) for one in packets
        ]
        self.state, waited = self.recognizer.pipeline.step(self.state, samples, final)
        for own, waits in zip(self.waits, waited, strict=True):
            own.append(waits)
        return waited

    def _in_ms(self, waits: torch.Tensor) -> tuple[float, ...]:
        one = self.recognizer
        return tuple((waits * (1000.0 * one.period) + one.constant_ms).tolist())

    def _partial(self, stream: int, waits: torch.Tensor) -> Partial:
        search = self.state.searches[stream]
        tokens = search.tokens
        words = self.recognizer.words.words_of(tokens)
        closed = self.recognizer.words.closed_words(tokens[: search.stable])
        return Partial(
            " ".join(word.text for word in words),
            " ".join(word.text for word in words[:closed]),
            words,
            self._in_ms(waits),
        )

    def _result(self, stream: int) -> Result:
        search = self.state.searches[stream]
        words = self.recognizer.words.words_of(search.tokens)
        waits = torch.cat([torch.zeros(0), *self.waits[stream]])
        text = " ".join(word.text for word in words)
        return Result(text, words, search.score, self._in_ms(waits))


class Stream:
    """One stream of speech.

    Args:
        recognizer: Whose.
    """

    def __init__(self, recognizer: Recognizer):
        self._streams = Streams(recognizer, 1)

    def push(self, samples: Any) -> Partial:
        """Take in samples (N,) in +-1, any number of them.

        Raises:
            ValueError: they are NaN or of another shape, or the stream has ended.
        """
        return self._streams.push([samples])[0]

    def finish(self, samples: Any = None) -> Result:
        """End the stream, with the last samples where there are any."""
        return self._streams.finish([samples])[0]

    def reset(self) -> None:
        """Begin anew: equals a fresh stream."""
        self._streams.reset(0)
