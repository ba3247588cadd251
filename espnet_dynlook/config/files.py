# Apache 2.0  (http://www.apache.org/licenses/LICENSE-2.0)

"""Configurations: small ones on a ``base:``, as one file that stock ESPnet reads."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from espnet_dynlook.config.errors import ConfigError


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8: {error}") from None
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {error}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(
            f"{path} has to hold keys and values (key: value), "
            f"not a {type(content).__name__}"
        )
    return content


def _merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        before = merged.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            merged[key] = _merge(before, value)
        else:
            merged[key] = value
    return merged


def resolve(path: Path | str) -> dict[str, Any]:
    """Read a configuration and everything it is based on.

    ``base: other.yaml``, relative to the file that says it, is read first; then the
    file's own keys are laid over it. Mappings are merged at every depth; a list or a
    single value replaces what was there; ``key: null`` sets null.

    When a choice such as ``encoder:`` changes, ``encoder_conf:`` is still merged with
    the base's, so that a change of one word keeps the sizes.

    Args:
        path: A YAML file.

    Raises:
        ConfigError: a file is missing or is not a mapping, or bases form a circle.
    """
    return _resolve(Path(path), ())


def _resolve(path: Path, chain: tuple[Path, ...]) -> dict[str, Any]:
    content = _read(path)
    where = path.resolve()
    if where in chain:
        names = " → ".join(str(p) for p in (*chain[chain.index(where) :], where))
        raise ConfigError(f"base: goes round in a circle: {names}")
    if "base" not in content:
        return content
    base = content.pop("base")
    if not isinstance(base, str):
        raise ConfigError(f"{path}: base: {base!r} has to be the name of one file")
    return _merge(_resolve(path.parent / base, (*chain, where)), content)


def has_base(path: Path | str) -> bool:
    """Say whether a configuration is a change of another one."""
    return "base" in _read(Path(path))


def write_resolved(path: Path | str, out: Path | str) -> None:
    """Write a configuration with its base merged in.

    Args:
        path: A YAML file, maybe with ``base:``.
        out: Where to write; its folder is made.

    Raises:
        ConfigError: as ``resolve``.
    """
    content = resolve(path)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    with open(out, "w", encoding="utf-8") as file:
        file.write(f"# {path}, with what it is based on.\n")
        yaml.safe_dump(content, file, sort_keys=False, allow_unicode=True)


@contextlib.contextmanager
def temporary_yaml(content: dict[str, Any]) -> Iterator[Path]:
    """Hold a configuration in a file inside a ``with`` block."""
    with tempfile.TemporaryDirectory(prefix="dynlook-") as folder:
        path = Path(folder) / "config.yaml"
        path.write_text(
            yaml.safe_dump(content, sort_keys=False, allow_unicode=True),
            encoding="utf-8",
        )
        yield path


def split_config(cmd: Sequence[str]) -> tuple[list[str], int | None]:
    """Find the ``--config FILE`` in a command line.

    Args:
        cmd: Arguments; those after ``--`` belong to another command.

    Returns:
        The arguments, with ``--config=FILE`` as two, and the position of FILE or None.
    """
    split: list[str] = []
    position = None
    for number, argument in enumerate(cmd):
        if argument == "--":
            return split + list(cmd[number:]), position
        if argument.startswith("--config="):
            split += ["--config", argument.removeprefix("--config=")]
            position = len(split) - 1
        else:
            if split and split[-1] == "--config":
                position = len(split)
            split.append(argument)
    return split, position
