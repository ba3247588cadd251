"""A set that is held out of training, decoded with many settings of techniques."""

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from espnet_dynlook.biasing.catalog import Catalog
from espnet_dynlook.biasing.lists import BiasingList
from espnet_dynlook.biasing.tokenizers import build_tokenizer
from espnet_dynlook.config import ConfigError
from espnet_dynlook.metrics.biasing import (
    BiasingCounts,
    pool_biasing,
    score_biasing,
)
from espnet_dynlook.model.adapted import AdaptedModel
from espnet_dynlook.recipe.weight_search import Outcome, Setting
from espnet_dynlook.search.biased_decoder import BiasedDecoder
from espnet_dynlook.search.ngram import NgramLM, load_ngram
from espnet_dynlook.search.techniques import CLASSES, Techniques
from espnet_dynlook.task import DynlookASRTask
from espnet_dynlook.training.adapter import load_adapter

ADAPTER = "adapter"


@dataclass(frozen=True)
class Tuned:
    """A number of a technique that is tuned.

    Attributes:
        technique: Whose it is.
        key: Its key there.
        values: To try. If they are whole numbers, others are refused.
    """

    technique: str
    key: str
    values: tuple[float, ...]


#: Those with the name of their technique switch it on.
TUNED = {
    "boosting": Tuned("boosting", "weight", (0.25, 0.5, 0.75, 1.0, 1.5)),
    "unigram": Tuned("unigram", "gamma", (2.0, 5.0, 8.0, 11.0)),
    "variants": Tuned("variants", "number", (2, 4, 8)),
    "rescoring": Tuned("rescoring", "weight", (0.1, 0.3, 0.6)),
    "lookup": Tuned("lookup", "weight", (1.0, 2.0, 4.0)),
    "distance": Tuned("lookup", "distance", (0.5, 1.0)),
}
Posteriors = tuple[torch.Tensor, torch.Tensor | None]


def techniques_of(setting: Mapping[str, float], start: Techniques) -> Techniques:
    """Return techniques with these numbers; their other keys are those of ``start``."""
    made = {}
    for name, cls in CLASSES.items():
        keys = {
            one.key: weight_of(other, setting[other])
            for other, one in TUNED.items()
            if one.technique == name and other in setting
        }
        given = getattr(start, name) or cls()
        on = setting.get(name, 0.0) != 0
        made[name] = dataclasses.replace(given, **keys) if on else None
    return Techniques(**made)


def weight_of(name: str, value: float) -> float:
    """Return a value of a technique's key that is tuned, as that key wants it.

    Raises:
        ValueError: the key is a whole number, and the value is none.
    """
    if not isinstance(TUNED[name].values[0], int):
        return value
    if not float(value).is_integer():
        raise ValueError(
            f"{name}={value:g}: {TUNED[name].key} of {name} is a whole number"
        )
    return int(value)


class CTCModel:
    """A trained model, for the posteriors of its CTC heads.

    Args:
        train_config: ``config.yaml`` of its training.
        model_file: Its parameters.
        adapter: ``config.yaml`` and parameters of an adapter for it; None: none, or
            that of the model itself.

    Attributes:
        model: ESPnet's ASR model.
        adapted: Lets it listen to names; None without an adapter.
        tokenizer: Of the model.

    Raises:
        CheckpointMismatch: files do not belong together.
        ConfigError: a configuration is none of a training.
        ValueError: the model has no CTC head, or tokens that names cannot have.
    """

    def __init__(
        self,
        train_config: str | Path,
        model_file: str | Path,
        adapter: tuple[str, str] | None = None,
    ):
        self.model: Any
        self.model, self.args = DynlookASRTask.build_model_from_file(
            train_config, model_file
        )
        self.model.eval()
        if self.model.ctc is None:
            raise ValueError(f"{train_config}: the model has no CTC head")
        self.tokenizer = build_tokenizer(
            self.model.token_list, self.args.token_type, self.args.bpemodel
        )
        self.adapted: AdaptedModel | None = None
        if adapter is not None:
            self.adapted = AdaptedModel(self.model, load_adapter(self.model, *adapter))
        elif getattr(self.model, "adapter", None) is not None:
            self.adapted = AdaptedModel(self.model)

    def read(self, data: str) -> dict[str, torch.Tensor]:
        """Return the utterances of ``PATH,speech,TYPE``, as ESPnet reads them."""
        loader = DynlookASRTask.build_streaming_iterator(
            [tuple(data.split(","))],
            dtype="float32",
            batch_size=1,
            key_file=None,
            num_workers=0,
            preprocess_fn=DynlookASRTask.build_preprocess_fn(self.args, False),
            collate_fn=DynlookASRTask.build_collate_fn(self.args, False),
            inference=True,
        )
        return {keys[0]: batch["speech"][0] for keys, batch in loader}

    @torch.no_grad()
    def posteriors(self, speech: torch.Tensor, catalog: Catalog | None) -> Posteriors:
        """Return log-probabilities of tokens (T, V), and of phones where it has a head.

        Args:
            speech: Samples (N,), or features (N, D).
            catalog: For the adapter.
        """
        model, lengths = self.model, torch.tensor([len(speech)])
        if self.adapted is None:
            enc, olens = model.encode(speech[None], lengths)
        else:
            with self.adapted.biased_by(catalog):
                enc, olens = model.encode(speech[None], lengths)
        enc = enc[0] if isinstance(enc, tuple) else enc
        frames, phones = int(olens[0]), None
        if getattr(model, "phones", None) is not None:
            phones = model.phones.log_probs()[0, :frames]
        return model.ctc.log_softmax(enc)[0, :frames], phones


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of what ``load_model`` reads, and of the search."""
    add = parser.add_argument
    add("--asr_train_config", required=True)
    add("--asr_model_file", required=True)
    add("--adapter_train_config")
    add("--adapter_model_file")
    add("--word_ngram", help="n-gram of words: ARPA, or KenLM's binary")
    add("--word_ngram_weight", type=float, default=0.5)
    add("--word_insertion", type=float, default=0.0, help="for each word, in nats")
    add("--word_unknown", type=float, default=NgramLM.unknown, help="for unknown words")
    add("--word_unknown_length", type=float, default=0.0, help="for their characters")
    add("--beam_size", type=int, default=20)


def load_model(args: argparse.Namespace) -> tuple[CTCModel, NgramLM | None]:
    """Load the model, its adapter, and the n-gram that a command line names.

    Raises:
        ConfigError: options or files that do not go together.
        ValueError: a file is not what it should be.
    """
    files = (args.adapter_train_config, args.adapter_model_file)
    if any(files) and not all(files):
        raise ConfigError(
            "--adapter_train_config and --adapter_model_file go together: give both"
        )
    for name in ("asr_train_config", "asr_model_file"):
        path = getattr(args, name)
        if not Path(path).is_file():
            raise ConfigError(f"--{name} {path}: no such file")
    lm = None
    if args.word_ngram:
        model = load_ngram(args.word_ngram)
        lm = NgramLM(
            model,
            args.word_ngram_weight,
            args.word_insertion,
            args.word_unknown,
            unknown_length=args.word_unknown_length,
        )
    adapter = files if all(files) else None
    return CTCModel(args.asr_train_config, args.asr_model_file, adapter), lm


@dataclass
class HeldOut:
    """A set with its lists, of which everything but the search is done once.

    Attributes:
        trained: The model, with its adapter if it has one.
        speech: Samples by utterance.
        lists: With what is said.
        without: Of which nothing is said; draws, which are counted together.
        beam_size: Of the search.
        lm: N-gram of words, or None.
        start: Keys of techniques that are not tuned.
    """

    trained: CTCModel
    speech: dict[str, torch.Tensor]
    lists: dict[str, BiasingList]
    without: Sequence[dict[str, BiasingList]]
    beam_size: int
    lm: NgramLM | None
    start: Techniques

    def __post_init__(self) -> None:
        self._catalogs = [
            {utt: self._catalog(lists[utt]) for utt in self.speech}
            for lists in (self.lists, *self.without)
        ]
        self._known: dict[tuple[float, int], dict[str, Posteriors]] = {}

    def _catalog(self, one: BiasingList) -> Catalog:
        tokens = self.trained.model.token_list
        return Catalog(one.phrases, self.trained.tokenizer, tokens)

    def posteriors(self, scale: float, which: int) -> dict[str, Posteriors]:
        """Return the posteriors of all utterances under one of the lists.

        Args:
            scale: Of the adapter.
            which: 0: ``lists``; from 1: a draw of ``without``.
        """
        key = (scale, which if scale else 0)
        if key not in self._known:
            if self.trained.adapted is not None:
                self.trained.adapted.scale = scale
            self._known[key] = {
                utt: self.trained.posteriors(
                    samples, self._catalogs[which][utt] if scale else None
                )
                for utt, samples in self.speech.items()
            }
        return self._known[key]

    def __call__(self, setting: Setting) -> Outcome:
        """Decode with a setting."""
        model = self.trained.model
        decoder = BiasedDecoder(
            model.token_list,
            self.beam_size,
            self.lm,
            techniques_of(setting, self.start),
            blank=model.blank_id,
        )
        scale, named = setting.get(ADAPTER, 0.0), any(setting.values())
        counts: list[BiasingCounts] = []
        texts: list[str] = []
        for which, lists in enumerate((self.lists, *self.without)):
            found = {}
            for utt, (log_probs, phones) in self.posteriors(scale, which).items():
                catalog = self._catalogs[which][utt] if named else None
                found[utt] = decoder(log_probs, catalog, phones, 1)[0].text
            scored = score_biasing(
                {utt: lists[utt].text for utt in found},
                found,
                {utt: (lists[utt].true, lists[utt].phrases) for utt in found},
            )
            counts.append(pool_biasing(scored.values()))
            texts += found.values()
        true, wrong = counts[0], pool_biasing(counts[1:])
        return Outcome(
            true.entities.f1 or 0.0,
            100 * true.unbiased.errors / max(1, true.unbiased.units),
            wrong.entities.false_insertions_per_100,
            tuple(texts),
        )
