"""Keep computed arrays, such as projected vectors, in a folder of limited size for the next run.

The name of an entry is a digest of everything that the arrays depend on, so an entry is never outdated. If an entry is
damaged or cannot be written, the caller gets no error and computes the arrays again.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import stat
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from regionplot.system.files import (
    PRIVATE_FILE,
    atomic_replace,
    make_private_folder,
    new_run,
    open_exclusive,
    open_own_file,
    open_plain_file,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)
Arrays: TypeAlias = "Mapping[str, NDArray[Any]]"
Entry: TypeAlias = "Path | os.DirEntry[str]"
_SUFFIX = ".arrays"
_OLD_SUFFIX = ".npz"
"""Suffix of entries of earlier versions. They are not read, but removed when the folder is too large."""
_MAX_BYTES = 512 * 2**20


@dataclass(frozen=True)
class ArrayCache:
    """A folder of named sets of arrays. Only its owner can read it. A folder or entry of another user is not used."""

    folder: Path
    max_bytes: int = _MAX_BYTES
    """Maximum size of the folder. If the folder is larger, the least recently used entries are removed."""
    writes_per_trim: int = 1
    """Average number of writes after which the size is checked. Checking a folder of many small entries takes longer
    than writing an entry."""

    def has(self, key: str) -> bool:
        """Return True if there is an entry for a key. The entry can be damaged."""
        return os.path.lexists(self._path(key))

    def read(self, key: str) -> Arrays | None:
        """Return the arrays of a key, or None if there is no entry for the key or the entry is damaged."""
        from regionplot.system.array_file import read_arrays  # noqa: PLC0415 (kept maps need no arrays)

        path = self._path(key)
        if not self.has(key):  # faster than the error of opening; ink of new maps is looked up twice
            return None
        try:
            make_private_folder(self.folder)
            with open_own_file(path) as file:
                arrays = read_arrays(file)
            os.utime(path)
        except FileNotFoundError:
            return None
        except Exception as error:  # a header with a valid checksum can still cause almost any error
            logger.debug("cache entry %s cannot be read: %s", path, error)
            return None
        return arrays

    def write(self, key: str, arrays: Arrays) -> None:
        """Store arrays under a key. If the write fails, the error is logged and no file is left.

        A new entry is written in its place, which takes half the time of renaming it. A reader that comes too early
        finds a damaged entry. An existing entry is replaced atomically: it is damaged, or another process writes it.
        """
        path = self._path(key)
        try:
            make_private_folder(self.folder)
            try:
                _write_new(path, arrays)
            except FileExistsError:
                with atomic_replace(path, new_run()) as temporary:
                    _write_new(temporary, arrays)
            if secrets.randbelow(self.writes_per_trim) == 0:
                self._trim()
        except OSError as error:
            logger.debug("cache entry %s cannot be written: %s", path, error)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{_SUFFIX}"

    def _trim(self) -> None:
        """Remove the least recently used entries, if the folder is too large.

        `os.scandir` lists a folder in a fifth of the time of `Path.iterdir`.
        """
        with os.scandir(self.folder) as entries:
            trim((entry for entry in entries if entry.name.endswith((_SUFFIX, _OLD_SUFFIX))), self.max_bytes)


def _write_new(path: Path, arrays: Arrays) -> None:
    """Write arrays to a new file. If this fails, remove the file."""
    from regionplot.system.array_file import write_arrays  # noqa: PLC0415 (kept maps need no arrays)

    file = open_exclusive(path, PRIVATE_FILE)
    try:
        with file:
            write_arrays(file, arrays)
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise


def trim(entries: Iterable[Entry], max_bytes: int, is_removable: Callable[[Path], bool] = lambda _: True) -> None:
    """Remove the least recently used entries of a cache until the remaining entries fit into a limit.

    Parameters
    ----------
    entries : iterable of Path or os.DirEntry
        Files, or folders of files. The time of modification is the time of last use.
    max_bytes : int
        Limit for the size of all entries.
    is_removable : callable
        Called with an entry. Returns False if the entry must stay.
    """
    found = [
        (status.st_mtime, _size_of(entry, status), entry) for entry in entries if (status := _stat(entry)) is not None
    ]
    excess = sum(size for _, size, _ in found) - max_bytes
    for _, size, entry in sorted(found, key=itemgetter(0)) if excess > 0 else ():
        if excess <= 0:
            return
        if is_removable(path := Path(entry)):
            _remove(path)
            excess -= size


def _size_of(entry: Entry, status: os.stat_result) -> int:
    """Return the bytes of an entry. Another process may remove the entry at the same time."""
    if not stat.S_ISDIR(status.st_mode):
        return status.st_size
    files: list[Path] = []
    with suppress(OSError):
        files = list(Path(entry).iterdir())
    return sum(found.st_size for file in files if (found := _stat(file)) is not None)


def _stat(entry: Entry) -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except OSError:
        return None


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        import shutil  # noqa: PLC0415 (only a cache that is too large needs it)

        shutil.rmtree(entry, ignore_errors=True)
    else:
        with suppress(OSError):
            entry.unlink()


def user_cache_folder() -> Path:
    """Return the user's cache folder for this package.

    Raises
    ------
    FileNotFoundError
        If the user has no home folder, and no variable sets a cache folder.
    """
    try:
        folder = _xdg_cache_folder() or _platform_cache_folder()
    except RuntimeError:  # HOME is not set, and the user has no entry in the password file
        folder = Path("~")
    if not folder.is_absolute():
        raise FileNotFoundError("there is no cache folder: set HOME or XDG_CACHE_HOME")
    return folder


def _xdg_cache_folder() -> Path | None:
    """Return the folder of platformdirs for the usual environment on Linux, or None for other environments.

    The import of platformdirs would take 5 % of the time of a run without changes.
    """
    cache, home = os.environ.get("XDG_CACHE_HOME", ""), os.environ.get("HOME", "")
    if sys.platform != "linux" or not (cache.startswith("/") or home.startswith("/")):
        return None
    return Path(cache if cache.startswith("/") else f"{home}/.cache") / "regionplot"


def _platform_cache_folder() -> Path:
    import platformdirs  # noqa: PLC0415 (only unusual environments need it)

    return Path(platformdirs.user_cache_dir("regionplot"))


def user_cache() -> ArrayCache | None:
    """Return the cache of projected vectors in the user's cache folder, or None if the user has no such folder."""
    try:
        return ArrayCache(user_cache_folder() / "vectors")
    except FileNotFoundError as error:
        logger.debug("%s", error)
        return None


def digest(parts: Iterable[str], files: Iterable[Path]) -> str:
    """Return a digest of texts and of the contents of files.

    Parameters
    ----------
    parts : iterable of str
        Texts, in order.
    files : iterable of path
        Files, in order. The digest includes their suffixes.

    Raises
    ------
    OSError
        If a file cannot be read or is not a plain file.
    """
    total = hashlib.blake2b(digest_size=16)
    for part in parts:
        total.update(part.encode() + b"\0")
    for path in files:
        with open_plain_file(path) as file:
            total.update(path.suffix.encode() + hashlib.file_digest(file, "blake2b").digest())
    return total.hexdigest()
