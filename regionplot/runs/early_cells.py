"""Read the raster in a child process, while the run still imports libraries and reads its settings.

::

    record of an earlier run ─► child: statement, strips ─► classes in shared memory ─┐
    imports, settings, table, vectors, plan ──────────► the same cells? ──────────────┴─► SharedData

The record of an earlier run with the same settings file says which cells that run has read. It is only a guess. If the
new run needs other cells, or if the child fails, the run reads the cells as usual and reports its errors. The run
compares the whole description of the band, the window and the classes before it uses the cells of the child, and the
state of the file before and after.

The child also sends what GDAL states about the file (`inputs.statement`), so that the run does not load GDAL.

This module imports no settings, layers or projections, because the child starts before they are imported.
"""

from __future__ import annotations

import hashlib
import json
import logging
import mmap
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager, nullcontext, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from regionplot.colors.classifier import CLOSED, Classifier, Codes, LevelClassifier, classify, code_type
from regionplot.errors import RasterError, RegionplotError
from regionplot.geo.grid import Window
from regionplot.inputs.drivers import raster_driver
from regionplot.inputs.isolation import can_fork, start_reading
from regionplot.inputs.reading import FileSource, check_unchanged
from regionplot.inputs.source import RasterSource, StoredBand
from regionplot.inputs.statement import StatementPipe, statement_from
from regionplot.inputs.strips import StripReader
from regionplot.runs.known_drawing import KnownBand, band_from, band_items
from regionplot.shared.budget import memory_budget
from regionplot.system.cache import ArrayCache, user_cache_folder
from regionplot.system.files import Fingerprint
from regionplot.system.guard import leave_guard
from regionplot.system.signals import release_ending_signals
from regionplot.system.threads import thread_pool

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


class CellsRecord(NamedTuple):
    """Which cells a run has read, and how it has classified them."""

    band: KnownBand
    options: Mapping[str, str]
    """GDAL options for reading."""
    window: Window
    classifier: LevelClassifier

    @classmethod
    def of(cls, source: RasterSource, classifier: Classifier | None, window: Window) -> Self | None:
        """Return the record of cells that are classified while they are read. Return None for other cells."""
        if not isinstance(source, FileSource) or not isinstance(classifier, LevelClassifier):
            return None
        return cls(band_from(band_items(source.info)), source.options, window, classifier)

    @classmethod
    def read(cls, name: str) -> Self | None:
        """Return a record, or None if there is no usable record."""
        try:
            arrays = _folder().read(name)
            if arrays is None:
                return None
            values = json.loads(arrays["text"].tobytes())
            classifier = LevelClassifier(arrays["levels"], values["closed"])
            found = cls(band_from(values), values["options"], Window(*values["window"]), classifier)
        except (OSError, *_DAMAGED) as error:
            logger.debug("the record %s cannot be used: %s", name, error)
            return None
        is_usable = (
            classifier.closed in CLOSED
            and classifier.levels.ndim == 1
            and min(found.window.height, found.window.width) > 0
        )
        return found if is_usable else None

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return arrays to store. The arrays of equal records are equal."""
        window = self.window
        values = {
            **band_items(self.band),
            "options": dict(self.options),
            "window": [window.row_off, window.col_off, window.height, window.width],
            "closed": self.classifier.closed,
        }
        return {"text": np.frombuffer(json.dumps(values).encode(), np.uint8), "levels": self.classifier.levels}

    def is_same(self, other: CellsRecord) -> bool:
        """Return True if both records describe the same cells and classes."""
        mine, others = self.arrays(), other.arrays()
        return all(mine[name].dtype == others[name].dtype and np.array_equal(mine[name], others[name]) for name in mine)


class EarlyCells(NamedTuple):
    """Cells that a child process reads."""

    record: CellsRecord
    codes: Codes
    """Memory that this process shares with the child."""
    finish: Callable[[], Mapping[str, NDArray[Any]]]
    """Wait for the child, and return the fingerprint of the file that it has read."""
    statement: StatementPipe
    """Pipe through which the child sends what GDAL states about the file."""

    @classmethod
    def start(cls, record: CellsRecord) -> Self:
        """Start a child process that reads and classifies the cells of a record."""
        dtype = np.dtype(code_type(record.classifier.nodata))
        memory = mmap.mmap(-1, record.window.cells * dtype.itemsize)
        codes = np.frombuffer(memory, dtype).reshape(record.window.height, record.window.width)
        pipe = StatementPipe()
        try:
            finish = start_reading(lambda: _read(record, codes, pipe), record.band.path, RasterError)
        except BaseException:
            pipe.close()
            raise
        finally:
            pipe.close_writer()
        return cls(record, codes, finish, pipe)

    def are_complete(self, band: StoredBand) -> bool:
        """Wait for the child. Return True if it has read all cells of the file that the run describes."""
        try:
            found = self.finish()["fingerprint"]
        except (RegionplotError, RuntimeError) as error:
            logger.debug("the cells are read again: %s", error)
            return False
        return str(found) == repr(band.fingerprint)


_early: ContextVar[EarlyCells | None] = ContextVar("early_cells", default=None)


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
    early = _started(name)
    token = _early.set(early)
    try:
        with nullcontext() if early is None else statement_from(early.statement):
            yield
    finally:
        _early.reset(token)


def _started(name: str) -> EarlyCells | None:
    """Return the cells of an earlier run, which a child has begun to read. Return None if they are unknown."""
    try:
        record = CellsRecord.read(name)
        if record is None or not can_fork() or record.window.cells * record.band.dtype.itemsize > memory_budget(None):
            return None
        return EarlyCells.start(record)
    except (RegionplotError, OSError) as error:  # such as no process or no memory left; the run reports the error
        logger.debug("cells are not read early: %s", error)
        return None


def start_cells(raster: DrawnRaster, plan: LoadPlan, pool: Executor) -> Loading:
    """Start to load the cells of a plan, as `DrawnRaster.start`. If a child is already reading them, wait for it."""
    early = _early.get()
    _early.set(None)  # used at most once; if the raster is replaced meanwhile, the new raster is read as usual
    record = None if early is None else CellsRecord.of(raster.source, raster.classifier(plan), plan.window)
    if early is None or record is None or not record.is_same(early.record):
        return raster.start(plan, pool)
    return _loading(early, raster, plan, pool)


def _loading(early: EarlyCells, raster: DrawnRaster, plan: LoadPlan, pool: Executor) -> Loading:
    from regionplot.shared.load import LoadedCells, Loading  # noqa: PLC0415 (imports settings and projections)

    codes, info = early.codes, raster.source.describe()
    classified = LoadedCells(raster.info.geometry.subgrid(plan.window), codes=codes)

    def finish() -> LoadedCells:
        if early.are_complete(info):
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
    record = CellsRecord.of(shared.source, classifier, shared.plan.window)
    known = None if record is None else CellsRecord.read(name)
    if record is not None and (known is None or not known.is_same(record)):
        _folder().write(name, record.arrays())


def _read(record: CellsRecord, codes: Codes, pipe: StatementPipe) -> dict[str, NDArray[Any]]:
    """Describe the file to the parent, then read and classify all cells of a record. Called in the child.

    Returns
    -------
    dict
        Fingerprint of the file.
    """
    leave_guard()
    release_ending_signals()  # the parent has started the child while signals are held
    pipe.send(record.band.path)
    band = record.band._replace(fingerprint=Fingerprint.of(record.band.path))

    def use(place: tuple[slice, slice], values: NDArray[Any]) -> None:
        classify(values, record.classifier, codes[place])

    with thread_pool(1) as pool:  # the parent uses another processor
        StripReader(band, record.options, record.window, use).start(pool)()
    return {"fingerprint": np.array(repr(band.fingerprint))}


def _folder() -> ArrayCache:
    return ArrayCache(user_cache_folder() / "cells", _MAX_BYTES)
