"""Files that appear whole or not at all: written beside their place under a temporary name, then put into it.

A temporary's name tells which run made it (`.map.png.RUN.tmp`), so that what a killed run left can be told and removed.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

RUN = r"\d{8}T\d{6}Z-\d+-[0-9a-f]{8}"
"""What the name of a run looks like."""
_TEMPORARY = re.compile(rf"\..+\.({RUN})\.tmp(\..+)?")
"""GDAL puts files of its own beside the one that it writes."""
_PROCESS = secrets.token_hex(2)
"""With the process id, which is used again (in a container each time), tells this process from those that are over."""


def new_run() -> str:
    """A name for a run, which its temporary files carry: its time (UTC), so that names sort by it, and its process."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}-{_PROCESS}{secrets.token_hex(2)}"


@contextmanager
def replacing(target: Path, run: str) -> Iterator[Path]:
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


def create(path: Path) -> BinaryIO:
    """Open a file that is not there yet, through no link, readable for whom the umask lets read it."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    return os.fdopen(os.open(path, flags, 0o666), "wb")


def sweep(folders: Iterable[Path], run: str | None = None) -> None:
    """Remove the temporary files that killed processes have left in some folders, of one run or of any that is over."""
    for folder in folders:
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                found = _TEMPORARY.fullmatch(entry.name)
                if found and (found[1] == run or (run is None and not _lives(found[1]))):
                    Path(entry.path).unlink(missing_ok=True)


def _lives(run: str) -> bool:
    """Whether the process of a run is still at work; one that only waits to be buried is not."""
    _, number, token = run.split("-")
    pid = int(number)
    if pid == os.getpid():
        return token.startswith(_PROCESS)
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it is somebody else's, or the system has no /proc
        return True
    return state not in ("Z", "X")
