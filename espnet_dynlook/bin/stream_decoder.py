# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""A trained model as the streaming command decodes with it."""

import argparse
import logging
from collections.abc import Sequence
from typing import Any

import torch

from espnet_dynlook.bin.decoding import unit_ms
from espnet_dynlook.compat import espnet_imports
from espnet_dynlook.config import ConfigError
from espnet_dynlook.frontend.timing import FrontendTiming
from espnet_dynlook.metrics.ctm import TimedWord
from espnet_dynlook.metrics.delay import token_delays
from espnet_dynlook.recognizer import Recognizer
from espnet_dynlook.search.incremental import GreedyCTC, Token
from espnet_dynlook.streaming.measure import (
    Meter,
    Recorded,
    Streamed,
    aligned_emission,
)
from espnet_dynlook.streaming.pipeline import Pipeline
from espnet_dynlook.task import DynlookASRTask

with espnet_imports():
    from espnet2.text.build_tokenizer import build_tokenizer

#: ESPnet's default, which stands for "as it has to be".
CTC_WEIGHT = 0.5


class Decoder:
    """A model that streams data, and the text of its tokens.

    Args:
        args: From ``get_parser()``.

    Raises:
        CheckpointMismatch: the model file does not fit the configuration.
        ConfigError: the model cannot stream, or not as it is asked to.
    """

    def __init__(self, args: argparse.Namespace):
        model, self.train_args = DynlookASRTask.build_model_from_file(
            args.asr_train_config,
            args.asr_model_file,
            "cuda" if args.ngpu > 0 else "cpu",
        )
        self.model: Any = model.to(dtype=getattr(torch, args.dtype)).eval()
        greedy = args.decoding == "ctc_greedy"
        self.token_type = args.token_type or self.train_args.token_type
        try:
            recognizer = Recognizer(
                self.model, self.token_type, 1 if greedy else args.beam_size
            )
        except ValueError as error:
            raise ConfigError(f"{args.asr_train_config}: {error}") from None
        search = recognizer.pipeline.search
        head = None
        if greedy and recognizer.pipeline.transducer:
            if self.model.ctc is None:
                raise ConfigError(
                    "decoding: ctc_greedy, and this transducer has no CTC head "
                    "(ctc_weight: 0): write --decoding beam --beam_size 1"
                )
            search, head = GreedyCTC(self.model.blank_id), self.posteriors
        self.searched = "ctc" if head or not recognizer.pipeline.transducer else "rnnt"
        self._check_ctc_weight(args.ctc_weight)
        if self.searched == "ctc" and self.model.decoder is not None:
            logging.warning("the decoder waits for the end: the CTC head is searched")
        bpemodel = args.bpemodel or self.train_args.bpemodel
        self.tokenizer = None
        if self.token_type != "bpe" or bpemodel is not None:
            self.tokenizer = build_tokenizer(self.token_type, bpemodel)
        elif args.alignment is not None:
            raise ConfigError("--alignment needs the tokens of words: write --bpemodel")
        self.timing = FrontendTiming(self.model)
        if self.timing.warning is not None:
            logging.warning(self.timing.warning)
        self.period = 1000.0 * recognizer.period
        self.meter = Meter(
            Pipeline(self.model, Recorded(search, head)),
            self.period,
            recognizer.constant_ms,
            self.text_of,
        )

    def _check_ctc_weight(self, weight: float) -> None:
        real = 1.0 if self.searched == "ctc" else 0.0
        if weight not in (real, CTC_WEIGHT):
            raise ConfigError(
                f"--ctc_weight {weight:g}: nothing but the "
                f"{'CTC head' if real else 'transducer'} is searched: leave it out"
            )

    @torch.inference_mode()
    def posteriors(self, encoded: torch.Tensor) -> torch.Tensor:
        """Return the CTC head's log-probabilities (n, V) of encoder output (n, D)."""
        return self.model.ctc.log_softmax(encoded[None])[0].float().cpu()

    def names_of(self, tokens: Sequence[Token]) -> list[str]:
        """Return the tokens as they are written."""
        return [self.model.token_list[one.token] for one in tokens]

    def text_of(self, tokens: Sequence[Token]) -> str:
        """Return the text of tokens; "" of a model without a tokenizer."""
        if self.tokenizer is None:
            return " ".join(self.names_of(tokens))
        return self.tokenizer.tokens2text(self.names_of(tokens))

    def unit_ms(self, speech: torch.Tensor) -> float:
        """Return the time of a sample or of a frame of features."""
        return unit_ms(speech, self.model.frontend, self.timing)

    def emission(
        self, streamed: Streamed, words: Sequence[TimedWord] | None
    ) -> Sequence[float] | None:
        """Return how late tokens are, in ms; None where that cannot be known.

        Args:
            streamed: The utterance.
            words: Of the reference; None: measured against the model's own alignment.

        Raises:
            ValueError: the words are not those of one reference.
        """
        if words is not None:
            assert self.tokenizer is not None
            reference = self.tokenizer.text2tokens(" ".join(one.word for one in words))
            return token_delays(
                list(reference),
                [one.end for one in words],
                self.names_of(streamed.tokens),
                streamed.heard,
                self.token_type,
            )
        log_probs = streamed.frames
        if self.searched == "rnnt":
            if self.model.ctc is None:
                return None
            log_probs = self.posteriors(log_probs)
        return aligned_emission(streamed, log_probs, self.period, self.model.blank_id)
