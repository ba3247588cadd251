"""A copy of a recipe's folder whose models are small, and a run of it."""

import os
import subprocess
import sys

import yaml


def link_recipe(source, folder, script, configs):
    """Link a recipe into a folder, with configurations that extend its own.

    Args:
        source: The recipe.
        folder: Is made.
        script: Its ``run.sh``.
        configs: Of each file of ``conf``, the keys that are changed.
    """
    (folder / "conf").mkdir(parents=True, exist_ok=True)
    greedy = "conf/decode_ctc_greedy.yaml"
    for name in ("asr.sh", "cmd.sh", "path.sh", script, "utils", "local", greedy):
        (folder / name).symlink_to(source / name)
    for name, keys in configs.items():
        content = {"base": str(source / "conf" / name)} | keys
        (folder / "conf" / name).write_text(yaml.safe_dump(content))


def run_recipe(folder, script, *options):
    """Run a recipe on this machine; return what it printed."""
    done = subprocess.run(
        [
            *(f"./{script}", "--python", sys.executable, "--ngpu", "0"),
            *("--inference_nj", "1", *options),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        env=os.environ | {"cmd_backend": "local"},
        timeout=900,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
    return done.stdout
