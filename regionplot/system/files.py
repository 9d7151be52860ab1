"""Write files atomically, and recognize files by fingerprint.

A temporary's name tells which run made it (`.map.png.RUN.tmp`), so that what a killed run left can be told and removed.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import secrets
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import BinaryIO

from regionplot.system.processes import is_running

RUN = r"\d{8}T\d{6}Z-\d+-[0-9a-f]{8}"
"""What the name of a run looks like."""


_TEMPORARY = re.compile(rf"\..+\.({RUN})\.tmp(\..+)?")
"""GDAL puts files of its own beside the one that it writes."""


_PROCESS = secrets.token_hex(2)[:3]
"""With the process id, which is used again, tells this process from those that are over."""


_numbers = itertools.count(secrets.randbelow(256))


_FORGOTTEN = 86_400.0
"""Seconds without a change after which a file of another machine's or container's run is nobody's."""


def new_run() -> str:
    """A name for a run, which its temporary files carry: its time (UTC), so that names sort by it, and its process."""
    number = next(_numbers) % 256
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}-{_place()}{_PROCESS}{number:02x}"


@cache
def _place() -> str:
    """Where process ids mean what they mean here: this machine, since it was started, and this container."""
    told = [socket.gethostname()]
    for source, read in (("/proc/sys/kernel/random/boot_id", Path.read_text), ("/proc/self/ns/pid", os.readlink)):
        with suppress(OSError):
            told.append(str(read(Path(source))))
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:3]


@contextmanager
def atomic_replace(target: Path, run: str) -> Iterator[Path]:
    """A temporary path beside a target: what is made there takes the target's place in the end, unless an error comes.

    Raises
    ------
    OSError
        If it cannot be put there; the target is as it was, and no temporary is left.
    """
    temporary = target.with_name(f".{target.name}.{run}.tmp")
    try:
        temporary.unlink(missing_ok=True)  # of a worker that died over this file, which is tried again
        yield temporary
        temporary.replace(target)
    finally:
        with suppress(OSError):  # it is the first error that says what is wrong
            temporary.unlink(missing_ok=True)


def open_exclusive(path: Path) -> BinaryIO:
    """Open a file that is not there yet, through no link, readable for whom the umask lets read it."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    return os.fdopen(os.open(path, flags, 0o666), "wb")


def remove_stale_temporaries(folders: Iterable[Path], run: str | None = None) -> None:
    """Remove the temporary files that killed processes have left in some folders, of one run or of any that is over."""
    for folder in folders:
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                found = _TEMPORARY.fullmatch(entry.name)
                if found and (found[1] == run or (run is None and _is_left(found[1], entry))):
                    Path(entry.path).unlink(missing_ok=True)


def _is_left(run: str, entry: os.DirEntry[str]) -> bool:
    """Whether nobody is at work on a temporary file any more."""
    _, pid, token = run.split("-")
    if not token.startswith(_place()):
        return time.time() - entry.stat(follow_symlinks=False).st_mtime > _FORGOTTEN
    if int(pid) == os.getpid():
        return token[3:6] != _PROCESS
    return not is_running(int(pid))


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What changes when a file is replaced, cut or written to."""

    device: int
    inode: int
    size: int
    modified: int
    """When it was written to, in nanoseconds; a copy can have that of its original."""
    changed: int
    """When anything about it changed, in nanoseconds, which nobody can set back."""

    @classmethod
    def of(cls, path: Path) -> Fingerprint | None:
        """The fingerprint of a file as it is now; None if it is not there."""
        try:
            found = path.stat()
        except OSError:
            return None
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
