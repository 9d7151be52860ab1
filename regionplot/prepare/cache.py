"""Cache prepared rasters in a bounded folder. A digest of inputs and steps identifies each raster."""

from __future__ import annotations

import glob
import inspect
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from regionplot.errors import RasterError
from regionplot.inputs.gdal import opened
from regionplot.prepare.base import Step, table_of
from regionplot.prepare.inputs import Input
from regionplot.system.cache import digest, trim, user_cache_folder
from regionplot.system.code import imported_libraries, library_version, source_files
from regionplot.system.files import make_private_folder

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]


KEY_TAG = "REGIONPLOT_PREPARED"
_LARGE = 64 * 2**20
"""Size limit in bytes. For larger files, the digest uses size, modification time and inode instead of the content."""
_MAX_BYTES = 2 * 2**30
"""Default size limit of the folder, in bytes."""
_JUST_USED = 600.0
"""Minimum time in seconds that a raster is kept after it was written or used. During this time, the run that needs the
raster can lock it.
"""
_SHAPEFILE_PARTS = frozenset({".shp", ".shx", ".dbf", ".prj", ".cpg"})


def is_current(output: Path, key: str) -> bool:
    """Return True if a complete raster with this digest exists."""
    try:
        with opened(output) as dataset:
            if dataset.tags().get(KEY_TAG) != key:
                return False
            dataset.read(1, window=((dataset.height - 1, dataset.height), (dataset.width - 1, dataset.width)))
    except RasterError:
        return False
    return True


def prepared_digest(inputs: Sequence[Input], steps: Sequence[Step], form: object) -> str:
    """Return a digest of everything that a prepared raster depends on: inputs, steps, code and libraries.

    Parameters
    ----------
    inputs : sequence of Input
        The rasters.
    steps : sequence of Step
        The steps. The source files of their classes are part of the digest.
    form : object
        Options of the result. Their `repr` is part of the digest.

    Raises
    ------
    RasterError
        If an input cannot be read.
    """
    classes = {type(step) for step in steps}
    modules = ("regionplot.prepare.run", *sorted({step.__module__ for step in classes}))
    code = {*source_files(*modules)}
    code |= {Path(inspect.getfile(step)) for step in classes}
    settings = [(item.name, item.settings.model_dump(mode="json", exclude={"prepared"})) for item in inputs]
    text = [repr(form), json.dumps(settings, default=str), json.dumps([table_of(step) for step in steps])]
    text += [f"{name} {library_version(name)}" for name in imported_libraries(*modules)]
    files = list(input_files(inputs, steps))
    try:
        large = [path for path in files if path.stat().st_size > _LARGE]
        text += [
            repr((str(path), stat.st_size, stat.st_mtime_ns, stat.st_ino)) for path in large if (stat := path.stat())
        ]
        return digest(text, [*sorted(code), *(path for path in files if path not in large)])
    except OSError as error:
        raise RasterError(f"{error.filename}: {error.strerror or error}") from error


def input_files(inputs: Sequence[Input], steps: Sequence[Step]) -> Iterator[Path]:
    """Yield all input files of rasters and steps. A shapefile consists of several files."""
    yield from (item.settings.path for item in inputs)
    for path in (path for step in steps for path in step.files()):
        yield path
        beside = sorted(path.parent.glob(f"{glob.escape(path.stem)}.*"))
        yield from (part for part in beside if part != path and part.suffix.lower() in _SHAPEFILE_PARTS)


@dataclass(frozen=True)
class PreparedFolder:
    """A bounded folder of prepared rasters. Each raster is in a folder whose name is its digest."""

    folder: Path
    max_bytes: int = _MAX_BYTES
    """Size limit in bytes. If the folder is larger, the least recently used rasters are removed."""

    def path(self, key: str, stem: str) -> Path:
        """Return the path of a raster. Create its folder, and mark the folder as used now.

        Parameters
        ----------
        key : str
            Digest of the raster.
        stem : str
            Name of the file without suffix.

        Raises
        ------
        OSError
            If the folder cannot be created or belongs to another user.
        """
        folder = self.folder / key
        make_private_folder(self.folder)
        make_private_folder(folder)
        os.utime(folder)
        return folder / f"{stem}.tif"

    def trim(self) -> None:
        """Remove the least recently used rasters, except those that were just used or are locked."""
        trim([entry for entry in self.folder.iterdir() if entry.is_dir()], self.max_bytes, _is_removable)


def _is_removable(entry: Path) -> bool:
    return time.time() - entry.lstat().st_mtime > _JUST_USED and not _is_locked(entry)


@contextmanager
def locked_in_cache(prepared: Path) -> Iterator[None]:
    """Lock a prepared raster until the context exits, so that no process removes it."""
    descriptor = _lock(prepared.parent, "shared")
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _is_locked(entry: Path) -> bool:
    descriptor = _lock(entry, "exclusive")
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is None and fcntl is not None


def _lock(folder: Path, kind: Literal["shared", "exclusive"]) -> int | None:
    """Lock a folder. Return a descriptor that holds the lock until it is closed, or None if locking fails."""
    if fcntl is None:
        return None
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if kind == "exclusive" else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def user_folder() -> PreparedFolder:
    """Return the folder of prepared rasters in the user's cache folder.

    Raises
    ------
    FileNotFoundError
        If the user has no cache folder.
    """
    return PreparedFolder(user_cache_folder() / "prepared")
