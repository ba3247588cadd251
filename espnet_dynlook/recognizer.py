# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Load a trained model, transcribe files, follow streams."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
import torchaudio
import yaml

from espnet_dynlook.frontend.timing import FrontendTiming
from espnet_dynlook.search.incremental import GreedyCTC, Search
from espnet_dynlook.search.prefix_beam import PrefixBeam
from espnet_dynlook.search.transducer import GreedyTransducer
from espnet_dynlook.search.transducer_beam import TransducerBeam
from espnet_dynlook.streaming.endpoint import Endpoint
from espnet_dynlook.streaming.frontend import CannotStream
from espnet_dynlook.streaming.pipeline import Pipeline
from espnet_dynlook.streaming.streams import Stream, Streams
from espnet_dynlook.streaming.transcript import Partial, Result
from espnet_dynlook.streaming.words import Word, WordReader
from espnet_dynlook.task import DynlookASRTask
from espnet_dynlook.training.packed import unpacked

__all__ = ["Endpoint", "Partial", "Recognizer", "Result", "Stream", "Streams", "Word"]

#: Utterances in one batch.
BATCH = 16
#: Of a recording that are computed at a time: attention's scores grow with the square.
PIECE_S = 30
#: Longer than the utterances of nearly all corpora.
LEFT_CONTEXT_S = 40.0
#: What the parts of a model may be, by ESPnet's names.
PARTS: dict[str, tuple[str | None, ...]] = {
    "encoder": ("dynlook_conformer", "dynlook_transformer"),
    "frontend": ("default", "mfcc_an4", None),
    "preencoder": (None,),
    "postencoder": (None,),
}
Audio = str | Path | np.ndarray | torch.Tensor


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
        left_context_s: float | None = LEFT_CONTEXT_S,
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
            left_context_s: What each layer may see of the past, in seconds, where the
                configuration sets no ``left_context``: longer than the utterances of
                the training, it changes nothing for such, and streams of any length
                take the same memory and time. None: all, and they grow.

        Raises:
            CannotStream: a part of the model needs the whole utterance. Nothing is
                built then: some parts would be fetched from the network.
            CheckpointMismatch: the model file does not fit the configuration.
            ValueError: an option is wrong.
        """
        kind = getattr(torch, dtype, None)
        if not isinstance(kind, torch.dtype) or not kind.is_floating_point:
            raise ValueError(f"dtype={dtype!r} must be float32, float64 or bfloat16")
        if threads is not None:
            if threads < 1:
                raise ValueError(f"threads={threads} must be at least 1")
            torch.set_num_threads(threads)
        _check_parts(train_config)
        model, args = DynlookASRTask.build_model_from_file(
            str(train_config), str(model_file), device
        )
        model.to(dtype=kind)
        if wait is not None:
            model.encoder.set_wait(wait)
        if left_context_s is not None and not left_context_s > 0:
            raise ValueError(
                f"left_context_s={left_context_s} must be above 0, or None: all"
            )
        recognizer = cls(model, args.token_type, beam)
        if left_context_s is not None and model.encoder.left_context < 0:
            frames = round(left_context_s / recognizer.period)
            model.encoder.left_context = max(1, frames)
        return recognizer

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
            ValueError: a file is no sound or has several channels, or samples are NaN.
        """
        return self.transcribe_all([audio])[0]

    def transcribe_all(self, audio: Sequence[Audio]) -> list[Result]:
        """Transcribe many utterances, in batches; arguments as for ``transcribe``."""
        samples = [self.samples_of(one) for one in audio]
        order = sorted(range(len(samples)), key=lambda n: len(samples[n]))
        found: dict[int, Result] = {}
        for first in range(0, len(order), BATCH):
            batch = order[first : first + BATCH]
            streams = Streams(self, len(batch))
            # All but the last piece; what streams is what the whole gives.
            pieces = range(0, max(len(samples[batch[-1]]) - 1, 0), PIECE_S * self.fs)
            for at in pieces[:-1]:
                streams.push([samples[n][at : at + PIECE_S * self.fs] for n in batch])
            last = pieces[-1] if pieces else 0
            results = streams.finish([samples[n][last:] for n in batch])
            found.update(zip(batch, results, strict=True))
        return [found[n] for n in range(len(samples))]

    def stream(self, endpoint: Endpoint | None = None) -> Stream:
        """Return a stream that has heard nothing.

        Args:
            endpoint: Where it is cut into utterances; None: nowhere.
        """
        return Stream(self, endpoint)

    def streams(self, number: int, endpoint: Endpoint | None = None) -> Streams:
        """Return several streams, which are computed together; as for ``stream``."""
        return Streams(self, number, endpoint)

    def samples_of(self, audio: Audio) -> torch.Tensor:
        """Return samples (N,) at ``fs`` of audio in any form."""
        if isinstance(audio, (str, Path)):
            try:
                values, rate = soundfile.read(str(audio), dtype="float32")
            except soundfile.LibsndfileError as error:
                raise ValueError(
                    f"{audio} cannot be read as sound ({error}): is it there, and "
                    "whole?"
                ) from error
            if values.ndim > 1:
                raise ValueError(
                    f"{audio} has {values.shape[1]} channels: give one, such as with "
                    "sox IN OUT remix 1"
                )
            samples = torch.from_numpy(values)
            if rate != self.fs:
                samples = torchaudio.functional.resample(samples, rate, self.fs)
            return samples
        if isinstance(audio, np.ndarray):  # of any byte order and stride
            audio = np.ascontiguousarray(audio, audio.dtype.newbyteorder("="))
        samples = torch.as_tensor(audio)
        if not samples.is_floating_point():
            raise ValueError(
                f"samples are {samples.dtype}: give floats in +-1, such as "
                "int16 / 32768"
            )
        return samples


def _check_parts(train_config: str | Path) -> None:
    """Refuse a configuration with parts that cannot stream, before any is built.

    Raises:
        CannotStream: names the part, and what to use.
        OSError: the file cannot be read.
    """
    try:
        found = yaml.safe_load(Path(train_config).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        return  # the task says what is wrong with it
    for part, streaming in PARTS.items():
        value = found.get(part) if isinstance(found, dict) else streaming[0]
        if value not in streaming:
            names = " or ".join(str(name or "null") for name in streaming)
            raise CannotStream(
                f"{train_config}: {part}: {value} does not stream here; train with "
                f"{part}: {names}"
            )
