"""Read the rasters that overlays draw, such as pressure for isobars and the components of wind.

::

    FieldSettings ─► open ─► all cells, once in the parent ─► Field ─► values at the pixels of a panel
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from math import ceil, sqrt
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot.errors import ConfigError, RasterError
from regionplot.geo.contours import roughness
from regionplot.geo.crs import Floats
from regionplot.geo.extent import PanelGrid
from regionplot.geo.grid import GridGeometry
from regionplot.geo.points import values_at
from regionplot.geo.sampling import sample
from regionplot.geo.windows import cells_per_pixel
from regionplot.inputs.describe import open_source, raster_times
from regionplot.inputs.source import RasterInfo, read_window
from regionplot.layers.base import LoadContext
from regionplot.settings.field import FieldSettings
from regionplot.settings.raster import RasterSettings
from regionplot.settings.selection import TimeChoice
from regionplot.sheet.sheet import Sheet

_FINE = 0.5
"""Minimum number of cells along a pixel with bilinear interpolation."""
_MAX_LIMITED = 2**22
"""Maximum number of cells whose range limits cubic values. A larger grid is usually finer than the pixels."""
_ROUGH_SIDE = 512
"""Maximum rows and columns of the cells whose roughness is measured. They are in the middle of the grid."""
_MAX_CELLS = 2**25
"""Maximum number of cells that are loaded. The cells of a larger grid are averaged in blocks."""


@dataclass(frozen=True, eq=False)
class Field:
    """The cells of a raster that an overlay draws."""

    values: NDArray[Any]
    """Values of the cells, NaN if missing, shape (rows, columns)."""
    geometry: GridGeometry
    description: Mapping[str, object]
    """Text about the raster. See `RasterInfo.description`."""
    key: str
    """Digest of the cells."""
    info: RasterInfo | None = None
    """Metadata of the raster. None for the raster of the map."""

    @classmethod
    def load(cls, settings: FieldSettings, context: LoadContext, place: str) -> Field:
        """Read a field, or return a field that a loaded layer has read from the same file.

        Parameters
        ----------
        settings : FieldSettings
            The field.
        context : LoadContext
            The context of the layer.
        place : str
            Name of the setting, for messages.

        Raises
        ------
        RasterError
            If the file cannot be read, or has no such band.
        ConfigError
            If the settings of the raster select several times.
        """
        raster = _at_one_time(settings.of_raster(context.config.raster), settings, place)
        try:
            source = open_source(raster)
            info = source.describe()
            window = info.geometry.full_window
            step = max(1, ceil(sqrt(window.cells / _MAX_CELLS)))
            values, geometry = read_window(source, window, step, "nearest" if step == 1 else "average")
        except RasterError as error:
            raise RasterError(f"{place}: {error}") from error
        return cls(values, geometry, info.description, _digest(values, geometry), info)

    @cached_property
    def roughness(self) -> float:
        """Measure of the differences between neighboring cells. See `geo.contours.roughness`."""
        top, left = (max(0, (size - _ROUGH_SIDE) // 2) for size in self.values.shape)
        return roughness(self.values[top : top + _ROUGH_SIDE, left : left + _ROUGH_SIDE])

    def at(self, panel: PanelGrid, crs: pyproj.CRS) -> NDArray[np.float64]:
        """Return the values at the pixels of a panel, NaN if missing, shape (height, width). Row 0 is in the north.

        Values are interpolated: bilinear if the cells are as small as the pixels, otherwise cubic. Cubic values are
        limited to the range of the cells, so that precipitation does not become negative.
        """
        is_fine = cells_per_pixel(self.geometry, panel, crs) >= _FINE
        found = sample(self.values, self.geometry, panel, crs, "bilinear" if is_fine else "cubic")
        is_known = found.inside & np.isfinite(found.values)
        values = np.where(is_known, found.values, np.nan).astype(np.float64)
        if not is_fine and self.values.size <= _MAX_LIMITED and is_known.any():
            cells = self.values[np.isfinite(self.values)]
            np.clip(values, cells.min(), cells.max(), out=values)
        return values

    def at_points(self, points: Floats, crs: pyproj.CRS) -> Floats:
        """Return interpolated values at points, shape (n,). A point is NaN if its cell is missing or outside the grid.

        Parameters
        ----------
        points : ndarray, shape (n, 2)
            x and y.
        crs : pyproj.CRS
            CRS of the points.
        """
        return values_at(self.values, self.geometry, points, crs)


def field_of(sheet: Sheet) -> Field | None:
    """Return the field of the raster of a map, in its own units. Return None if its cells are not numbers."""
    return None if sheet.cells is None else Field(*sheet.cells, description={}, key="")


def _at_one_time(raster: RasterSettings, settings: FieldSettings, place: str) -> RasterSettings:
    """Return the settings of a raster. If another file has no times, the time of the map is left out."""
    if raster.time is None:
        return raster
    if TimeChoice(raster.time).is_many:
        raise ConfigError(f"{place}: [raster] selects several times; set time")
    if settings.path is not None and settings.time is None and not raster_times(raster):
        return raster.model_copy(update={"time": None})
    return raster


def _digest(values: NDArray[Any], geometry: GridGeometry) -> str:
    content = blake2b(np.ascontiguousarray(values).data.cast("B"), digest_size=16)
    content.update(repr((geometry.transform, geometry.crs.to_wkt(), values.dtype.str, values.shape)).encode())
    return content.hexdigest()
