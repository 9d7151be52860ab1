"""Read the two components of wind, choose the places of barbs and arrows, and turn the wind to the sheet.

::

    u, v ─► rows and columns of places, at multiples of the spacing in map units ─► values
                                         └─► north of the map, or y axis of the grid ─► wind on the sheet
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import pyproj
from numpy.typing import NDArray
from pydantic import Field as Limits
from typing_extensions import override

from regionplot.errors import ConfigError
from regionplot.geo.crs import Floats, parse_crs, transformer
from regionplot.geo.extent import FULL_TURN, LONLAT, PanelGrid
from regionplot.inputs.drivers import raster_driver
from regionplot.inputs.grib_winds import is_relative_to_grid
from regionplot.inputs.source import RasterInfo
from regionplot.layers.base import Layer, LayerSettings, LoadContext, settings_digest
from regionplot.layers.field import Field
from regionplot.layers.quantity import wind_name
from regionplot.settings.base import Color, Text
from regionplot.settings.field import FieldSettings
from regionplot.sheet.sheet import Sheet

logger = logging.getLogger(__name__)
_KNOTS = {
    "m/s": 3600 / 1852, "m s-1": 3600 / 1852, "m s**-1": 3600 / 1852, "m s^-1": 3600 / 1852, "m sec-1": 3600 / 1852,
    "meter second-1": 3600 / 1852, "meters/second": 3600 / 1852, "meter/sec": 3600 / 1852, "km/h": 1 / 1.852,
    "km h-1": 1 / 1.852, "mph": 1609.344 / 1852, "kt": 1.0, "kts": 1.0, "knot": 1.0, "knots": 1.0, "kn": 1.0,
}  # fmt: skip
"""Knots in each unit of speed."""
_OF_GRID = ("x_", "y_", "grid_")
"""Beginnings of CF standard names of components that are relative to the grid."""
_OF_NORTH = ("eastward_", "northward_")
_NORTH_STEP = 1e-3
"""Degrees from a point to the point north of it that gives the direction of north."""
_GRID_STEP = 100.0
"""Meters from a point to the point along the y axis of a projected grid."""
_ALONG, _BESIDE_STAFF = (0.35, 0.7, 1.0), 6.0
"""Points along a staff that are compared with labels, as fractions of its length, and minimum pixels to labels."""
_NEAR_POLE = 89.99
_EDGE = 22
"""Minimum pixels from a place to the edge of the panel."""


class WindSettings(LayerSettings):
    """Components of the wind, and the places where it is drawn."""

    is_array: ClassVar[bool] = True

    u: FieldSettings
    """Component to the east, or along the rows of the grid, such as `{ band = "UGRD" }`."""
    v: FieldSettings
    """Component to the north, or along the columns of the grid, such as `{ band = "VGRD" }`."""
    name: Text = ""
    """Name of the quantity for `{contents}` in titles. Default: the name in the file."""
    units: Text | None = None
    """Units of the components: m/s, km/h, mph or kt. Default: the units that the file states."""
    relative_to: Literal["auto", "north", "grid"] = "auto"
    """Directions of the components. `auto`: as a GRIB file or the CF standard name says, otherwise north."""
    spacing: Annotated[float, Limits(ge=4, le=2000)] = 58
    """Pixels between two places."""
    color: Color = "#4d5359"
    """Color of the symbols."""
    linewidth: Annotated[float, Limits(gt=0, le=100)] = 0.75
    """Line width in points."""
    casing: Color = "#ffffff99"
    """Color of the casing under the symbols. `none`: no casing."""
    casing_width: Annotated[float, Limits(ge=0, le=100)] = 0.8
    """Width of the casing on each side of a line, in points."""


@dataclass(frozen=True, eq=False)
class PlacedWind:
    """The wind at the places of one map."""

    points: Floats
    """x and y in map coordinates, shape (n, 2)."""
    pixels: Floats
    """x and y in pixels of the sheet, shape (n, 2)."""
    knots: Floats
    """Wind to the right and to the top of the sheet in knots, shape (n, 2)."""
    is_southern: NDArray[np.bool_]
    """True for places in the southern hemisphere, shape (n,)."""


@dataclass(frozen=True, eq=False)
class WindField:
    """Two components of the wind."""

    u: Field
    v: Field
    factor: float
    """Factor from the units of the components to knots."""
    is_of_grid: bool
    """True if the components are relative to the grid."""

    @classmethod
    def load(cls, settings: WindSettings, context: LoadContext, table: str) -> WindField:
        """Read both components.

        Raises
        ------
        RasterError
            If a component cannot be read.
        ConfigError
            If the units are unknown.
        """
        u, v = (Field.load(each, context, f"{table} {name}") for name, each in (("u", settings.u), ("v", settings.v)))
        units = settings.units or str(u.description.get("units", ""))
        factor = _KNOTS.get(units.strip().lower())
        if factor is None:
            raise ConfigError(f"{table} units: {units!r} is not a unit of speed; set units to m/s, km/h, mph or kt")
        assert u.info is not None, "the field was read from a file"
        is_of_grid = settings.relative_to == "grid"
        if settings.relative_to == "auto":
            is_of_grid = _is_of_grid(u.info, table)
        return cls(u, v, factor, is_of_grid)

    @property
    def key(self) -> tuple[object, ...]:
        """Everything that the wind on a map depends on."""
        return self.u.key, self.v.key, self.factor, self.is_of_grid

    def at_places(self, sheet: Sheet, spacing: float, clear: float, staff: float = 0.0) -> PlacedWind:
        """Return the wind at staggered places in a panel.

        Places outside the map, without values, near an edge or near a label are left out.

        Parameters
        ----------
        sheet : Sheet
            The map.
        spacing : float
            Pixels between two places.
        clear : float
            Minimum pixels from a place to the labels of the map, along x and along y.
        staff : float
            Length in pixels of a line from each place against the wind, which does not cross labels.
        """
        points, pixels = _places(sheet, spacing)
        turned, latitude = self.on_sheet(points, sheet)
        kept = np.isfinite(turned).all(axis=1) & np.isfinite(latitude)
        kept &= _are_free(sheet, pixels, clear)
        if staff:
            with np.errstate(invalid="ignore", divide="ignore"):
                unit = np.nan_to_num(turned / np.hypot(*turned.T)[:, None])
            for share in _ALONG:
                kept &= _are_free(sheet, pixels - share * staff * unit, _BESIDE_STAFF)
        return PlacedWind(points[kept], pixels[kept], turned[kept], latitude[kept] < 0)

    def on_sheet(self, points: Floats, sheet: Sheet) -> tuple[Floats, Floats]:
        """Return the wind at points to the right and to the top of the sheet, and the latitudes.

        Parameters
        ----------
        points : ndarray, shape (n, 2)
            x and y in map coordinates.
        sheet : Sheet
            The map.

        Returns
        -------
        wind : ndarray, shape (n, 2)
            Wind in knots, NaN if missing.
        latitude : ndarray, shape (n,)
            Latitudes in degrees.
        """
        wind = np.column_stack([field.at_points(points, sheet.crs) for field in (self.u, self.v)]) * self.factor
        north, latitude = _up(sheet, points, parse_crs(LONLAT), _NORTH_STEP)
        up = north
        if self.is_of_grid and not _is_lonlat(self.u.geometry.crs):
            crs = self.u.geometry.crs
            up, _ = _up(sheet, points, crs, _NORTH_STEP if crs.is_geographic else _GRID_STEP)
        turned = np.column_stack(
            [wind[:, 0] * up[:, 1] + wind[:, 1] * up[:, 0], wind[:, 1] * up[:, 1] - wind[:, 0] * up[:, 0]]
        )
        return turned, latitude


@dataclass(frozen=True)
class WindLayer(Layer):
    """A layer that draws symbols for the wind. A subclass defines `draw` and the class of its settings."""

    wants_values: ClassVar[bool] = True
    label_order: ClassVar[int] = 30
    settings: WindSettings
    wind: WindField
    key: str

    @classmethod
    @override
    def load(cls, settings: WindSettings, context: LoadContext) -> Self:
        wind = WindField.load(settings, context, f"[[{context.name.partition(' ')[0]}]]")
        return cls(settings, wind, settings_digest(settings, *wind.key, exclude={"u", "v"}))

    @property
    def caption(self) -> str:  # type: ignore[override]
        """Name of the wind or current."""
        return self.settings.name or wind_name(self.wind.u.description)

    @override
    def inks(self) -> frozenset[str]:
        return frozenset({self.settings.color, self.settings.casing})


def _are_free(sheet: Sheet, pixels: Floats, clear: float) -> NDArray[np.bool_]:
    """Return True for each point that is at least `clear` pixels from all labels, along x and along y."""
    return sheet.placer.are_free(np.column_stack([pixels - clear, pixels + clear]))


def _places(sheet: Sheet, spacing: float) -> tuple[Floats, Floats]:
    """Return the places in a panel in map coordinates and in pixels of the sheet. Every second row is shifted."""
    panel, box = sheet.view.panel, sheet.view.box
    extent = panel.extent
    across, up = spacing * panel.pixel_width, spacing * panel.pixel_height
    rows = np.arange(math.ceil(extent.ymin / up), math.floor(extent.ymax / up) + 1)
    columns = np.arange(math.floor(extent.xmin / across) - 1, math.ceil(extent.xmax / across) + 1)
    row, column = (each.ravel() for each in np.meshgrid(rows, columns, indexing="ij"))
    points = np.column_stack([(column + 0.5 * (row % 2)) * across, row * up])
    pixels = (points - (extent.xmin, extent.ymin)) / (panel.pixel_width, panel.pixel_height)
    inside = (pixels >= _EDGE).all(axis=1) & (pixels <= (panel.width - _EDGE, panel.height - _EDGE)).all(axis=1)
    return points[inside], pixels[inside] + (box.left, box.bottom)


def _up(sheet: Sheet, points: Floats, crs: pyproj.CRS, step: float) -> tuple[Floats, Floats]:
    """Return the direction on the sheet in which y of a CRS increases, and y of the points.

    Parameters
    ----------
    sheet : Sheet
        The map.
    points : ndarray, shape (n, 2)
        x and y in map coordinates.
    crs : pyproj.CRS
        The CRS.
    step : float
        Distance from the points along y, in units of the CRS.

    Returns
    -------
    directions : ndarray, shape (n, 2)
        Unit vectors, to the right and to the top of the sheet. NaN for points that the map does not show.
    y : ndarray, shape (n,)
        y of the points in the CRS.
    """
    panel = sheet.view.panel
    x, y = transformer(sheet.crs, crs).transform(*points.T)
    sign = np.where(crs.is_geographic & (y > _NEAR_POLE), -1.0, 1.0)
    back = transformer(crs, sheet.crs)
    here, there = (np.column_stack(back.transform(x, y + by)) for by in (0.0, sign * step))
    moved = (there - here) * sign[:, None]
    if sheet.crs.is_geographic:
        moved[:, 0] -= FULL_TURN * np.round(moved[:, 0] / FULL_TURN)
        here[:, 0] += FULL_TURN * np.round((points[:, 0] - here[:, 0]) / FULL_TURN)
    moved /= (panel.pixel_width, panel.pixel_height)
    with np.errstate(invalid="ignore", divide="ignore"):
        directions = moved / np.hypot(*moved.T)[:, None]
    is_shown = _is_near(here, points, panel)
    return np.where(is_shown[:, None], directions, np.nan), np.asarray(y)


def _is_near(points: Floats, others: Floats, panel: PanelGrid) -> NDArray[np.bool_]:
    """Return True for points that are within a pixel of others. Beyond the edge of the world, PROJ repeats the map."""
    with np.errstate(invalid="ignore"):
        off = abs(points - others) < (panel.pixel_width, panel.pixel_height)
    return np.asarray(off.all(axis=1))


def _is_lonlat(crs: pyproj.CRS) -> bool:
    """Return True if y of a CRS is a latitude."""
    return crs.is_geographic and not crs.is_derived


def _is_of_grid(info: RasterInfo, table: str) -> bool:
    """Return True if the file says that components are relative to the grid. Warn if it says nothing."""
    if _is_lonlat(info.geometry.crs):
        return False
    if raster_driver(info.path) == "GRIB":
        flag = is_relative_to_grid(info.path, info.band)
        if flag is not None:
            return flag
    name = info.standard_name
    if not name.startswith((*_OF_GRID, *_OF_NORTH)):
        logger.warning(
            "%s: the file does not say whether the wind is relative to the grid or to north; north is assumed; set "
            "relative_to in %s", info.path, table,
        )  # fmt: skip
    return name.startswith(_OF_GRID)
