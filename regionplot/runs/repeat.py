"""Draw the maps of a known run from a new raster, without the settings, the table, the vectors and the projections.

::

    raster ─► child: classes or values of cells ────┐
    known drawing: positions of pixels ─────────────┼─► RepeatTask ─► Picture ─► PNG
    kept ink and frame ─────────────────────────────┘

A full run of few maps spends most of its time on importing libraries and on computing what the record of a known
drawing (`runs.known_drawing`) holds. A repeated run gives the same maps, digests, report and manifest. If anything is
unusual before the first map is drawn, such as a raster of another kind, a full run follows. If a region has no data, or
its ink has become unreadable, the worker draws this map as in a full run.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regionplot.colors.classifier import Codes, codes_of, has_class
from regionplot.errors import RegionplotError
from regionplot.executors.base import Task
from regionplot.executors.choose import make_executor
from regionplot.geo.known_positions import values_at
from regionplot.geo.region import Region
from regionplot.inputs.gdal import opened
from regionplot.inputs.profile import raster_profile
from regionplot.inputs.statement import statement_about
from regionplot.inputs.strips import MAX_READERS
from regionplot.render.ink import Ink, PaletteMaps, panel_type
from regionplot.render.ink_files import ink_folder, read_frame, read_panel_ink, read_sheet_ink
from regionplot.runs import store
from regionplot.runs.child_cells import ChildCells
from regionplot.runs.execute import execute, jobs_to_draw, report_full_disk, warn_of_new_raster
from regionplot.runs.hints import start_hints
from regionplot.runs.jobs import Job, MapResult, written_map
from regionplot.runs.known import KnownRun
from regionplot.runs.known_band import KnownBand
from regionplot.runs.known_drawing import KnownDrawing, KnownSheet
from regionplot.runs.lock import locked
from regionplot.runs.record import Redraw, RunRecord, Scope
from regionplot.runs.report import Observer, RunReport
from regionplot.runs.unchanged import reuse_previous_map
from regionplot.shared.budget import memory_budget
from regionplot.system import failpoints
from regionplot.system.cache import ArrayCache
from regionplot.system.files import Fingerprint
from regionplot.system.memory import return_large_blocks
from regionplot.system.stopwatch import Stopwatch
from regionplot.writers.picture import DIGEST, GEOREFERENCE, SOFTWARE, TITLE, Bytes, Picture
from regionplot.writers.png_format import encode_png

logger = logging.getLogger(__name__)
_KEPT_MEMORY = 6 * 2**20
"""Bytes of freed arrays that malloc keeps in a worker. All arrays of a map take 5 MB. If malloc returned them, the
system would clear their pages again for each map, which takes a fifth of the time. Workers that draw ink need more
memory, so they keep less (`runs.task`).
"""
UsualTask = Callable[[str, Fingerprint | None], Task[Job]]
"""Function that returns the task of a full run for a run id and the fingerprint of a raster."""


@dataclass
class RepeatTask:
    """Draw one region of a known drawing and write its map."""

    drawing: KnownDrawing
    band: KnownBand
    """The band of the new raster."""
    cells: NDArray[Any]
    """Codes of the cells, or their values if they are interpolated."""
    maps: PaletteMaps
    ink: ArrayCache
    directory: Path
    """Output folder."""
    run: str
    """Id of the run."""
    make_usual: Callable[[], Task[Job]]
    """Return the task that draws a map as in a full run."""
    _usual: list[Task[Job]] = field(default_factory=list)

    def start_worker(self) -> None:
        """Let malloc return large blocks to the system. Called in each worker."""
        return_large_blocks(_KEPT_MEMORY)

    def load(self) -> None:
        """Do nothing, because the data are loaded."""

    def __call__(self, job: Job) -> MapResult:
        """Draw and write one map, or keep the map of an earlier run if nothing has changed."""
        failpoints.failpoint("start", job.name)
        watch = Stopwatch()
        sheet = self.drawing.sheets[job.name]
        digest = job.digest or self.digest_of(job.region)
        watch.lap("compare")
        if kept := reuse_previous_map(job, digest):
            return kept
        failpoints.failpoint("draw", job.name)
        picture = self._picture(sheet, watch)
        if picture is None:
            return self._draw_usually(replace(job, digest=digest))
        metadata = {TITLE: picture.title, SOFTWARE: "regionplot", DIGEST: digest, GEOREFERENCE: sheet.georeference}
        content = encode_png(picture, metadata, self.drawing.compression)
        sha256 = store.write_file(job.target, content, self.run, within=self.directory)
        watch.lap("write")
        return written_map(job.target, content, watch.seconds, digest, sha256, georeference=sheet.georeference)

    def digest_of(self, region: Region) -> str:
        """Return the digest of a region's map."""
        return self.drawing.sheets[region.name].basis.digest(self.cells)

    def _picture(self, sheet: KnownSheet, watch: Stopwatch) -> Picture | None:
        """Return the picture of a map. Return None if the region has no data, or if its ink cannot be read."""
        codes = self._codes(sheet)
        watch.lap("sample")
        if codes is None or (codes[sheet.requested] == self.drawing.classifier.nodata).all():
            return None
        width, height = self.drawing.size
        panel = read_panel_ink(self.ink, sheet.panel_key, codes.size, panel_type(self.drawing.palette))
        on_sheet = read_sheet_ink(self.ink, sheet.sheet_key, width * height, np.uint8)
        watch.lap("ink")
        if panel is None or on_sheet is None:
            return None
        picture = self.maps.picture(codes, sheet.place, Ink(panel, on_sheet), sheet.title)
        watch.lap("compose")
        return picture

    def _codes(self, sheet: KnownSheet) -> Codes | None:
        """Return the code of each pixel of a panel. Return None if GDAL must warp."""
        classifier, lattice = self.drawing.classifier, self.drawing.lattice
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # the values of rasters can be extreme
            if self.drawing.is_nearest:
                return values_at(self.cells, lattice, sheet.positions, "nearest", classifier.nodata)
            values = values_at(self.cells, lattice, sheet.positions, self.drawing.resampling)
            return None if values is None else codes_of(values, classifier)

    def _draw_usually(self, job: Job) -> MapResult:
        """Draw a map as in a full run. The first such map of a worker loads the settings and all data."""
        if not self._usual:
            self._usual.append(self.make_usual())
        result: MapResult = self._usual[0](job)
        return result


class RepeatedRun(NamedTuple):
    """A known run whose new raster is loaded. The output folder is locked, and nothing is drawn or reported yet."""

    record: RunRecord
    task: RepeatTask

    def finish(self, observer: Observer) -> RunReport:
        """Draw the maps, report them, write the manifest and publish the maps."""
        record, task, band = self.record, self.task, self.task.band
        with record:
            with start_hints():
                executor = make_executor(record.start_method, record.workers, task.drawing.limits)
                observer.started(len(record.jobs), record.workers, record.start_method)
                jobs = jobs_to_draw(task.digest_of, record.jobs, record, observer)
                execute(executor, task, jobs, record, observer)
                warn_of_new_raster(band.path, band.fingerprint)
            report_full_disk(record)
            failpoints.failpoint("report")
        return record.report


@contextmanager
def repeated_run(
    known: KnownRun,
    drawing: KnownDrawing,
    child: ChildCells | None,
    scope: Scope,
    redraw: Redraw,
    make_usual: UsualTask,
) -> Iterator[RepeatedRun | None]:
    """Lock the output folder and load the raster of a known run. Yield None if a full run is needed.

    Parameters
    ----------
    known : KnownRun
        A run whose inputs are unchanged, except for the cells of the raster.
    drawing : KnownDrawing
        The drawing of the run.
    child : ChildCells or None
        A child process that reads the cells of the drawing, within `statement_from`. None: read them in this process.
    scope, redraw : Scope, Redraw
        Policies of the run.
    make_usual : callable
        Function that returns the task of a full run.

    Raises
    ------
    LockedError, OutputError, RegionsError
        As for any run.
    """
    watch = Stopwatch()
    directory = known.facts.directory
    store.prepare_directory(directory)
    with locked(directory):
        watch.lap("check")
        loaded = _loaded(drawing, child)
        watch.lap("load")
        if loaded is None:
            yield None
            return
        band, cells, maps = loaded
        regions = [(each.region, each.file) for each in known.maps]
        record = RunRecord(known.facts, regions, watch, known.start_method, redraw, scope)
        record.workers = known.workers
        usual = functools.partial(make_usual, record.run, band.fingerprint)
        yield RepeatedRun(record, RepeatTask(drawing, band, cells, maps, ink_folder(), directory, record.run, usual))


def _loaded(drawing: KnownDrawing, child: ChildCells | None) -> tuple[KnownBand, NDArray[Any], PaletteMaps] | None:
    """Return the band, its cells, and what all maps share. Return None if anything is unusual."""
    band = drawing.band._replace(fingerprint=Fingerprint.of(drawing.band.path))
    if drawing.window.cells * band.dtype.itemsize > memory_budget(drawing.memory):
        return None
    try:
        frame = _frame_if_ink_is_kept(drawing)
        if frame is None:
            return None
        failpoints.failpoint("read", band.path.name)
        cells = _read(drawing, band) if child is None else _read_by(child, drawing, band)
    except (RegionplotError, OSError) as error:  # the full run reports the error
        logger.debug("a full run follows: %s", error)
        return None
    if cells is None or (drawing.needs_class and not _has_class(cells, drawing)):
        return None
    return band, cells, PaletteMaps(drawing.palette, frame)


def _has_class(cells: NDArray[Any], drawing: KnownDrawing) -> bool:
    """Return True if a cell is in a class between two levels."""
    codes = cells if drawing.is_nearest else codes_of(cells, drawing.classifier)
    return has_class(codes, len(drawing.classifier.levels))


def _frame_if_ink_is_kept(drawing: KnownDrawing) -> Bytes | None:
    """Return the frame of the maps. Return None if the frame or the ink of a map is not in the cache."""
    folder = ink_folder()
    keys = (key for sheet in drawing.sheets.values() for key in (sheet.panel_key, sheet.sheet_key))
    if not all(map(folder.has, keys)):
        return None
    return read_frame(folder, drawing.frame_key, drawing.size, len(drawing.palette.colors))


def _read_by(child: ChildCells, drawing: KnownDrawing, band: KnownBand) -> NDArray[Any] | None:
    """Return the cells that a child reads. Return None if the raster is not of the same kind, or the child fails.

    Raises
    ------
    RasterError
        If the child sends no statement about the raster, and this process cannot read it.
    """
    statement = statement_about(band.path)
    if statement is None:
        return _read(drawing, band)
    is_usable = statement.profile == drawing.profile and child.are_complete(band.fingerprint)
    return _read_only(child.cells) if is_usable else None


def _read(drawing: KnownDrawing, band: KnownBand) -> NDArray[Any] | None:
    """Return the codes or the values of the cells. Return None if the raster is not of the same kind as before.

    Raises
    ------
    RasterError
        If the raster cannot be read.
    """
    with opened(band.path) as dataset:
        if raster_profile(dataset) != drawing.profile:
            return None
    wanted = drawing.wanted_cells
    cells = np.empty((wanted.window.height, wanted.window.width), wanted.dtype)
    wanted.read(band, cells, MAX_READERS)
    return _read_only(cells)


def _read_only(cells: NDArray[Any]) -> NDArray[Any]:
    cells.flags.writeable = False
    return cells
