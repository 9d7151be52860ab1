"""Keep on disk what the source files of this package contain, so that a run need not read hundreds of files.

The name of a record is a digest of the marks of all files of this package, so a record is never outdated.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np

from regionplot.system.cache import ArrayCache, Arrays, user_cache_folder
from regionplot.system.code import imported_libraries, source_files
from regionplot.system.marks import are_older, marks_in

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


def known_sources(modules: tuple[str, ...], records: ArrayCache | None) -> Sources:
    """Return what the source files of modules contain, from a record if there is one.

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
    marks = dict(sorted(marks_in(str(_PACKAGE))))
    key = hashlib.sha256(repr((modules, marks)).encode()).hexdigest()[:_DIGITS]
    arrays = records.read(key)
    found = None if arrays is None else Sources.from_arrays(arrays)
    if found is None:
        found = Sources.of(modules)
        if are_older(marks, began) and dict(sorted(marks_in(str(_PACKAGE)))) == marks:
            records.write(key, found.arrays())
    return found
