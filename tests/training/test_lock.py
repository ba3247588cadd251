"""Two runs never write to one folder."""

import errno
import logging
import os
import socket
import subprocess
import sys

import pytest

from espnet_dynlook.training import lock
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


def test_lock_that_was_deleted_is_a_warning_only(tmp_path, caplog):
    with caplog.at_level(logging.WARNING), FolderLock(tmp_path):
        (tmp_path / ".lock").unlink()
    assert "was deleted or replaced" in caplog.text


def test_lock_of_a_new_owner_is_left_alone(tmp_path):
    with FolderLock(tmp_path):
        (tmp_path / ".lock").write_text("1 elsewhere 5\n")
    assert (tmp_path / ".lock").read_text() == "1 elsewhere 5\n"


def test_file_systems_without_hard_links(tmp_path, monkeypatch, other_process):
    def refuse(*paths):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with FolderLock(tmp_path):
        assert (tmp_path / ".lock").read_text().startswith(f"{os.getpid()} ")
        with pytest.raises(FolderInUse):
            FolderLock(tmp_path).__enter__()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ".lock").write_text(f"{other_process.pid} {HOST} \n")
    other_process.kill()
    other_process.wait()
    with FolderLock(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_new_lock_is_not_removed_for_the_dead_one_before_it(tmp_path, monkeypatch):
    """Another run takes the dead lock over between our look and our removal."""
    (tmp_path / ".lock").write_text(f"999999999 {HOST} \n")
    live = f"{os.getppid()} {HOST} \n"
    create = FolderLock._create

    def slowly(self, path):
        if path.name == ".lock.takeover":
            (tmp_path / ".lock").write_text(live)
        return create(self, path)

    monkeypatch.setattr(FolderLock, "_create", slowly)
    with pytest.raises(FolderInUse, match=str(os.getppid())):
        FolderLock(tmp_path).__enter__()
    assert (tmp_path / ".lock").read_text() == live
    assert [p.name for p in tmp_path.iterdir()] == [".lock"]


def test_a_takeover_that_was_killed_says_what_to_delete(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "PATIENCE", 0.1)
    (tmp_path / ".lock").write_text(f"999999999 {HOST} \n")
    (tmp_path / ".lock.takeover").write_text(f"999999998 {HOST} \n")
    with pytest.raises(FolderInUse, match=r"delete .*\.lock\.takeover"):
        FolderLock(tmp_path).__enter__()


def test_of_many_runs_that_find_a_dead_lock_one_gets_it(tmp_path):
    """Eight processes, each trying once, at the same moment."""
    code = (
        "import sys; from espnet_dynlook.training.lock import *\n"
        "print(flush=True); input()\n"
        "try:\n"
        "    with FolderLock(sys.argv[1]):\n"
        "        print('got', flush=True); input()\n"
        "except FolderInUse: print('refused', flush=True)\n"
    )
    (tmp_path / ".lock").write_text(f"999999999 {HOST} \n")
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)], stdin=-1, stdout=-1, text=True
        )
        for _ in range(8)
    ]
    try:
        for run in runs:
            run.stdout.readline()
        for run in runs:
            run.stdin.write("\n")
            run.stdin.flush()
        said = [run.stdout.readline().strip() for run in runs]
        assert sorted(said) == ["got"] + ["refused"] * 7
    finally:
        for run in runs:
            run.kill()
            run.communicate()


def test_training_in_a_folder_in_use_changes_nothing(corpus, tmp_path, other_process):
    from espnet_dynlook.bin import asr_train

    (tmp_path / ".lock").write_text(f"{other_process.pid} {HOST} \n")
    with pytest.raises(FolderInUse, match=str(other_process.pid)):
        asr_train.main(corpus.train_args(tmp_path))
    assert [p.name for p in tmp_path.iterdir()] == [".lock"]
