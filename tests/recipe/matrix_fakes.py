"""A matrix with recorders in place of training, teaching and evaluation."""

import sys
from pathlib import Path

import pytest
import yaml

from espnet_dynlook.recipe import matrix, matrix_run

DRAW = matrix.draw
# Stands for run.sh: writes down its arguments and, for stage 11, a trained folder.
RECORDER = """#!/usr/bin/env bash
line=$(printf '%s ' "$@"); echo "${line}" >>calls # one write: two may run at a time
exp=
while [ $# -gt 1 ]; do
    case "$1" in --asr_exp) exp=$2 ;; --asr_config) config=$2 ;; esac
    shift
done
if [ -z "${exp}" ]; then
    for set in train easy hard; do
        mkdir -p "dump/raw/${set}" && : >"dump/raw/${set}/text"
    done
    exit 0
fi
case "${exp}" in *${FAIL:-nothing}*) echo no luck; exit 1 ;; esac
echo 'train_data_path_and_name_and_type: [[dump/raw/train/wav.scp, speech, sound]]' \\
    >"${exp}/config.yaml"
: >"${exp}/valid.loss.ave.pth"
"""
# Stands for asr_evaluate: the loss of a system is in LOSSES, by words in its folder.
EVALUATOR = """
import json, sys
from pathlib import Path
print(sys.argv[1:], file=open("evaluations", "a"))
def values(name):
    at = sys.argv.index(name) + 1 if name in sys.argv else len(sys.argv)
    end = next((n for n in range(at, len(sys.argv)) if sys.argv[n][:2] == "--"),
               len(sys.argv))
    return sys.argv[at:end]
(out,) = values("--output_dir")
for kind in values("--override") or [""]:
    for data in values("--data_dir"):
        folder = Path(out, kind.replace(":", "_"), Path(data).name)
        folder.mkdir(parents=True)
        loss = 3.0 if "causal" in str(folder) else 1.0
        rows = [
            dict(utt=f"u{n}", speaker=f"s{n % 3}", tokens=10, words=4, characters=10,
                 loss=10 * loss + n % 2, loss_soft=None, upl_ms=None, errors=n % 2,
                 character_errors=1, frames=2, token_delays_ms=[100.0, 200.0])
            for n in range(6)
        ]
        (folder / "utterances.jsonl").write_text("\\n".join(map(json.dumps, rows)))
        (folder / "lookahead_ms").write_text("u0 40 80\\nu1 120 40\\n")
        (folder / "result.json").write_text(json.dumps({"kind": kind or "chunked"}))
"""
SMALL = {
    "encoder": "dynlook_conformer",
    "encoder_conf": {"rel_pos_type": "latest", "lookahead": "random"},
    "best_model_criterion": [["valid", "loss", "min"]],
    "max_epoch": 30,
}
SMALL["encoder_conf"]["lookahead_frames"] = 4
MATRIX = {
    "corpus": "beeps",
    "sets": ["easy", "hard"],
    "seeds": [1, 2],
    "parent": {"config": "conf/train_asr_random.yaml", "evaluate": ["causal", "full"]},
    "fine_tuning": {"max_epoch": 10},
    "systems": {
        "causal": {"encoder_conf": {"lookahead": "causal"}},
        "chunked": {"encoder_conf": {"lookahead": "chunked"}},
        "full": {"encoder_conf": {"lookahead": "full"}},
    },
    "reference": "chunked",
}


@pytest.fixture
def matrix_folder(tmp_path, monkeypatch):
    """Return a recipe's folder, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/train_asr_random.yaml").write_text(yaml.safe_dump(SMALL))
    (tmp_path / "conf/matrix.yaml").write_text(yaml.safe_dump(MATRIX, sort_keys=False))
    (tmp_path / "run.sh").write_text(RECORDER)
    (tmp_path / "run.sh").chmod(0o755)
    (tmp_path / "evaluate.py").write_text(EVALUATOR)
    monkeypatch.setattr(matrix_run, "EVALUATE", [sys.executable, "evaluate.py"])
    monkeypatch.setattr(matrix, "draw", lambda *args: False)  # takes seconds
    return tmp_path


@pytest.fixture
def run_matrix(matrix_folder, capsys):
    """Return a function that runs the matrix; it returns the calls of run.sh."""

    def start(*options, command=(), code=0):
        (matrix_folder / "calls").write_text("")
        (matrix_folder / "evaluations").write_text("")
        words = ["--matrix", "conf/matrix.yaml", *options, "--", "./run.sh", *command]
        found = matrix.main(words)
        captured = capsys.readouterr()
        start.err, start.out = captured.err, captured.out
        assert found == code, captured
        return (matrix_folder / "calls").read_text().splitlines()

    return start


def folder_of(call):
    return Path(call.split("--asr_exp ")[1].split()[0]).name
