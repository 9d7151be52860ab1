"""Fit a regular grid to the cells of a curvilinear one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyproj
from affine import Affine
from numpy.typing import NDArray

from regionplot.geo.crs import CIRCLE, transformer
from regionplot.geo.grid import GridGeometry

Floats = NDArray[np.floating[Any]]
FINEST = 16
"""Cells of the regular grid along the spacing of the source, at most ..."""
COARSEST = 2
"""... and at least."""
_ENOUGH = 2**24
"""Cells of the regular grid above which it is no finer than it must be."""
_SPARE = 4
"""A regular grid of the source's spacing has no more than so many times the source's cells ..."""
_FEW = 2**14
"""... or this many."""
_SAMPLE = 512
"""Rows and columns from which the spacing is found."""
_FINE_SHARE, _COARSE_SHARE = 0.1, 0.99
"""Of the spacings found, those that count as the fine and the coarse ones."""
_METRES = 6_371_000 * np.pi / 180
"""Of a degree along a meridian, near enough to choose a spacing by."""
_HEMISPHERE = 60.0
"""Degrees from the middle of a grid to its farthest cell, up to which a stereographic projection suits it."""
_POLAR = 85.0
"""A grid that reaches farther north or south is not put on one in degrees, if it can be helped."""
_STEEP = 75.0
"""Beyond this latitude, columns and rows of degrees are not like a plane."""
_WASTEFUL = 4.0
"""Nor one that would take so many times the cells there."""
_BIN = 0.25
_CLOSED = 2.0
"""Degrees; a smaller gap between the longitudes of a grid does not open its circle."""
_STRIP = 2**17
"""Coordinates that are worked on at a time."""


@dataclass(frozen=True)
class RegularGrid:
    """A regular grid fitted to the cells of a curvilinear one."""

    geometry: GridGeometry
    oversampling: int
    """So many of its cells lie along the spacing of the source."""

    @property
    def is_global(self) -> bool:
        """Whether it is in degrees and comes near a pole, or closes around the earth."""
        geometry = self.geometry
        if geometry.columns_per_turn is None:
            return False
        limits = geometry.extent
        return limits.width > CIRCLE - _CLOSED or max(abs(limits.ymin), abs(limits.ymax)) > _STEEP

    @property
    def coarse(self) -> GridGeometry:
        """The same grid with cells of the source's spacing."""
        geometry, n = self.geometry, self.oversampling
        return geometry.subgrid(geometry.full_window, geometry.height // n, geometry.width // n)


def fit_grid(longitudes: Floats, latitudes: Floats, crs: pyproj.CRS) -> RegularGrid | None:
    """A regular grid over all cells of a curvilinear one, of its own spacing and finer.

    In degrees; but near a pole, or where degrees would take many times the cells, in a stereographic projection. The
    spacing is that which a tenth of the cells go below, so that few cells are lost.

    Parameters
    ----------
    longitudes, latitudes : ndarray, shape (rows, columns)
        Of the cell centres; NaN where they are missing. Longitudes may be on any turn of the circle.
    crs : pyproj.CRS
        Theirs, geographic.

    Returns
    -------
    RegularGrid or None
        None if there are no coordinates, or all are the same.
    """
    spacing = _Spacing.of(longitudes, latitudes)
    if spacing is None:
        return None
    count = int(np.isfinite(longitudes).sum())
    degrees = _Box.in_degrees(longitudes, latitudes, crs, spacing)
    sample = _sampled(longitudes, latitudes)
    polar = _stereographic(*sample, crs)
    box = degrees
    if polar is not None:
        projected = _Box.projected(longitudes, latitudes, crs, polar, spacing)
        reaches_pole = float(np.nanmax(abs(latitudes))) > _POLAR
        if reaches_pole or degrees.cells > _WASTEFUL * projected.cells:
            box = projected
    return box.grid(max(_SPARE * count, _FEW))


@dataclass(frozen=True)
class _Spacing:
    """Angles between the centres of neighbouring cells, in degrees."""

    fine: float
    coarse: float

    @classmethod
    def of(cls, longitudes: Floats, latitudes: Floats) -> _Spacing | None:
        """From some rows and columns; None if no two cells lie apart."""
        rows, columns = (_spread(length - 1) for length in longitudes.shape)
        start = _unit_vectors(longitudes[np.ix_(rows, columns)], latitudes[np.ix_(rows, columns)])
        steps = [
            np.linalg.norm(_unit_vectors(longitudes[np.ix_(*end)], latitudes[np.ix_(*end)]) - start, axis=0)
            for end in ((rows + 1, columns), (rows, columns + 1))
        ]
        smaller, larger = np.fmin(*steps), np.fmax(*steps)
        smaller, larger = smaller[smaller > _LEAST], larger[larger > _LEAST]
        if not smaller.size:
            return None
        fine, coarse = np.quantile(smaller, _FINE_SHARE), np.quantile(larger, _COARSE_SHARE)
        return cls(float(np.degrees(fine)), float(np.degrees(coarse)))


_LEAST = 1e-8
"""Of the earth's radius; cells nearer to each other lie at one place."""


def _spread(length: int) -> NDArray[np.intp]:
    """Indices below a length, all or some."""
    return np.unique(np.linspace(0, length - 1, min(length, _SAMPLE)).astype(np.intp))


def _sampled(longitudes: Floats, latitudes: Floats) -> tuple[Floats, Floats]:
    """Some of the coordinates that there are, with those of the edges."""
    at = np.ix_(*(_spread(length) for length in longitudes.shape))
    longitudes, latitudes = longitudes[at], latitudes[at]
    known = np.isfinite(longitudes)
    return longitudes[known], latitudes[known]


def _unit_vectors(longitudes: Floats, latitudes: Floats) -> Floats:
    """Directions from the middle of a sphere, shape (3, ...)."""
    x, y = np.radians(longitudes.astype(np.float64)), np.radians(latitudes.astype(np.float64))
    return np.stack([np.cos(y) * np.cos(x), np.cos(y) * np.sin(x), np.sin(y)])


def _stereographic(longitudes: Floats, latitudes: Floats, crs: pyproj.CRS) -> pyproj.CRS | None:
    """A stereographic projection about the middle of some points, or a pole near it; None if they lie too far."""
    vectors = _unit_vectors(longitudes, latitudes)
    middle = vectors.mean(axis=1)
    length = float(np.linalg.norm(middle))
    if length < np.cos(np.radians(_HEMISPHERE)):  # which no points within that angle of their mean can be
        return None
    middle /= length
    latitude = float(np.degrees(np.arcsin(np.clip(middle[2], -1, 1))))
    longitude = float(np.degrees(np.arctan2(middle[1], middle[0])))
    if abs(latitude) > _HEMISPHERE:
        latitude = float(np.copysign(90, latitude))
        middle = np.array([0, 0, np.sign(latitude)])
    if np.degrees(np.arccos(np.clip((vectors.T @ middle).min(), -1, 1))) > _HEMISPHERE:
        return None
    ellipsoid = crs.ellipsoid
    assert ellipsoid is not None, "a geographic CRS has one"
    return pyproj.CRS.from_dict(
        {
            "proj": "stere", "lat_0": round(latitude), "lon_0": round(longitude), "k_0": 1.0, "units": "m",
            "a": ellipsoid.semi_major_metre, "b": ellipsoid.semi_minor_metre,
        }
        if crs.to_epsg() != _WGS84
        else {"proj": "stere", "lat_0": round(latitude), "lon_0": round(longitude), "datum": "WGS84", "units": "m"}
    )  # fmt: skip


_WGS84 = 4326


@dataclass(frozen=True)
class _Box:
    """The limits of a regular grid, and its cells' sides where they are as long as the source's spacing."""

    crs: pyproj.CRS
    west: float
    south: float
    width: float
    height: float
    dx: float
    dy: float

    @classmethod
    def in_degrees(cls, longitudes: Floats, latitudes: Floats, crs: pyproj.CRS, spacing: _Spacing) -> _Box:
        """Of cells that are square at the latitude nearest to the equator."""
        south, north = float(np.nanmin(latitudes)), float(np.nanmax(latitudes))
        equatorial = 0.0 if south <= 0 <= north else min(abs(south), abs(north))
        dx = min(spacing.fine / max(np.cos(np.radians(equatorial)), 1e-3), CIRCLE / 2)
        polar = np.cos(np.radians(min(max(abs(south), abs(north)), 89.0)))
        west, width = _arc(longitudes, _CLOSED + 3 * spacing.coarse)
        margin = spacing.coarse / polar
        if width + 2 * margin >= CIRCLE:
            west, width, margin = west if width == CIRCLE else west - (CIRCLE - width) / 2, CIRCLE, 0.0
        south, north = max(south - spacing.coarse, -90.0), min(north + spacing.coarse, 90.0)
        return cls(crs, west - margin, south, width + 2 * margin, north - south, dx, spacing.fine)

    @classmethod
    def projected(
        cls, longitudes: Floats, latitudes: Floats, crs: pyproj.CRS, target: pyproj.CRS, spacing: _Spacing
    ) -> _Box:
        """Of square cells in a projection in metres."""
        limits = [
            (np.nanmin(x), np.nanmax(x), np.nanmin(y), np.nanmax(y))
            for x, y in projected_strips(longitudes, latitudes, crs, target)
            if np.isfinite(x).any()
        ]
        lowest, highest = np.min(limits, axis=0), np.max(limits, axis=0)
        margin, side = 2 * spacing.coarse * _METRES, spacing.fine * _METRES
        west, south = float(lowest[0]) - margin, float(lowest[2]) - margin
        return cls(
            target, west, south, float(highest[1]) + margin - west, float(highest[3]) + margin - south, side, side
        )

    @property
    def cells(self) -> float:
        """How many there are of the source's spacing."""
        return self.width / self.dx * self.height / self.dy

    def grid(self, most: float) -> RegularGrid:
        """The grid, of no more than so many cells of the source's spacing."""
        stretch = max(1.0, (self.cells / most) ** 0.5)
        columns, rows = (
            max(1, int(np.ceil(length / side / stretch)))
            for length, side in ((self.width, self.dx), (self.height, self.dy))
        )
        n = int(np.clip((_ENOUGH / (columns * rows)) ** 0.5, COARSEST, FINEST))
        dx, dy = self.width / columns / n, self.height / rows / n
        affine = Affine(dx, 0, self.west, 0, -dy, self.south + self.height)
        return RegularGrid(GridGeometry(affine, rows * n, columns * n, self.crs), n)


def _arc(longitudes: Floats, closed: float) -> tuple[float, float]:
    """The west end and the width of the shortest arc that holds all longitudes; a circle if its gap is a small one."""
    occupied = np.zeros(round(CIRCLE / _BIN), bool)
    for strip in _strips(longitudes):
        known = strip[np.isfinite(strip)]
        occupied[(np.mod(known, CIRCLE) / _BIN).astype(np.intp) % occupied.size] = True
    bins = np.flatnonzero(occupied)
    gaps = np.diff(bins, append=bins[0] + occupied.size)
    last = int(gaps.argmax())
    if (gaps[last] - 1) * _BIN <= closed:
        return -180.0, CIRCLE
    west = float(bins[(last + 1) % bins.size]) * _BIN
    width = CIRCLE - (float(gaps[last]) - 1) * _BIN
    return (west - CIRCLE if west + width > CIRCLE else west if west + width / 2 <= 180 else west - CIRCLE), width


def _strips(values: Floats) -> Iterator[Floats]:
    rows = max(1, _STRIP // values.shape[1])
    return (values[first : first + rows] for first in range(0, len(values), rows))


def projected_strips(
    longitudes: Floats, latitudes: Floats, crs: pyproj.CRS, target: pyproj.CRS
) -> Iterator[tuple[Floats, Floats]]:
    """The coordinates in another CRS, some rows at a time; NaN where there are none."""
    project = transformer(crs, target).transform
    for x, y in zip(_strips(longitudes), _strips(latitudes), strict=True):
        x, y = project(x.astype(np.float64), y.astype(np.float64))
        yield np.where(np.isfinite(x), x, np.nan), np.where(np.isfinite(y), y, np.nan)
