"""Packed models: ESPnet's own zips load; damaged and hostile ones are refused."""

import random
import shutil
import stat
import zipfile

import pytest
import torch
import yaml

from espnet_dynlook.recognizer import Recognizer
from espnet_dynlook.training import packed as packed_models
from espnet_dynlook.training.loading import CheckpointMismatch, CheckpointUnreadable
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
    with pytest.raises(CheckpointUnreadable, match="it has not been loaded"):
        Recognizer.from_files(trained / "config.yaml", "model.pth")
    assert not (tmp_path / "executed").exists()


def packed_again(trained, path, **changes):
    """Pack what a training wrote, with some of it changed."""
    members = {
        "exp/model.pth": (trained / "2epoch.pth").read_bytes(),
        "exp/config.yaml": (trained / "config.yaml").read_text(encoding="utf-8"),
    }
    return pack(path, members | changes, META)


def test_a_damaged_checkpoint_in_a_whole_zip_is_named(trained, tmp_path):
    data = (trained / "2epoch.pth").read_bytes()
    for name, content in {"half": data[: len(data) // 2], "text": b"hello"}.items():
        path = packed_again(trained, tmp_path / name, **{"exp/model.pth": content})
        with pytest.raises(CheckpointUnreadable, match=r"model\.pth .* is damaged"):
            Recognizer.from_zip(path)


def test_the_configuration_of_another_model_is_refused(trained, tmp_path):
    text = (trained / "config.yaml").read_text(encoding="utf-8")
    assert "output_size: 16" in text
    other = {"exp/config.yaml": text.replace("output_size: 16", "output_size: 24")}
    with pytest.raises(CheckpointMismatch) as failure:
        Recognizer.from_zip(packed_again(trained, tmp_path / "m.zip", **other))
    assert "of another shape" in str(failure.value)
    assert "Use the config.yaml that was written with this file" in str(failure.value)


def test_what_would_fill_the_disk_is_refused(tmp_path, monkeypatch):
    """A few bytes can say that they are any amount."""
    path = tmp_path / "m.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("meta.yaml", yaml.safe_dump(META))
        for name in GOOD:
            packed.writestr(name, b"0" * 10**6)
    assert path.stat().st_size < 10**4
    monkeypatch.setattr(packed_models, "LARGEST", 10**6)
    with pytest.raises(PackedModelError, match="would unpack to"):
        with unpacked(path):
            pass


BOMB = "\n".join(
    [
        "a0: &a0 [x, x, x, x, x, x, x, x, x, x]",
        *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)),
    ]
)


@pytest.mark.parametrize("content", [BOMB, "a: &a [*a]", "a: &a {b: *a}"])
def test_yaml_that_grows_is_refused(tmp_path, content):
    """Twelve lines for 10^12 values, or for endless ones."""
    for name in ("exp/config.yaml", "meta.yaml"):
        members = {**GOOD, "meta.yaml": yaml.safe_dump(META), name: content}
        with pytest.raises(PackedModelError, match="refers to a part of itself"):
            with unpacked(pack(tmp_path / "m.zip", members)):
                pass
    deep = {**GOOD, "exp/config.yaml": "[" * 5000}
    with pytest.raises(PackedModelError, match="not safe"):
        with unpacked(pack(tmp_path / "m.zip", deep, META)):
            pass


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b/c", "a"), ("exp",)])
def test_names_of_files_and_folders_at_once_are_refused(tmp_path, names):
    path = pack(tmp_path / "m.zip", {**GOOD, **dict.fromkeys(names, b"x")}, META)
    with pytest.raises(PackedModelError, match="is a file and a folder"):
        with unpacked(path):
            pass


def test_compressions_that_models_do_not_have_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.zip", "w", zipfile.ZIP_BZIP2) as packed:
        packed.writestr("meta.yaml", yaml.safe_dump(META))
    with pytest.raises(PackedModelError, match=r"'meta\.yaml' is compressed in a w"):
        with unpacked(tmp_path / "m.zip"):
            pass


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_no_damage_is_anything_else_than_that(tmp_path, compression):
    path = tmp_path / "m.zip"
    rng = random.Random(0)
    with zipfile.ZipFile(path, "w", compression) as packed:
        packed.writestr("meta.yaml", yaml.safe_dump(META))
        for name, content in {**GOOD, "exp/model.pth": rng.randbytes(700)}.items():
            packed.writestr(name, content)
    data, refused = path.read_bytes(), 0
    for _ in range(200):
        changed = bytearray(data)
        changed[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(bytes(changed))
        try:
            with unpacked(path):
                pass
        except PackedModelError as error:
            assert str(path) in str(error)
            refused += 1
    assert refused > 50
