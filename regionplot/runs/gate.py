"""Check the data of a region before its map is published. `[publish]` defines the checks.

::

    job ─► when: is there an event? ─► checks ─► draw, write
              └─► skipped               └─► HeldBackError, the old map stays
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from regionplot.colors.classifier import Codes
from regionplot.errors import HeldBackError, NoOverlapError
from regionplot.geo.region import Region
from regionplot.geo.statistics import Statistics
from regionplot.render.sheets import Style, make_sheet, no_overlap_message
from regionplot.runs.jobs import CellsMark, Job
from regionplot.settings.config import Config
from regionplot.settings.publish import PublishSettings
from regionplot.shared.data import SharedData
from regionplot.shared.plan import LoadPlan
from regionplot.shared.statistics import RegionCells, region_cells, valid_share
from regionplot.sheet.sheet import Sheet
from regionplot.system.files import Fingerprint

_DIGITS = 32
"""Number of hexadecimal digits of a digest."""
_STEP = 16
"""Distance of the pixels that are compared first."""


@dataclass
class Inspection:
    """The data of one region, for the checks of `[publish]`. Nothing is computed unless a check needs it."""

    shared: SharedData
    region: Region
    style: Style | None
    """Colors and layout of the maps. None if a function of the user draws the maps."""
    sheet: Sheet | None = None
    """The sampled map, if a check needed it."""

    @cached_property
    def cells(self) -> RegionCells:
        """The cells of the region.

        Raises
        ------
        NoOverlapError
            If the region lies outside the raster.
        """
        found = region_cells(self.shared, self.region)
        if not found.values.size:
            raise NoOverlapError(no_overlap_message(self.shared, self.region))
        return found

    @cached_property
    def share(self) -> float:
        """Share of the pixels of the region that show data."""
        codes = self._codes
        if self.style is None or codes is None:
            return valid_share(self.shared, self.region)
        return float(np.count_nonzero(codes != self.style.scale.nodata) / codes.size)

    @cached_property
    def _codes(self) -> Codes | None:
        """The codes of the pixels of the region. None if a function of the user draws the maps."""
        if self.style is None:
            return None
        self.sheet = make_sheet(self.region, self.style)
        return self.sheet.view.requested_pixels(self.sheet.codes)

    @cached_property
    def statistics(self) -> Statistics:
        """Statistics of the region, with the percentiles that the settings name."""
        condition = self._settings.condition
        return self.cells.statistics(condition.percentages if condition else ())

    @property
    def _settings(self) -> PublishSettings:
        return self.shared.config.publish

    def no_event(self) -> str:
        """Return the reason for drawing no map, or an empty text if the condition `when` is true.

        Raises
        ------
        RegionError, RasterError
            If the region lies outside the raster, or its cells cannot be read.
        """
        condition = self._settings.condition
        if condition is None:
            return ""
        found = self.statistics
        known = {name: float(getattr(found, name)) for name in ("count", "min", "max", "mean")}
        values = known | {f"p{percentage:g}": value for percentage, value in found.percentiles.items()}
        if "valid" in condition.names:
            values["valid"] = self.share
        if condition.holds(values):
            return ""
        shown = ", ".join(f"{name} is {values[name]:.6g}" for name in sorted(condition.names))
        found_text = shown if found.count else "the region has no data"
        return f"no event: {found_text}, but [publish] when is {condition.text!r}"

    def check(self, job: Job, raster: str) -> CellsMark | None:
        """Raise HeldBackError if the region fails a check. Return the mark of its cells, if the next run needs it.

        Parameters
        ----------
        job : Job
            The map to draw.
        raster : str
            The `raster_mark` of the run.

        Raises
        ------
        HeldBackError
            The message lists all checks that fail.
        RegionError, RasterError
            If the region lies outside the raster, or its cells cannot be read.
        """
        _ = self.cells  # a region outside the raster has its own error
        mark = self._mark(raster) if self._settings.repeated == "hold" else None
        faults = [*self._faults_of_values(), *self._blank(), *self._repeated(job, mark)]
        if faults:
            raise HeldBackError(f"held back by [publish]: {'; '.join(faults)}")
        return mark

    def _faults_of_values(self) -> Iterator[str]:
        limits = self._settings
        if limits.min_valid is not None and self.share < limits.min_valid:
            yield f"{100 * self.share:.4g} % of the pixels show data, but min_valid is {100 * limits.min_valid:.4g} %"
        if limits.min_value is not None and self.statistics.min < limits.min_value:
            yield f"the smallest value is {self.statistics.min:.6g}, but min_value is {limits.min_value:.6g}"
        if limits.max_value is not None and self.statistics.max > limits.max_value:
            yield f"the largest value is {self.statistics.max:.6g}, but max_value is {limits.max_value:.6g}"

    def _blank(self) -> Iterator[str]:
        if self._settings.blank == "allow":
            return
        codes = self._codes
        if self.style is None or codes is None:
            found = self.cells.values[self.cells.valid]
        else:
            found = _with_data(codes, self.style.scale.nodata)
        if not found.size:
            yield "the region has no data, so its map is blank"
        elif (found == found.flat[0]).all():
            yield "all pixels with data have the same color, so the map is blank"

    def _repeated(self, job: Job, mark: CellsMark | None) -> Iterator[str]:
        """Yield a fault if the cells are those of the published map, although the raster is new.

        Cells that all have the same value are not compared, because they repeat often, such as rain on dry days.
        """
        if mark is None or not is_new(job, mark.raster) or job.published is None:
            return
        if mark.cells == job.published.cells and self.statistics.min < self.statistics.max:
            yield "the raster is new, but the cells are those of the last published map, so the source may be stuck"

    def _mark(self, raster: str) -> CellsMark:
        found, total = self.cells, hashlib.sha256()
        total.update(repr((found.values.shape, found.values.dtype.str, found.geometry.transform)).encode())
        total.update(np.packbits(found.valid).tobytes())
        total.update(found.values[found.valid].tobytes())
        return CellsMark(total.hexdigest()[:_DIGITS], raster)


def _with_data(codes: Codes, nodata: int) -> Codes:
    """Return the codes of pixels with data. If a few pixels already have several codes, return these codes only."""
    thinned = codes[::_STEP, ::_STEP]
    few = thinned[thinned != nodata]
    if few.size and (few != few[0]).any():
        return np.asarray(few)
    return np.asarray(codes[codes != nodata])


def raster_mark(config: Config, plan: LoadPlan) -> str:
    """Return a digest of the names, sizes and times of the files of a raster. Empty: the raster is not a file.

    Parameters
    ----------
    config : Config
        Settings, before the steps of `[[prepare]]` are run. With steps, the inputs of the steps count.
    plan : LoadPlan
        The load plan.
    """
    raster = config.raster
    if config.prepare:
        files = {path: Fingerprint.of(path) for path in (raster.path, *raster.inputs.values())}
    else:
        files = {raster.path: plan.fingerprint}
    facts = [(path.name, file.size, file.modified) for path, file in files.items() if file is not None]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:_DIGITS] if facts else ""


def is_new(job: Job, raster: str) -> bool:
    """Return True if the published map shows another file than this raster."""
    return bool(raster) and job.published is not None and job.published.raster != raster


def without_repeats(jobs: Sequence[Job], raster: str) -> Sequence[Job]:
    """Return jobs that keep no earlier map if the raster is new, so that `Inspection.check` sees repeated cells.

    Parameters
    ----------
    jobs : sequence of Job
        The maps of one field.
    raster : str
        The `raster_mark` of the field.
    """
    return [replace(job, previous=None) if is_new(job, raster) else job for job in jobs]
