"""Read the raster in a child process, while the run still imports libraries and reads its settings.

The record of an earlier run with the same settings file says which cells that run has read. It is only a guess. If the
new run needs other cells, or if the child fails, the run reads the cells as usual and reports its errors. The run
compares the whole description of the band, the window and the classes before it uses the cells of the child, and the
state of the file before and after (`runs.child_cells`).

This module imports no settings, layers or projections, because the child starts before they are imported.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from regionplot.colors.classifier import CLOSED, Classifier, LevelClassifier
from regionplot.errors import RegionplotError
from regionplot.geo.grid import Window
from regionplot.inputs.drivers import raster_driver
from regionplot.inputs.reading import FileSource, check_unchanged
from regionplot.inputs.source import RasterSource
from regionplot.inputs.statement import statement_from
from regionplot.runs.child_cells import ChildCells, WantedCells
from regionplot.runs.known_band import band_from, band_items
from regionplot.system.cache import ArrayCache, user_cache_folder

if TYPE_CHECKING:
    from regionplot.runs.task import RenderTask
    from regionplot.shared.data import SharedData
    from regionplot.shared.load import DrawnRaster, Loading
    from regionplot.shared.plan import LoadPlan

logger = logging.getLogger(__name__)
_MAX_BYTES = 2**20
"""Maximum size of all records. The least recently used records are removed."""
_DIGITS = 32
_DRIVER = "GTiff"
"""The one driver whose files are read early. Files of other formats can consist of several files."""
_DAMAGED = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


def wanted_cells(source: RasterSource, classifier: Classifier | None, window: Window) -> WantedCells | None:
    """Return the cells of a run if they are classified while they are read. Return None for other cells."""
    if not isinstance(source, FileSource) or not isinstance(classifier, LevelClassifier):
        return None
    return WantedCells(band_from(band_items(source.info)), source.options, window, classifier)


def _read_record(name: str) -> WantedCells | None:
    """Return the cells of an earlier run, or None if there is no usable record."""
    try:
        arrays = _folder().read(name)
        if arrays is None:
            return None
        values = json.loads(arrays["text"].tobytes())
        classifier = LevelClassifier(arrays["levels"], values["closed"])
        found = WantedCells(band_from(values), values["options"], Window(*values["window"]), classifier)
    except (OSError, *_DAMAGED) as error:
        logger.debug("the record %s cannot be used: %s", name, error)
        return None
    is_usable = (
        classifier.closed in CLOSED and classifier.levels.ndim == 1 and min(found.window.height, found.window.width) > 0
    )
    return found if is_usable else None


def _arrays(wanted: WantedCells) -> dict[str, NDArray[Any]]:
    """Return arrays to store. The arrays of equal cells are equal."""
    window, classifier = wanted.window, wanted.classifier
    assert classifier is not None, "there are records only of classes"
    values = {
        **band_items(wanted.band),
        "options": dict(wanted.options),
        "window": [window.row_off, window.col_off, window.height, window.width],
        "closed": classifier.closed,
    }
    return {"text": np.frombuffer(json.dumps(values).encode(), np.uint8), "levels": classifier.levels}


def _are_same(one: WantedCells, other: WantedCells) -> bool:
    """Return True if both describe the same cells and classes."""
    mine, others = _arrays(one), _arrays(other)
    return all(mine[name].dtype == others[name].dtype and np.array_equal(mine[name], others[name]) for name in mine)


_early: ContextVar[ChildCells | None] = ContextVar("early_cells", default=None)


def record_name(config_path: Path | None, raster: object) -> str:
    """Return the name of the record for runs with the same raster.

    Parameters
    ----------
    config_path : Path or None
        The settings file.
    raster : object
        Settings of the raster that replace those in the file. Other settings hardly change what a run reads.
    """
    facts = str(Path.cwd()), config_path and str(config_path), raster
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:_DIGITS]


@contextmanager
def early_cells(name: str) -> Iterator[None]:
    """Start to read the cells of an earlier run. `start_cells` uses them within the context.

    Parameters
    ----------
    name : str
        Name of the record, as returned by `record_name`.
    """
    wanted = _read_record(name)
    early = None if wanted is None else ChildCells.started(wanted, threads=1)  # this process uses another processor
    token = _early.set(early)
    try:
        with nullcontext() if early is None else statement_from(early.statement):
            yield
    finally:
        _early.reset(token)


def start_cells(raster: DrawnRaster, plan: LoadPlan, pool: Executor) -> Loading:
    """Start to load the cells of a plan, as `DrawnRaster.start`. If a child is already reading them, wait for it."""
    early = _early.get()
    _early.set(None)  # used at most once; if the raster is replaced meanwhile, the new raster is read as usual
    wanted = None if early is None else wanted_cells(raster.source, raster.classifier(plan), plan.window)
    if early is None or wanted is None or not _are_same(wanted, early.wanted):
        return raster.start(plan, pool)
    return _loading(early, raster, plan, pool)


def _loading(early: ChildCells, raster: DrawnRaster, plan: LoadPlan, pool: Executor) -> Loading:
    from regionplot.shared.load import LoadedCells, Loading  # noqa: PLC0415 (imports settings and projections)

    codes, info = early.cells, raster.source.describe()
    classified = LoadedCells(raster.info.geometry.subgrid(plan.window), codes=codes)

    def finish() -> LoadedCells:
        if early.are_complete(info.fingerprint):
            check_unchanged(info)
        else:
            raster.load_into(lambda *_: codes, plan, pool)
        codes.flags.writeable = False
        return classified

    return Loading(finish, classified)


def remember_cells(name: str, task: RenderTask) -> None:
    """Write a record of the cells that a run has read, if the next run can read such cells early.

    Parameters
    ----------
    name : str
        Name of the record, as returned by `record_name`.
    task : RenderTask
        The task that drew the maps.
    """
    config = task.config
    if not config.run.cache or config.has_fields or config.panels or config.has_functions:
        return  # the last three use the cells of several rasters, or the values of cells
    with suppress(RegionplotError, OSError), task.renderer() as renderer:
        _remember(name, renderer.style.shared)


def _remember(name: str, shared: SharedData) -> None:
    from regionplot.colors.choose import classifier_of  # noqa: PLC0415 (imports settings)

    if shared.codes is None or raster_driver(shared.info.path) != _DRIVER:
        return
    classifier = classifier_of(shared.coloring, shared.config.colors, shared.info.units)
    wanted = wanted_cells(shared.source, classifier, shared.plan.window)
    known = None if wanted is None else _read_record(name)
    if wanted is not None and (known is None or not _are_same(known, wanted)):
        _folder().write(name, _arrays(wanted))


def _folder() -> ArrayCache:
    return ArrayCache(user_cache_folder() / "cells", _MAX_BYTES)
