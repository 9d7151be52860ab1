"""Write maps atomically, verify them, and recognize them later by checksum."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from regionplot.errors import NoSpaceError, OutputError, RegionplotError
from regionplot.system import failpoints
from regionplot.system.files import atomic_replace, open_exclusive

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def prepare_directory(directory: Path) -> None:
    """Create the output folder and check that files can be written there.

    Raises
    ------
    OutputError
        If the folder cannot be created, or files cannot be written there.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe = directory / f".regionplot-{os.urandom(8).hex()}.tmp"
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise OutputError(f"{directory}: maps cannot be written there: {error.strerror or error}") from None


def check_folders(directory: Path, folders: Iterable[Path]) -> Iterator[str]:
    """Yield a message for each folder that lies outside the output folder because of a link."""
    others = [folder for folder in folders if folder != directory]
    inside = directory.resolve() if others else directory
    for folder in others:
        try:
            place = folder.resolve()
        except (OSError, RuntimeError) as error:  # RuntimeError: circular links
            yield f"{folder}: {getattr(error, 'strerror', None) or error}"
            continue
        if not place.is_relative_to(inside):
            yield f"{folder}: a link leads to {place}, outside the output folder"


def write_file(target: Path, content: bytes, run: str, within: Path | None = None) -> str:
    """Write a file atomically: write a temporary file beside the target, read it back, and rename it.

    Parameters
    ----------
    target : Path
        The file to write. A reader sees the old file or the new file, never an incomplete file.
    content : bytes
        The whole file.
    run : str
        The run's id (`system.files.new_run`). The name of the temporary file contains it.
    within : Path, optional
        The output folder. It must exist, and links must not place the target outside of it. By default, the folder of
        the target.

    Returns
    -------
    str
        SHA-256 of the content as 64 hexadecimal digits.

    Raises
    ------
    RegionplotError
        If the file cannot be written. The old file stays, and no temporary file is left.
    NoSpaceError
        If the disk or a quota is full.
    """
    within = within or target.parent
    try:
        _check_target(within, target)
        _make_folders(within, target.parent)
        with atomic_replace(target, run) as temporary:
            failpoints.failpoint("save", target.name)
            with open_exclusive(temporary) as file:
                file.write(content)
            failpoints.failpoint("verify", target.name)
            if temporary.read_bytes() != content:
                raise OSError(errno.EIO, "the file does not contain the bytes that were written")
            failpoints.failpoint("replace", target.name)
    except OSError as error:
        raise _write_error(target, error) from error
    return checksum(content)


def checksum(content: bytes) -> str:
    """Return the SHA-256 of bytes as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def has_content(path: Path, size: int, sha256: str) -> bool:
    """Return True if a path is a regular file with this size and checksum.

    Raises
    ------
    OSError
        If the file cannot be read or is a link.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # opening a FIFO must not block
    with os.fdopen(os.open(path, flags), "rb") as file:
        found = os.fstat(file.fileno())
        return stat.S_ISREG(found.st_mode) and found.st_size == size and checksum(file.read(size + 1)) == sha256


def _check_target(directory: Path, target: Path) -> None:
    """Check that a target is inside the output folder. An existing target must be a regular file or a link."""
    for problem in check_folders(directory, [target.parent]):
        raise RegionplotError(f"{target}: cannot be written: {problem}")
    with suppress(FileNotFoundError):
        kind = target.lstat().st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISLNK(kind)):
            what = os.strerror(errno.EISDIR) if stat.S_ISDIR(kind) else "a pipe, socket or device has this name"
            raise RegionplotError(f"{target}: cannot be written: {what}")


def _make_folders(directory: Path, folder: Path) -> None:
    """Create the folders between the output folder and a map. Do not create a removed output folder again."""
    missing = []
    while folder != directory and not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(exist_ok=True)


def _write_error(target: Path, error: OSError) -> RegionplotError:
    number = error.errno or 0
    name = f" ({errno.errorcode[number]})" if number in errno.errorcode else ""
    kind = NoSpaceError if number in _NO_SPACE else RegionplotError
    return kind(f"{target}: cannot be written: {error.strerror or error}{name}")
