"""A training that is interrupted goes on as if it had not been."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from espnet_dynlook.training.checkpoint import finish_epoch
from espnet_dynlook.training.loading import safe_load

# Ends the process with SIGKILL before the second batch of the second epoch.
KILLED = """
import os, signal, sys
from espnet_dynlook.training import progress
tell = progress.tell_progress
def die(model, epoch, fraction):
    tell(model, epoch, fraction)
    if epoch == 2 and fraction > 0.6:
        os.kill(os.getpid(), signal.SIGKILL)
progress.tell_progress = die
from espnet_dynlook.bin.asr_train import main
main(sys.argv[1:])
"""


def losses(checkpoint: Path) -> dict:
    stats = safe_load(checkpoint)["reporter"]["stats"]
    return {
        (epoch, phase): stats[epoch][phase]["loss"]
        for epoch in stats
        for phase in ("train", "valid")
    }


@pytest.mark.host
def test_killed_in_mid_epoch_resumes_to_the_same_losses(corpus, trained, tmp_path):
    from espnet_dynlook.bin import asr_train

    expdir = tmp_path / "exp"
    root = Path(__file__).parent.parent.parent
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *corpus.train_args(expdir)],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    assert set(losses(expdir / "checkpoint.pth")) == {(1, "train"), (1, "valid")}
    assert (expdir / ".lock").exists()  # of a dead process: taken over

    asr_train.main(corpus.train_args(expdir))

    assert losses(expdir / "checkpoint.pth") == losses(trained / "checkpoint.pth")
    resumed = safe_load(expdir / "2epoch.pth")
    for key, value in safe_load(trained / "2epoch.pth").items():
        assert torch.equal(resumed[key], value), key
    assert not list(expdir.glob(".*"))


def test_model_file_missing_after_a_kill_is_written_on_resume(
    corpus, copy_of_trained, trained
):
    """A kill between checkpoint.pth and 2epoch.pth: averaging would miss the file."""
    from espnet_dynlook.bin import asr_train

    (copy_of_trained / "2epoch.pth").unlink()
    best = (copy_of_trained / "valid.loss.best.pth").readlink()
    (copy_of_trained / "valid.loss.best.pth").unlink()
    asr_train.main(corpus.train_args(copy_of_trained))
    restored = safe_load(copy_of_trained / "2epoch.pth")
    for key, value in safe_load(trained / "2epoch.pth").items():
        assert torch.equal(restored[key], value), key
    assert (copy_of_trained / "valid.loss.best.pth").readlink() == best


def test_finish_epoch_leaves_whole_epochs_alone(tmp_path):
    file = tmp_path / "3epoch.pth"
    file.write_bytes(b"as it was")
    finish_epoch(tmp_path, 3, {"weight": torch.zeros(1)}, {})
    assert file.read_bytes() == b"as it was"
    finish_epoch(tmp_path, 0, {"weight": torch.zeros(1)}, {})
    assert not (tmp_path / "0epoch.pth").exists()


def test_resuming_another_model_fails_and_lists_its_keys(corpus, copy_of_trained):
    from espnet_dynlook.bin import asr_train
    from espnet_dynlook.training.loading import CheckpointMismatch

    before = (copy_of_trained / "checkpoint.pth").read_bytes()
    wider = ("--encoder_conf", "output_size=32")
    with pytest.raises(CheckpointMismatch, match=r"(?s)of another shape.*\(16,"):
        asr_train.main(corpus.train_args(copy_of_trained, *wider))
    assert (copy_of_trained / "checkpoint.pth").read_bytes() == before
