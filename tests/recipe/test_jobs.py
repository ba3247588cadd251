"""The job runners: Kaldi's calling convention, and what a failure says."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

UTILS = Path(__file__).parents[2] / "egs/TEMPLATE/asr1/utils"
# A queue in miniature: runs every task of the array here, then says how it went.
FAKE_QUEUE = """#!/usr/bin/env bash
echo "$@" >>queue_arguments
first=1 last=1 script=
while [ $# -gt 0 ]; do
    case "$1" in
        --array=*) range=${1#--array=}; range=${range%%%*}
            first=${range%-*} last=${range#*-} ;;
        -t) first=${2%-*} last=${2#*-}; shift ;;
        -N | -o | -j | -l | -pe | -tc | -v | -S | -sync) shift ;;
    esac
    script=$1
    shift
done
failed=0
for n in $(seq "${first}" "${last}"); do
    SLURM_ARRAY_TASK_ID=${n} SGE_TASK_ID=${n} bash "${script}" || failed=1
done
exit "${failed}"
"""


@pytest.fixture(params=["run.pl", "slurm.pl", "queue.pl"])
def runner(request, tmp_path):
    """Return a function that runs jobs through one of the backends."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sbatch", "qsub"):
        (tools / name).write_text(FAKE_QUEUE)
        (tools / name).chmod(0o755)

    def run(*arguments):
        return subprocess.run(
            [UTILS / request.param, *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"},
        )

    run.name = request.param
    return run


def test_every_job_runs_with_its_number_and_log(runner, tmp_path):
    result = runner("--gpu", "0", "JOB=1:3", "log/x.JOB.log", "echo", "job", "JOB")
    assert result.returncode == 0, result.stderr
    for n in (1, 2, 3):
        log = (tmp_path / f"log/x.{n}.log").read_text()
        assert f"\njob {n}\n" in log
        assert log.startswith(f"# echo job {n}\n")
        assert "# Ended (code 0)" in log


def test_arguments_arrive_as_they_were_given(runner, tmp_path):
    words = ["a b", "it's", "<blank>", "$HOME", "", "x;y", "*"]
    command = ["bash", "-c", 'printf "[%s]" "$@"', "_", *words]
    assert runner("log/x.log", *command).returncode == 0
    assert "".join(f"[{w}]" for w in words) in (tmp_path / "log/x.log").read_text()


def test_pipes_of_kaldi_scripts_work(runner, tmp_path):
    words = ["echo", "b", "|", "tr", "b", "c", ">", "out"]
    assert runner("log/x.log", *words).returncode == 0
    assert (tmp_path / "out").read_text() == "c\n"


def test_failed_job_says_its_log_and_last_lines(runner):
    script = 'seq 100; echo "out of luck"; test JOB != 2'
    result = runner("JOB=1:3", "log/x.JOB.log", "bash", "-c", script)
    assert result.returncode == 1
    assert f"{runner.name}: 1 of 3 jobs failed" in result.stderr
    assert "its log is log/x.2.log, which ends:" in result.stderr
    assert "    out of luck\n" in result.stderr
    assert "    100\n" in result.stderr and "    50\n" not in result.stderr


def test_log_of_an_earlier_run_does_not_count(runner, tmp_path):
    assert runner("log/x.log", "true").returncode == 0
    assert runner("log/x.log", "false").returncode == 1
    assert "# Ended (code 0)" not in (tmp_path / "log/x.log").read_text()


def test_jobs_of_one_log_are_refused(runner):
    result = runner("JOB=1:2", "log/x.log", "true")
    assert result.returncode != 0
    assert "log/x.log must contain JOB" in result.stderr


@pytest.mark.parametrize("runner", ["slurm.pl", "queue.pl"], indirect=True)
def test_configuration_turns_options_into_flags(runner, tmp_path):
    (tmp_path / "conf").mkdir()
    name = runner.name.replace(".pl", ".conf")
    (tmp_path / "conf" / name).write_text(
        "command sbatch --partition=a\ndefault gpu=0\noption gpu=0\n"
        "option gpu=* --gres=gpu:$0\n# a comment\noption mem=8G --mem-8G\n"
    )
    assert runner("--gpu", "2", "--mem", "8G", "log/x.log", "true").returncode == 0
    used = (tmp_path / "queue_arguments").read_text()
    assert "--partition=a --gres=gpu:2 --mem-8G" in used
    result = runner("--mem", "9G", "log/x.log", "true")
    assert result.returncode != 0
    assert f"conf/{name} has no line 'option mem=9G" in result.stderr


def test_lines_worth_watching_are_shown_as_they_come(tmp_path):
    # The job goes on when the test has seen the first line.
    script = (
        "for n in 1 2 3; do echo x; echo INFO: epoch $n; "
        "until [ -e go_on ]; do sleep 0.05; done; done"
    )
    runner = subprocess.Popen(
        [
            UTILS / "run.pl",
            "--show",
            "^INFO: (epoch .*)",
            "log/x.log",
            "bash",
            "-c",
            script,
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert runner.stdout.readline() == "epoch 1\n"
    assert runner.poll() is None  # shown while it runs
    (tmp_path / "go_on").touch()
    assert runner.communicate(timeout=20)[0] == "epoch 2\nepoch 3\n"


def test_stopping_the_runner_stops_its_jobs(tmp_path):
    script = "echo $$ >pid; sleep 60"
    runner = subprocess.Popen(
        [UTILS / "run.pl", "log/x.log", "bash", "-c", script],
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    job = int((tmp_path / "pid").read_text())
    runner.send_signal(signal.SIGTERM)
    assert runner.wait(10) != 0
    wait_for(lambda: not alive(job))


def test_jobs_end_with_the_shell_that_wanted_them(tmp_path):
    """Killing asr.sh must not leave its training behind."""
    script = f"'{UTILS}/run.pl' log/x.log bash -c 'echo $$ >pid; sleep 60'; true"
    shell = subprocess.Popen(
        ["bash", "-c", script], cwd=tmp_path, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    job = int((tmp_path / "pid").read_text())
    shell.kill()
    shell.wait(10)
    wait_for(lambda: not alive(job))


def alive(pid):
    """Say whether a process runs; one that nobody has waited for yet does not."""
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        )
    except FileNotFoundError:
        return False


def wait_for(condition, seconds=10):
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
