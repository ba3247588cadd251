"""Systems of a matrix that are taught where to wait before they are fine-tuned."""

import ast
import sys

import pytest
import yaml
from matrix_fakes import folder_of

from espnet_dynlook.recipe import matrix_run

TEACHER = """
import sys
from pathlib import Path
print(sys.argv[1:], file=open("taught", "a"))
output = Path(sys.argv[sys.argv.index("--output") + 1])
output.write_text(f"taught for {output.parent}")
"""


def with_taught_system(matrix_folder, monkeypatch, teach):
    """Add a system with a taught start; return the file that its teacher writes to."""
    (matrix_folder / "teach.py").write_text(TEACHER)
    (matrix_folder / "taught").write_text("")
    monkeypatch.setattr(matrix_run, "TEACH", [sys.executable, "teach.py"])
    config = yaml.safe_load((matrix_folder / "conf/matrix.yaml").read_text())
    config["systems"]["taught"] = {
        "encoder_conf": {"lookahead": "dynamic"},
        "teach": teach,
    }
    (matrix_folder / "conf/matrix.yaml").write_text(
        yaml.safe_dump(config, sort_keys=False)
    )
    return matrix_folder / "taught"


def test_taught_system_starts_from_what_was_taught(
    run_matrix, matrix_folder, monkeypatch
):
    log = with_taught_system(matrix_folder, monkeypatch, {"latency_target": 90})
    calls = run_matrix("--seeds", "1", "--systems", "causal taught")
    starts = {folder_of(c): c for c in calls if "--pretrained_model" in c}
    own = starts["taught_seed1"].split("--pretrained_model ")[1].split()[0]
    assert (matrix_folder / own).read_text() == "taught for exp/matrix/taught"
    parent = "exp/matrix/parent_seed1/valid.loss.ave.pth"
    assert f"--pretrained_model {parent}" in starts["causal_seed1"]
    arguments = ast.literal_eval(log.read_text())
    options = dict(zip(arguments[::2], arguments[1::2], strict=True))
    assert options["--latency_target"] == "90" and options["--output"] == own
    assert options["--data_dir"] == "dump/raw/train"
    assert options["--asr_model_file"] == parent
    config = (matrix_folder / "exp/matrix/taught_seed1/matrix.yaml").read_text()
    assert "teach" not in config
    assert not run_matrix("--seeds", "1", "--systems", "causal taught")
    assert len(log.read_text().splitlines()) == 1


def test_systems_of_other_losses_are_taught_once(
    run_matrix, matrix_folder, monkeypatch
):
    log = with_taught_system(matrix_folder, monkeypatch, {"latency_target": 90})
    config = yaml.safe_load((matrix_folder / "conf/matrix.yaml").read_text())
    taught = config["systems"]["taught"]
    penalty = {"model": "dynlook", "model_conf": {"latency_loss": "excess"}}
    shared = {"encoder_conf": {**taught["encoder_conf"], "share_wait": True}}
    config["systems"] |= {"other_loss": {**taught, **penalty}}
    config["systems"] |= {"other_scheduler": {**taught, **shared}}
    (matrix_folder / "conf/matrix.yaml").write_text(
        yaml.safe_dump(config, sort_keys=False)
    )
    systems = "taught other_loss other_scheduler"
    calls = run_matrix("--systems", systems, "--jobs", "4")
    start = {
        folder_of(c): c.split("--pretrained_model ")[1].split()[0]
        for c in calls
        if "/taught/" in c
    }
    assert len(start) == 6 and len(log.read_text().splitlines()) == 4
    assert start["taught_seed1"] == start["other_loss_seed1"]
    others = {"taught_seed2", "other_scheduler_seed1"}
    assert start["taught_seed1"] not in {start[name] for name in others}


def test_other_lessons_are_other_settings(run_matrix, matrix_folder, monkeypatch):
    with_taught_system(matrix_folder, monkeypatch, {"latency_target": 90})
    run_matrix("--seeds", "1", "--systems", "taught")
    with_taught_system(matrix_folder, monkeypatch, {"latency_target": 60})
    run_matrix("--seeds", "1", "--systems", "taught", code=1)
    assert "latency_target: 90 before, 60 now" in run_matrix.err


@pytest.mark.parametrize("teach", [{}, {"epochs": 3}, {"latency_target": 9, "lr": 1}])
def test_lessons_without_a_target_or_with_unknown_keys_stop(
    run_matrix, matrix_folder, monkeypatch, teach
):
    with_taught_system(matrix_folder, monkeypatch, teach or {"epochs": 1})
    run_matrix("--seeds", "1", code=1)
    assert "options of asr_teach: latency_target" in run_matrix.err


def test_taught_system_needs_a_parent(run_matrix, matrix_folder, monkeypatch):
    with_taught_system(matrix_folder, monkeypatch, {"latency_target": 90})
    run_matrix("--from_scratch", "true", code=1)
    assert "teach needs the parent" in run_matrix.err
