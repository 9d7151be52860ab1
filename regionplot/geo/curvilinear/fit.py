"""Choose a regular grid that covers the cells of a curvilinear grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyproj
from affine import Affine
from numpy.typing import NDArray

from regionplot.geo.crs import transformer
from regionplot.geo.extent import FULL_TURN
from regionplot.geo.grid import GridGeometry

Floats = NDArray[np.floating[Any]]
FINEST = 16
"""Maximum number of regular cells per source spacing, along each side."""
COARSEST = 2
"""Minimum number of regular cells per source spacing, along each side."""
_MAX_CELLS = 2**24
"""Desired limit for the number of regular cells. A larger grid gets less oversampling, but at least `COARSEST`."""
_MAX_COARSE_RATIO = 4
"""Maximum ratio of regular cells, before oversampling, to source cells. Above it, the regular cells are made larger."""
_MIN_COARSE_LIMIT = 2**14
"""Number of regular cells, before oversampling, that is always allowed."""
_SAMPLES_PER_SIDE = 512
"""Maximum number of sampled rows, and largest number of sampled columns."""
_FINE_QUANTILE, _COARSE_QUANTILE = 0.1, 0.99
"""Quantiles of the measured spacings that are used as the fine and the coarse spacing."""
_METERS_PER_DEGREE = 6_371_000 * np.pi / 180
"""Approximate length of a degree along a meridian."""
_MAX_STEREOGRAPHIC_ANGLE = 60.0
"""Maximum angle, in degrees, between the center of a stereographic projection and a cell."""
_POLAR_LATITUDE = 85.0
"""Latitude beyond which the regular grid is stereographic, if possible, instead of in degrees."""
_MAX_PLANE_LATITUDE = 75.0
"""Latitude beyond which the columns and rows of a grid in degrees are not treated as a plane."""
_MAX_DEGREES_RATIO = 4.0
"""Ratio of cells in degrees to stereographic cells, above which the regular grid is stereographic."""
_BIN = 0.25
"""Width in degrees of the longitude bins in which gaps are searched."""
_MAX_CLOSED_GAP = 2.0
"""Gap between longitudes, in degrees, up to which a grid counts as closed around the earth."""
_STRIP_CELLS = 2**17
"""Number of coordinates to process at a time."""
_SAME_PLACE = 1e-8
"""Distance, in earth radii, up to which two cells count as being at the same place."""
_WGS84 = 4326


@dataclass(frozen=True)
class RegularGrid:
    """A regular grid that covers the cells of a curvilinear grid."""

    geometry: GridGeometry
    oversampling: int
    """Number of regular cells per source spacing, along each side."""

    @property
    def is_global(self) -> bool:
        """True if the grid is in degrees and either comes near a pole or closes around the earth."""
        geometry = self.geometry
        if geometry.columns_per_turn is None:
            return False
        limits = geometry.extent
        return (
            limits.width > FULL_TURN - _MAX_CLOSED_GAP or max(abs(limits.ymin), abs(limits.ymax)) > _MAX_PLANE_LATITUDE
        )

    @property
    def coarse(self) -> GridGeometry:
        """The grid before oversampling. Its cells are as large as the source spacing, or larger."""
        geometry, n = self.geometry, self.oversampling
        return geometry.subgrid(geometry.full_window, geometry.height // n, geometry.width // n)


def fit_grid(longitudes: Floats, latitudes: Floats, crs: pyproj.CRS) -> RegularGrid | None:
    """Return a regular grid that covers all cells of a curvilinear grid, with smaller cells than that grid.

    The grid is usually in degrees. It is stereographic if the source comes near a pole, or if a grid in degrees needs
    many more cells. The source spacing is the 10th percentile of the distances between neighboring cells, so that few
    cells are lost.

    Parameters
    ----------
    longitudes, latitudes : ndarray, shape (rows, columns)
        Coordinates of the cell centers in degrees; NaN if missing. Longitudes may be outside of ±180.
    crs : pyproj.CRS
        CRS of the coordinates; it is geographic.

    Returns
    -------
    RegularGrid or None
        None if there are no coordinates, or all coordinates are the same.
    """
    spacing = _Spacing.of(longitudes, latitudes)
    if spacing is None:
        return None
    count = int(np.isfinite(longitudes).sum())
    in_degrees = _GridLimits.in_degrees(longitudes, latitudes, crs, spacing)
    stereographic = _fit_stereographic(*_sample_coordinates(longitudes, latitudes), crs)
    limits = in_degrees
    if stereographic is not None:
        projected = _GridLimits.projected(longitudes, latitudes, crs, stereographic, spacing)
        is_polar = float(np.nanmax(abs(latitudes))) > _POLAR_LATITUDE
        if is_polar or in_degrees.cells > _MAX_DEGREES_RATIO * projected.cells:
            limits = projected
    return limits.grid(max(_MAX_COARSE_RATIO * count, _MIN_COARSE_LIMIT))


@dataclass(frozen=True)
class _Spacing:
    """Typical angles between the centers of neighboring cells, in degrees."""

    fine: float
    """10th percentile of each cell's shorter step to a neighbor."""
    coarse: float
    """99th percentile of each cell's longer step to a neighbor."""

    @classmethod
    def of(cls, longitudes: Floats, latitudes: Floats) -> _Spacing | None:
        """Measure the spacing at some rows and columns. Return None if all cells are at the same place."""
        rows, columns = (_sample_indices(length - 1) for length in longitudes.shape)
        start = _unit_vectors(longitudes[np.ix_(rows, columns)], latitudes[np.ix_(rows, columns)])
        steps = [
            np.linalg.norm(_unit_vectors(longitudes[np.ix_(*end)], latitudes[np.ix_(*end)]) - start, axis=0)
            for end in ((rows + 1, columns), (rows, columns + 1))
        ]
        smaller, larger = np.fmin(*steps), np.fmax(*steps)
        smaller, larger = smaller[smaller > _SAME_PLACE], larger[larger > _SAME_PLACE]
        if not smaller.size:
            return None
        fine, coarse = np.quantile(smaller, _FINE_QUANTILE), np.quantile(larger, _COARSE_QUANTILE)
        return cls(float(np.degrees(fine)), float(np.degrees(coarse)))


def _sample_indices(length: int) -> NDArray[np.intp]:
    """Return evenly spaced indices from 0 to `length` - 1. If `length` is small, return all indices."""
    return np.unique(np.linspace(0, length - 1, min(length, _SAMPLES_PER_SIDE)).astype(np.intp))


def _sample_coordinates(longitudes: Floats, latitudes: Floats) -> tuple[Floats, Floats]:
    """Return coordinates at some rows and columns and at the edges, without missing coordinates. Shape (n,)."""
    at = np.ix_(*(_sample_indices(length) for length in longitudes.shape))
    longitudes, latitudes = longitudes[at], latitudes[at]
    known = np.isfinite(longitudes)
    return longitudes[known], latitudes[known]


def _unit_vectors(longitudes: Floats, latitudes: Floats) -> Floats:
    """Return unit vectors from the earth's center to positions, shape (3, ...)."""
    x, y = np.radians(longitudes.astype(np.float64)), np.radians(latitudes.astype(np.float64))
    return np.stack([np.cos(y) * np.cos(x), np.cos(y) * np.sin(x), np.sin(y)])


def _fit_stereographic(longitudes: Floats, latitudes: Floats, crs: pyproj.CRS) -> pyproj.CRS | None:
    """Return a stereographic projection centered on some points, or on the pole if their center is near it.

    Return None if a point is too far from the center.
    """
    vectors = _unit_vectors(longitudes, latitudes)
    middle = vectors.mean(axis=1)
    length = float(np.linalg.norm(middle))
    if length < np.cos(
        np.radians(_MAX_STEREOGRAPHIC_ANGLE)
    ):  # some points must be farther from their mean direction than this angle
        return None
    middle /= length
    latitude = float(np.degrees(np.arcsin(np.clip(middle[2], -1, 1))))
    longitude = float(np.degrees(np.arctan2(middle[1], middle[0])))
    if abs(latitude) > _MAX_STEREOGRAPHIC_ANGLE:
        latitude = float(np.copysign(90, latitude))
        middle = np.array([0, 0, np.sign(latitude)])
    if np.degrees(np.arccos(np.clip((vectors.T @ middle).min(), -1, 1))) > _MAX_STEREOGRAPHIC_ANGLE:
        return None
    ellipsoid = crs.ellipsoid
    assert ellipsoid is not None, "a geographic CRS has an ellipsoid"
    return pyproj.CRS.from_dict(
        {
            "proj": "stere", "lat_0": round(latitude), "lon_0": round(longitude), "k_0": 1.0, "units": "m",
            "a": ellipsoid.semi_major_metre, "b": ellipsoid.semi_minor_metre,
        }
        if crs.to_epsg() != _WGS84
        else {"proj": "stere", "lat_0": round(latitude), "lon_0": round(longitude), "datum": "WGS84", "units": "m"}
    )  # fmt: skip


@dataclass(frozen=True)
class _GridLimits:
    """Limits of a regular grid, and the sides of a cell that is as large as the source spacing."""

    crs: pyproj.CRS
    west: float
    south: float
    width: float
    height: float
    dx: float
    dy: float

    @classmethod
    def in_degrees(cls, longitudes: Floats, latitudes: Floats, crs: pyproj.CRS, spacing: _Spacing) -> _GridLimits:
        """Return limits in degrees. Cells are square at the latitude nearest to the equator."""
        south, north = float(np.nanmin(latitudes)), float(np.nanmax(latitudes))
        equatorial = 0.0 if south <= 0 <= north else min(abs(south), abs(north))
        dx = min(spacing.fine / max(np.cos(np.radians(equatorial)), 1e-3), FULL_TURN / 2)
        polar = np.cos(np.radians(min(max(abs(south), abs(north)), 89.0)))
        west, width = _find_arc(longitudes, _MAX_CLOSED_GAP + 3 * spacing.coarse)
        margin = spacing.coarse / polar
        if width + 2 * margin >= FULL_TURN:
            west, width, margin = west if width == FULL_TURN else west - (FULL_TURN - width) / 2, FULL_TURN, 0.0
        south, north = max(south - spacing.coarse, -90.0), min(north + spacing.coarse, 90.0)
        return cls(crs, west - margin, south, width + 2 * margin, north - south, dx, spacing.fine)

    @classmethod
    def projected(
        cls, longitudes: Floats, latitudes: Floats, crs: pyproj.CRS, target: pyproj.CRS, spacing: _Spacing
    ) -> _GridLimits:
        """Return limits in a projection in meters, with square cells."""
        limits = [
            (np.nanmin(x), np.nanmax(x), np.nanmin(y), np.nanmax(y))
            for x, y in projected_strips(longitudes, latitudes, crs, target)
            if np.isfinite(x).any()
        ]
        lowest, highest = np.min(limits, axis=0), np.max(limits, axis=0)
        margin, side = 2 * spacing.coarse * _METERS_PER_DEGREE, spacing.fine * _METERS_PER_DEGREE
        west, south = float(lowest[0]) - margin, float(lowest[2]) - margin
        return cls(
            target, west, south, float(highest[1]) + margin - west, float(highest[3]) + margin - south, side, side
        )

    @property
    def cells(self) -> float:
        """Number of cells as large as the source spacing."""
        return self.width / self.dx * self.height / self.dy

    def grid(self, max_cells: float) -> RegularGrid:
        """Return the regular grid. Before oversampling, it has no more than about `max_cells` cells."""
        stretch = max(1.0, (self.cells / max_cells) ** 0.5)
        columns, rows = (
            max(1, int(np.ceil(length / side / stretch)))
            for length, side in ((self.width, self.dx), (self.height, self.dy))
        )
        n = int(np.clip((_MAX_CELLS / (columns * rows)) ** 0.5, COARSEST, FINEST))
        dx, dy = self.width / columns / n, self.height / rows / n
        affine = Affine(dx, 0, self.west, 0, -dy, self.south + self.height)
        return RegularGrid(GridGeometry(affine, rows * n, columns * n, self.crs), n)


def _find_arc(longitudes: Floats, max_gap: float) -> tuple[float, float]:
    """Return the west end and the width, in degrees, of the shortest arc that contains all longitudes.

    If the largest gap between longitudes is at most `max_gap`, the arc is a full turn.
    """
    occupied = np.zeros(round(FULL_TURN / _BIN), bool)
    for strip in _row_strips(longitudes):
        known = strip[np.isfinite(strip)]
        occupied[(np.mod(known, FULL_TURN) / _BIN).astype(np.intp) % occupied.size] = True
    bins = np.flatnonzero(occupied)
    gaps = np.diff(bins, append=bins[0] + occupied.size)
    last = int(gaps.argmax())
    if (gaps[last] - 1) * _BIN <= max_gap:
        return -180.0, FULL_TURN
    west = float(bins[(last + 1) % bins.size]) * _BIN
    width = FULL_TURN - (float(gaps[last]) - 1) * _BIN
    return (
        west - FULL_TURN if west + width > FULL_TURN else west if west + width / 2 <= 180 else west - FULL_TURN
    ), width


def _row_strips(values: Floats) -> Iterator[Floats]:
    """Return an iterator over parts of an array. Each part consists of some whole rows."""
    rows = max(1, _STRIP_CELLS // values.shape[1])
    return (values[first : first + rows] for first in range(0, len(values), rows))


def projected_strips(
    longitudes: Floats, latitudes: Floats, crs: pyproj.CRS, target: pyproj.CRS
) -> Iterator[tuple[Floats, Floats]]:
    """Yield projected (x, y), some rows at a time. Coordinates that are missing or cannot be projected are NaN."""
    project = transformer(crs, target).transform
    for x, y in zip(_row_strips(longitudes), _row_strips(latitudes), strict=True):
        x, y = project(x.astype(np.float64), y.astype(np.float64))
        yield np.where(np.isfinite(x), x, np.nan), np.where(np.isfinite(y), y, np.nan)
