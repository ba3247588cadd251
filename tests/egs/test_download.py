"""Transfers that break, servers that refuse, archives that are not whole."""

import errno
import hashlib
import io
import os
import shutil
import tarfile
from collections import namedtuple

import pytest

from espnet_dynlook.recipe import download as module
from espnet_dynlook.recipe.download import DownloadError, download, extract

CONTENT = bytes(range(256)) * 40  # 10240 bytes
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def fetch(server, target, sha256=SHA256, **options):
    return download(f"{server.url}file", target, sha256, wait=0, **options)


def make_tar(names, mode="w:bz2"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(CONTENT)
            tar.addfile(info, io.BytesIO(CONTENT))
    return buffer.getvalue()


def test_whole_transfer(server, tmp_path):
    server.files["file"] = CONTENT
    target = fetch(server, tmp_path / "new" / "file")
    assert target.read_bytes() == CONTENT
    assert sorted(p.name for p in target.parent.iterdir()) == ["file"]


def test_what_is_there_is_not_fetched_again(server, tmp_path):
    (tmp_path / "file").write_bytes(b"here")
    assert fetch(server, tmp_path / "file").read_bytes() == b"here"
    assert server.ranges == []


def test_broken_transfer_goes_on_where_it_stopped(server, tmp_path):
    server.files["file"] = CONTENT
    server.break_after = [3000, 4000]
    assert fetch(server, tmp_path / "file").read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=3000-", "bytes=7000-"]


def test_next_run_goes_on_where_the_last_gave_up(server, tmp_path):
    server.files["file"] = CONTENT
    server.break_after = [3000]
    with pytest.raises(DownloadError, match=r"1 attempts.*the next run goes on"):
        fetch(server, tmp_path / "file", attempts=1)
    assert not (tmp_path / "file").exists()
    assert fetch(server, tmp_path / "file", attempts=1).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=3000-"]


def test_file_that_changed_meanwhile_is_fetched_whole(server, tmp_path):
    server.files["file"] = b"old" * 5000
    server.break_after = [3000]
    with pytest.raises(DownloadError):
        fetch(server, tmp_path / "file", attempts=1)
    server.files["file"], server.etag = CONTENT, '"two"'
    assert fetch(server, tmp_path / "file").read_bytes() == CONTENT


def test_complete_part_is_recognised(server, tmp_path):
    server.files["file"] = CONTENT
    (tmp_path / "file.part").write_bytes(CONTENT)
    assert fetch(server, tmp_path / "file").read_bytes() == CONTENT


def test_part_longer_than_the_file_is_dropped(server, tmp_path):
    server.files["file"] = CONTENT
    (tmp_path / "file.part").write_bytes(CONTENT + b"more")
    assert fetch(server, tmp_path / "file").read_bytes() == CONTENT


def test_wrong_sum_is_an_error_and_leaves_nothing(server, tmp_path):
    server.files["file"] = CONTENT[:-1] + b"?"
    with pytest.raises(DownloadError, match=f"expected {SHA256}"):
        fetch(server, tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_missing_file_names_address_and_place(server, tmp_path):
    with pytest.raises(DownloadError, match=r"404.*put it at .*file") as error:
        fetch(server, tmp_path / "file")
    assert server.url in str(error.value)
    assert server.ranges == [None]  # no second attempt


def test_no_server_says_what_to_do(tmp_path):
    with pytest.raises(DownloadError, match=r"online\?.* put the file at"):
        download("http://127.0.0.1:9/x", tmp_path / "x", attempts=2, wait=0)


def test_too_small_a_disk_is_said_before_the_transfer(server, tmp_path, monkeypatch):
    server.files["file"] = CONTENT
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 10))
    with pytest.raises(DownloadError, match="needs 10240 more bytes"):
        fetch(server, tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_archive_is_unpacked_once(tmp_path):
    archive = tmp_path / "a.tar.bz2"
    archive.write_bytes(make_tar(["voice/one", "voice/two"]))
    folder = extract(archive, tmp_path / "out", "voice")
    assert (folder / "two").read_bytes() == CONTENT
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["voice"]
    archive.write_bytes(b"gone")
    assert extract(archive, tmp_path / "out", "voice") == folder


@pytest.mark.parametrize("mode", ["w:bz2", "w:gz"])
@pytest.mark.parametrize("kept", [0.2, 0.95])
def test_truncated_archive_leaves_nothing_and_is_removed(tmp_path, mode, kept):
    content = make_tar(["voice/one", "voice/two"], mode)
    archive = tmp_path / "archive"
    archive.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(DownloadError, match="damaged"):
        extract(archive, tmp_path / "out", "voice")
    assert list((tmp_path / "out").iterdir()) == []
    assert not archive.exists()


@pytest.mark.parametrize("mode", ["w:bz2", "w:gz"])
def test_archive_with_a_wrong_byte_is_removed(tmp_path, mode):
    content = bytearray(make_tar(["voice/one", "voice/two"], mode))
    content[len(content) // 2] ^= 0xFF
    archive = tmp_path / "archive"
    archive.write_bytes(content)
    with pytest.raises(DownloadError, match="damaged"):
        extract(archive, tmp_path / "out", "voice")
    assert not archive.exists()


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "out is full"),
        (errno.EDQUOT, "out is full"),
        (errno.EACCES, "Permission denied"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_archive_is_kept_where_the_machine_fails(
    tmp_path, monkeypatch, number, message
):
    archive = tmp_path / "archive"
    archive.write_bytes(make_tar(["voice/one"]))

    def fail(*args, **options):
        raise OSError(number, os.strerror(number), "voice/one")

    with monkeypatch.context() as patch:
        patch.setattr(tarfile.TarFile, "extractall", fail)
        with pytest.raises(DownloadError, match=rf"{message}.* kept"):
            extract(archive, tmp_path / "out", "voice")
    assert list((tmp_path / "out").iterdir()) == []
    assert (extract(archive, tmp_path / "out", "voice") / "one").is_file()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_stops_a_transfer_at_once(server, tmp_path, monkeypatch, number):
    tries = []

    def receive(url, part, timeout):
        tries.append(url)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(module, "_receive", receive)
    with pytest.raises(DownloadError, match=r"is full; .*file\.part is kept"):
        fetch(server, tmp_path / "file")
    assert len(tries) == 1


def test_archive_of_something_else_says_what_it_holds(tmp_path):
    archive = tmp_path / "archive"
    archive.write_bytes(make_tar(["other/one"]))
    with pytest.raises(DownloadError, match="holds other, but no folder voice"):
        extract(archive, tmp_path / "out", "voice")


def test_archive_cannot_write_outside(tmp_path):
    archive = tmp_path / "archive"
    archive.write_bytes(make_tar(["../evil"]))
    with pytest.raises(DownloadError, match=r"cannot unpack .*evil.* kept"):
        extract(archive, tmp_path / "out" / "deep", "voice")
    assert not list(tmp_path.rglob("evil"))


def test_voices_come_from_server_to_data(
    server, tmp_path, load, monkeypatch, make_cmu_voice, read_data
):
    """The path of a user with internet, interrupted once, with sums of these files."""
    local = load("arctic", "download")
    sums = {}
    for voice in ("bdl", "slt"):
        name = f"cmu_us_{voice}_arctic"
        prompts = {f"arctic_a{n:04d}": f"Sentence {'x' * n}." for n in range(1, 31)}
        make_cmu_voice(tmp_path / "made" / name, prompts)
        with tarfile.open(tmp_path / "packed", "w:bz2") as tar:
            tar.add(tmp_path / "made" / name, name)
        content = (tmp_path / "packed").read_bytes()
        server.files[f"{name}.tar.bz2"] = content
        sums[voice] = hashlib.sha256(content).hexdigest()
    server.break_after = [500]
    monkeypatch.setattr(local, "SHA256", sums)
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    downloads = tmp_path / "downloads"
    folder = local.download_voices(["slt", "bdl"], downloads, server.url)
    assert "bytes=500-" in server.ranges
    count = len(server.ranges)
    assert local.download_voices(["slt", "bdl"], downloads, server.url) == folder
    assert len(server.ranges) == count
    data = str(tmp_path / "data")
    load("arctic", "prepare").main(["--arctic", str(folder), "--data", data])
    read = {s: read_data(tmp_path / "data" / s) for s in ("train", "valid", "test")}
    assert sum(len(d["text"]) for d in read.values()) == 60
    assert set(read["train"]["spk2utt"]) == {"bdl", "slt"}


def test_unknown_voice_names_the_known(tmp_path, load):
    with pytest.raises(DownloadError, match=r"no CMU ARCTIC voice xyz: .*bdl"):
        load("arctic", "download").download_voices(["xyz"], tmp_path)


def test_librispeech_parts_come_from_server(
    server, tmp_path, load, monkeypatch, make_librispeech
):
    local = load("librispeech", "download")
    make_librispeech(tmp_path / "LibriSpeech", {"test-other": {1: {10: 2}}})
    with tarfile.open(tmp_path / "packed", "w:gz") as tar:
        tar.add(tmp_path / "LibriSpeech", "LibriSpeech")
    content = (tmp_path / "packed").read_bytes()
    server.files["test-other.tar.gz"] = content
    sums = {"test-other": hashlib.sha256(content).hexdigest()}
    monkeypatch.setattr(local, "SHA256", sums)
    folder = local.download_parts(["test-other"], tmp_path / "d", server.url)
    assert len(list((folder / "test-other").rglob("*.flac"))) == 2
    assert [p.name for p in folder.iterdir()] == ["test-other"]


def test_sums_are_those_of_torchaudio(load):
    """The source that both scripts cite."""
    from torchaudio.datasets import cmuarctic, librispeech

    for name, source in (("arctic", cmuarctic), ("librispeech", librispeech)):
        local = load(name, "download")
        packed = "cmu_us_{}_arctic.tar.bz2" if name == "arctic" else "{}.tar.gz"
        ours = {
            local.BASE_URL + packed.format(key): value
            for key, value in local.SHA256.items()
        }
        assert ours == source._CHECKSUMS
