# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""ESPnet's offline recogniser with the plugin's models, CTC decoding and names."""

import contextlib
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from espnet_dynlook.biasing.adapter import ContextualAdapter
from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.bin.decoding import unit_ms
from espnet_dynlook.bin.named_search import CTCDecoding, ESPnetBias
from espnet_dynlook.compat import espnet_imports, espnet_nets
from espnet_dynlook.model.adapted import AdaptedModel
from espnet_dynlook.model.waiting import set_wait
from espnet_dynlook.search.effects import acting
from espnet_dynlook.search.greedy import best_path
from espnet_dynlook.task import DynlookASRTask
from espnet_dynlook.training.adapter import load_adapter
from espnet_dynlook.training.latency import FrontendTiming, frame_latencies, time_to_end
from espnet_dynlook.training.substitute import substitute

with espnet_imports():
    import espnet2.bin.asr_inference as host

Hypothesis = espnet_nets("beam_search").Hypothesis
TooShortUttError = espnet_nets(
    "pytorch_backend.transformer.subsampling"
).TooShortUttError

DECODINGS = ("espnet", "ctc_greedy", "ctc_beam")

#: Placeholder of ESPnet's n-best list: text, tokens, their numbers, hypothesis.
Nbest = list[tuple[str | None, list[str], list[int], Any]]


@dataclass(frozen=True)
class AdapterFiles:
    """A trained adapter.

    Attributes:
        train_config: ``config.yaml`` of its training.
        model_file: Its parameters.
    """

    train_config: str | Path
    model_file: str | Path


class Speech2Text(host.Speech2Text):
    """ESPnet's ``Speech2Text`` with the plugin's models, CTC, names and latencies.

    Args:
        args: As ESPnet's.
        decoding: "espnet" (its beam search), "ctc_greedy" (best path of the CTC head;
            fast, and needs no decoder) or "ctc_beam" (prefix beam search over it).
        adapter: Files of one for this model, which then listens to names; None: none,
            or that of the model itself, trained as ``model: dynlook_contextual``.
        adapter_scale: What its bias is multiplied by.
        ctc_beam: Options of "ctc_beam" beside ESPnet's ``beam_size`` and ``nbest``.
        biasing_bonus: Of each token of a name in ESPnet's beam search, in nats.
        wait: How long to wait, 0 to 1, for models of many latencies.
        kwargs: As ESPnet's.

    Raises:
        CheckpointMismatch: the model file does not fit the configuration.
        OtherBase: the adapter is that of another model.
        ValueError: ``decoding`` is unknown, or does not go with other options.

    Example:
        >>> speech2text = Speech2Text("exp/config.yaml", "exp/valid.loss.best.pth",
        ...                           decoding="ctc_greedy")
        >>> text, tokens, token_ids, hypothesis = speech2text(samples)[0]
        >>> speech2text.lookahead_ms()  # of the encoder's frames
    """

    def __init__(
        self,
        *args: Any,
        decoding: str = "espnet",
        adapter: AdapterFiles | None = None,
        adapter_scale: float = 1.0,
        ctc_beam: CTCDecoding | None = None,
        biasing_bonus: float = ESPnetBias.bonus,
        wait: float | None = None,
        **kwargs: Any,
    ):
        if decoding not in DECODINGS:
            raise ValueError(f"decoding={decoding!r} must be {' or '.join(DECODINGS)}")
        if adapter is not None and kwargs.get("enh_s2t_task"):
            raise ValueError("an adapter is for one speaker: not with enh_s2t_task")
        if not (math.isfinite(adapter_scale) and adapter_scale >= 0):
            raise ValueError(f"adapter_scale={adapter_scale} must be 0 or more")
        trained: list[ContextualAdapter] = []

        def build(*files: Any) -> Any:
            model, train_args = DynlookASRTask.build_model_from_file(*files)
            if adapter is not None:
                # Before ESPnet casts or quantises: what the base is told by is its
                # parameters, as they were trained.
                trained.append(
                    load_adapter(model, adapter.train_config, adapter.model_file)
                )
            return model, train_args

        with substitute(host, ASRTask=SimpleNamespace(build_model_from_file=build)):
            super().__init__(*args, **kwargs)
        self.decoding = decoding
        model = self.asr_model
        set_wait(model, wait)
        self.adapted: AdaptedModel | None = None
        if trained:
            own = trained[0].to(dtype=getattr(torch, self.dtype))
            self.adapted = AdaptedModel(model, own, adapter_scale)
        elif getattr(model, "adapter", None) is not None:
            self.adapted = AdaptedModel(model, scale=adapter_scale)
        elif adapter_scale != 1:
            raise ValueError(
                f"adapter_scale={adapter_scale}, and there is no adapter: give the "
                "files of one"
            )
        self.decoder = None
        if decoding == "ctc_beam":
            self.decoder = (ctc_beam or CTCDecoding()).build(
                model, kwargs.get("beam_size", 20)
            )
        self._searched = self.decoder is not None and bool(
            acting(self.decoder.techniques, self.decoder.search.lm)
        )  # whether names act in the search of the CTC head
        self.bias = None
        if decoding == "espnet":
            self.bias = ESPnetBias(biasing_bonus)
        self.timing = FrontendTiming(model)
        if self.timing.warning is not None:
            logging.warning(self.timing.warning)
        self.compute_budget = getattr(model, "compute_budget", None)
        self._frames = 0  # of the encoder
        self._seconds = 0.0

    def check_names(self) -> None:
        """Refuse lists of names where nothing of the decoding would listen to them.

        Raises:
            ValueError: says what would.
        """
        searched = self.decoder if self._searched else None
        if searched is not None and searched.search.settings.beam == 1:
            raise ValueError(
                "names need a place beside the best text, and beam_size=1 has none: "
                "give 2 or more, or no technique (none), where there is an adapter"
            )
        if self.adapted is not None and self.adapted.scale > 0:
            return
        if self.decoder is not None:
            if not self._searched:
                raise ValueError(
                    "names do nothing in decoding ctc_beam with all techniques off "
                    "(null, or of weight 0) and without an adapter: switch one on, "
                    "such as boosting: true, or give the files of an adapter, and a "
                    "scale above 0"
                )
            return
        if self.decoding == "ctc_greedy":
            raise ValueError(
                "names do nothing in decoding ctc_greedy without an adapter: use "
                "ctc_beam, or give the files of an adapter"
            )
        assert self.bias is not None
        self.bias.check(self.beam_search)

    def upl_ms(self) -> float | None:
        """Return the user-perceived latency of the last utterance in ms, simulated.

        How long after the end of speech a device of the model's ``compute_budget``
        would be done with the encoder, masks rounded; None for a model without one.
        """
        if self.compute_budget is None:
            return None
        model = self.asr_model
        return float(model.upl_ms(model.encoder.lookahead)[0])

    @staticmethod
    def from_pretrained(model_tag: str | None = None, **kwargs: Any) -> "Speech2Text":
        """Build from files, or from a model of ESPnet's zoo; arguments as ESPnet's."""
        original = host.Speech2Text
        with substitute(host, Speech2Text=Speech2Text):
            return original.from_pretrained(model_tag, **kwargs)

    @torch.no_grad()
    def __call__(
        self,
        speech: torch.Tensor | np.ndarray,
        *args: Any,
        catalog: Catalog | None = None,
    ) -> Any:
        """Recognise one utterance.

        Args:
            speech: Samples (N,), or features (N, D).
            args: As ESPnet's.
            catalog: Names; None or without entries: the same result as without.

        Returns:
            N-best list of (text, tokens, token numbers, hypothesis), as ESPnet's.

        Raises:
            TooShortUttError: shorter than what front end and subsampling need.
            ValueError: nothing of this decoding would listen to names.
        """
        if isinstance(speech, torch.Tensor | np.ndarray):
            self._check_length(len(speech))
        elif self.decoding != "espnet":
            return [self(one, catalog=catalog) for one in speech]
        with self._listening(catalog):
            if self.decoding == "espnet":
                with self._counting():
                    return super().__call__(speech, *args)
            log_probs, phones = self._posteriors(speech)
            if self.decoding == "ctc_greedy":
                return self._greedy(log_probs)
            return self._beam(log_probs, catalog, phones)

    @torch.no_grad()
    def posteriors(
        self, speech: torch.Tensor | np.ndarray, catalog: Catalog | None = None
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return what the CTC heads say of an utterance, under a list of names.

        Args:
            speech: Samples (N,), or features (N, D).
            catalog: For the adapter; without one it changes nothing.

        Returns:
            Log-probabilities of the tokens (T, V), and of the phones (T, P) where the
            model has a phone head.

        Raises:
            TooShortUttError: shorter than what front end and subsampling need.
        """
        self._check_length(len(speech))
        if self.adapted is None:
            return self._posteriors(speech)
        with self.adapted.biased_by(catalog):
            return self._posteriors(speech)

    def batch_decode(
        self, speech: Any, speech_lengths: Any | None = None
    ) -> list[Nbest]:
        """Recognise several utterances; where ESPnet has it, in one beam search."""
        if self.decoding == "espnet":
            return super().batch_decode(speech, speech_lengths)
        if speech_lengths is None:
            return [self(one) for one in speech]
        return [self(x[: int(n)]) for x, n in zip(speech, speech_lengths, strict=True)]

    def lookahead_ms(self) -> torch.Tensor:
        """Return the latency of each encoder frame of the last utterance, (T,), in ms.

        Counted from the end of the frame, front end and subsampling included. The time
        to the utterance's end for an encoder that says nothing of its lookahead, and
        where another part of the model may use the whole utterance, such as
        ``normalize: utterance_mvn``.
        """
        found = frame_latencies(self.asr_model.encoder, self.timing)
        if found is not None:
            latencies, lengths = found
            return latencies[0, : int(lengths[0])].cpu()
        return time_to_end(self._frames, self._seconds)

    def seconds(self, speech: torch.Tensor | np.ndarray) -> float:
        """Return how long samples (N,) or (N, channels), or features (N, D), are."""
        unit = unit_ms(speech, self.asr_model.frontend, self.timing)
        return len(speech) * unit / 1000.0

    def _check_length(self, size: int) -> None:
        # A centred STFT reflects half a window at each end, and fails on less.
        needed = self.timing.padding + 1
        if size < needed:
            raise TooShortUttError(
                f"has {size} samples and is too short for the front end, which needs "
                f"at least {needed}",
                size,
                needed,
            )

    @contextlib.contextmanager
    def _listening(self, catalog: Catalog | None) -> Iterator[None]:
        """Let the encoder and ESPnet's search have the names, where they can."""
        if catalog is not None:
            catalog = catalog.for_tokens(self.asr_model.token_list)
        if catalog is None or not len(catalog):
            yield
            return
        self.check_names()
        with contextlib.ExitStack() as stack:
            if self.adapted is not None:
                stack.enter_context(self.adapted.biased_by(catalog))
            if self.bias is not None and self.bias.acts_on(self.beam_search):
                stack.enter_context(self.bias.biased_by(self.beam_search, catalog))
            yield

    def _counting(self) -> Any:
        """Note the number of encoder frames that ESPnet's code does not hand out."""
        encode = self.asr_model.encode

        def counted(speech: torch.Tensor, speech_lengths: torch.Tensor) -> Any:
            out, olens = encode(speech=speech, speech_lengths=speech_lengths)
            self._frames = int(olens[0])
            self._seconds = self.seconds(speech[0, : int(speech_lengths[0])])
            return out, olens

        return substitute(self.asr_model, encode=counted)

    def _posteriors(
        self, speech: torch.Tensor | np.ndarray
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        model = self.asr_model
        samples = torch.as_tensor(speech).to(self.device, getattr(torch, self.dtype))
        lengths = torch.tensor([len(samples)], device=self.device)
        enc, olens = model.encode(speech=samples[None], speech_lengths=lengths)
        enc = enc[0] if isinstance(enc, tuple) else enc  # beside intermediate outputs
        self._frames, self._seconds = int(olens[0]), self.seconds(samples)
        phones = None
        if getattr(model, "phones", None) is not None:
            phones = model.phones.log_probs()[0, : self._frames].cpu()
        return model.ctc.log_softmax(enc)[0, : self._frames].cpu(), phones

    def _greedy(self, log_probs: torch.Tensor) -> Nbest:
        path = best_path(log_probs, self.asr_model.blank_id)
        tokens = self.converter.ids2tokens(path.tokens)
        text = self.tokenizer.tokens2text(tokens) if self.tokenizer else None
        hypothesis = Hypothesis(
            yseq=torch.tensor(path.tokens, dtype=torch.long), score=path.score
        )
        return [(text, tokens, path.tokens, hypothesis)]

    def _beam(
        self,
        log_probs: torch.Tensor,
        catalog: Catalog | None,
        phones: torch.Tensor | None,
    ) -> Nbest:
        assert self.decoder is not None
        catalog = catalog if self._searched else None
        found = self.decoder(log_probs, catalog, phones, self.nbest)
        return [
            (
                one.text if self.tokenizer else None,
                self.converter.ids2tokens(one.tokens),
                one.tokens,
                Hypothesis(
                    yseq=torch.tensor(one.tokens, dtype=torch.long),
                    score=one.score,
                    scores=one.parts,
                ),
            )
            for one in found
        ]
