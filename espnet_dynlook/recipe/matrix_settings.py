"""What the results of a matrix's experiments depend on, and the marks that say so.

An experiment's folder has a mark, ``matrix.json``: the settings it was made with and
what is done. With other settings the matrix stops.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet_dynlook.recipe.data_dir import DataError
from espnet_dynlook.recipe.matrix_plan import Experiment

MARK = "matrix.json"
#: Options of a recipe that have no influence on results; each has a value.
WITHOUT_INFLUENCE = ("--expdir", "--nj", "--inference_nj", "--ngpu", "--num_nodes")


@dataclass
class Recipe:
    """A recipe's command and what follows from it.

    Attributes:
        command: Such as ["./run.sh", "--data", "DIR"].
        asr_args: Further arguments of every training.
        sets: To evaluate; they lie beside the training set.
    """

    command: list[str]
    asr_args: str
    sets: list[str]

    def option(self, name: str, default: str) -> str:
        """Return the value of an option in the command; the last one counts."""
        value = default
        for word, following in zip(self.command, [*self.command[1:], ""], strict=True):
            if word == name:
                value = following
            elif word.startswith(f"{name}="):
                value = word.split("=", 1)[1]
        return value

    @property
    def expdir(self) -> Path:
        """Folder of the experiments."""
        return Path(self.option("--expdir", "exp"))

    def has_sets(self) -> bool:
        """Say whether the sets are formatted: below raw, or extracted features."""
        dump = Path(self.option("--dumpdir", "dump"))
        return all(any(dump.glob(f"*/{name}/text")) for name in self.sets)

    def settings(self) -> str:
        """Return the command without what has no influence, for comparison."""
        words, skip = [], False
        for word in self.command:
            if skip or word in WITHOUT_INFLUENCE:
                skip = not skip
            elif word.split("=", 1)[0] not in WITHOUT_INFLUENCE:
                words.append(word)
        return shown(" ".join(words))


def shown(text: str) -> str:
    """Return a command as it reads on other machines, the folder with data by name."""
    folder = os.environ.get("DYNLOOK_DATA")
    return text.replace(folder.rstrip("/"), "$DYNLOOK_DATA") if folder else text


def settings_of(experiment: Experiment, recipe: Recipe) -> dict[str, Any]:
    """Return what the results of an experiment depend on, as JSON keeps it."""
    found = {
        "run command": recipe.settings(),
        "asr_args": recipe.asr_args,
        "config": experiment.config(),
        "starts from": None,
    }
    if experiment.start is not None:
        found["starts from"] = settings_of(experiment.start, recipe)
    if experiment.teach:
        found["teach"] = experiment.teach
    return json.loads(json.dumps(found, default=str))


def taught_name(experiment: Experiment, recipe: Recipe) -> str:
    """Return the name of what teaching gives: a digest of what it depends on.

    Args:
        experiment: With ``teach``. Its losses and its training have no influence.
        recipe: Whose data.
    """
    settings = settings_of(experiment, recipe)
    parts = ("run command", "starts from", "teach")
    depends = {part: settings[part] for part in parts}
    depends["encoder"] = {
        key: settings["config"].get(key) for key in ("encoder", "encoder_conf", "seed")
    }
    text = json.dumps(depends, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_mark(experiment: Experiment) -> dict[str, Any]:
    """Return the mark of an experiment; {} where there is none."""
    try:
        return json.loads((experiment.folder / MARK).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}


def differences(before: Any, now: Any, name: str = "") -> list[str]:
    """Return what differs between two settings, one a line."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        lines = []
        for key in dict.fromkeys([*before, *now]):
            below = f"{name}: {key}" if name else key
            lines += differences(before.get(key), now.get(key), below)
        return lines
    return [] if before == now else [f"{name}: {before!r} before, {now!r} now"]


def check_marks(experiments: Sequence[Experiment], recipe: Recipe) -> None:
    """Stop where an experiment was made with other settings, before any work.

    Raises:
        DataError: lists every such experiment and what differs.
        ConfigError: a configuration is missing.
    """
    faults = []
    for experiment in experiments:
        now = settings_of(experiment, recipe)
        mark = read_mark(experiment)
        for line in differences(mark["settings"], now) if mark else []:
            faults.append(f"{experiment.folder} was made with other settings: {line}")
    if faults:
        hint = "remove the folder, or keep it and rename the system or the matrix file"
        raise DataError([*faults, hint])
