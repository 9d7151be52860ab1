"""Subtract one raster from another while their cells are read."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from regionplot.errors import RasterError
from regionplot.geo.grid import GridGeometry, Window
from regionplot.geo.points import grid_positions, values_at
from regionplot.inputs.describe import open_source, raster_times
from regionplot.inputs.source import RasterInfo, RasterSource, read_window
from regionplot.settings.field import FieldSettings
from regionplot.settings.raster import RasterSettings
from regionplot.text import DELTA

logger = logging.getLogger(__name__)
DIFFERENCE = "difference"
"""Last word of the variable and of the long name of a difference."""
_STRIP = 1_000_000
"""Approximate number of cells that are interpolated at a time."""


@dataclass(frozen=True)
class DifferenceSource:
    """A `RasterSource` that subtracts the cells of one raster from the cells of another.

    The difference has the grid of the first raster. If the other raster has another grid, its cells are interpolated
    (bilinear).
    """

    first: RasterSource
    other: RasterSource
    info: RasterInfo

    @classmethod
    def of(cls, first: RasterSource, other: RasterSource) -> Self:
        """Return the difference of two rasters.

        Raises
        ------
        RasterError
            If the rasters have different units.
        """
        one, two = first.describe(), other.describe()
        if one.units and two.units and one.units != two.units:
            raise RasterError(
                f"{two.path}: its units are {two.units!r}, but those of {one.path} are {one.units!r}; "
                "convert one of the rasters before"
            )
        times = one.description.get("time"), two.description.get("time")
        if None not in times and times[0] != times[1]:
            logger.warning("%s: its time (%s) is not that of %s (%s)", two.path, times[1], one.path, times[0])
        described = {key: f"{one.description[key]}, {DIFFERENCE}" for key in ("variable", "long_name")}
        info = replace(
            one,
            gdal_name=f"{one.gdal_name} minus {two.gdal_name} band {two.band} {two.fingerprint}",
            dtype=np.result_type(one.dtype, two.dtype, np.float32),
            description={**one.description, **described, "units": _of_difference(one.units)},
            standard_name="",
            color_table={},
            class_names={},
            rgb=None,
        )
        return cls(first, other, info)

    def describe(self) -> RasterInfo:
        """Return the metadata of the difference."""
        return self.info

    def read(self, window: Window, shape: tuple[int, int], resampling: str) -> NDArray[Any]:
        """Read a window. See `RasterSource.read`."""
        cells: NDArray[Any] = self.first.read(window, shape, resampling).astype(self.info.dtype)
        if not self.info.geometry.differences(self.other.describe().geometry):
            cells -= self.other.read(window, shape, resampling).astype(self.info.dtype)
            return cells
        self._subtract(cells, self.info.geometry.subgrid(window, *shape))
        return cells

    def _subtract(self, cells: NDArray[Any], geometry: GridGeometry) -> None:
        """Subtract the interpolated cells of the other raster, some rows at a time."""
        rows = max(1, _STRIP // max(1, geometry.width))
        for top in range(0, geometry.height, rows):
            strip = cells[top : top + rows]
            row, column = np.mgrid[top : top + len(strip), 0 : geometry.width] + 0.5
            x, y = geometry.transform @ (column.ravel(), row.ravel())
            strip -= self._other_at(np.column_stack([x, y]), geometry).reshape(strip.shape)

    def _other_at(self, points: NDArray[np.floating[Any]], geometry: GridGeometry) -> NDArray[np.floating[Any]]:
        """Return interpolated values of the other raster at points. Only the cells around the points are read."""
        grid = self.other.describe().geometry
        column, row = grid_positions(grid, points, geometry.crs)
        inside = (column >= 0) & (column < grid.width) & (row >= 0) & (row < grid.height)
        if not inside.any():
            return np.full(len(points), np.nan)
        top, bottom = _span(row[inside], grid.height)
        left, right = (0, grid.width) if grid.columns_per_turn else _span(column[inside], grid.width)
        window = Window(top, left, bottom - top, right - left)
        values, part = read_window(self.other, window)
        return values_at(values, part, points, geometry.crs)


def open_difference(settings: RasterSettings, minus: FieldSettings) -> DifferenceSource:
    """Return the source of a raster minus another raster. If the other raster has no times, it is used for all times.

    Parameters
    ----------
    settings : RasterSettings
        The raster.
    minus : FieldSettings
        The raster to subtract.

    Raises
    ------
    RasterError
        If a raster cannot be opened, or the rasters have different units.
    """
    other = minus.of_raster(settings)
    if minus.path is not None and minus.time is None and other.time is not None and not raster_times(other):
        other = other.model_copy(update={"time": None})
    return DifferenceSource.of(open_source(settings.model_copy(update={"minus": None})), open_source(other))


def _of_difference(units: str) -> str:
    """Return the units of a difference. A difference of temperatures is converted without an offset."""
    is_temperature = re.fullmatch(r"(deg(rees?)?|°)?[ _]?(K|C|F|kelvin|celsius|fahrenheit)", units, re.IGNORECASE)
    return f"{DELTA}{units}" if is_temperature else units


def _span(positions: NDArray[np.floating[Any]], size: int) -> tuple[int, int]:
    """Return the first cell around positions, and the cell after the last one."""
    return max(int(positions.min()) - 1, 0), min(int(positions.max()) + 2, size)
