"""Compute the statistics of a region that tables and alternative text show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot.colors.classes import Classes
from regionplot.errors import RegionError
from regionplot.geo.bounds import within_world
from regionplot.geo.crs import parse_crs, transformer
from regionplot.geo.extent import LONLAT, Extent
from regionplot.geo.grid import GridGeometry
from regionplot.geo.project import project_extent
from regionplot.geo.region import Region
from regionplot.shared.data import SharedData
from regionplot.shared.statistics import RegionCells, extent_cells, polygon_cells

_HALF_TURN = 180.0
_POLE = 90.0
"""Latitude of the North Pole, in degrees."""
_LISTED = 5
"""Maximum number of classes to list."""
Position = tuple[float, float]
"""Longitude and latitude in degrees."""


@dataclass(frozen=True)
class RegionNumbers:
    """Statistics of the cells of one region. Numbers that are not known are NaN."""

    weights: str
    """`polygon`: each cell counts by the share that the polygon of the region covers. `cells`: each cell whose center
    lies in the extent of the region counts as 1."""
    count: float
    """Number of valid cells: the sum of their weights."""
    total: float
    """Number of cells, with or without data: the sum of their weights."""
    min: float = math.nan
    max: float = math.nan
    mean: float = math.nan
    percentiles: Mapping[float, float] = field(default_factory=dict)
    """Percentiles by percentage."""
    above: float = math.nan
    """Share of the valid cells above `[statistics] above`, from 0 to 1."""
    min_at: Position | None = None
    """Center of the cell with the smallest value. Among equal cells, the first from the north-west."""
    max_at: Position | None = None
    """Center of the cell with the largest value."""
    units: str = ""
    """Units of the values: those of the color scale."""
    time: str = ""
    """Time of the data in UTC. Empty if it is unknown."""
    bounds: tuple[float, float, float, float] | None = None
    """Limits of the region in degrees: west, south, east, north."""
    classes: Mapping[str, float] = field(default_factory=dict)
    """Shares of the most frequent classes of a raster with classes, by name, in descending order."""

    @property
    def valid(self) -> float:
        """Share of valid cells, from 0 to 1."""
        return self.count / self.total if self.total else 0.0

    def items(self) -> dict[str, Any]:
        """Return the numbers as values that JSON can hold. Numbers that are not known are None."""
        numbers = {"count": self.count, "cells": self.total, "valid": self.valid}
        numbers |= {"min": self.min, "max": self.max, "mean": self.mean}
        numbers |= {f"p{key + 0.0:.12g}": value for key, value in self.percentiles.items()}  # no negative zero
        numbers |= {} if math.isnan(self.above) else {"above": self.above}
        places = {"min": self.min_at, "max": self.max_at}
        for name, place in places.items():
            lon, lat = (math.nan, math.nan) if place is None else place
            numbers |= {f"{name}_lon": lon, f"{name}_lat": lat}
        rounded = {key: _json(value) for key, value in numbers.items()}
        majority = next(iter(self.classes.items()), None)
        if majority is not None:
            rounded |= {"majority_share": _json(majority[1])}
        texts = {
            "majority": "" if majority is None else majority[0],
            "units": self.units,
            "weights": self.weights,
            "valid_time": self.time,
        }
        bounds = None if self.bounds is None else list(self.bounds)
        return {**{key: text for key, text in texts.items() if text}, **rounded, "bounds": bounds}


def _json(value: float) -> float | int | None:
    """Return a number that JSON can hold, with at most 9 digits."""
    if not math.isfinite(value):
        return None
    rounded = float(f"{value:.9g}")
    return int(rounded) if rounded.is_integer() else rounded


def region_numbers(shared: SharedData, region: Region) -> RegionNumbers:
    """Return the statistics of a region, from the data in memory.

    Parameters
    ----------
    shared : SharedData
        The data. Its settings `[statistics]` are used.
    region : Region
        The region. If it is a polygon, the cells are weighted.

    Raises
    ------
    RegionError, RasterError, ConfigError
        As for `shared.statistics.region_cells`.
    """
    found = polygon_cells(shared, region)
    cells, shares = (extent_cells(shared, region), None) if found is None else found
    facts = _facts(shared, region)
    weights = None if shares is None else shares[cells.valid]
    total = float(np.count_nonzero(cells.inside) if shares is None else shares.sum())
    kind = "cells" if shares is None else "polygon"
    count = float(np.count_nonzero(cells.valid) if weights is None else weights.sum())
    values = cells.shown
    if not values.size or (shared.coloring is not None and not isinstance(shared.coloring, Classes)):
        return RegionNumbers(kind, count, total, **facts)
    if isinstance(shared.coloring, Classes):
        return RegionNumbers(kind, count, total, classes=_class_shares(values, weights, shared.coloring), **facts)
    settings = shared.config.statistics
    low, high = _extremes(cells)
    return RegionNumbers(
        kind,
        count,
        total,
        min=float(values.min()),
        max=float(values.max()),
        mean=float(np.average(values.astype(np.float64), weights=weights)),
        percentiles=_percentiles(values, weights, settings.percentiles),
        above=math.nan if settings.above is None else _share(values > settings.above, weights),
        min_at=low,
        max_at=high,
        **facts,
    )


def _facts(shared: SharedData, region: Region) -> dict[str, Any]:
    """Return the units, the time and the limits of a region."""
    time = shared.description.get("time")
    units = "" if shared.coloring is not None else shared.config.colors.units or shared.info.units
    text = f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if isinstance(time, datetime) and time.tzinfo else ""
    return {"units": units, "time": text, "bounds": _bounds(shared, region)}


def _bounds(shared: SharedData, region: Region) -> tuple[float, float, float, float] | None:
    crs = shared.crs_of(region) if region.crs is None else parse_crs(region.crs)
    try:
        extent = within_world(project_extent(region.extent, crs, parse_crs(LONLAT)))
    except RegionError:
        return None
    west, south, east, north = (round(each, 6) for each in (extent.xmin, extent.ymin, extent.xmax, extent.ymax))
    for pole in () if crs.is_geographic else (-_POLE, _POLE):
        if _contains_pole(region.extent, crs, pole):
            west, east, south, north = -_HALF_TURN, _HALF_TURN, min(south, pole), max(north, pole)
    return west, south, east, north


def _contains_pole(extent: Extent, crs: pyproj.CRS, pole: float) -> bool:
    """Return True if an extent contains a pole at all longitudes. Some projections show a pole as a line."""
    x, y = transformer(parse_crs(LONLAT), crs).transform(np.array([-120.0, 0.0, 120.0]), np.full(3, pole))
    return bool(np.all((extent.xmin <= x) & (x <= extent.xmax) & (extent.ymin <= y) & (y <= extent.ymax)))


def _extremes(cells: RegionCells) -> tuple[Position | None, Position | None]:
    """Return the centers of the cells with the smallest and the largest value."""
    rows, columns = np.nonzero(cells.valid)
    values = cells.values[cells.valid]
    positions = [int(values.argmin()), int(values.argmax())]
    if cells.conversion.factor < 0:
        positions.reverse()
    low, high = (_center(cells.geometry, int(rows[at]), int(columns[at])) for at in positions)
    return low, high


def _center(geometry: GridGeometry, row: int, column: int) -> Position | None:
    """Return the longitude, from -180 to 180, and the latitude of a cell."""
    x, y = geometry.coordinates(np.array(column + 0.5), np.array(row + 0.5))
    lon, lat = transformer(geometry.crs, parse_crs(LONLAT)).transform(float(x), float(y))
    if not (math.isfinite(lon) and math.isfinite(lat)):
        return None
    return round((lon + _HALF_TURN) % (2 * _HALF_TURN) - _HALF_TURN, 4), round(lat, 4)


def _percentiles(
    values: NDArray[Any], weights: NDArray[Any] | None, percentages: Sequence[float]
) -> dict[float, float]:
    """Return percentiles, interpolated linearly between cells.

    With weights, each cell lies at the sum of the weights below it and half of its own weight. The positions of the
    first and the last cell are 0 and 100 %. Equal weights give the percentiles of NumPy.
    """
    if not percentages:
        return {}
    if weights is None:
        return dict(zip(percentages, np.percentile(values, list(percentages)).tolist(), strict=True))
    order = np.argsort(values, kind="stable")
    ordered, own = values[order].astype(np.float64), weights[order]
    places = np.cumsum(own) - own / 2
    places = (places - places[0]) / (places[-1] - places[0]) if places[-1] > places[0] else np.zeros(own.size)
    found = np.interp(np.asarray(percentages, dtype=float) / 100, places, ordered)
    return dict(zip(percentages, found.tolist(), strict=True))


def _share(chosen: NDArray[np.bool_], weights: NDArray[Any] | None) -> float:
    return float(chosen.mean()) if weights is None else float(weights[chosen].sum() / weights.sum())


def _class_shares(values: NDArray[Any], weights: NDArray[Any] | None, classes: Classes) -> dict[str, float]:
    """Return the shares of the most frequent classes by name."""
    found, position = np.unique(values, return_inverse=True)
    shares = np.bincount(position, weights=weights) / (values.size if weights is None else weights.sum())
    names = {item.value: item.label for item in classes.drawn}
    order = np.argsort(-shares, kind="stable")[:_LISTED]
    return {names.get(int(found[at]), f"{found[at]:g}"): float(shares[at]) for at in order}
