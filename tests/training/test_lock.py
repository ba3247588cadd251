"""Two runs never write to one folder."""

import os
import socket
import subprocess
import sys

import pytest

from espnet_dynlook.training.lock import FolderInUse, FolderLock

HOST = socket.gethostname()


@pytest.fixture
def other_process():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1)
    yield process
    process.kill()
    process.wait()


def test_second_run_stops_and_names_the_first(tmp_path, other_process):
    (tmp_path / ".lock").write_text(f"{other_process.pid} {HOST} \n")
    with pytest.raises(FolderInUse, match=str(other_process.pid)):
        FolderLock(tmp_path).__enter__()
    assert [p.name for p in tmp_path.iterdir()] == [".lock"]


def test_lock_of_a_dead_process_is_taken_over(tmp_path, other_process):
    (tmp_path / ".lock").write_text(f"{other_process.pid} {HOST} \n")
    other_process.kill()
    other_process.wait()
    with FolderLock(tmp_path):
        assert (tmp_path / ".lock").read_text().startswith(f"{os.getpid()} ")
    assert list(tmp_path.iterdir()) == []


def test_a_number_given_to_a_new_process_is_no_lock(tmp_path, other_process):
    (tmp_path / ".lock").write_text(f"{other_process.pid} {HOST} 1\n")
    with FolderLock(tmp_path):
        pass


def test_half_a_lock_is_taken_over(tmp_path):
    (tmp_path / ".lock").write_text("")
    with FolderLock(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_lock_of_another_machine_is_respected(tmp_path):
    (tmp_path / ".lock").write_text("1 elsewhere 5\n")
    with pytest.raises(FolderInUse, match=r"1 on elsewhere.*delete"):
        FolderLock(tmp_path).__enter__()


def test_lock_is_released_after_an_error(tmp_path):
    with pytest.raises(KeyError), FolderLock(tmp_path / "new"):
        raise KeyError
    assert list((tmp_path / "new").iterdir()) == []


def test_training_in_a_folder_in_use_changes_nothing(corpus, tmp_path, other_process):
    from espnet_dynlook.bin import asr_train

    (tmp_path / ".lock").write_text(f"{other_process.pid} {HOST} \n")
    with pytest.raises(FolderInUse, match=str(other_process.pid)):
        asr_train.main(corpus.train_args(tmp_path))
    assert [p.name for p in tmp_path.iterdir()] == [".lock"]
