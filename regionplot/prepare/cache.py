"""Keep prepared rasters in a bounded folder, each named by the digest of its inputs and steps."""

from __future__ import annotations

import glob
import importlib.metadata
import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from regionplot.errors import RasterError
from regionplot.inputs.gdal import opened
from regionplot.prepare.inputs import Input
from regionplot.settings.steps import Step
from regionplot.system.cache import digest
from regionplot.system.code import source_files

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]


KEY_TAG = "REGIONPLOT_PREPARED"


_LIBRARIES = ("numpy", "scipy", "numexpr", "pint", "rasterio", "shapely", "pyproj")


_LARGE = 64 * 2**20
"""Bytes; of a larger file, its size, time and number stand for its content."""


_MAX_BYTES = 2 * 2**30


_JUST_USED = 600.0
"""Seconds since it was made or found for which a prepared raster is not removed: who is to draw from it may not hold it
yet, as a run does."""


_SHAPEFILE_PARTS = frozenset({".shp", ".shx", ".dbf", ".prj", ".cpg"})


def stands(output: Path, key: str) -> bool:
    """Whether a raster is there that was made from the same inputs in the same way, and is whole."""
    try:
        with opened(output) as dataset:
            if dataset.tags().get(KEY_TAG) != key:
                return False
            dataset.read(1, window=((dataset.height - 1, dataset.height), (dataset.width - 1, dataset.width)))
    except RasterError:
        return False
    return True


def prepared_digest(inputs: Sequence[Input], steps: Sequence[Step], form: object) -> str:
    """Names all that a prepared raster depends on: its inputs, the steps, the code and the libraries.

    Raises
    ------
    RasterError
        If an input cannot be read.
    """
    code = source_files("regionplot.prepare.run")
    settings = [(item.name, item.settings.model_dump(mode="json", exclude={"prepared"})) for item in inputs]
    text = [repr(form), json.dumps(settings, default=str), json.dumps([step.model_dump(mode="json") for step in steps])]
    text += [f"{name} {_version(name)}" for name in _LIBRARIES]
    files = list(input_files(inputs, steps))
    try:
        large = [path for path in files if path.stat().st_size > _LARGE]
        text += [
            repr((str(path), stat.st_size, stat.st_mtime_ns, stat.st_ino)) for path in large if (stat := path.stat())
        ]
        return digest(text, [*code, *(path for path in files if path not in large)])
    except OSError as error:
        raise RasterError(f"{error.filename}: {error.strerror or error}") from error


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return "-"


def input_files(inputs: Sequence[Input], steps: Sequence[Step]) -> Iterator[Path]:
    """All files that are read; a shapefile is several."""
    yield from (item.settings.path for item in inputs)
    for step in steps:
        for name in ("path", "like"):
            path = getattr(step, name, None)
            if isinstance(path, Path):
                beside = sorted(path.parent.glob(f"{glob.escape(path.stem)}.*"))
                yield from [
                    path,
                    *(part for part in beside if part != path and part.suffix.lower() in _SHAPEFILE_PARTS),
                ]


@dataclass(frozen=True)
class PreparedFolder:
    """A bounded folder of prepared rasters, each in a folder named by what it depends on."""

    folder: Path
    max_bytes: int = _MAX_BYTES
    """The least recently used go when there are more."""

    def path(self, key: str, stem: str) -> Path:
        """Where the raster of a key is, or is to be; its folder is made, and marked as used now.

        Raises
        ------
        OSError
            If the folder cannot be made.
        """
        folder = self.folder / key
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)
        return folder / f"{stem}.tif"

    def trim(self) -> None:
        """Remove the least recently used rasters, but for those that were just used, or are held."""
        entries = sorted((entry.stat().st_mtime, entry) for entry in self.folder.iterdir() if entry.is_dir())
        sizes = {entry: sum(f.stat().st_size for f in entry.iterdir() if f.is_file()) for _, entry in entries}
        excess = sum(sizes.values()) - self.max_bytes
        for used, entry in entries:
            if excess <= 0:
                return
            if time.time() - used > _JUST_USED and not _is_held(entry):
                shutil.rmtree(entry, ignore_errors=True)
                excess -= sizes[entry]


@contextmanager
def locked_in_cache(prepared: Path) -> Iterator[None]:
    """Keep a prepared raster from being removed meanwhile, by whichever process."""
    descriptor = _lock(prepared.parent, exclusive=False)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _is_held(entry: Path) -> bool:
    descriptor = _lock(entry, exclusive=True)
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is None and fcntl is not None


def _lock(folder: Path, *, exclusive: bool) -> int | None:
    """A descriptor that locks a folder until it is closed; None if that cannot be."""
    if fcntl is None:
        return None
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def user_folder() -> PreparedFolder:
    """The one in the user's cache folder, wherever the platform has it."""
    import platformdirs  # noqa: PLC0415 (only a run that prepares needs it)

    return PreparedFolder(Path(platformdirs.user_cache_dir("regionplot")) / "prepared")
