"""Change the axes of CRSs so that x increases eastward, y increases northward, and longitudes are in degrees.

The axes of some CRSs point west or south (such as the Lo systems of South Africa), or have the unit grad. Maps, grids
and geometries are converted when they are read, so all other code can rely on these axes, which are called the standard
axes.
"""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyproj
from affine import Affine
from numpy.typing import NDArray

from regionplot.geo.crs import horizontal, transformer, unit_size
from regionplot.geo.crs_cache import crs_cache
from regionplot.geo.extent import Extent
from regionplot.geo.grid import GridGeometry

_METHODS = {
    "Transverse Mercator (South Orientated)": "Transverse Mercator",
    "Krovak": "Krovak (North Orientated)",
    "Krovak Modified": "Krovak Modified (North Orientated)",
}
"""Projection methods whose axes point west and south, and the same methods with the standard axes."""
_NEGATED = ("False easting", "False northing")
"""Parameters whose sign changes. In the Krovak methods, these parameters point west and south in both variants."""
_ANGLE = math.radians(1)
_TOLERANCE = 1e-9
_MIN_POINTS = 4
_REMARK = "own axes: "
_REMARKED = re.compile(rf"{_REMARK}(\S+) (\S+) (\S+) (\S+)")


@dataclass(frozen=True)
class Upright:
    """A CRS with the standard axes, and the change of coordinates."""

    crs: pyproj.CRS
    """The CRS whose x increases eastward and whose y increases northward, in meters, feet or degrees."""
    change: Affine
    """Maps coordinates in the original CRS to coordinates in `crs`."""

    def extent(self, own: Extent) -> Extent:
        """Return an extent in `crs` for an extent in the original CRS."""
        return _changed(own, self.change)

    def own_extent(self, extent: Extent) -> Extent:
        """Return an extent in the original CRS for an extent in `crs`."""
        return _changed(extent, ~self.change)

    def points(self, own: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return points in `crs` for points in the original CRS, both of shape (n, 2)."""
        return _change_points(self.change, own)


def _change_points(change: Affine, points: NDArray[np.float64]) -> NDArray[np.float64]:
    matrix = np.array([[change.a, change.b], [change.d, change.e]])
    return np.asarray(points @ matrix.T + (change.c, change.f))


def _changed(extent: Extent, change: Affine) -> Extent:
    if change.is_identity:
        return extent
    corners = np.array([[extent.xmin, extent.ymin], [extent.xmax, extent.ymax]])
    (x0, y0), (x1, y1) = _change_points(change, corners).tolist()
    return Extent(min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1))


@crs_cache(64)
def upright(crs: pyproj.CRS) -> Upright:
    """Return a CRS with the standard axes.

    Return the CRS unchanged if it has the standard axes, or if no CRS with the standard axes can be found.
    """
    unchanged = Upright(crs, Affine.identity())
    flat = horizontal(crs)
    kinds = {axis.direction for axis in flat.axis_info}
    is_angular = flat.is_geographic and any(axis.unit_name != "degree" for axis in flat.axis_info)
    if not (kinds & {"west", "south"} or is_angular) or len(kinds) != len(flat.axis_info):
        return unchanged
    turned = _with_standard_axes(flat)
    change = None if turned is None else _change_of_axes(flat, turned)
    if turned is None or change is None:
        return unchanged
    definition = turned.to_json_dict()
    definition["remarks"] = _REMARK + " ".join(repr(float(change[i])) for i in (0, 1, 3, 4))
    return Upright(pyproj.CRS.from_json_dict(definition), change)


def own_axes(crs: pyproj.CRS) -> Upright:
    """Return a map's CRS that `upright` has returned, and the change of coordinates from its original axes."""
    found = _REMARKED.search(crs.remarks or "")
    if found is None:
        return Upright(crs, Affine.identity())
    a, b, d, e = map(float, found.groups())
    return Upright(crs, Affine(a, b, 0, d, e, 0))


def upright_grid(geometry: GridGeometry) -> GridGeometry:
    """Return the geometry of a grid in a CRS with the standard axes. The cells stay where they are."""
    turned = upright(geometry.crs)
    if turned.change.is_identity:
        return geometry
    transform = _compose_transforms(turned.change, geometry.transform)
    return GridGeometry(transform, geometry.height, geometry.width, turned.crs)


def _compose_transforms(outer: Affine, inner: Affine) -> Affine:
    """Return the transform that applies first `inner` and then `outer`, which has no translation."""
    a, b, c, d, e, f = inner[:6]
    (x_a, y_a), (x_b, y_b), (x_c, y_c) = _change_points(outer, np.array([[a, d], [b, e], [c, f]])).tolist()
    return Affine(x_a, x_b, x_c, y_a, y_b, y_c)


def _with_standard_axes(crs: pyproj.CRS) -> pyproj.CRS | None:
    """Return a CRS with the axes east and north, and longitudes in degrees. Return None if PROJ does not know it."""
    definition = crs.to_json_dict()
    inner = definition.get("source_crs", definition)  # a bound CRS consists of a CRS and a shift of its datum
    for key in ("id", "ids"):
        inner.pop(key, None)
    axes = inner["coordinate_system"]["axis"]
    unit = "degree" if crs.is_geographic else axes[0]["unit"]
    inner["coordinate_system"]["axis"] = [
        {"name": name, "abbreviation": short, "direction": direction, "unit": unit}
        for name, short, direction in _standard_names(crs)
    ]
    _turn_method(inner.get("conversion", {}))
    try:
        return pyproj.CRS.from_json_dict(definition)
    except pyproj.exceptions.CRSError:
        return None


def _standard_names(crs: pyproj.CRS) -> tuple[tuple[str, str, str], tuple[str, str, str]]:
    if crs.is_geographic:
        return ("Longitude", "lon", "east"), ("Latitude", "lat", "north")
    return ("Easting", "E", "east"), ("Northing", "N", "north")


def _turn_method(conversion: dict[str, Any]) -> None:
    """Replace a projection method whose axes point west and south by the method with axes east and north."""
    method = conversion.get("method", {})
    if method.get("name") not in _METHODS:
        return
    conversion["method"] = {"name": _METHODS[method["name"]]}
    for parameter in conversion["parameters"]:
        if parameter["name"] in _NEGATED and "Krovak" not in method["name"]:
            parameter["value"] = -parameter["value"]


def _change_of_axes(own: pyproj.CRS, turned: pyproj.CRS) -> Affine | None:
    """Return the change of coordinates, found by comparison of points. Return None if there is no such change."""
    if (base := own.geodetic_crs) is None:
        return None
    longitudes, latitudes = np.meshgrid(np.linspace(-175, 177, 23), np.linspace(-85, 87, 19))
    before, after = (
        np.column_stack(transformer(base or own, crs).transform(longitudes.ravel(), latitudes.ravel()))
        for crs in (own, turned)
    )
    usable = np.isfinite(before).all(axis=1) & np.isfinite(after).all(axis=1)
    if usable.sum() < _MIN_POINTS:
        return None
    before, after = before[usable], after[usable]
    scale = round(unit_size(own) / _ANGLE, 12) if own.is_geographic else 1.0
    for x, y in itertools.product((scale, -scale), repeat=2):
        for change in (Affine(x, 0, 0, 0, y, 0), Affine(0, x, 0, y, 0, 0)):
            if np.allclose(_change_points(change, before), after, rtol=_TOLERANCE, atol=_TOLERANCE * abs(after).max()):
                return change
    return None
