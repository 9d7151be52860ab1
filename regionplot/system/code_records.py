"""Keep on disk what source files and large files of libraries contain, so that a run need not read them.

The name of a record is a digest of the marks of the files, so a record is never outdated.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from functools import cache
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from regionplot.system.cache import ArrayCache, Arrays, user_cache_folder
from regionplot.system.code import imported_libraries, library_version, source_files
from regionplot.system.marks import are_older, mark_of, marks_in, own_marks

logger = logging.getLogger(__name__)
_PACKAGE = Path(__file__).parents[1]
_MAX_BYTES = 2**20
_DIGITS = 32
_DIGEST_BYTES = 32


class Sources(NamedTuple):
    """What digests need to know about the source files of some modules and of the modules that they import."""

    libraries: tuple[str, ...]
    """Names of the other packages that they import."""
    digest: bytes
    """SHA-256 of the files."""

    def versions(self) -> list[str]:
        """Return the names of the libraries with the installed versions."""
        return [f"{name} {library_version(name)}" for name in self.libraries]

    @classmethod
    def of(cls, modules: tuple[str, ...]) -> Self:
        """Read the source files of modules.

        Raises
        ------
        OSError
            If a file cannot be read.
        """
        total = hashlib.sha256()
        for path in source_files(*modules):
            total.update(path.read_bytes())
        return cls(imported_libraries(*modules), total.digest())

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self | None:
        """Return the sources from a record, or None if the record is damaged."""
        try:
            libraries = json.loads(arrays["libraries"].tobytes())
            found = cls(tuple(map(str, libraries)), arrays["digest"].tobytes())
        except (ValueError, LookupError, TypeError) as error:
            logger.debug("a record of source files cannot be used: %s", error)
            return None
        return found if len(found.digest) == _DIGEST_BYTES else None

    def arrays(self) -> Arrays:
        """Return arrays to store."""
        text = json.dumps(self.libraries).encode()
        return {"libraries": np.frombuffer(text, np.uint8), "digest": np.frombuffer(self.digest, np.uint8)}


def code_records() -> ArrayCache | None:
    """Return the cache of records, or None if the user has no cache folder."""
    try:
        return ArrayCache(user_cache_folder() / "code", _MAX_BYTES)
    except FileNotFoundError:
        return None


@cache
def known_sources(modules: tuple[str, ...], records: ArrayCache | None) -> Sources:
    """Return what the source files of modules contain, from a record if there is one.

    Files are read once per process, because a process keeps the code that it has imported.

    Parameters
    ----------
    modules : tuple of str
        Names of modules. There are records only for modules of this package.
    records : ArrayCache or None
        The cache of records. None: read the files.

    Raises
    ------
    OSError
        If a file cannot be read.
    """
    if records is None or any(module.partition(".")[0] != _PACKAGE.name for module in modules):
        return Sources.of(modules)
    began = time.time()
    marks = dict(own_marks(str(_PACKAGE)))
    key = hashlib.sha256(repr((modules, marks)).encode()).hexdigest()[:_DIGITS]
    arrays = records.read(key)
    found = None if arrays is None else Sources.from_arrays(arrays)
    if found is None:
        found = Sources.of(modules)
        if are_older(marks, began) and dict(sorted(marks_in(str(_PACKAGE)))) == marks:
            records.write(key, found.arrays())
    return found


class LibraryFile(NamedTuple):
    """What digests need to know about a file of a library."""

    digest: str
    """SHA-256 of the file, as hexadecimal digits."""
    has_word: bool
    """True if the file contains a given word."""

    @classmethod
    def of(cls, content: bytes, word: bytes) -> Self:
        """Return what the content of a file tells."""
        return cls(hashlib.sha256(content).hexdigest(), word in content)

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self | None:
        """Return what a record tells, or None if the record is damaged."""
        try:
            digest, has_word = arrays["digest"].tobytes(), bool(arrays["has_word"])
        except (ValueError, LookupError, TypeError) as error:
            logger.debug("a record of a library cannot be used: %s", error)
            return None
        return cls(digest.hex(), has_word) if len(digest) == _DIGEST_BYTES else None

    def arrays(self) -> Arrays:
        """Return arrays to store."""
        digest = np.frombuffer(bytes.fromhex(self.digest), np.uint8)
        return {"digest": digest, "has_word": np.array(self.has_word)}


def known_file(path: Path, word: bytes, records: ArrayCache | None) -> LibraryFile:
    """Return what a file of a library contains, from a record if there is one.

    Parameters
    ----------
    path : Path
        The file.
    word : bytes
        The word to look for.
    records : ArrayCache or None
        The cache of records. None: read the file.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    began, mark = time.time(), mark_of(path)
    key = hashlib.sha256(repr((str(path), word, mark)).encode()).hexdigest()[:_DIGITS]
    arrays = None if records is None else records.read(key)
    found = None if arrays is None else LibraryFile.from_arrays(arrays)
    if found is None:
        found = LibraryFile.of(path.read_bytes(), word)
        if records is not None and are_older({str(path): mark}, began) and mark_of(path) == mark:
            records.write(key, found.arrays())
    return found
