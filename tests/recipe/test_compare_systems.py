"""compare_systems.sh with a recorder in place of a recipe's run.sh."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TEMPLATE = Path(__file__).parents[2] / "egs/TEMPLATE/asr1"
# Stands for run.sh: writes down its arguments and, for stages 11 to 13, a decoded set.
RECORDER = """#!/usr/bin/env bash
line=$(printf '%s ' "$@"); echo "${line}" >>calls # one write: two may run at a time
expdir=exp
while [ $# -gt 1 ]; do
    case "$1" in
        --asr_tag) tag=$2 ;; --inference_tag) inference=$2 ;;
        --expdir) expdir=$2 ;; --expdir=*) expdir=${1#*=} ;;
    esac
    shift
done
[ -n "${tag:-}" ] || exit 0
[ "${tag}" != "${FAIL:-}" ] || { echo no luck; exit 1; }
[ "${tag}" != "${DIE:-}" ] || kill -9 ${PPID}
for unit in wer cer; do
    score="${expdir}/asr_${tag}/${inference}/test/score_${unit}"
    mkdir -p "${score}"
    printf '%s\\t(amy-%s)\\n' a 1 b 2 | tee "${score}/ref.trn" >"${score}/hyp.trn"
done
"""


@pytest.fixture
def folder(tmp_path):
    """Return a recipe's folder with two systems and the recorder."""
    for name in ("path.sh", "utils"):
        (tmp_path / name).symlink_to(TEMPLATE / name)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/base.yaml").write_text("encoder: conformer\n")
    for name in ("a", "b"):
        (tmp_path / f"conf/train_asr_{name}.yaml").write_text("base: base.yaml\n")
    (tmp_path / "run.sh").write_text(RECORDER)
    (tmp_path / "run.sh").chmod(0o755)
    return tmp_path


@pytest.fixture
def compare(folder):
    """Return a function that compares; it returns the calls of the later stages."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    def start(*options, run=(), code=0, seeds="1 2", **environment):
        (folder / "calls").write_text("")
        done = subprocess.run(
            [
                *("utils/compare_systems.sh", "--seeds", seeds, *options, "a", "b"),
                *("--", "./run.sh", *run),
            ],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "PATH": path, **environment},
        )
        assert done.returncode == code, done.stdout + done.stderr
        start.err = done.stderr
        calls = (folder / "calls").read_text().splitlines()
        return [line for line in calls if "--stage 11" in line]

    return start


def test_every_system_and_seed_runs_once_and_is_on_the_page(compare, folder):
    calls = compare("--asr_args", "--max_epoch 5")
    tags = sorted(line.split("--asr_tag ")[1].split()[0] for line in calls)
    assert tags == ["a_seed1", "a_seed2", "b_seed1", "b_seed2"]
    assert all("--asr_args --seed " in c and "--max_epoch 5" in c for c in calls)
    assert "|a|0.00 0.00|" in (folder / "RESULTS.md").read_text()
    assert compare("--asr_args", "--max_epoch 5") == []


@pytest.mark.parametrize(
    ("options", "run", "named"),
    [
        (["--asr_args", "--max_epoch 9"], [], "--asr_args: --max_epoch 9"),
        (["--inference_tag", "other"], [], "--inference_tag: other"),
        ([], ["--nbpe", "80"], "run command: ./run.sh --nbpe 80"),
    ],
)
def test_experiment_of_other_settings_stops_by_name(
    compare, folder, options, run, named
):
    compare()
    assert compare(*options, run=run, code=1) == []
    assert "exp/asr_a_seed1 was made with other settings" in compare.err
    assert named in compare.err
    assert (folder / "calls").read_text() == ""  # before the first stage, too


def test_change_of_a_base_file_counts_as_a_change(compare, folder):
    compare()
    (folder / "conf/base.yaml").write_text("encoder: transformer\n")
    assert compare(code=1) == []
    assert "sha256 of the resolved conf/train_asr_a.yaml" in compare.err


def test_number_of_jobs_and_seeds_is_no_other_setting(compare):
    compare(run=["--nj", "2"])
    calls = compare("--jobs", "1", seeds="1 2 3", run=["--nj=8", "--ngpu", "0"])
    assert sorted("a_seed3" in call for call in calls) == [False, True]


def test_empty_mark_counts_as_done_and_gets_the_present_settings(compare, folder):
    compare()
    mark = folder / "exp/asr_a_seed1/.compared"
    content = mark.read_text()
    mark.write_text("")
    assert compare() == []
    assert mark.read_text() == content
    mark.write_text("")
    compare("--inference_tag", "typo", code=1)
    assert "asr_a_seed1 was not decoded with --inference_tag typo" in compare.err
    assert mark.read_text() == ""


@pytest.mark.parametrize("how", ["FAIL", "DIE"])
@pytest.mark.parametrize("tag", ["a_seed1", "b_seed2"])
def test_first_or_last_experiment_that_fails_is_named(compare, folder, tag, how):
    compare(code=1, **{how: tag})
    assert f"not finished: {tag}\n" in compare.err
    assert not (folder / "RESULTS.md").exists()
    (call,) = compare()  # the others are done
    assert f"--asr_tag {tag}" in call


def test_broken_off_experiment_does_not_go_on_with_other_settings(compare):
    compare(code=1, FAIL="b_seed2")
    assert compare("--asr_args", "--max_epoch 9", code=1) == []


@pytest.mark.parametrize("form", [["--expdir", "else"], ["--expdir=else"]])
def test_expdir_of_the_recipe_is_where_the_experiments_are(compare, folder, form):
    calls = compare(run=form)
    assert len(calls) == 4
    assert (folder / "else/asr_b_seed2/.compared").exists()
    assert compare(run=form) == []
