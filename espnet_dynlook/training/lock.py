"""One run at a time in an output folder."""

import os
import socket
from pathlib import Path
from types import TracebackType


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
        # Written aside and linked, so that nobody can read half a lock.
        mine = self.path.with_name(f".lock.{socket.gethostname()}.{os.getpid()}")
        mine.write_text(self.line, encoding="utf-8")
        try:
            while True:
                try:
                    os.link(mine, self.path)
                    return self
                except FileExistsError:
                    self._remove_stale()
        finally:
            mine.unlink()

    def _remove_stale(self) -> None:
        try:
            line = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return  # released meanwhile
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
        # Renamed first: of two runs that find the same dead lock, one gets it.
        stale = self.path.with_name(f".lock.stale.{os.getpid()}")
        try:
            self.path.rename(stale)
        except FileNotFoundError:
            return
        if stale.read_text(encoding="utf-8") != line:  # a new owner was faster
            try:
                os.link(stale, self.path)
            except FileExistsError:
                pass
        stale.unlink()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Release the lock."""
        if self.needed and self.path.read_text(encoding="utf-8") == self.line:
            self.path.unlink()
