"""Keep computed arrays in a bounded folder, such as projected vectors for the next run.

An entry's name is the digest of all that it depends on, so it is never stale; what is damaged or cannot be written is
made anew, and never an error.
"""

from __future__ import annotations

import hashlib
import logging
import os
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.system.files import atomic_replace, new_run, open_exclusive

logger = logging.getLogger(__name__)


Arrays = Mapping[str, NDArray[Any]]


_SUFFIX = ".npz"


_MAX_BYTES = 512 * 2**20


@dataclass(frozen=True)
class ArrayCache:
    """Named sets of arrays in a folder."""

    folder: Path
    max_bytes: int = _MAX_BYTES
    """The least recently used entries go when the folder is larger."""

    def read(self, key: str) -> Arrays | None:
        """The arrays kept under a key; None if there are none, or they are damaged."""
        path = self._path(key)
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            os.utime(path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
            logger.debug("cache entry %s cannot be read: %s", path, error)
            return None
        return arrays

    def write(self, key: str, arrays: Arrays) -> None:
        """Keep arrays under a key, whole or not at all."""
        path = self._path(key)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic_replace(path, new_run()) as temporary, open_exclusive(temporary) as file:
                np.savez(file, allow_pickle=False, **arrays)
            self._trim()
        except OSError as error:
            logger.debug("cache entry %s cannot be written: %s", path, error)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{_SUFFIX}"

    def _trim(self) -> None:
        entries = sorted(
            ((entry.stat(), entry) for entry in self.folder.glob(f"*{_SUFFIX}")), key=lambda entry: entry[0].st_mtime
        )
        excess = sum(stat.st_size for stat, _ in entries) - self.max_bytes
        for stat, entry in entries:
            if excess <= 0:
                break
            entry.unlink(missing_ok=True)
            excess -= stat.st_size


def user_cache() -> ArrayCache:
    """The cache in the user's cache folder, wherever the platform has it."""
    import platformdirs  # noqa: PLC0415 (only a run that reads vectors needs it)

    return ArrayCache(Path(platformdirs.user_cache_dir("regionplot")) / "vectors")


def digest(parts: Iterable[str], files: Iterable[Path]) -> str:
    """A name for what follows from some text and the contents of some files.

    Raises
    ------
    OSError
        If a file cannot be read.
    """
    total = hashlib.blake2b(digest_size=16)
    for part in parts:
        total.update(part.encode() + b"\0")
    for path in files:
        with path.open("rb") as file:
            total.update(path.suffix.encode() + hashlib.file_digest(file, "blake2b").digest())
    return total.hexdigest()
