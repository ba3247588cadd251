r"""Tune the weights of techniques for names, and of an adapter, on held-out data.

Posteriors of the CTC head are computed once for each scale of the adapter, and decoded
with each setting of a small grid. The best one has the largest F1 of the names, among
those whose U-WER is at most 0.3 points above that without names and that write, with
lists of which nothing is said (all draws of them together), at most one name in 100
utterances. Command::

    python -m espnet_dynlook.recipe.tune_names \
        --data dump/raw/tune/wav.scp,speech,sound --lists data/biasing/tune.100.0.tsv \
        --without data/biasing/tune.100.without.0.tsv,... \
        --asr_train_config exp/asr_x/config.yaml \
        --asr_model_file exp/asr_x/valid.loss.ave.pth --output conf/techniques.yaml

The file that it writes is for ``--techniques``; the adapter's scale stands in a comment
there. A technique whose best weight is 0 is off in it and is named.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from espnet_dynlook import config
from espnet_dynlook.recipe.held_out import (
    ADAPTER,
    TUNED,
    HeldOut,
    add_model_options,
    load_model,
    techniques_of,
    weight_of,
)
from espnet_dynlook.recipe.model_lists import read_model_lists
from espnet_dynlook.recipe.results import markdown_table
from espnet_dynlook.recipe.weight_search import (
    Choice,
    Limits,
    Outcome,
    Setting,
    Trial,
    choose,
)
from espnet_dynlook.recipe.whole_files import write_atomic
from espnet_dynlook.search.techniques import CLASSES, Techniques
from espnet_dynlook.training.loading import CheckpointMismatch

SCALES = [0.5, 1.0, 1.5, 2.0]


def grid_of(given: Sequence[str], trained: Any, lm: Any) -> dict[str, list[float]]:
    """Return the values to try of what this model can have.

    Args:
        given: ``name=value,value`` in place of the usual values; these come first, in
            this order.
        trained: Model with an adapter, a phone head, or neither.
        lm: N-gram of words, or None.

    Raises:
        ConfigError: no such name, no number, or nothing that can have it.
    """
    grid = {ADAPTER: SCALES, **{name: list(one.values) for name, one in TUNED.items()}}
    missing = {}
    if trained.adapted is None:
        missing[ADAPTER] = "an adapter (--adapter_model_file)"
    if lm is None:
        missing["unigram"] = "an n-gram of words (--word_ngram)"
    if getattr(trained.model, "phones", None) is None:
        phones = ("rescoring", "lookup", "distance")
        missing |= dict.fromkeys(phones, "a model with a phone head")
    for argument in given:
        name, _, values = argument.partition("=")
        if name not in grid:
            raise config.ConfigError(
                f"--grid {argument}: there are {', '.join(grid)}, such as boosting=1,2"
            )
        if name in missing:
            raise config.ConfigError(f"--grid {argument}: it needs {missing[name]}")
        try:
            grid[name] = [float(value) for value in values.split(",")]
        except ValueError:
            raise config.ConfigError(
                f"--grid {argument}: values are numbers, such as {name}=1,2"
            ) from None
        for value in grid[name] if name in TUNED else ():
            try:
                weight_of(name, value)
            except ValueError as error:
                raise config.ConfigError(f"--grid {argument}: {error}") from None
    first = [argument.partition("=")[0] for argument in given]
    order = dict.fromkeys([*first, *grid])
    return {name: grid[name] for name in order if name not in missing}


def _written(setting: Setting) -> str:
    """Return a setting as tables and progress have it."""
    return " ".join(f"{name}={value:g}" for name, value in setting.items())


def _tell(one: Trial) -> None:
    """Write a line to standard error: a setting takes a minute, and there are many."""
    found = one.outcome
    print(
        f"{_written(one.setting)}: F1 {100 * found.f1:.2f} %, U-WER {found.u_wer:.2f} "
        f"%, {found.false_insertions:.2f} false insertions per 100"
        f"{'' if one.allowed else ', over the limits'}",
        file=sys.stderr,
        flush=True,
    )


def report(choice: Choice, base: Outcome, limits: Limits) -> str:
    """Return what was tried and what was found, as Markdown."""
    rows = [
        [
            _written(one.setting),
            f"{100 * one.outcome.f1:.2f}",
            f"{one.outcome.u_wer:.2f}",
            f"{one.outcome.false_insertions:.2f}",
            "yes" if one.allowed else "no",
            "best" if one is choice.best else "",
        ]
        for one in choice.trials
    ]
    header = ["setting", "F1 (%)", "U-WER (%)", "false insertions per 100"]
    lines = [
        f"Largest F1 with U-WER at most {base.u_wer:.2f} + {limits.u_wer:g} % and at "
        f"most {limits.false_insertions:g} false insertions per 100 utterances with "
        "lists of which nothing is said.\n\n",
        markdown_table([*header, "allowed", ""], rows),
    ]
    for name, changed in choice.changed.items():
        lines.append(
            f"\n{name} failed: its best weight is 0; another value changed {changed} "
            "hypotheses.\n"
        )
    return "".join(lines)


def techniques_yaml(choice: Choice, start: Techniques, source: str) -> str:
    """Return the content of a file for ``--techniques``."""
    made = techniques_of(choice.best.setting, start)
    found = choice.best.outcome
    keys = {
        name: None if getattr(made, name) is None else vars(getattr(made, name))
        for name in CLASSES
    }
    lines = [
        f"# Tuned on {source}: F1 {100 * found.f1:.2f} %, U-WER {found.u_wer:.2f} %, "
        f"{found.false_insertions:.2f} false insertions per 100 utterances.\n"
    ]
    if ADAPTER in choice.best.setting:
        lines.append(f"# --adapter_scale {choice.best.setting[ADAPTER]:g}\n")
    return "".join(lines) + yaml.safe_dump(keys, sort_keys=False)


def get_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = argparse.ArgumentParser(description="Tune weights for names.")
    add = parser.add_argument
    add("--data", required=True, help="such as dump/raw/tune/wav.scp,speech,sound")
    add("--lists", required=True, help="four columns, with what is said")
    add(
        "--without",
        required=True,
        help="four columns, with nothing that is said; FILE,FILE,...: draws, pooled",
    )
    add_model_options(parser)
    add("--techniques", help="YAML file of keys that are not tuned")
    add(
        "--grid",
        action="append",
        default=[],
        help="name=value,value: values to try; tuned in the order given",
    )
    add("--rounds", type=int, default=2, help="through all weights, at most")
    add("--max_u_wer", type=float, default=Limits.u_wer, help="points above no names")
    add("--max_false_insertions", type=float, default=Limits.false_insertions)
    add("--output", required=True, help="YAML file for --techniques")
    add("--report", help="Markdown file of all that was tried")
    add("--json", help="the same for programs")
    return parser


def read_held_out(args: argparse.Namespace) -> HeldOut:
    """Load the model, its speech and the lists.

    Raises:
        ConfigError: files or options that do not go together.
    """
    trained, lm = load_model(args)
    start = Techniques()
    if args.techniques:
        text = Path(args.techniques).read_text(encoding="utf-8")
        start = Techniques.from_mapping(yaml.safe_load(text))
    speech = trained.read(args.data)
    draws = args.without.split(",")
    found = read_model_lists(trained, args.data, speech, [args.lists, *draws])
    lists, without = found[args.lists], [found[draw] for draw in draws]
    for draw, given in zip(draws, without, strict=True):
        said = [utt for utt, one in given.items() if one.true]
        if said:
            raise config.ConfigError(
                f"--without {draw}: the list of {said[0]} has what is said there"
            )
    if not any(one.true for one in lists.values()):
        raise config.ConfigError(
            f"--lists {args.lists}: no list has anything that is said (column 3), so "
            "that no name can be found: give lists with what is said"
        )
    return HeldOut(trained, speech, lists, without, args.beam_size, lm, start)


def tune(args: argparse.Namespace) -> str:
    """Tune, write the files, and return the report.

    Raises:
        ConfigError: files or options that do not go together.
    """
    try:
        held_out = read_held_out(args)
        grid = grid_of(args.grid, held_out.trained, held_out.lm)
        limits = Limits(args.max_u_wer, args.max_false_insertions)
        base = held_out(dict.fromkeys(grid, 0.0))
        parts = {n: t.technique for n, t in TUNED.items() if n != t.technique}
        choice = choose(grid, held_out, base, limits, args.rounds, parts, _tell)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise config.ConfigError(str(error)) from error
    page = report(choice, base, limits)
    write_atomic(args.output, techniques_yaml(choice, held_out.start, args.lists))
    if args.report:
        write_atomic(args.report, page)
    if args.json:
        content = {
            "best": choice.best.setting,
            "changed_by_failed": choice.changed,
            "trials": [
                {
                    **dataclasses.asdict(one.outcome) | {"texts": None},
                    "setting": one.setting,
                    "allowed": one.allowed,
                }
                for one in choice.trials
            ],
        }
        write_atomic(args.json, json.dumps(content, indent=1) + "\n")
    return page


def main(cmd: list[str] | None = None) -> int:
    """Tune; print what was tried and found; return 1 and say what is wrong."""
    args = get_parser().parse_args(cmd)
    try:
        for name in ("lists", "without", "asr_train_config", "asr_model_file"):
            given = getattr(args, name)
            for path in given.split(",") if name == "without" else [given]:
                if not Path(path).is_file():
                    raise config.ConfigError(f"--{name} {path}: no such file")
        print(tune(args), end="")
    except (config.ConfigError, CheckpointMismatch) as error:
        print(f"tune_names: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
