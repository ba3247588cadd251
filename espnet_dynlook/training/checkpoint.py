"""Checkpoints that are written whole or not at all."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import torch

from espnet_dynlook.training.substitute import substitute


class CheckpointNotWritten(OSError):
    """A checkpoint could not be written; what was there before is untouched."""


class _CountingFile:
    """Pass writes on, count them, and remember the error that stopped them.

    ``torch.save`` hides an error of the file behind its own "unexpected pos".
    """

    def __init__(self, file: IO[bytes] | None):
        self.file = file
        self.size = 0
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        length = memoryview(data).nbytes
        if self.file is not None and self.error is None:
            try:
                self.file.write(data)
            except OSError as error:
                self.error = error
                raise
        self.size += length
        return length

    def flush(self) -> None:
        if self.file is not None and self.error is None:
            self.file.flush()


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.partial")


def _sync_folder(folder: Path) -> None:
    """Make a rename in the folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def save_whole(
    obj: Any,
    path: Path | str,
    save: Callable[..., None] = torch.save,
    open_file: Callable[[Path], IO[bytes]] = lambda path: path.open("wb"),
    **options: Any,
) -> None:
    """Write what ``torch.save`` writes, to a temporary file that is then renamed.

    Args:
        obj: What to save.
        path: Where.
        save: Writes an object to a file.
        open_file: Opens the temporary file, beside ``path``.
        options: Passed on to ``save``.

    Raises:
        CheckpointNotWritten: the disk is full, or the like; the file that was at
            ``path`` is still there, and no part of the new one.
    """
    path = Path(path)
    temporary = _temporary(path)
    counting = _CountingFile(None)
    try:
        with open_file(temporary) as file:
            counting = _CountingFile(file)
            save(obj, counting, **options)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except (OSError, RuntimeError) as error:
        cause = counting.error or error
        temporary.unlink(missing_ok=True)
        if not isinstance(cause, OSError):
            raise
        raise CheckpointNotWritten(
            cause.errno, _explain(cause, obj, path, save, options), str(path)
        ) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _explain(
    cause: OSError,
    obj: Any,
    path: Path,
    save: Callable[..., None],
    options: dict[str, Any],
) -> str:
    count = _CountingFile(None)
    save(obj, count, **options)
    stat = os.statvfs(path.parent)
    free = stat.f_bavail * stat.f_frsize
    kept = "the one before it is kept" if path.exists() else "nothing was written"
    return (
        f"{cause.strerror or cause}: the checkpoint needs {count.size:,} bytes and "
        f"{free:,} are free; {kept}. Make room and run the same command again: "
        "it resumes from the last whole epoch"
    )


@contextlib.contextmanager
def whole_checkpoints(folder: Path | str) -> Iterator[None]:
    """Make every ``torch.save`` to a path write whole files inside a ``with`` block.

    ESPnet's trainer and model averaging call ``torch.save``; there is no other place
    to take hold of their writes.

    Args:
        folder: Output folder; what killed runs left unfinished there is removed.
    """
    for left_over in Path(folder).glob(".*.partial"):
        left_over.unlink()
    original = torch.save

    def save(obj: Any, f: Any, *args: Any, **kwargs: Any) -> None:
        if isinstance(f, str | os.PathLike):
            save_whole(obj, Path(f), original, *args, **kwargs)
        else:
            original(obj, f, *args, **kwargs)

    with substitute(torch, save=save):
        yield


def finish_epoch(
    folder: Path,
    epoch: int,
    model_state: dict[str, torch.Tensor],
    best: Mapping[str, int],
) -> None:
    """Write the files that go with a checkpoint, if a kill came between them.

    ESPnet writes ``checkpoint.pth``, then ``{epoch}epoch.pth``, then links. A run
    killed in between would resume behind that epoch, later miss its file when it
    averages the best models, and decode with what an old link points at.

    Args:
        folder: Output folder.
        epoch: Last epoch in the checkpoint.
        model_state: The model's state in it.
        best: Name of a link -> the epoch that it has to point at.
    """
    if epoch < 1:
        return
    if not (folder / f"{epoch}epoch.pth").exists():
        save_whole(model_state, folder / f"{epoch}epoch.pth")
    for link, target in {"latest.pth": epoch, **best}.items():
        if (folder / f"{target}epoch.pth").exists():
            link_whole(folder / link, f"{target}epoch.pth")


def link_whole(link: Path, target: str) -> None:
    """Point a symbolic link at a name in its folder, with no moment without it."""
    temporary = _temporary(link)
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    os.replace(temporary, link)
