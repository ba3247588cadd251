"""Packed models: a zip as ESPnet's stage "Packing" writes it, read without trust."""

import contextlib
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

#: More than this, unpacked, is no model: a zip of a few bytes can hold any amount.
LARGEST = 32 * 2**30
META = "meta.yaml"
#: What zipfile says of damage; RuntimeError of encryption and unknown features.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)


class PackedModelError(ValueError):
    """A packed model is damaged, or tries what a model has no need of."""


@contextlib.contextmanager
def unpacked(archive: str | Path) -> Iterator[tuple[Path, Path]]:
    """Give out configuration and checkpoint of a packed model inside a ``with`` block.

    Members go to a folder of their own, which is gone afterwards, and nowhere else.

    Args:
        archive: Zip with ``meta.yaml``, which names ``asr_train_config`` and
            ``asr_model_file``.

    Raises:
        PackedModelError: it is no such zip, it is damaged, or a member has a path out
            of the folder or is a link.
    """
    with tempfile.TemporaryDirectory() as root:
        try:
            with zipfile.ZipFile(archive) as packed:
                found = _extract(packed, Path(root), str(archive))
        except _DAMAGE as error:
            raise PackedModelError(
                f"{archive} is no zip, or damaged: {error}; copy it again from where "
                "it was made"
            ) from None
        yield found


def _extract(packed: zipfile.ZipFile, root: Path, source: str) -> tuple[Path, Path]:
    members = [one for one in packed.infolist() if not one.is_dir()]
    names = [one.filename for one in members]
    folders = {folder for name in names for folder in PurePosixPath(name).parents}
    for one in members:
        path = PurePosixPath(one.filename)
        if path in folders:
            raise PackedModelError(
                f"{source}: its member {one.filename!r} is a file and a folder: pack "
                "it again"
            )
        outside = path.is_absolute() or ".." in path.parts or "\\" in one.filename
        if outside or stat.S_ISLNK(one.external_attr >> 16):
            raise PackedModelError(
                f"{source}: its member {one.filename!r} would be outside of the "
                "model's folder, or is a link: not a model to be trusted"
            )
        if one.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise PackedModelError(
                f"{source}: its member {one.filename!r} is compressed in a way that "
                "models are not: pack it again, with deflate or not at all"
            )
    total = sum(one.file_size for one in members)
    if total > LARGEST:
        raise PackedModelError(
            f"{source} would unpack to {total / 2**30:.0f} GiB, more than the "
            f"{LARGEST / 2**30:.0f} of any model"
        )
    metas = [name for name in names if PurePosixPath(name).name == META]
    if not metas:
        raise PackedModelError(f"{source} has no {META}: it is no packed model")
    meta = _yaml(packed.read(metas[0]), f"{source}: {metas[0]}")
    config = _named(meta, "yaml_files", "asr_train_config", names, source)
    model = _named(meta, "files", "asr_model_file", names, source)
    packed.extractall(root)
    content = _yaml((root / config).read_bytes(), f"{source}: {config}")
    # Files that the configuration names are in the zip, under the same names.
    text = yaml.safe_dump(_inside(content, set(names), root), sort_keys=False)
    (root / config).write_text(text, encoding="utf-8")
    return root / config, root / model


def _yaml(data: bytes, source: str) -> dict[str, Any]:
    try:
        content = yaml.safe_load(data)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise PackedModelError(f"{source} is no YAML, or not safe: {error}") from None
    if not isinstance(content, dict):
        raise PackedModelError(f"{source} has no keys")
    _check_plain(content, source)
    return content


def _check_plain(content: dict[str, Any], source: str) -> None:
    """Refuse aliases: a few lines of them can stand for any amount, or for a circle."""
    waiting: list[Any] = [content]
    seen = set()
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict | list):
            if id(one) in seen:
                raise PackedModelError(
                    f"{source} refers to a part of itself (YAML's & and *), which no "
                    "training writes: write the part out"
                )
            seen.add(id(one))
            waiting.extend(one.values() if isinstance(one, dict) else one)


def _named(
    meta: dict[str, Any], group: str, key: str, names: list[str], source: str
) -> str:
    """Return the member that meta.yaml names."""
    files = meta.get(group)
    name = files.get(key) if isinstance(files, dict) else None
    if name not in names:
        raise PackedModelError(
            f"{source}: {META} has to name a member as {group}: {key}, and has {name!r}"
        )
    return str(name)


def _inside(value: Any, names: set[str], root: Path) -> Any:
    """Return a configuration with the names of members as paths below a folder."""
    if isinstance(value, dict):
        return {key: _inside(one, names, root) for key, one in value.items()}
    if isinstance(value, list):
        return [_inside(one, names, root) for one in value]
    return str(root / value) if isinstance(value, str) and value in names else value
