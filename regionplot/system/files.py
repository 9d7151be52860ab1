"""Write files atomically, and detect changed files by fingerprint.

The name of a temporary file contains the name of the run that writes it (`.map.png.RUN.tmp`). A later run can therefore
remove the temporary files of a killed run.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from regionplot.system.processes import host_name, is_running

PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600
"""Permissions of folders and files that may hold data and that only their owner may read."""
RUN = r"\d{8}T\d{6}Z-\d+-[0-9a-f]{8}"
"""Regular expression for names of runs."""
_TEMPORARY = re.compile(rf"\..+\.({RUN})\.tmp(\..+)?")
"""Regular expression for names of temporary files. GDAL adds suffixes for sidecar files."""
_PROCESS_TOKEN = os.urandom(2).hex()[:3]
"""Random token of this process. Process ids are reused, so a process id alone does not identify a process."""
_run_numbers = itertools.count(os.urandom(1)[0])
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""Flags for reading. With these flags, a pipe does not block, and Windows does not convert line endings."""
_ABANDONED_AFTER = 86_400.0
"""Seconds without a change after which a temporary file of another machine or container counts as abandoned."""


def exists(path: Path) -> bool:
    """Return True if a path exists. Unlike `Path.exists`, accept names that the system rejects, such as long names."""
    return os.path.exists(path)  # noqa: PTH110


def new_run() -> str:
    """Return a name for a run: its time (UTC), process id and a token. Names sort by time."""
    number = next(_run_numbers) % 256
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}-{_machine_token()}{_PROCESS_TOKEN}{number:02x}"


@cache
def _machine_token() -> str:
    """Return a token for this machine, its last boot and this container.

    Process ids are unique only within these three.
    """
    parts = [host_name()]
    for source, read in (("/proc/sys/kernel/random/boot_id", Path.read_text), ("/proc/self/ns/pid", os.readlink)):
        with suppress(OSError):
            parts.append(str(read(Path(source))))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:3]


@contextmanager
def atomic_replace(target: Path, run: str) -> Iterator[Path]:
    """Provide a temporary path beside a target. At the end, the file at this path replaces the target.

    After an error, the target is unchanged and the temporary file is removed.

    Parameters
    ----------
    target : path
        File to replace.
    run : str
        Name of the run, as returned by `new_run`.

    Raises
    ------
    OSError
        If the target cannot be replaced.
    """
    temporary = target.with_name(f".{target.name}.{run}.tmp")
    try:
        temporary.unlink(missing_ok=True)  # a worker that died may have left it before this retry
        yield temporary
        temporary.replace(target)
    except BaseException:
        with suppress(OSError):  # an error here must not hide the first error
            temporary.unlink(missing_ok=True)
        raise


class NotBelowError(ValueError):
    """The path of a file leads out of a folder."""


def path_below(folder: Path, name: str) -> Path:
    """Return the real path of an existing file or folder below a folder. Links are followed.

    Parameters
    ----------
    folder : Path
        Real path of the folder.
    name : str
        Path, relative to the folder.

    Raises
    ------
    NotBelowError
        If the path or a link leads out of the folder, or the path is a name of GDAL (`/vsi...`).
    FileNotFoundError
        If there is no such file.
    ValueError
        If the name cannot be a path, or the path cannot be followed.
    """
    try:
        real = (folder / name).resolve()
        is_there = real.exists()
    except (OSError, ValueError, RuntimeError):
        raise ValueError("not the path of a file") from None
    if not real.is_relative_to(folder) or str(real).startswith("/vsi"):
        raise NotBelowError("not below the folder")
    if not is_there:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(real))
    return real


def open_exclusive(path: Path, mode: int = 0o666) -> BinaryIO:
    """Create a file and open it for writing. Refuse existing files and links. The umask limits the permissions."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    return os.fdopen(os.open(path, flags, mode), "wb")


def open_plain_file(path: Path) -> BufferedReader:
    """Open a plain file for reading. A pipe would block, and a device may have no end.

    Raises
    ------
    OSError
        If the file cannot be read, or is not a plain file.
    """
    descriptor = os.open(path, _READ)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a plain file", str(path))
    return os.fdopen(descriptor, "rb")


def open_own_file(path: Path) -> BufferedReader:
    """Open a plain file of this user for reading.

    Raises
    ------
    OSError
        If the file cannot be read, belongs to another user, or is a link, a hard link, or not a plain file.
    """
    descriptor = os.open(path, _READ | getattr(os, "O_NOFOLLOW", 0))
    if not is_own_plain_file(descriptor):
        os.close(descriptor)
        raise PermissionError(errno.EPERM, "not a plain file of this user", str(path))
    return os.fdopen(descriptor, "rb")


def is_own_plain_file(descriptor: int) -> bool:
    """Return True if an open file is a plain file of this user, and has no second name."""
    found = os.fstat(descriptor)
    return stat.S_ISREG(found.st_mode) and found.st_nlink <= 1 and _is_own(found)


def make_private_folder(folder: Path) -> None:
    """Create a folder that only this user can read, or make an existing folder private.

    Raises
    ------
    OSError
        If the folder cannot be created, belongs to another user, or is a link or not a folder.
    """
    try:
        found = folder.lstat()
    except FileNotFoundError:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            folder.mkdir(mode=PRIVATE_FOLDER)
        found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or not _is_own(found):
        raise PermissionError(errno.EPERM, "not a folder of this user", str(folder))
    if stat.S_IMODE(found.st_mode) & ~PRIVATE_FOLDER:
        folder.chmod(PRIVATE_FOLDER)


def _is_own(found: os.stat_result) -> bool:
    """Return True if a file belongs to this user. On Windows, always return True."""
    return not hasattr(os, "geteuid") or found.st_uid == os.geteuid()


def remove_stale_temporaries(folders: Iterable[Path], run: str | None = None) -> None:
    """Remove temporary files and temporary folders that killed processes left.

    Parameters
    ----------
    folders : iterable of path
        Folders to search, without their subfolders.
    run : str, optional
        Remove the files of this run only. By default, remove the files of all runs that have ended.
    """
    for folder in folders:
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                found = _TEMPORARY.fullmatch(entry.name)
                if found and (found[1] == run or (run is None and _is_abandoned(found[1], entry))):
                    _remove(entry)


def _remove(entry: os.DirEntry[str]) -> None:
    import shutil  # noqa: PLC0415 (imports compression libraries)

    if entry.is_dir(follow_symlinks=False):
        shutil.rmtree(entry.path, ignore_errors=True)
    else:
        Path(entry.path).unlink(missing_ok=True)


@contextmanager
def temporary_folder(target: Path) -> Iterator[Path]:
    """Create a temporary folder beside a target, and remove it at the end, also after an error.

    The folder of a killed process is removed by the next call for a target in the same folder.

    Raises
    ------
    OSError
        If the folder cannot be created.
    """
    import shutil  # noqa: PLC0415 (imports compression libraries)

    remove_stale_temporaries([target.parent])
    folder = target.with_name(f".{target.name}.{new_run()}.tmp")
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(run: str, entry: os.DirEntry[str]) -> bool:
    """Return True if no process is writing a temporary file. For a file of another machine, check its age."""
    _, pid, token = run.split("-")
    if not token.startswith(_machine_token()):
        return time.time() - entry.stat(follow_symlinks=False).st_mtime > _ABANDONED_AFTER
    if int(pid) == os.getpid():
        return token[3:6] != _PROCESS_TOKEN
    return not is_running(int(pid))


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Facts about a file that change when it is replaced, truncated or written."""

    device: int
    inode: int
    size: int
    modified: int
    """Time of the last write in nanoseconds. A copy can have the time of its original."""
    changed: int
    """Time of the last change of content or attributes in nanoseconds. Programs cannot set it."""

    @classmethod
    def of(cls, path: Path) -> Fingerprint | None:
        """Return the fingerprint of a file, or None if there is no such file."""
        try:
            found = path.stat()
        except OSError:
            return None
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)

    def is_copy_of(self, other: Fingerprint) -> bool:
        """Return True if a file on another machine has the size and the time of the last write of this file.

        Some programs that copy files keep only whole seconds of the time.
        """
        second = 10**9
        return (self.size, self.modified // second) == (other.size, other.modified // second)
