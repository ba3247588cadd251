"""Run a matrix of experiments and write what it finds: see utils/run_matrix.sh.

A matrix file says what is compared (``recipe.matrix_plan``). For every seed a parent is
trained and every system fine-tuned from it, with the same epochs and the same order of
the data; then all are evaluated (``asr_evaluate``) on the same sets. What is done is
left alone (``recipe.matrix_run``). At the end the tables (``recipe.matrix_table``) take
their place in a page, and ``results.json`` and the trade-off picture lie beside it.
"""

import argparse
import dataclasses
import json
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from espnet_dynlook.config import ConfigError, check
from espnet_dynlook.recipe.data_dir import DataError
from espnet_dynlook.recipe.matrix_plan import (
    Experiment,
    Matrix,
    check_seeds,
    plan,
    read_matrix,
)
from espnet_dynlook.recipe.matrix_run import Runner, StepFailed, run_all
from espnet_dynlook.recipe.matrix_settings import Recipe, check_marks, read_mark, shown
from espnet_dynlook.recipe.matrix_table import ALL, read_systems, result_rows, tables
from espnet_dynlook.recipe.whole_files import write_atomic

NOTE = (
    "Loss of the transcripts in nats per token and WER, greedy, with rounded masks; "
    "differences with intervals from a paired bootstrap that draws seeds and speakers "
    "(utterances where there is one speaker), below zero where the system is better. "
    "Latency of encoder frames from the end of the frame, front end included; token "
    "delay from the end of the token's word to when the token is there."
)


def positive(text: str) -> int:
    """Return a number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} has to be a number from 1")
    return int(text)


def boolean(text: str) -> bool:
    """Return true or false, as the recipe's options are written."""
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} has to be true or false")
    return text == "true"


def get_parser() -> argparse.ArgumentParser:
    """Return the parser of this command."""
    parser = argparse.ArgumentParser(
        prog="run_matrix.sh",
        usage="%(prog)s --matrix FILE [options] -- ./run.sh [options of the recipe]",
        description="Train, evaluate and compare systems over seeds.",
    )
    parser.add_argument("--matrix", required=True, type=Path, metavar="FILE")
    parser.add_argument("--jobs", type=positive, default=1, help="at a time")
    parser.add_argument("--seeds", help='such as "1 2 3"; default: the matrix file\'s')
    parser.add_argument(
        "--systems", help="only these, such as 'causal full'; default: all"
    )
    parser.add_argument(
        "--sets", help="to evaluate instead of the file's, such as 'valid'"
    )
    parser.add_argument(
        "--from_scratch",
        type=boolean,
        default=False,
        help="true: no parent; every system is trained for the epochs of both",
    )
    parser.add_argument(
        "--asr_args", default="", help='of every training, such as "--max_epoch 1"'
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("RESULTS.md"),
        help="page; the tables take the place of this matrix's in it, or go to its end",
    )
    parser.add_argument("command", nargs="+", help=argparse.SUPPRESS)
    return parser


def gpus(recipe: Recipe) -> int:
    """Return 1 where the recipe's trainings use a GPU, as asr.sh decides it."""
    wanted = recipe.option("--ngpu", "auto")
    if wanted != "auto":
        return min(int(wanted), 1)
    if shutil.which("nvidia-smi") is None:
        return 0
    found = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
    return int(found.stdout.startswith("GPU"))


def check_configs(experiments: Sequence[Experiment]) -> None:
    """Check the configuration of every system, before hours of work.

    Raises:
        ConfigError: a key or value is wrong.
    """
    # Takes seconds to import, and is of no use where everything is trained.
    from espnet_dynlook.task import DynlookASRTask, check_length

    first = experiments[0].seed
    for experiment in experiments:
        if experiment.seed == first:
            config = experiment.config()
            check(config, DynlookASRTask, source=experiment.system)
            check_length(config, f"{experiment.system}: ")


def section(matrix: Matrix, title: str, command: str, body: str) -> str:
    """Return the part of the page that belongs to a matrix, between its marks."""
    return (
        f"<!-- {title} -->\n## {title} on {matrix.corpus}\n\n"
        f"```sh\n{command}\n```\n\n{NOTE}\n{body}\n<!-- end of {title} -->\n"
    )


def put_section(page: str, title: str, text: str) -> str:
    """Put a section in the place of the one of that title, or at the end."""
    begin, end = f"<!-- {title} -->\n", f"<!-- end of {title} -->\n"
    if begin in page and end in page.split(begin, 1)[1]:
        before, rest = page.split(begin, 1)
        return before + text + rest.split(end, 1)[1]
    return f"{page.rstrip()}\n\n{text}" if page.strip() else text


def draw(results: Path, name: str, picture: Path) -> bool:
    """Draw the trade-off picture of one set; say whether it could be."""
    plots = [sys.executable, "-m", "espnet_dynlook.plots", "tradeoff"]
    options = ["--results", str(results), "--sets", name, "--output", str(picture)]
    return subprocess.run([*plots, *options]).returncode == 0


def write_results(
    matrix: Matrix,
    title: str,
    experiments: Sequence[Experiment],
    failed: dict[str, str],
    output: Path,
    command: str,
) -> None:
    """Write results.json, the picture and the page.

    Raises:
        DataError: an evaluation is missing, or none is there.
    """
    finished = [one for one in experiments if one.title not in failed]
    found = read_systems(finished, matrix.sets)
    if not found:
        raise DataError([f"{matrix.path}: no experiment is finished"])
    systems = list(found.values())
    figures = result_rows(matrix.corpus, systems, matrix.sets)
    folder = output.parent / "results" / title
    lines = ",\n".join(json.dumps(row) for row in figures)
    write_atomic(folder / "results.json", f"[\n{lines}\n]\n")
    body = tables(systems, matrix.reference, matrix.sets, figures)
    if failed:
        body = f"\nNot finished: {', '.join(failed)}.\n{body}"
    seconds = [read_mark(one).get("training_seconds", 0) for one in finished]
    body += f"\n{len(finished)} trainings, {sum(seconds) / 3600:.1f} h together.\n"
    drawn = ALL if len(matrix.sets) > 1 else matrix.sets[0]
    if draw(folder / "results.json", drawn, folder / "tradeoff.png"):
        body += f"\n![Trade-off](results/{title}/tradeoff.png)\n"
    page = output.read_text(encoding="utf-8") if output.exists() else ""
    page = put_section(page, title, section(matrix, title, command, body))
    write_atomic(output, page)
    print(body)


def run(args: argparse.Namespace, command: str) -> int:
    """Run a matrix; return the exit status.

    Raises:
        ConfigError: the matrix file or a configuration is wrong.
        DataError: an experiment was made with other settings.
        StepFailed: data or statistics were not made.
    """
    matrix = read_matrix(args.matrix)
    if args.sets:
        matrix = dataclasses.replace(matrix, sets=args.sets.split())
    recipe = Recipe(args.command, args.asr_args, matrix.sets)
    seeds = matrix.seeds
    if args.seeds is not None:
        words = args.seeds.split()
        seeds = [int(word) if word.isdecimal() else word for word in words]
        check_seeds("--seeds", seeds)
    experiments = plan(matrix, recipe.expdir, seeds, args.from_scratch)
    if args.systems:
        wanted = args.systems.split()
        for name in wanted:
            if name not in matrix.systems:
                raise ConfigError(
                    f"--systems {name}: {args.matrix} has {', '.join(matrix.systems)}"
                )
        experiments = [one for one in experiments if one.system in [*wanted, "parent"]]
    check_marks(experiments, recipe)
    runner = Runner(recipe, gpus(recipe))
    if not all("trained" in read_mark(one).get("done", []) for one in experiments):
        check_configs(experiments)
        runner.prepare(experiments[0])
    failed = run_all(runner, experiments, args.jobs)
    title = matrix.name + ("_scratch" if args.from_scratch else "")
    write_results(matrix, title, experiments, failed, args.output, command)
    for name, why in failed.items():
        print(f"not finished: {name}: {why}", file=sys.stderr)
    return int(bool(failed))


def _end(number: int, frame: Any) -> None:
    raise SystemExit(128 + number)


def main(cmd: Sequence[str] | None = None) -> int:
    """Run a matrix; return 1 and say what is wrong where something is.

    Args:
        cmd: Arguments as on the command line; None: those of this process.
    """
    words = list(sys.argv[1:] if cmd is None else cmd)
    args = get_parser().parse_args(words)
    command = shown("utils/run_matrix.sh " + shlex.join(words))
    before = signal.signal(signal.SIGTERM, _end)
    try:
        return run(args, command)
    except (ConfigError, DataError, StepFailed) as error:
        print(f"run_matrix.sh: error: {error}", file=sys.stderr)
        return 1
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    sys.exit(main())
