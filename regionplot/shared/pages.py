"""Share the loaded cells between workers of one host that do not inherit them.

The first worker reads the cells into a file, and the other workers map this file into memory (`system.page_files`).
The cells then take memory only once. If the file cannot be used, each worker loads the cells itself.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import fields, is_dataclass
from datetime import date
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
from affine import Affine
from numpy.typing import NDArray

from regionplot.shared.load import DrawnRaster, LoadedCells, Loading
from regionplot.shared.plan import LoadPlan
from regionplot.system.cache import digest, user_cache_folder
from regionplot.system.code_records import code_records, known_sources
from regionplot.system.page_files import PageFile, PageFolder, can_share
from regionplot.system.processes import boot_id

logger = logging.getLogger(__name__)
_PLAIN = (str, bytes, int, float, complex, Path, date, type(None), np.generic, np.dtype)
"""Types whose `repr` is the same in all processes, and differs for different values."""


def start_shared(raster: DrawnRaster, plan: LoadPlan, pool: Executor) -> Loading:
    """Start to load the cells of a plan, once for all workers of this host. See `DrawnRaster.start`.

    Each worker loads the cells itself if the settings turn the cache off.

    Raises
    ------
    RasterError
        If the raster cannot be opened.
    """
    folder = page_folder()
    if folder is None or not raster.config.run.cache or raster.info.fingerprint is None:
        return raster.start(plan, pool)
    try:
        key = key_of(raster, plan)
    except (TypeError, OSError) as error:
        logger.debug("%s: the cells are not shared with other workers: %s", raster.info.path, error)
        return raster.start(plan, pool)

    def finish() -> LoadedCells:
        cells: NDArray[Any] | None
        if plan.reads_per_map:
            cells = _shared_array(folder, f"{key}-preview", lambda: _preview(raster, plan))
        else:
            cells = _shared_cells(raster, plan, pool, folder, key)
        if cells is None:
            return raster.start(plan, pool).finish()
        return raster.with_series(raster.of_cells(cells, plan), plan, partial(_shared_array, folder, f"{key}-sample"))

    return Loading(finish)


def page_folder() -> PageFolder | None:
    """Return the folder of shared cells in the user's cache folder, or None if there is no such folder."""
    try:
        return PageFolder(user_cache_folder() / "pages") if can_share() else None
    except FileNotFoundError:
        return None


def remove_unused_pages() -> None:
    """Remove the shared cells that no process of this host uses. Called at the end of a run."""
    folder = page_folder()
    if folder is not None:
        folder.remove_unused()


def key_of(raster: DrawnRaster, plan: LoadPlan) -> str:
    """Return the digest of everything that the loaded cells depend on: files, settings, libraries, code.

    Raises
    ------
    TypeError
        If the raster is of a type that cannot be described, such as some types of other packages.
    OSError
        If the source code cannot be read.
    """
    modules = (__name__, type(raster.source).__module__)
    sources = known_sources(modules, code_records())
    parts = raster.source, raster.info, raster.config.raster.model_dump_json(), plan.window, raster.classifier(plan)
    return digest([boot_id(), *sources.versions(), sources.digest.hex(), *_texts(parts)], [])


def _texts(value: object) -> Iterator[str]:
    """Yield texts that describe a value. They are the same in all processes, and differ for different values.

    Raises
    ------
    TypeError
        If a part of the value is of a type whose state is not known.
    """
    if isinstance(value, Enum | bool):
        yield str(value)
    elif isinstance(value, _PLAIN):
        yield f"{type(value).__name__} {value!r}"
    elif isinstance(value, np.ndarray) and not value.dtype.hasobject:
        yield f"{value.dtype.str} {value.shape} {hashlib.blake2b(value.tobytes()).hexdigest()}"
    elif isinstance(value, pyproj.CRS):
        yield value.to_wkt()
    else:
        yield f"{type(value).__module__}.{type(value).__qualname__} ("
        for part in _parts(value):
            yield from _texts(part)
        yield ")"


def _parts(value: object) -> Iterator[object]:
    if is_dataclass(value):
        for each in fields(value):
            yield each.name
            yield getattr(value, each.name)
    elif isinstance(value, Mapping):
        for name in sorted(value, key=repr):
            yield name
            yield value[name]
    elif isinstance(value, tuple | list | Affine):
        yield from value
    else:
        raise TypeError(f"values of the type {type(value).__qualname__} cannot be described")


def _shared_cells(
    raster: DrawnRaster, plan: LoadPlan, pool: Executor, folder: PageFolder, key: str
) -> NDArray[np.generic] | None:
    """Return the cells from the file of all workers. Write the file if there is none. Return None if this fails.

    Raises
    ------
    RasterError
        If the cells cannot be read, or the file of the raster has changed.
    """
    path = raster.info.path
    try:
        with folder.locked(key) as file:
            cells = file.array()
            if cells is not None:
                logger.info("process %d uses the cells of %s that another process has loaded", os.getpid(), path.name)
                return cells
            folder.remove_unused()
            return _written(file, raster, plan, pool)
    except OSError as error:
        logger.info("process %d cannot share the cells of %s: %s", os.getpid(), path.name, error.strerror or error)
        return None


def _preview(raster: DrawnRaster, plan: LoadPlan) -> NDArray[Any]:
    """Return thinned cells of a raster that is too large to be loaded. See `DrawnRaster.load_cells`."""
    values = raster.load_cells(plan).values
    assert values is not None, "cells are not classified if each map reads its own"
    return values


def _shared_array(folder: PageFolder, key: str, read: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """Return an array of cells from the file of all workers. Read and write the array if there is none.

    Raises
    ------
    RasterError
        If the cells cannot be read.
    """
    with suppress(OSError), folder.locked(key) as file:
        found = file.array()
        if found is None:
            sample = read()
            file.reserve(sample.shape, sample.dtype)[...] = sample
            file.complete(sample.shape, sample.dtype)
            found = file.array()
        if found is not None:
            return found
    return read()


def _written(file: PageFile, raster: DrawnRaster, plan: LoadPlan, pool: Executor) -> NDArray[np.generic] | None:
    """Load the cells into a file, and return them."""
    reserved: list[NDArray[np.generic]] = []

    def reserve(shape: tuple[int, ...], kind: np.dtype[np.generic]) -> NDArray[np.generic]:
        reserved.append(file.reserve(shape, kind))
        return reserved[0]

    raster.load_into(reserve, plan, pool)
    file.complete(reserved[0].shape, reserved[0].dtype)
    logger.info("process %d loaded the cells of %s for all workers", os.getpid(), raster.info.path.name)
    return file.array()
