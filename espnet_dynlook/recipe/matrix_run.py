"""Run the experiments of a matrix: in parallel, and on from where they stopped.

Work that the mark of an experiment calls done is left alone.
"""

import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from espnet_dynlook.recipe.matrix_plan import PARENT, Experiment
from espnet_dynlook.recipe.matrix_settings import (
    MARK,
    Recipe,
    read_mark,
    settings_of,
    taught_name,
)
from espnet_dynlook.recipe.whole_files import write_atomic

TEACH = [sys.executable, "-m", "espnet_dynlook.bin.asr_teach"]
EVALUATE = [sys.executable, "-m", "espnet_dynlook.bin.asr_evaluate"]
TAIL = 20


class StepFailed(Exception):
    """A step of an experiment failed; says which log to read."""


@dataclass
class Runner:
    """Runs experiments.

    Attributes:
        recipe: Whose data and training.
        ngpu: For the evaluation.
        say: Called with a line for the user.
        processes: Running now; their groups end with the matrix.
        stopping: Whether they were told to end.
        teaching: Held while a checkpoint of that name is taught.
    """

    recipe: Recipe
    ngpu: int = 0
    say: Callable[[str], None] = print
    processes: set[subprocess.Popen] = field(default_factory=set)
    stopping: bool = False
    teaching: dict[str, threading.Lock] = field(default_factory=dict)

    def prepare(self, experiment: Experiment) -> None:
        """Make data, tokens and statistics, unless the sets and a mark are there.

        Args:
            experiment: Whose front end the statistics are of.

        Raises:
            StepFailed: a stage failed.
        """
        mark = experiment.folder.parent / "prepared.json"
        settings = json.dumps(self.recipe.settings()) + "\n"
        done = mark.exists() and mark.read_text(encoding="utf-8") == settings
        if done and self.recipe.has_sets():
            return
        self.say("data, tokens and statistics: stages 1 to 10")
        config = experiment.folder.parent / "prepare.yaml"
        write_atomic(config, experiment.config_text(config.parent))
        self._run(
            [
                *self.recipe.command,
                *("--stage", "1", "--stop_stage", "10", "--asr_config", str(config)),
            ],
            experiment.folder.parent / "prepare.log",
        )
        write_atomic(mark, settings)

    def run(self, experiment: Experiment, alignment: Path | None) -> None:
        """Train and evaluate one experiment, or what is left of it.

        Args:
            experiment: What to do.
            alignment: Folder of ``SET.ctm`` for token delays; the experiment writes
                them itself where it is in its own folder.

        Raises:
            StepFailed: the training or the evaluation failed.
        """
        mark = read_mark(experiment) or {
            "settings": settings_of(experiment, self.recipe),
            "done": [],
        }
        self._mark(experiment, mark)
        if "trained" not in mark["done"]:
            seconds = self._train(experiment)
            mark["done"].append("trained")
            mark["training_seconds"] = round(seconds)
            self._mark(experiment, mark)
            self.say(f"{experiment.title}: trained in {seconds:.0f} s")
        missing = [
            name
            for name in self.recipe.sets
            if not all((f / name / "result.json").exists() for f in folders(experiment))
        ]
        if missing:
            self._evaluate(experiment, missing, alignment)
            self.say(f"{experiment.title}: evaluated on {', '.join(missing)}")

    def _train(self, experiment: Experiment) -> float:
        config = experiment.folder / "matrix.yaml"
        write_atomic(config, experiment.config_text(config.parent))
        command = [
            *self.recipe.command,
            *("--stage", "11", "--stop_stage", "11", "--asr_config", str(config)),
            *("--asr_exp", str(experiment.folder)),
        ]
        if self.recipe.asr_args:
            command += ["--asr_args", self.recipe.asr_args]
        start = time.monotonic()
        if experiment.start is not None:
            checkpoint = experiment.start.checkpoint()
            if experiment.teach:
                checkpoint = self._teach(experiment, experiment.start, config)
            command += ["--pretrained_model", str(checkpoint)]
        self._run(command, experiment.folder / "matrix.log")
        return time.monotonic() - start

    def _teach(self, experiment: Experiment, parent: Experiment, config: Path) -> Path:
        """Return the parent's checkpoint with the scheduler taught.

        Systems that differ in their losses only share it.
        """
        name = taught_name(experiment, self.recipe)
        taught = experiment.folder.parent / "taught" / f"{name}.pth"
        with self.teaching.setdefault(name, threading.Lock()):
            if not taught.exists():
                self._teach_into(taught, experiment, parent, config)
        return taught

    def _teach_into(
        self, taught: Path, experiment: Experiment, parent: Experiment, config: Path
    ) -> None:
        trained = parent.folder / "config.yaml"
        data = yaml.safe_load(trained.read_text(encoding="utf-8"))
        options = {
            "config": config,
            "asr_train_config": trained,
            "asr_model_file": parent.checkpoint(),
            "data_dir": Path(data["train_data_path_and_name_and_type"][0][0]).parent,
            "output": taught,
            "seed": experiment.seed,
            "ngpu": self.ngpu,
            **experiment.teach,
        }
        words = [word for k, v in options.items() for word in (f"--{k}", str(v))]
        self._run([*TEACH, *words], taught.with_suffix(".log"))

    def _evaluate(
        self, experiment: Experiment, sets: Sequence[str], alignment: Path | None
    ) -> None:
        config = experiment.folder / "config.yaml"
        trained = yaml.safe_load(config.read_text(encoding="utf-8"))
        data = Path(trained["train_data_path_and_name_and_type"][0][0]).parent.parent
        command = [
            *EVALUATE,
            *("--asr_train_config", f"{config}"),
            *("--asr_model_file", f"{experiment.checkpoint()}"),
            *("--data_dir", *(f"{data / name}" for name in sets)),
            *("--output_dir", f"{experiment.folder / 'evaluate'}"),
            *("--ngpu", str(self.ngpu)),
        ]
        if alignment is not None:
            own = alignment.parent == experiment.folder
            command += ["--write_alignment" if own else "--alignment", str(alignment)]
        if experiment.kinds:
            command += ["--override", *experiment.kinds]
        self._run(command, experiment.folder / "evaluate.log")

    def _mark(self, experiment: Experiment, mark: Mapping[str, Any]) -> None:
        write_atomic(experiment.folder / MARK, json.dumps(mark, indent=1) + "\n")

    def _run(self, command: Sequence[str], log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as out:
            process = subprocess.Popen(
                command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )
        self.processes.add(process)
        if self.stopping:  # began while the others were being stopped
            self.stop()
        code = process.wait()
        self.processes.discard(process)
        if code:
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            end = "\n".join(f"    {line}" for line in lines[-TAIL:])
            raise StepFailed(f"ended with status {code}, see {log}:\n{end}")

    def stop(self) -> None:
        """End what is running, with the processes that it started."""
        self.stopping = True
        for process in list(self.processes):
            try:
                os.killpg(process.pid, signal.SIGTERM)
            except ProcessLookupError:
                pass


def folders(experiment: Experiment) -> list[Path]:
    """Return the folders of an experiment's evaluations, one a kind."""
    folder = experiment.folder / "evaluate"
    return [folder / k.replace(":", "_") for k in experiment.kinds] or [folder]


def alignment_of(
    experiment: Experiment, experiments: Sequence[Experiment]
) -> Experiment | None:
    """Return the experiment whose alignment token delays are measured against.

    The parent; from scratch, the system with full lookahead of that seed, if any: a
    model that has never seen the future does not align well when it suddenly does.
    """
    if experiment.start is not None:
        return experiment.start
    if experiment.system == PARENT:
        return experiment
    for other in experiments:
        if other.seed == experiment.seed:
            conf = other.config().get("encoder_conf") or {}
            if conf.get("lookahead") == "full":
                return other
    return None


def run_all(
    runner: Runner, experiments: Sequence[Experiment], jobs: int
) -> dict[str, str]:
    """Run all experiments, each after those that it needs.

    Args:
        runner: Runs one.
        experiments: In the order in which they begin.
        jobs: How many at a time.

    Returns:
        Why, by the title of an experiment that is not finished.
    """
    pending = list(experiments)
    source = {one.title: alignment_of(one, experiments) for one in experiments}
    done: set[str] = set()
    failed: dict[str, str] = {}
    running: dict[concurrent.futures.Future, Experiment] = {}

    def needs(one: Experiment) -> list[str]:
        others = (one.start, source[one.title])
        return [o.title for o in others if o is not None and o is not one]

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        try:
            while pending or running:
                for one in list(pending):
                    broken = [name for name in needs(one) if name in failed]
                    if broken:
                        pending.remove(one)
                        failed[one.title] = f"it needs {broken[0]}, which failed"
                    elif len(running) < jobs and done.issuperset(needs(one)):
                        pending.remove(one)
                        words = source[one.title]
                        at = words.folder / "words" if words is not None else None
                        running[pool.submit(runner.run, one, at)] = one
                first = concurrent.futures.FIRST_COMPLETED
                for future in concurrent.futures.wait(running, None, first).done:
                    one = running.pop(future)
                    try:
                        future.result()
                        done.add(one.title)
                    except StepFailed as error:
                        failed[one.title] = str(error)
                        runner.say(f"{one.title}: {error}")
        except BaseException:
            runner.stop()
            raise
    return failed
