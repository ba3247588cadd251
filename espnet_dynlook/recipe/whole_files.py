"""Files and folders that are written whole or not at all."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


def _is_alive(pid: int) -> bool:
    """Say whether another process of that number runs here."""
    if pid == os.getpid():
        return False  # the number of one that died, given again
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def _left_behind(path: Path, kind: str) -> list[Path]:
    """Return what killed processes left beside ``path``, as ``.name.kind-PID``."""
    prefix = f".{path.name}.{kind}-"
    found = (p for p in path.parent.iterdir() if p.name.startswith(prefix))
    pids = ((p, p.name.removeprefix(prefix)) for p in found)
    return [p for p, pid in pids if pid.isdecimal() and not _is_alive(int(pid))]


@contextlib.contextmanager
def whole_folder(folder: str | Path) -> Iterator[Path]:
    """Give a temporary folder that takes the place of ``folder`` at the end.

    If anything fails, ``folder`` is as it was before and the temporary one is gone. A
    process that is killed can leave either behind: the next one here clears up, and
    gives ``folder`` back if it was being replaced.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    old = folder.with_name(f".{folder.name}.old-{os.getpid()}")
    for left in _left_behind(folder, "old"):
        if folder.exists():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.rename(folder)
    for left in _left_behind(folder, "partial"):
        shutil.rmtree(left, ignore_errors=True)
    partial.mkdir()
    try:
        yield partial
        if folder.exists():
            folder.rename(old)
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        if old.exists() and not folder.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def write_atomic(path: str | Path, content: str) -> None:
    """Write a text file whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    for left in _left_behind(path, "partial"):
        left.unlink(missing_ok=True)
    try:
        partial.write_text(content, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
