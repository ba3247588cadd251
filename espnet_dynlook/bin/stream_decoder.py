# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""A trained model as the streaming command decodes with it."""

import argparse
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.bin.decoding import unit_ms
from espnet_dynlook.bin.name_lists import checked_lists
from espnet_dynlook.bin.names import ctc_decoding_of
from espnet_dynlook.compat import espnet_imports
from espnet_dynlook.config import ConfigError
from espnet_dynlook.frontend.timing import FrontendTiming
from espnet_dynlook.metrics.ctm import TimedWord
from espnet_dynlook.metrics.delay import token_delays
from espnet_dynlook.model.waiting import set_wait
from espnet_dynlook.recognizer import Recognizer
from espnet_dynlook.search.incremental import GreedyCTC, Search, Token
from espnet_dynlook.streaming.measure import (
    Meter,
    Recorded,
    Streamed,
    aligned_emission,
)
from espnet_dynlook.streaming.names import Names
from espnet_dynlook.streaming.pipeline import Pipeline
from espnet_dynlook.task import DynlookASRTask
from espnet_dynlook.training.adapter import load_adapter

with espnet_imports():
    from espnet2.text.build_tokenizer import build_tokenizer

#: ESPnet's default, which stands for "as it has to be".
CTC_WEIGHT = 0.5


class Decoder:
    """A model that streams data, and the text of its tokens.

    Args:
        args: From ``get_parser()``, checked.

    Attributes:
        lists: The names of each utterance.

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
        kind = getattr(torch, args.dtype)
        adapter = None
        if args.adapter_model_file:  # what the base is told by is as it was trained
            files = args.adapter_train_config, args.adapter_model_file
            adapter = load_adapter(model, *files).to(dtype=kind)
        self.model: Any = model.to(dtype=kind).eval()
        greedy = args.decoding == "ctc_greedy"
        self.token_type = args.token_type or self.train_args.token_type
        bpemodel = args.bpemodel or self.train_args.bpemodel
        try:
            set_wait(self.model, args.wait)
            recognizer = Recognizer(
                self.model,
                self.token_type,
                1 if greedy else args.beam_size,
                bpemodel=bpemodel,
                adapter=adapter,
                adapter_scale=args.adapter_scale,
                **self._search_options(args),
            )
            recognizer.check_streams()
        except ValueError as error:
            raise ConfigError(f"{args.asr_train_config}: {error}") from None
        self._names_of = recognizer.names_of
        search: Search = recognizer.pipeline.search
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
        self.tokenizer = None
        if self.token_type != "bpe" or bpemodel is not None:
            self.tokenizer = build_tokenizer(self.token_type, bpemodel)
        elif args.alignment is not None:
            raise ConfigError("--alignment needs the tokens of words: write --bpemodel")
        self.timing = FrontendTiming(self.model)
        if self.timing.warning is not None:
            logging.warning(self.timing.warning)
        self.period = 1000.0 * recognizer.period
        self._recorded = Recorded(search, head)
        self.meter = Meter(
            Pipeline(self.model, self._recorded, recognizer.pipeline.bias),
            self.period,
            recognizer.constant_ms,
            self.text_of,
        )
        self.lists = checked_lists(
            args, self.tokenizer, self.model.token_list, recognizer.check_names
        )

    def _search_options(self, args: argparse.Namespace) -> dict[str, Any]:
        """Return what the search is beside its beam, as ``asr_inference`` has it."""
        named = args.catalog or args.biasing_lists
        if args.decoding == "ctc_greedy" or not (named or args.word_ngram):
            return {}
        if self.model.use_transducer_decoder:
            asked = [n for n in ("techniques", "word_ngram") if getattr(args, n)]
            if asked:
                raise ConfigError(
                    f"--{asked[0]} acts in the search of a CTC head, and this model is "
                    "a transducer: leave it out, or write --decoding ctc_greedy"
                )
            return {}
        found = ctc_decoding_of(args)
        return {"lm": found.language_model(), "techniques": found.techniques}

    def named(self, catalog: Catalog | None) -> Names | None:
        """Return a list as the meter takes it.

        Args:
            catalog: None: no names.
        """
        if catalog is None:
            return None
        # What of it cannot be used is said of all lists together.
        names, own = self._names_of(catalog, warn=False), self._recorded
        search = own.search if own.head is not None else names.search
        return replace(names, search=replace(own, search=search))

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
