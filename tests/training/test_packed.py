"""Packed models: ESPnet's own zips load; damaged and hostile ones are refused."""

import pickle
import shutil
import stat
import zipfile

import pytest
import torch
import yaml

from espnet_dynlook.recognizer import Recognizer
from espnet_dynlook.training.packed import PackedModelError, unpacked


def pack(path, members, meta=None):
    """Write a zip of names and contents."""
    with zipfile.ZipFile(path, "w") as packed:
        if meta is not None:
            packed.writestr("meta.yaml", yaml.safe_dump(meta))
        for name, content in members.items():
            packed.writestr(name, content)
    return path


META = {
    "files": {"asr_model_file": "exp/model.pth"},
    "yaml_files": {"asr_train_config": "exp/config.yaml"},
}
GOOD = {"exp/model.pth": b"x", "exp/config.yaml": "stats: exp/stats.npz\n"}


@pytest.mark.host
def test_what_espnet_packs_is_loaded_from_any_folder(
    trained, corpus, tmp_path, monkeypatch
):
    from espnet2.main_funcs.pack_funcs import pack as espnet_pack

    monkeypatch.chdir(trained.parent)
    shutil.copy(trained / "2epoch.pth", "model.pth")
    shutil.copy(trained / "config.yaml", "config.yaml")
    espnet_pack(
        files={"asr_model_file": "model.pth"},
        yaml_files={"asr_train_config": "config.yaml"},
        outpath=str(tmp_path / "model.zip"),
        option=[],
    )
    monkeypatch.chdir(tmp_path)
    recognizer = Recognizer.from_zip("model.zip")
    samples = torch.randn(8000, generator=torch.Generator().manual_seed(0))
    direct = Recognizer.from_files(trained / "config.yaml", trained / "2epoch.pth")
    assert recognizer.transcribe(samples) == direct.transcribe(samples)


def test_files_that_the_configuration_names_are_in_the_zip(tmp_path):
    path = pack(tmp_path / "m.zip", {**GOOD, "exp/stats.npz": b"123"}, META)
    with unpacked(path) as (config, model):
        named = yaml.safe_load(config.read_text())["stats"]
        assert open(named, "rb").read() == b"123" and model.read_bytes() == b"x"
        folder = config.parent.parent
    assert not folder.exists()


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "exp/../../evil", "..\\evil"])
def test_members_outside_of_the_folder_are_refused(tmp_path, name):
    path = pack(tmp_path / "m.zip", {**GOOD, name: b"x"}, META)
    with pytest.raises(PackedModelError, match="outside of the model"):
        with unpacked(path):
            pass
    assert not (tmp_path / "evil").exists()


def test_links_are_refused(tmp_path):
    path = pack(tmp_path / "m.zip", GOOD, META)
    with zipfile.ZipFile(path, "a") as packed:
        info = zipfile.ZipInfo("exp/link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        packed.writestr(info, "/etc/passwd")
    with pytest.raises(PackedModelError, match="is a link"):
        with unpacked(path):
            pass


@pytest.mark.parametrize(
    ("members", "meta", "message"),
    [
        (GOOD, None, "has no meta.yaml"),
        (GOOD, {}, "yaml_files: asr_train_config"),
        ({"exp/config.yaml": "a: 1"}, META, "files: asr_model_file"),
        ({**GOOD, "exp/config.yaml": "!!python/object/apply:os.system [ls]"}, META,
         "not safe"),
        ({**GOOD, "exp/config.yaml": "just text"}, META, "has no keys"),
    ],
)  # fmt: skip
def test_what_is_no_model_is_refused(tmp_path, members, meta, message):
    with pytest.raises(PackedModelError, match=message):
        with unpacked(pack(tmp_path / "m.zip", members, meta)):
            pass


def test_damaged_zips_are_refused(tmp_path):
    path = pack(tmp_path / "m.zip", {**GOOD, "exp/model.pth": b"x" * 5000}, META)
    data = path.read_bytes()
    (tmp_path / "cut.zip").write_bytes(data[: len(data) // 2])
    changed = bytearray(data)
    changed[data.index(b"xxxx") + 9] ^= 1
    (tmp_path / "changed.zip").write_bytes(bytes(changed))
    (tmp_path / "none.zip").write_bytes(b"hello")
    for name in ("cut", "changed", "none"):
        with pytest.raises(PackedModelError, match="is no zip, or damaged"):
            with unpacked(tmp_path / f"{name}.zip"):
                pass


class Evil:
    def __reduce__(self):
        import os

        return os.mkdir, ("executed",)


def test_checkpoints_execute_nothing(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": Evil()}, "model.pth")
    with pytest.raises(pickle.UnpicklingError):
        Recognizer.from_files(trained / "config.yaml", "model.pth")
    assert not (tmp_path / "executed").exists()
