"""The recogniser."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from espnet_dynlook.biasing.adapter import ContextualAdapter
from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.frontend.timing import FrontendTiming
from espnet_dynlook.model.waiting import set_wait
from espnet_dynlook.recognizer.audio import Audio, samples_of
from espnet_dynlook.recognizer.lists import NameLists, lists_for
from espnet_dynlook.recognizer.loading import (
    language_model,
    load_model,
    techniques_of,
)
from espnet_dynlook.recognizer.searching import refusal_of, searching_of
from espnet_dynlook.recognizer.whole import decode_whole, pieces, words_of
from espnet_dynlook.search.ngram import NgramLM
from espnet_dynlook.search.techniques import Techniques
from espnet_dynlook.streaming.endpoint import Endpoint
from espnet_dynlook.streaming.names import EncoderBias, Names
from espnet_dynlook.streaming.pipeline import Pipeline
from espnet_dynlook.streaming.streams import Stream, Streams
from espnet_dynlook.streaming.transcript import Result
from espnet_dynlook.streaming.words import WordReader
from espnet_dynlook.training.packed import unpacked

#: Utterances in one batch.
BATCH = 16
#: Of a recording that are computed at a time: attention's scores grow with the square.
PIECE_S = 30
#: Longer than the utterances of nearly all corpora.
LEFT_CONTEXT_S = 40.0


class Recognizer:
    """A trained CTC model or transducer, offline and streaming by one path.

    Names of a request act in the encoder, where there is an adapter, and in the beam
    search of a CTC head, where ``techniques`` are given or there is no adapter. A list
    without any entry changes nothing, to the last bit.

    Args:
        model: ESPnet's ASR model.
        token_type: char, bpe or word.
        beam: Hypotheses that a beam search keeps; 1: greedy. None: 1, or 50 with a
            language model or techniques.
        bpemodel: File of sentencepiece, for names in the tokens of bpe.
        adapter: For names, of this model; None: that which the model has, if any.
        adapter_scale: What the adapter's bias is multiplied by.
        lm: N-gram model of words for a CTC head; None: none.
        techniques: Of the decoder for names; None: boosting, if there is no adapter.

    Attributes:
        fs: Samples per second of the audio that it takes.

    Raises:
        CannotStream: a part of the model needs the whole utterance.
        ValueError: words cannot be told from tokens of this type, or options do not go
            together.

    Example:
        >>> recognizer = Recognizer.from_files("exp/config.yaml", "exp/model.pth")
        >>> recognizer.transcribe("speech.flac").text
        >>> stream = recognizer.stream()
        >>> stream.push(samples).stable_text
        >>> stream.finish().text
    """

    def __init__(
        self,
        model: Any,
        token_type: str,
        beam: int | None = None,
        *,
        bpemodel: str | Path | None = None,
        adapter: ContextualAdapter | None = None,
        adapter_scale: float = 1.0,
        lm: NgramLM | None = None,
        techniques: Techniques | None = None,
    ):
        self.model = model.eval()
        adapter = getattr(model, "adapter", None) if adapter is None else adapter
        if not (math.isfinite(adapter_scale) and adapter_scale >= 0):
            raise ValueError(f"adapter_scale={adapter_scale} must be 0 or more")
        if adapter is None and adapter_scale != 1:
            raise ValueError(
                f"adapter_scale={adapter_scale}, and there is no adapter: give "
                "adapter_config and adapter_file"
            )
        adapted = adapter is not None
        self._searching = searching_of(model, beam, lm, techniques, adapted)
        search, decoder = self._searching.plain, self._searching.decoder
        bias = None
        if adapter is not None:
            bias = EncoderBias(adapter.eval(), adapter_scale, model.ctc, model.blank_id)
        self.pipeline = Pipeline(model, search, bias, self._searching.phones)
        timing = FrontendTiming(model)
        self.fs = timing.fs
        self.period = timing.frame_ms(model.encoder) / 1000.0
        self.constant_ms = timing.constant_ms(model.encoder)
        self.words = WordReader(model.token_list, token_type, self.period)
        begin = None
        if self._searching.told and decoder is not None:
            begin = (lambda _: search) if self._searching.whole else decoder.begin
        self.names_of = NameLists(
            model.token_list,
            token_type,
            bpemodel,
            search,
            begin,
            adapter,
            refusal_of(self._searching, model, adapted, adapter_scale),
        )

    @classmethod
    def from_files(
        cls,
        train_config: str | Path,
        model_file: str | Path,
        *,
        device: str = "cpu",
        dtype: str = "float32",
        threads: int | None = None,
        beam: int | None = None,
        wait: float | None = None,
        left_context_s: float | None = LEFT_CONTEXT_S,
        adapter_config: str | Path | None = None,
        adapter_file: str | Path | None = None,
        adapter_scale: float = 1.0,
        lm: str | Path | NgramLM | None = None,
        techniques: str | Path | Mapping[str, Any] | Techniques | None = None,
    ) -> Recognizer:
        """Load what a training wrote.

        Args:
            train_config: ``config.yaml`` of the training; or that of an adapter's, and
                its base comes from where that says.
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
            adapter_config: ``config.yaml`` of the training of an adapter for names, on
                this very model.
            adapter_file: Its checkpoint.
            adapter_scale: As for the class.
            lm: As for the class, or the path of an ARPA file or a binary of KenLM.
            techniques: As for the class, or as YAML says it, or the path of such a
                file.

        Raises:
            CannotStream: a part of the model needs the whole utterance. Nothing is
                built then: some parts would be fetched from the network.
            CheckpointMismatch: a file does not fit its configuration.
            OtherBase: the adapter was trained on another model.
            ValueError: an option is wrong.
        """
        if threads is not None:
            if threads < 1:
                raise ValueError(f"threads={threads} must be at least 1")
            torch.set_num_threads(threads)
        if left_context_s is not None and not left_context_s > 0:
            raise ValueError(
                f"left_context_s={left_context_s} must be above 0, or None: all"
            )
        model, adapter, args = load_model(
            train_config, model_file, adapter_config, adapter_file, device, dtype
        )
        set_wait(model, wait)
        recognizer = cls(
            model,
            args.token_type,
            beam,
            bpemodel=args.bpemodel,
            adapter=adapter,
            adapter_scale=adapter_scale,
            lm=language_model(lm),
            techniques=techniques_of(techniques),
        )
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

    def catalog(self, names: Any, **options: Any) -> Catalog:
        """Return a list of names in the tokens of this model.

        Its ``report()`` says what each phrase became, and which cannot be used and why.

        Args:
            names: Phrases, each a text or (text, weight) or (text, weight,
                pronunciations); or the path of a file with one a line.
            options: Of ``Catalog``, such as ``strict=True``.
        """
        return self.names_of.catalog(names, **options)

    def transcribe(self, audio: Audio, names: Any = None) -> Result:
        """Transcribe one utterance.

        Args:
            audio: Path of a sound file of any rate, or samples (N,) in +-1 at ``fs``.
            names: To be recognised: phrases or the path of a file, as for ``catalog``,
                or a catalog; None: none. The last lists are kept: the same one again
                costs nothing.

        Raises:
            ValueError: a file is no sound or has several channels, or samples are NaN;
                or names can have no effect with this recogniser.
        """
        return self._transcribe([audio], [names])[0]

    def transcribe_all(self, audio: Sequence[Audio], names: Any = None) -> list[Result]:
        """Transcribe many utterances, in batches.

        Args:
            audio: Each as for ``transcribe``.
            names: One list for all, as for ``transcribe``; or a list of such lists, one
                for each utterance.

        Raises:
            ValueError: as ``transcribe``, or there is another number of lists.
        """
        return self._transcribe(audio, lists_for(names, len(audio)))

    def stream(self, endpoint: Endpoint | None = None, names: Any = None) -> Stream:
        """Return a stream that has heard nothing.

        Args:
            endpoint: Where it is cut into utterances; None: nowhere.
            names: To be recognised, as for ``transcribe``.

        Raises:
            ValueError: a technique needs whole utterances, or names can have no effect.
        """
        self.check_streams()
        return Stream(self, endpoint, names)

    def streams(
        self, number: int, endpoint: Endpoint | None = None, names: Any = None
    ) -> Streams:
        """Return several streams, which are computed together.

        Args:
            number: How many.
            endpoint: As for ``stream``.
            names: As for ``transcribe_all``.
        """
        self.check_streams()
        return Streams(self, number, endpoint, lists_for(names, number))

    def samples_of(self, audio: Audio) -> torch.Tensor:
        """Return samples (N,) at ``fs`` of audio in any form."""
        return samples_of(audio, self.fs)

    def _transcribe(self, audio: Sequence[Audio], lists: list[Any]) -> list[Result]:
        samples = [self.samples_of(one) for one in audio]
        order = sorted(range(len(samples)), key=lambda n: len(samples[n]))
        found: dict[int, Result] = {}
        for first in range(0, len(order), BATCH):
            batch = order[first : first + BATCH]
            some = [samples[n] for n in batch], [lists[n] for n in batch]
            results = self._whole(*some) if self._searching.whole else self._some(*some)
            found.update(zip(batch, results, strict=True))
        return [found[n] for n in range(len(samples))]

    def _some(self, samples: list[torch.Tensor], lists: list[Any]) -> list[Result]:
        """Transcribe utterances as streams, which give what the whole does."""
        streams = Streams(self, len(samples), None, lists)
        for packets, last in pieces(samples, PIECE_S * self.fs):
            if not last:
                streams.push(packets)
        return streams.finish(packets)

    def _whole(self, samples: list[torch.Tensor], lists: list[Any]) -> list[Result]:
        """Transcribe utterances together, by techniques that read all of them."""
        decoder = self._searching.decoder
        assert decoder is not None
        names: list[Names] = [self.names_of(one) for one in lists]
        size = PIECE_S * self.fs
        results = []
        for best, log_probs, waited in decode_whole(
            self.pipeline, decoder, samples, size, names
        ):
            ms = 1000.0 * self.period * waited.double() + self.constant_ms
            words = words_of(best, log_probs, self.period)
            results.append(Result(best.text, words, best.score, tuple(ms.tolist())))
        return results

    def check_names(self) -> None:
        """Refuse names where nothing would listen to them.

        Raises:
            ValueError: says what would.
        """
        self.names_of.check()

    def check_streams(self) -> None:
        """Refuse techniques that read whole utterances.

        Raises:
            ValueError: says which to switch off for streams.
        """
        decoder = self._searching.decoder
        if decoder is not None and self._searching.whole:
            decoder.begin(None)
