"""A matrix of experiments: what its YAML file says, and the experiments that follow.

A system is a configuration, as one would write it in a file: ``base:`` and keys; or,
without ``base:``, the parent's with these keys laid over it. All are fine-tuned from
one parent a seed, with equal budgets; or, from scratch, trained for the epochs of both.
With ``teach:`` (options of ``asr_teach``, such as latency_target) a system starts from
the parent with its scheduler taught.
"""

import difflib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from espnet_dynlook.config import ConfigError, resolve

#: Keys of the file: type, and what is in it.
KEYS: dict[str, tuple[type, str]] = {
    "corpus": (str, "name of the corpus, for the tables"),
    "sets": (list, "sets to evaluate, below the recipe's dump/raw"),
    "seeds": (list, "seeds of the trainings"),
    "parent": (dict, "config: FILE, keys: laid over it, evaluate: kinds of lookahead"),
    "fine_tuning": (dict, "keys of a configuration, laid over every system's"),
    "systems": (dict, "name: keys of a configuration, maybe base: FILE, teach: {...}"),
    "reference": (str, "the system that the others are compared with"),
    "folder": (str, "name of another matrix file, to share parents and systems with"),
}
REQUIRED = ("corpus", "sets", "parent", "systems")
#: Keys of ``parent``: type, and what is in it.
PARENT_KEYS: dict[str, tuple[type, str]] = {
    "config": (str, "FILE, the configuration of the parent"),
    "keys": (dict, "keys of a configuration, laid over it"),
    "evaluate": (list, 'kinds of lookahead, such as [causal, "chunked:7", full]'),
}
#: Options of asr_teach that a system's ``teach`` may have; the first it must have.
TEACH_KEYS = ("latency_target", "utterances", "epochs")
PARENT = "parent"


@dataclass(frozen=True)
class Matrix:
    """What a matrix file says.

    Attributes:
        path: The file; relative names in it start from the recipe's folder.
        corpus: For the tables.
        sets: To evaluate.
        seeds: Of the trainings.
        parent: Configuration file of the parent.
        parent_keys: Laid over it.
        parent_kinds: Kinds of lookahead under which the parent is evaluated.
        fine_tuning: Keys laid over every system.
        systems: Keys of each, maybe with ``base``.
        reference: Name of the system that the others are compared with.
        folder: Of the experiments, below the recipe's.
    """

    path: Path
    corpus: str
    sets: list[str]
    seeds: list[int]
    parent: Path
    parent_keys: dict[str, Any]
    parent_kinds: list[str]
    fine_tuning: dict[str, Any]
    systems: dict[str, dict[str, Any]]
    reference: str
    folder: str

    @property
    def name(self) -> str:
        """Name of the matrix: the file's stem."""
        return self.path.stem


@dataclass(frozen=True)
class Experiment:
    """One training and its evaluation.

    Attributes:
        system: Name of the system, or "parent".
        seed: Of the training.
        folder: Of the experiment.
        base: Configuration file below its own.
        keys: Laid over it.
        start: The experiment whose checkpoint it starts from, or None.
        kinds: Kinds of lookahead to evaluate under; none: its own.
        teach: Options of asr_teach, for a taught start; none: the checkpoint as it is.
    """

    system: str
    seed: int
    folder: Path
    base: Path
    keys: dict[str, Any]
    start: "Experiment | None" = None
    kinds: list[str] = field(default_factory=list)
    teach: dict[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Name for messages."""
        return f"{self.system} seed {self.seed}"

    def config(self) -> dict[str, Any]:
        """Return the whole configuration.

        Raises:
            ConfigError: a file is missing or is no configuration.
        """
        return merge(resolve(self.base), self.keys)

    def config_text(self, folder: Path) -> str:
        """Return the text of its configuration file, a small diff on ``base``.

        Args:
            folder: Where the file will be.
        """
        base = os.path.relpath(self.base, folder)
        content = {"base": base, **self.keys}
        return f"# {self.title}, written by a matrix.\n" + yaml.safe_dump(
            content, sort_keys=False, allow_unicode=True
        )

    def checkpoint(self) -> Path:
        """Return the averaged checkpoint: of the first criterion for the best model."""
        phase, statistic, _ = criterion(self.config())
        return self.folder / f"{phase}.{statistic}.ave.pth"


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Lay keys over a configuration, mappings at every depth."""
    merged = dict(base)
    for key, value in changes.items():
        before = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(before, Mapping)
        merged[key] = merge(before, value) if both else value  # type: ignore[arg-type]
    return merged


def criterion(config: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return the first of ``best_model_criterion``: phase, statistic, min or max.

    Raises:
        ConfigError: the configuration names none.
    """
    criteria = config.get("best_model_criterion")
    try:
        phase, statistic, mode = criteria[0]  # type: ignore[index]
    except (TypeError, ValueError, IndexError, KeyError):
        raise ConfigError(
            f"best_model_criterion: {criteria!r} has to say which checkpoints are "
            "averaged, such as [[valid, loss, min]]"
        ) from None
    return str(phase), str(statistic), str(mode)


def read_matrix(path: Path) -> Matrix:
    """Read a matrix file.

    Raises:
        ConfigError: a key is missing, unknown or of the wrong kind.
    """
    content = resolve(path)
    for key, value in content.items():
        if key not in KEYS:
            near = difflib.get_close_matches(str(key), KEYS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"{path}: unknown key {key!r}{hint}")
        kind, meaning = KEYS[key]
        if not isinstance(value, kind):
            raise ConfigError(f"{path}: {key}: {value!r} has to be {meaning}")
    for key in REQUIRED:
        if not content.get(key):
            raise ConfigError(f"{path}: {key} is missing: {KEYS[key][1]}")
    parent, seeds = content["parent"], content.get("seeds", [1, 2, 3])
    _check_parent(f"{path}: parent", parent)
    check_seeds(f"{path}: seeds", seeds)
    systems = {
        name: {} if keys is None else keys for name, keys in content["systems"].items()
    }
    for name, keys in systems.items():
        _check_system(f"{path}: systems: {name}", name, keys)
    reference = content.get("reference", next(iter(systems)))
    if reference not in systems:
        raise ConfigError(
            f"{path}: reference: {reference!r} is not one of {', '.join(systems)}"
        )
    return Matrix(
        path=path,
        corpus=content["corpus"],
        sets=[str(name) for name in content["sets"]],
        seeds=seeds,
        parent=Path(parent["config"]),
        parent_keys=parent.get("keys") or {},
        parent_kinds=[str(kind) for kind in parent.get("evaluate") or []],
        fine_tuning=content.get("fine_tuning", {}),
        systems=systems,
        reference=reference,
        folder=content.get("folder", path.stem),
    )


def _check_parent(where: str, parent: Mapping[str, Any]) -> None:
    if any(key not in PARENT_KEYS for key in parent) or "config" not in parent:
        raise ConfigError(f"{where}: {parent!r} has to be {KEYS['parent'][1]}")
    for key, value in parent.items():
        kind, meaning = PARENT_KEYS[key]
        empty = value is None and key != "config"
        if not empty and not isinstance(value, kind):
            raise ConfigError(f"{where}: {key}: {value!r} has to be {meaning}")


def check_seeds(where: str, seeds: Sequence[Any]) -> None:
    """Refuse what are no seeds, or has one twice.

    Args:
        where: Who gives them, for messages.
        seeds: As given.

    Raises:
        ConfigError: says which.
    """
    # By type: for Python, true is a whole number.
    if not seeds or not all(type(seed) is int and seed >= 0 for seed in seeds):
        raise ConfigError(
            f"{where}: {seeds!r} has to be whole numbers from 0, such as [1, 2, 3]"
        )
    twice = sorted({seed for seed in seeds if seeds.count(seed) > 1})
    if twice:
        raise ConfigError(
            f"{where}: {seeds!r} has {', '.join(map(str, twice))} more than once, "
            "which would be trained in one folder: give each seed once"
        )


def _check_system(where: str, name: Any, keys: Any) -> None:
    if not isinstance(name, str) or name == PARENT or not isinstance(keys, dict):
        raise ConfigError(
            f"{where}: {keys!r}: a system has a name, in words, other than {PARENT}, "
            "and keys of a configuration"
        )
    if not isinstance(keys.get("base", ""), str):
        raise ConfigError(f"{where}: base: {keys['base']!r} has to be a FILE")
    _check_teach(f"{where}: teach", keys.get("teach"))


def _check_teach(where: str, teach: Any) -> None:
    if teach is None:
        return
    known = isinstance(teach, dict) and all(key in TEACH_KEYS for key in teach)
    if not known or TEACH_KEYS[0] not in teach:
        raise ConfigError(
            f"{where}: {teach!r} has to be options of asr_teach: "
            f"{', '.join(TEACH_KEYS)}, of which {TEACH_KEYS[0]} is needed, such as "
            "{latency_target: 105}"
        )
    target, *counts = (teach.get(key) for key in TEACH_KEYS)
    if type(target) not in (int, float) or not 0 < target < math.inf:
        raise ConfigError(
            f"{where}: {TEACH_KEYS[0]}: {target!r} has to be a mean latency in ms, "
            "above 0, such as 105"
        )
    for key, count in zip(TEACH_KEYS[1:], counts, strict=True):
        if key in teach and (type(count) is not int or count < 1):
            raise ConfigError(
                f"{where}: {key}: {count!r} has to be a whole number from 1"
            )


def plan(
    matrix: Matrix, expdir: Path, seeds: Sequence[int], from_scratch: bool = False
) -> list[Experiment]:
    """Return the experiments, a parent before the systems that start from it.

    Args:
        matrix: What to compare.
        expdir: The recipe's folder of experiments.
        seeds: Of the trainings.
        from_scratch: Train every system for the epochs of parent and fine-tuning
            together, with the parent's other keys.

    Raises:
        ConfigError: a configuration is missing, or has no ``max_epoch`` to add up.
    """
    folder = expdir / (matrix.folder + ("_scratch" if from_scratch else ""))
    experiments = []
    for seed in seeds:
        parent = None
        if not from_scratch:
            parent = Experiment(
                PARENT,
                seed,
                folder / f"{PARENT}_seed{seed}",
                matrix.parent,
                {**matrix.parent_keys, "seed": seed},
                kinds=matrix.parent_kinds,
            )
            experiments.append(parent)
        shared = _from_scratch_keys(matrix) if from_scratch else matrix.fine_tuning
        for name, system in matrix.systems.items():
            base = Path(system.get("base", matrix.parent))
            # A system with a base of its own has nothing of the parent's.
            inherited = {} if "base" in system else matrix.parent_keys
            keys = merge(merge(inherited, shared), system)
            keys.pop("base", None)
            teach = keys.pop("teach", None) or {}
            if teach and parent is None:
                raise ConfigError(
                    f"{matrix.path}: systems: {name}: teach needs the parent, which "
                    "there is none of from scratch: leave the system out (--systems)"
                )
            own = folder / f"{name}_seed{seed}"
            keys = {**keys, "seed": seed}
            experiments.append(
                Experiment(name, seed, own, base, keys, parent, teach=teach)
            )
    return experiments


def _from_scratch_keys(matrix: Matrix) -> dict[str, Any]:
    parent = merge(resolve(matrix.parent), matrix.parent_keys)
    epochs = [keys.get("max_epoch") for keys in (parent, matrix.fine_tuning)]
    if not all(isinstance(number, int) for number in epochs):
        raise ConfigError(
            f"{matrix.path}: from scratch, a system gets the epochs of parent and fine-"
            f"tuning together, and max_epoch is {epochs[0]} and {epochs[1]}: set both"
        )
    return {"max_epoch": sum(epochs)}
