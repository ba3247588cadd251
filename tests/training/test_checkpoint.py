"""Checkpoints are written whole or not at all."""

import errno
import io
import resource

import pytest
import torch

from espnet_dynlook.training import checkpoint
from espnet_dynlook.training.checkpoint import CheckpointNotWritten, save_whole
from espnet_dynlook.training.loading import safe_load

OLD = {"weight": torch.zeros(4)}
NEW = {"weight": torch.ones(50_000), "bias": torch.ones(3)}


class FullDisk:
    """A file on a disk with room for so many bytes."""

    def __init__(self, path, room):
        self.file = path.open("wb")
        self.room = room

    def write(self, data):
        if len(data) > self.room:
            self.file.write(data[: self.room])
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= len(data)
        return self.file.write(data)

    def flush(self):
        self.file.flush()

    def fileno(self):
        return self.file.fileno()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()


@pytest.mark.parametrize("room", [0, 100, 5_000, 150_000])
def test_full_disk_keeps_the_old_checkpoint(tmp_path, room):
    path = tmp_path / "checkpoint.pth"
    save_whole(OLD, path)
    with pytest.raises(CheckpointNotWritten) as failure:
        save_whole(NEW, path, open_file=lambda p: FullDisk(p, room))
    assert failure.value.errno == errno.ENOSPC
    whole = io.BytesIO()
    torch.save(NEW, whole)
    message = str(failure.value)
    assert str(path) in message
    assert f"needs {len(whole.getvalue()):,} bytes" in message
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pth"]
    assert torch.equal(safe_load(path)["weight"], OLD["weight"])


def test_the_kernel_refusing_to_write_keeps_the_old_checkpoint(tmp_path):
    path = tmp_path / "checkpoint.pth"
    save_whole(OLD, path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(CheckpointNotWritten) as failure:
            save_whole(NEW, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert failure.value.errno == errno.EFBIG
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pth"]
    assert torch.equal(safe_load(path)["weight"], OLD["weight"])


def test_saved_file_equals_that_of_torch(tmp_path):
    save_whole(NEW, tmp_path / "ours.pth")
    loaded = torch.load(tmp_path / "ours.pth", weights_only=True)
    assert all(torch.equal(loaded[key], NEW[key]) for key in NEW)


def test_an_object_that_cannot_be_saved_leaves_nothing(tmp_path):
    with pytest.raises(Exception, match="lambda"):
        save_whole({"f": lambda: 0}, tmp_path / "checkpoint.pth")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_unfinished_is_removed(tmp_path):
    left_over = tmp_path / ".checkpoint.pth.123.partial"
    left_over.write_bytes(b"half")
    with checkpoint.whole_checkpoints(tmp_path):
        assert not left_over.exists()
        torch.save(OLD, tmp_path / "a.pth")
    assert torch.save.__module__ == "torch.serialization"
    assert [p.name for p in tmp_path.iterdir()] == ["a.pth"]


def test_training_on_a_full_disk_stops_and_can_go_on(
    corpus, copy_of_trained, monkeypatch
):
    from espnet_dynlook.bin import asr_train

    before = (copy_of_trained / "checkpoint.pth").read_bytes()
    longer = corpus.train_args(copy_of_trained, "--max_epoch", "3")
    real = checkpoint.save_whole

    def on_full_disk(obj, path, save):
        real(obj, path, save, open_file=lambda p: FullDisk(p, 10_000))

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_whole", on_full_disk)
        with pytest.raises(CheckpointNotWritten, match=r"checkpoint\.pth"):
            asr_train.main(longer)
    assert (copy_of_trained / "checkpoint.pth").read_bytes() == before
    assert not list(copy_of_trained.glob(".*"))

    asr_train.main(longer)
    assert safe_load(copy_of_trained / "checkpoint.pth")["reporter"]["epoch"] == 3
