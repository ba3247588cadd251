"""A tiny corpus and a recipe's folder around it."""

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import tiny_corpus
from matrix_fakes import matrix_folder, run_matrix  # noqa: F401, fixtures

REPOSITORY = Path(__file__).parents[2]
TEMPLATE = REPOSITORY / "egs/TEMPLATE/asr1"
UTTERANCES = {"amy-1": ["ab", "ba"], "amy-2": ["cab"], "bob-1": ["b", "b", "ab"]}


@pytest.fixture
def data_dir(tmp_path):
    """Return a sound data directory of three utterances."""
    tiny_corpus.write_set(tmp_path / "data/train", tmp_path / "audio", UTTERANCES)
    return tmp_path / "data/train"


def make_recipe(folder):
    """Make a recipe's folder, linked to the template, without data."""
    (folder / "local").mkdir(parents=True)
    for name in ("asr.sh", "path.sh", "cmd.sh", "utils"):
        (folder / name).symlink_to(TEMPLATE / name)
    data_sh = folder / "local/data.sh"
    data_sh.write_text(
        "#!/usr/bin/env bash\nset -euo pipefail\n"
        f"'{sys.executable}' '{Path(tiny_corpus.__file__)}' data\n"
    )
    data_sh.chmod(0o755)


def run_asr_sh(recipe, *options, check=False):
    """Run a recipe's asr.sh on the tiny corpus with further options."""
    command = [
        "./asr.sh",
        *("--train_set", "train", "--valid_set", "valid", "--test_sets", "test"),
        *("--python", sys.executable, "--ngpu", "0", "--nj", "2", "--lang", "en"),
        *("--token_type", "char", *options),
    ]
    result = subprocess.run(
        command,
        cwd=recipe,
        capture_output=True,
        text=True,
        env={**os.environ, "cmd_backend": "local", "OMP_NUM_THREADS": "1"},
        timeout=300,
    )
    if check:
        assert result.returncode == 0, result.stdout + result.stderr
    return result


@pytest.fixture
def recipe(tmp_path):
    """Return a recipe's folder without data."""
    make_recipe(tmp_path / "recipe")
    return tmp_path / "recipe"


@pytest.fixture
def asr_sh(recipe):
    """Return a function that runs the recipe's asr.sh with further options."""
    return functools.partial(run_asr_sh, recipe)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """Return a recipe's folder after the data stages, for copies only."""
    folder = tmp_path_factory.mktemp("prepared") / "recipe"
    make_recipe(folder)
    run_asr_sh(folder, "--stop_stage", "5", check=True)
    return folder


@pytest.fixture
def with_data(recipe, prepared):
    """Give the recipe what the data stages made."""
    for name in ("data", "dump"):
        shutil.copytree(prepared / name, recipe / name)
