"""A matrix through the real driver: parent, fine-tuning, evaluation, page."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.recipe

SMALL = {
    "frontend_conf": {"n_fft": 256, "hop_length": 160, "n_mels": 20},
    "encoder": "dynlook_conformer",
    "encoder_conf": {
        "output_size": 16,
        "attention_heads": 2,
        "linear_units": 24,
        "num_blocks": 2,
        "rel_pos_type": "latest",
        "cnn_module_kernel": 5,
        "lookahead": "random",
        "lookahead_frames": 4,
    },
    "model_conf": {"ctc_weight": 1.0},
    "batch_type": "sorted",
    "batch_size": 8,
    "max_epoch": 2,
    "optim": "adam",
    "optim_conf": {"lr": 0.005},
    "best_model_criterion": [["valid", "loss", "min"]],
    "num_att_plot": 0,
    "num_workers": 0,
}
MATRIX = {
    "corpus": "beeps",
    "sets": ["test"],
    "seeds": [1],
    "parent": {"config": "conf/train_asr_random.yaml", "evaluate": ["causal", "full"]},
    "fine_tuning": {"max_epoch": 3},
    "systems": {
        "dynamic": {
            # In so few steps, nothing learned decides.
            "encoder_conf": {
                "lookahead": "dynamic",
                "scheduler_lr_factor": 1e-4,
                "scheduler_anneal": 0.5,  # of three epochs, the last
            },
            "model": "dynlook",
            "model_conf": {"latency_loss": "relative"},
        },
    },
}


def test_learned_lookahead_is_fine_tuned_from_a_parent(recipe, with_data):
    conf = recipe / "conf"
    conf.mkdir()
    (conf / "train_asr_random.yaml").write_text(yaml.safe_dump(SMALL))
    (conf / "matrix.yaml").write_text(yaml.safe_dump(MATRIX, sort_keys=False))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = [
        *("utils/run_matrix.sh", "--matrix", "conf/matrix.yaml", "--", "./asr.sh"),
        *("--train_set", "train", "--valid_set", "valid", "--test_sets", "test"),
        *("--python", sys.executable, "--ngpu", "0", "--nj", "2", "--lang", "en"),
        *("--token_type", "char", "--skip_data_prep", "true"),
    ]

    def run():
        done = subprocess.run(
            command,
            cwd=recipe,
            capture_output=True,
            text=True,
            timeout=900,
            env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    said = run()
    assert "dynamic seed 1: trained" in said
    rows = json.loads((recipe / "results/matrix/results.json").read_text())
    kinds = {row["system"]: row["kind"] for row in rows}
    assert kinds == {
        "parent, causal": "causal",
        "parent, full": "full",
        "dynamic": "dynamic",
    }
    by_system = {row["system"]: row for row in rows}
    assert by_system["dynamic"]["soft_gap"] is not None
    assert by_system["parent, full"]["soft_gap"] is None
    waits = [by_system[f"parent, {x}"]["latency_mean_ms"] for x in ("causal", "full")]
    assert waits[0] <= by_system["dynamic"]["latency_mean_ms"] <= waits[1]
    assert all(row["loss_per_token"] > 0 for row in rows)
    log = (recipe / "exp/matrix/dynamic_seed1/train.log").read_text()
    assert "parent_seed1/valid.loss.ave.pth" in log
    assert (recipe / "RESULTS.md").exists()
    assert "trained" not in run()  # nothing is left to do


def test_wrapper_says_how_to_use_it(recipe):
    done = subprocess.run(
        ["utils/run_matrix.sh", "--help"],
        cwd=recipe,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        },
    )
    assert done.returncode == 0
    assert "--matrix FILE" in done.stdout
