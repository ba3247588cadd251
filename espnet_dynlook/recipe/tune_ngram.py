r"""Tune how much an n-gram of words counts in the CTC beam search, on held-out data.

Posteriors are computed once, and decoded without names under every combination of a
weight, a bonus for each word, and what is added for a word that the n-gram does not
know, and for each of its characters. These go together: all unknown words are one to
the n-gram, so with too large a weight words run into one unknown word; a bonus keeps
them apart, and so does a cost that grows with the unknown word. The best one has the
lowest WER. Command::

    python -m espnet_dynlook.recipe.tune_ngram \
        --data dump/raw/tune/wav.scp,speech,sound --text data/tune/text \
        --asr_train_config exp/asr_x/config.yaml \
        --asr_model_file exp/asr_x/valid.loss.ave.pth \
        --word_ngram exp/ngram_word/3gram.arpa --output conf/ngram.yaml

The file that it writes holds options of ``asr_inference``; the other commands on names
take them as ``--word_ngram_weight``, ``--word_insertion``, ``--word_unknown`` and
``--word_unknown_length``.
"""

import argparse
import itertools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml

from espnet_dynlook import config
from espnet_dynlook.metrics.wer import count_errors, pool, split_words
from espnet_dynlook.recipe.data_dir import read_text
from espnet_dynlook.recipe.held_out import CTCModel
from espnet_dynlook.recipe.results import markdown_table
from espnet_dynlook.recipe.whole_files import write_atomic
from espnet_dynlook.search.biased_decoder import BiasedDecoder
from espnet_dynlook.search.ngram import NgramLM, NgramModel, load_ngram
from espnet_dynlook.search.techniques import Techniques
from espnet_dynlook.training.loading import CheckpointMismatch

NONE = Techniques(boosting=None)


@dataclass(frozen=True)
class Trial:
    """What an n-gram does to a set.

    Attributes:
        lm: The n-gram and how much it counts; None: there is none.
        wer: In percent.
    """

    lm: NgramLM | None
    wer: float


def tune(
    trained: CTCModel,
    speech: Mapping[str, torch.Tensor],
    texts: Mapping[str, str],
    grid: Sequence[NgramLM],
    beam_size: int = 20,
) -> list[Trial]:
    """Decode without an n-gram, then with each of these.

    Args:
        trained: Model with a CTC head.
        speech: Samples (N,) or features (N, D) by utterance.
        texts: What is said, by utterance.
        grid: N-grams to try.
        beam_size: Of the search.
    """
    posteriors = {utt: trained.posteriors(one, None)[0] for utt, one in speech.items()}
    trials = []
    for lm in (None, *grid):
        model = trained.model
        decoder = BiasedDecoder(
            model.token_list, beam_size, lm, NONE, blank=model.blank_id
        )
        counts = pool(
            count_errors(
                split_words(texts[utt]), split_words(decoder(one, nbest=1)[0].text)
            )
            for utt, one in posteriors.items()
        )
        trials.append(Trial(lm, 100 * counts.rate))
    return trials


def grid_of(args: argparse.Namespace, model: NgramModel) -> list[NgramLM]:
    """Return the n-grams that a command line wants tried.

    Raises:
        ConfigError: a value is out of its range.
    """
    values = itertools.product(
        args.weights, args.insertions, args.unknown, args.unknown_length
    )
    try:
        return [
            NgramLM(model, weight, insertion, unknown, unknown_length=length)
            for weight, insertion, unknown, length in values
        ]
    except ValueError as error:
        raise config.ConfigError(str(error)) from None


def options_of(trial: Trial) -> dict[str, float]:
    """Return the options of ``asr_inference`` for what was found; none: no n-gram."""
    if trial.lm is None:
        return {}
    return {
        "word_ngram_weight": trial.lm.weight,
        "word_insertion": trial.lm.word_insertion,
        "word_unknown": trial.lm.unknown,
        "word_unknown_length": trial.lm.unknown_length,
    }


def report(trials: Sequence[Trial], best: Trial) -> str:
    """Return what was tried as Markdown."""
    rows = []
    for one in trials:
        found = [f"{value:g}" for value in options_of(one).values()]
        rows.append(
            [*(found or ["-"] * 4), f"{one.wer:.2f}", "best" if one is best else ""]
        )
    return markdown_table(
        [
            "weight",
            "for each word",
            "for unknown ones",
            "for each of their characters",
            "WER (%)",
            "",
        ],
        rows,
    )


def get_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = argparse.ArgumentParser(description="Tune an n-gram of words.")
    add = parser.add_argument
    add("--data", required=True, help="such as dump/raw/tune/wav.scp,speech,sound")
    add("--text", required=True, help="what is said there, Kaldi's text")
    add("--asr_train_config", required=True)
    add("--asr_model_file", required=True)
    add("--word_ngram", required=True, help="ARPA, or KenLM's binary")
    add("--beam_size", type=int, default=20)
    add("--weights", type=float, nargs="+", default=[0.15, 0.3, 0.5])
    add("--insertions", type=float, nargs="+", default=[0.0, 1.5, 3.0, 4.5])
    add("--unknown", type=float, nargs="+", default=[-10.0, -5.0])
    add("--unknown_length", type=float, nargs="+", default=[0.0, -1.0])
    add("--output", required=True, help="YAML file of options of asr_inference")
    add("--report", help="Markdown file of all that was tried")
    return parser


def run(args: argparse.Namespace) -> str:
    """Tune, write the files, and return the report.

    Raises:
        ConfigError: files or options that do not go together.
    """
    try:
        grid = grid_of(args, load_ngram(args.word_ngram))
        texts = read_text(args.text)
        trained = CTCModel(args.asr_train_config, args.asr_model_file)
        speech = trained.read(args.data)
        missing = [utt for utt in speech if utt not in texts]
        if missing:
            raise config.ConfigError(f"--text {args.text}: nothing of {missing[0]}")
        trials = tune(trained, speech, texts, grid, args.beam_size)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise config.ConfigError(str(error)) from error
    best = min(trials, key=lambda one: one.wer)  # of equal ones the first: the least
    page = report(trials, best)
    head = f"# Tuned on {args.text}: WER {best.wer:.2f} %\n"
    found = yaml.safe_dump(options_of(best), sort_keys=False) if best.lm else ""
    write_atomic(args.output, head + (found or "# without the n-gram\n"))
    if args.report:
        write_atomic(args.report, page)
    return page


def main(cmd: list[str] | None = None) -> int:
    """Tune; print what was tried; return 1 and say what is wrong."""
    args = get_parser().parse_args(cmd)
    try:
        for name in ("text", "asr_train_config", "asr_model_file", "word_ngram"):
            path = getattr(args, name)
            if not Path(path).is_file():
                raise config.ConfigError(f"--{name} {path}: no such file")
        print(run(args), end="")
    except (config.ConfigError, CheckpointMismatch) as error:
        print(f"tune_ngram: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
