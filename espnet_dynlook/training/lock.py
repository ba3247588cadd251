"""One run at a time in an output folder."""

import errno
import logging
import os
import socket
import time
from pathlib import Path
from types import TracebackType

#: How long to wait for another run that is writing a lock, or taking one over.
PATIENCE = 1.0
# What os.link says where there are no hard links.
_NO_LINKS = {
    errno.EPERM,
    errno.EACCES,
    errno.ENOSYS,
    errno.EOPNOTSUPP,
    errno.ENOTSUP,
    errno.EXDEV,
    errno.EMLINK,
}


class FolderInUse(RuntimeError):
    """Another live run is working in the folder."""


def _start_time(pid: int) -> str:
    """Return when a process started, in kernel ticks, or "" where that is unknown.

    A number that is given to a new process later does not make an old lock alive.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return ""
    # The command's name, in parentheses, may hold spaces; starttime is field 22.
    return stat.rpartition(")")[2].split()[19]


def _is_alive(pid: int, start_time: str) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it lives, and belongs to someone else
    return not start_time or start_time == _start_time(pid)


class FolderLock:
    """Hold ``folder/.lock`` inside a ``with`` block.

    The lock is a file of one line, ``pid host start-time``. That of a process that has
    died, by ``kill -9`` say, is taken over. Plain files, not ``flock``, which network
    file systems do not all support.

    Args:
        folder: The output folder; made if it does not exist.
        needed: False: do nothing, for workers that write nothing.
    """

    def __init__(self, folder: Path | str, needed: bool = True):
        self.path = Path(folder) / ".lock"
        self.needed = needed
        pid = os.getpid()
        self.line = f"{pid} {socket.gethostname()} {_start_time(pid)}\n"

    def __enter__(self) -> "FolderLock":
        """Take the lock.

        Raises:
            FolderInUse: a live process, or one on another machine, holds it.
        """
        if not self.needed:
            return self
        self.path.parent.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + PATIENCE
        while not self._create(self.path):
            late = time.monotonic() > deadline
            if not self._remove_dead(late):
                time.sleep(PATIENCE / 20)
        return self

    def _create(self, path: Path) -> bool:
        """Write this process's line to a new file; say whether there was none."""
        # Written aside and linked, so that nobody can read half a lock.
        aside = self.path.with_name(f".lock.{socket.gethostname()}.{os.getpid()}")
        aside.write_text(self.line, encoding="utf-8")
        try:
            os.link(aside, path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            # Atomic too, but for a moment the file is empty.
            try:
                with open(path, "x", encoding="utf-8") as file:
                    file.write(self.line)
            except FileExistsError:
                return False
        finally:
            aside.unlink()
        return True

    def _remove_dead(self, late: bool) -> bool:
        """Remove the lock of a process that has died.

        Args:
            late: Whether the others have had the time to finish what they were doing.

        Returns:
            Whether to try again at once; otherwise after a moment.

        Raises:
            FolderInUse: a live process, or one on another machine, holds it.
        """
        line = self._read(self.path)
        if line is None:
            return True  # released meanwhile
        if not line.endswith("\n") and not late:
            return False  # somebody is writing it
        pid, host, start_time = [*line.split(), "", "", ""][:3]
        folder = self.path.parent
        if pid.isdigit() and host != socket.gethostname():
            raise FolderInUse(
                f"{folder} is in use by process {pid} on {host}; wait for it, choose "
                f"another folder, or delete {self.path} if that run is dead"
            )
        if pid.isdigit() and _is_alive(int(pid), start_time):
            raise FolderInUse(
                f"{folder} is in use by process {pid} on this machine; wait for it, "
                f"stop it (kill {pid}), or choose another folder"
            )
        # Several runs may have found the same dead lock. Only the owner of this second
        # file removes one, and only if it is still that lock: nobody else can have put
        # a new one in its place between the look and the removal.
        takeover = self.path.with_name(".lock.takeover")
        if not self._create(takeover):
            if late:
                raise FolderInUse(
                    f"{folder} is being taken over from process {pid}, which has "
                    f"died; if no other run is starting, delete {takeover}"
                )
            return False
        try:
            if self._read(self.path) == line:
                self.path.unlink()
        finally:
            takeover.unlink()
        return True

    @staticmethod
    def _read(path: Path) -> str | None:
        try:
            return path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Release the lock."""
        if not self.needed:
            return
        if self._read(self.path) == self.line:
            self.path.unlink(missing_ok=True)
        else:
            logging.warning(
                f"{self.path} was deleted or replaced while this run held it: another "
                "run may have written to the same folder"
            )
