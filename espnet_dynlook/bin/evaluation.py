# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""A trained model over a whole set: the figures of every utterance."""

import argparse
import logging
import math
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from espnet_dynlook import config
from espnet_dynlook.lookahead.kinds import FixedLookahead
from espnet_dynlook.metrics.ctm import TimedWord
from espnet_dynlook.metrics.delay import TOKEN_TYPES, token_delays, words_of_tokens
from espnet_dynlook.metrics.summary import spread
from espnet_dynlook.metrics.wer import count_errors, split_characters, split_words
from espnet_dynlook.task import DynlookASRTask
from espnet_dynlook.training.evaluation import Evaluated, Evaluator, Utterance

#: Utterances that are read before they are sorted into batches.
POOL = 512
#: (file, name, type), as ESPnet's --data_path_and_name_and_type.
DataFile = tuple[str, str, str]
Words = list[TimedWord]


def fixed_kind(text: str, num_layers: int) -> FixedLookahead:
    """Read ``causal``, ``full``, ``chunked:R``, ``layerwise:R``, ``layerwise_total:N``.

    Raises:
        ConfigError: it is none of these.
    """
    kind, colon, number = text.partition(":")
    numbered = kind in ("chunked", "layerwise", "layerwise_total")
    known = numbered or kind in ("causal", "full")
    if not known or numbered != number.isdecimal() or numbered != bool(colon):
        raise config.ConfigError(
            f"--override {text}: write causal, full, chunked:7, layerwise:1 or "
            "layerwise_total:5"
        )
    try:
        if kind == "layerwise_total":
            return FixedLookahead("layerwise", num_layers, 0, int(number))
        return FixedLookahead(kind, num_layers, int(number) if numbered else 0)
    except ValueError as error:
        raise config.ConfigError(f"--override {text}: {error}") from None


def read_column(path: Path) -> dict[str, str]:
    """Read ``key value`` lines; {} where there is no such file."""
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = (line.split(maxsplit=1) for line in lines if line.strip())
    return {pair[0]: pair[1].strip() if len(pair) > 1 else "" for pair in pairs}


class SetEvaluation:
    """Evaluates sets with one model.

    Args:
        args: From ``get_parser()``.

    Raises:
        CheckpointMismatch: the model file does not fit the configuration.
        ConfigError: the model cannot do what is asked for.
    """

    def __init__(self, args: argparse.Namespace):
        device = "cuda" if args.ngpu > 0 else "cpu"
        model, self.train_args = DynlookASRTask.build_model_from_file(
            args.asr_train_config, args.asr_model_file, device
        )
        model.eval()
        self.model: Any = model
        self.source = args.asr_train_config
        self.token_type = self.train_args.token_type
        words_needed = args.alignment or args.write_alignment
        if words_needed and self.token_type not in TOKEN_TYPES:
            raise config.ConfigError(
                f"token_type: {self.token_type}: words with times are known only for "
                f"{', '.join(TOKEN_TYPES)}; leave out the alignment"
            )
        self.kind = ""
        self.use_kind(None)
        if self.evaluator.timing.warning is not None:
            logging.warning(self.evaluator.timing.warning)
        self.preprocess: Any = DynlookASRTask.build_preprocess_fn(
            self.train_args, False
        )
        if getattr(self.preprocess, "tokenizer", None) is None:
            raise config.ConfigError(
                f"{args.asr_train_config}: use_preprocessor has to be true: it is what "
                "turns transcripts into tokens"
            )
        self.num_workers = args.num_workers

    def use_kind(self, override: str | None, align: bool = False) -> None:
        """Evaluate from now on under a kind of lookahead.

        Args:
            override: As ``fixed_kind`` reads it; None: the model's own.
            align: Whether to align the transcripts, too.

        Raises:
            ConfigError: the model cannot do that.
        """
        encoder = self.model.encoder
        own = getattr(encoder, "kind", None)  # ESPnet's encoders have none
        self.kind = override or str(getattr(own, "name", "offline"))
        fixed = None
        if override is not None:
            fixed = fixed_kind(override, len(encoder.encoders))
        try:
            self.evaluator = Evaluator(self.model, fixed, align)
        except ValueError as error:
            raise config.ConfigError(f"{self.source}: {error}") from None

    def files_of(self, folder: Path) -> list[DataFile]:
        """Return a data directory's files: those that the model was trained on.

        Raises:
            ConfigError: one of them is missing.
        """
        trained = self.train_args.train_data_path_and_name_and_type
        names = [Path(path).name for path, _, _ in trained]
        for name in names:
            if not (folder / name).exists():
                raise config.ConfigError(
                    f"--data_dir {folder} has no {name}: the model was trained on "
                    f"{' and '.join(names)}"
                )
        return [(f"{folder / Path(path).name}", n, kind) for path, n, kind in trained]

    def read(
        self, files: Sequence[DataFile], most: int, seed: int = 0
    ) -> list[Utterance]:
        """Read utterances of a set, drawn where it has more than ``most``."""
        utterances = [one for _, one in self._utterances(files)]
        if len(utterances) <= most:
            return utterances
        return random.Random(seed).sample(utterances, most)

    def _utterances(self, files: Sequence[DataFile]) -> Iterator[tuple[str, Utterance]]:
        loader = DynlookASRTask.build_streaming_iterator(
            files,
            dtype="float32",
            num_workers=self.num_workers,
            preprocess_fn=self.preprocess,
            collate_fn=DynlookASRTask.build_collate_fn(self.train_args, False),
        )
        for keys, batch in loader:
            yield keys[0], Utterance(batch["speech"][0], batch["text"][0])

    def evaluate(
        self, files: Sequence[DataFile]
    ) -> Iterator[tuple[str, Utterance, Evaluated | None]]:
        """Evaluate a set, in its order."""
        pool: list[tuple[str, Utterance]] = []
        for pair in self._utterances(files):
            pool.append(pair)
            if len(pool) == POOL:
                yield from self._evaluate_pool(pool)
                pool = []
        yield from self._evaluate_pool(pool)

    def _evaluate_pool(
        self, pool: Sequence[tuple[str, Utterance]]
    ) -> Iterator[tuple[str, Utterance, Evaluated | None]]:
        results = self.evaluator([one for _, one in pool])
        for (key, one), result in zip(pool, results, strict=True):
            yield key, one, result

    def tokens(self, numbers: Sequence[int]) -> list[str]:
        """Return the tokens of their numbers."""
        return self.preprocess.token_id_converter.ids2tokens(numbers)

    def row(
        self,
        utterance: Utterance,
        result: Evaluated | None,
        reference: str,
        words: Words | None,
    ) -> dict[str, Any]:
        """Return what is written of one utterance.

        Losses in nats (null: infinite, or the utterance is too short), latencies and
        delays in ms; delays of the tokens that were recognised, null where no alignment
        is known.

        Raises:
            ConfigError: the alignment is of another transcript.
        """
        tokens = self.tokens(utterance.tokens.tolist())
        recognised = [] if result is None else self.tokens(result.path.tokens)
        text = self.preprocess.tokenizer.tokens2text(recognised)
        by_word = count_errors(split_words(reference), split_words(text))
        by_char = count_errors(split_characters(reference), split_characters(text))
        found: dict[str, Any] = {
            "tokens": len(tokens),
            "loss": None if result is None else _finite(result.loss),
            "loss_soft": None if result is None else _finite(result.loss_soft),
            "words": by_word.units,
            "errors": by_word.errors,
            "characters": by_char.units,
            "character_errors": by_char.errors,
            "frames": 0 if result is None else len(result.latencies),
            **spread("latency", [] if result is None else result.latencies.tolist()),
            "upl_ms": None if result is None else result.upl,
            "token_delays_ms": None,
            "text": text,
        }
        if result is not None and words is not None:
            emitted = [
                (frame + 1) * result.period + float(result.latencies[frame])
                for frame in result.path.frames
            ]
            ends = [one.end for one in words]
            try:
                delays = token_delays(
                    tokens, ends, recognised, emitted, self.token_type
                )
            except ValueError as error:
                raise config.ConfigError(f"--alignment: {error}") from None
            found["token_delays_ms"] = [round(one, 1) for one in delays]
        return found

    def words_with_times(
        self, utterance: Utterance, result: Evaluated | None, reference: str
    ) -> Words | None:
        """Return the words of a transcript with their times; None if not aligned."""
        if result is None or result.spans is None:
            return None
        tokens = self.tokens(utterance.tokens.tolist())
        groups = words_of_tokens(tokens, self.token_type)
        names = split_words(reference)
        if len(names) != len(groups):  # a cleaner or tokenizer that joins words
            return None
        return [
            TimedWord(
                result.spans[group[0]].start * result.period,
                result.spans[group[-1]].end * result.period,
                name,
            )
            for group, name in zip(groups, names, strict=True)
        ]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
