"""Marks of files: facts that change when a file is replaced or written. They are compared instead of contents."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

MIN_AGE = 2.0
"""Seconds that a file must have been unchanged, so that its mark shows each later change.

The times of a file have a limited resolution, up to a second on old file systems. If a file is written twice within
this resolution, its times do not show the second change. Git calls such an entry racy.
"""
Mark = tuple[int, ...] | None
"""Device, inode, size and times of a file. None if there is no such file."""
Marks = Mapping[str, Mark]
"""Marks of files by path."""


def mark_of(path: str | Path) -> Mark:
    """Return the mark of a file, or None if there is no such file."""
    try:
        found = os.stat(path)  # noqa: PTH116 (half of the time of a `Fingerprint`, for hundreds of source files)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def marks_in(folder: str) -> Iterator[tuple[str, Mark]]:
    """Yield path and mark of all files below a folder, except compiled modules."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name == "__pycache__":
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from marks_in(entry.path)
            else:
                yield entry.path, mark_of(entry.path)


@cache
def own_marks(package: str) -> tuple[tuple[str, Mark], ...]:
    """Return the sorted paths and marks of the files of this package, as they were at the first call.

    A process keeps the code that it has imported. If a file changes later, the marks of the next process show it.

    Parameters
    ----------
    package : str
        Folder of this package.
    """
    return tuple(sorted(marks_in(package)))


def are_older(marks: Marks, time: float, age: float = MIN_AGE) -> bool:
    """Return True if all files exist and have not changed since some seconds before a time.

    The last time of a mark is the time of the last change of content or attributes, which programs cannot set.

    Parameters
    ----------
    marks : mapping
        Marks of files.
    time : float
        Time in seconds since the epoch.
    age : float
        Seconds before the time.
    """
    return all(mark is not None and mark[-1] / 1e9 < time - age for mark in marks.values())
