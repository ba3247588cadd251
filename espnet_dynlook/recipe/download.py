"""Fetch a corpus archive: resumed where it stopped, whole or not at all.

A transfer goes to ``NAME.part`` and gets its name only when its size and its SHA-256
(where the publisher or another citable source gives one) are right.
"""

import errno
import gzip
import hashlib
import http.client
import os
import shutil
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
import zlib
from email.message import Message
from pathlib import Path

from tqdm import tqdm

BLOCK = 1 << 20  # bytes
FULL = (errno.ENOSPC, errno.EDQUOT)
# What a reader of an archive raises for its content, never for the machine.
DAMAGED = (tarfile.ReadError, EOFError, gzip.BadGzipFile, zlib.error)


class DownloadError(Exception):
    """An archive could not be had; the message says what to do."""


def download(
    url: str,
    target: Path,
    sha256: str | None = None,
    *,
    attempts: int = 5,
    wait: float = 2.0,
    timeout: float = 60.0,
) -> Path:
    """Fetch ``url`` to ``target``, going on where an earlier call stopped.

    Args:
        url: Where the file is.
        target: Where it shall be. If it is there already, nothing is fetched.
        sha256: Expected sum in hexadecimal, if a citable source gives one.
        attempts: How often to go on after a broken connection before giving up.
        wait: Seconds before the second attempt; doubled for each further one.
        timeout: Seconds without a byte after which a connection counts as broken.

    Returns:
        ``target``.

    Raises:
        DownloadError: The server cannot be reached, refuses, sends another size or
            content than expected, or the disk is too small. What was received stays in
            ``target.part``, unless its content is known to be wrong.
    """
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    for attempt in range(1, attempts + 1):
        try:
            _receive(url, part, timeout)
            break
        except urllib.error.HTTPError as error:
            raise DownloadError(
                f"{url}: the server answers {error.code} {error.reason}. "
                f"Fetch the file some other way and put it at {target}."
            ) from error
        except (OSError, http.client.HTTPException) as error:
            if getattr(error, "errno", None) in FULL:
                raise DownloadError(
                    f"{target.parent} is full; {part} is kept and the next run goes on"
                ) from error
            if attempt == attempts:
                raise DownloadError(
                    f"{url} could not be fetched in {attempts} attempts ({error}). "
                    "Is this machine online? What arrived is kept: the next run goes "
                    f"on from there. Or put the file at {target} yourself."
                ) from error
            time.sleep(wait * 2 ** (attempt - 1))
    if sha256 is not None:
        found = file_sha256(part)
        if found != sha256:
            part.unlink()
            raise DownloadError(
                f"{url}: SHA-256 is {found}, expected {sha256}. The file was removed; "
                "run again, and if this stays, the publisher has changed the file."
            )
    part.rename(target)
    return target


def _receive(url: str, part: Path, timeout: float) -> None:
    """Append to ``part`` what is missing, in one connection.

    Raises:
        OSError: The connection broke or ended early.
    """
    validator = part.with_name(part.name + ".etag")
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url)
    if have:
        request.add_header("Range", f"bytes={have}-")
        if validator.exists():  # a file that changed meanwhile comes whole
            request.add_header("If-Range", validator.read_text())
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        # Nothing after our last byte: either all is here, or ours is another file.
        if error.headers.get("Content-Range") != f"bytes */{have}":
            part.unlink()
            raise OSError(f"{part.name} was longer than the file at {url}") from error
        return
    with response:
        resumed = response.status == 206
        if not resumed:
            have = 0
        total = _total_size(response.headers, have)
        tag = response.headers.get("ETag") or response.headers.get("Last-Modified")
        if tag and not tag.startswith("W/"):  # weak tags may not be used for ranges
            validator.write_text(tag)
        if total is not None:
            free = shutil.disk_usage(part.parent).free
            if total - have > free:
                raise DownloadError(
                    f"{url} needs {total - have} more bytes, {part.parent} has {free}"
                )
        with (
            part.open("ab" if resumed else "wb") as file,
            tqdm(
                total=total, initial=have, unit="B", unit_scale=True, desc=part.stem
            ) as bar,
        ):
            while block := response.read(BLOCK):
                file.write(block)
                have += len(block)
                bar.update(len(block))
    if total is not None and have != total:
        raise OSError(f"connection ended after {have} of {total} bytes")
    validator.unlink(missing_ok=True)


def _total_size(headers: Message, start: int) -> int | None:
    span = headers.get("Content-Range", "")
    if span.rpartition("/")[2].isdigit():
        return int(span.rpartition("/")[2])
    length = headers.get("Content-Length")
    return None if length is None else start + int(length)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def extract(archive: Path, folder: Path, expect: str) -> Path:
    """Unpack a tar archive, whole or not at all.

    Args:
        archive: A tar file, compressed or not.
        folder: Where to put ``expect``.
        expect: Name of the one folder of the archive that is wanted.

    Returns:
        ``folder / expect``. If it is there already, nothing is unpacked.

    Raises:
        DownloadError: The archive is damaged or has no such folder, or this machine
            could not unpack it. Only an archive whose content is damaged is removed,
            so that the next run fetches it again.
    """
    target = folder / expect
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".unpack-") as scratch:
        try:
            with tarfile.open(archive) as tar:
                # One pass: getmembers() would unpack a compressed file twice.
                tar.extractall(scratch, members=tar, filter="data")
                # tarfile stops at the end mark; the checksum comes after it.
                while tar.fileobj is not None and tar.fileobj.read(BLOCK):
                    pass
        except (*DAMAGED, tarfile.TarError, OSError, ValueError) as error:
            if _is_damage(error):
                archive.unlink()
                raise DownloadError(
                    f"{archive} is damaged ({error}) and was removed: run again to "
                    "fetch it"
                ) from error
            if getattr(error, "errno", None) in FULL:
                raise DownloadError(
                    f"{folder} is full: cannot unpack {archive}, which is kept. Make "
                    "room and run again."
                ) from error
            raise DownloadError(
                f"cannot unpack {archive} in {folder}: {error}. The archive is kept; "
                "run again when that is mended."
            ) from error
        unpacked = Path(scratch) / expect
        if not unpacked.is_dir():
            names = ", ".join(sorted(os.listdir(scratch))) or "nothing"
            raise DownloadError(f"{archive} holds {names}, but no folder {expect}")
        unpacked.rename(target)
    return target


def _is_damage(error: Exception) -> bool:
    """Tell damaged content from a machine that cannot read or write.

    The reader of bzip2 says "Invalid data stream" by a bare OSError; those of the
    system have a number.
    """
    if isinstance(error, DAMAGED):
        return True
    return type(error) is OSError and error.errno is None
