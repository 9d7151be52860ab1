"""Coordinate reference systems: what a config calls one, and how extents pass from one to another.

The only module beside `drawing` that may touch cartopy, and only for a projection given by its cartopy class name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from regionplot.errors import ConfigError, RegionError
from regionplot.models import Extent

if TYPE_CHECKING:
    import cartopy.crs

RASTER = "raster"
CIRCLE = 360.0
_SAMPLES = 33
_BESIDE = 1e-6
"""Degrees."""
_MOST_STRETCHED = 150.0
"""A map of a whole hemisphere ends where an area is shown so many times larger than it is: Mercator at 85 degrees."""
_MODEST = 1e7
"""Metres; extents below this are projected as they are."""

Floats = NDArray[np.floating[Any]]


@lru_cache(maxsize=64)
def parse_crs(text: str) -> pyproj.CRS:
    """A CRS from an EPSG code, a PROJ string or WKT.

    Raises
    ------
    ConfigError
        If pyproj does not know it.
    """
    try:
        return pyproj.CRS.from_user_input(text)
    except pyproj.exceptions.CRSError as error:
        raise ConfigError(f"{text!r} is not a CRS that PROJ knows ({error}); write one like EPSG:5070") from None


def parse_projection(setting: str | Mapping[str, Any]) -> pyproj.CRS | None:
    """The map's CRS as `[map] projection` gives it; None stands for the raster's own.

    Parameters
    ----------
    setting : str or mapping
        `raster`, whatever `parse_crs` takes, or a cartopy class as `{"name": "LambertConformal", ...}` with its
        keywords (https://scitools.org.uk/cartopy/docs/latest/reference/crs.html).

    Raises
    ------
    ConfigError
        If it is none of these, or cartopy refuses the keywords.
    """
    if isinstance(setting, Mapping):
        keywords = dict(setting)
        return _cartopy_crs(str(keywords.pop("name", "")), keywords)
    if setting == RASTER:
        return None
    crs = _cartopy_crs(setting, {}) if setting.isidentifier() else parse_crs(setting)
    if not (crs.is_projected or crs.is_geographic):
        raise ConfigError(f"{setting!r} ({crs.type_name}) is no CRS of a map; give a projected or a geographic one")
    return crs


def _cartopy_crs(name: str, keywords: Mapping[str, Any]) -> pyproj.CRS:
    import cartopy.crs  # noqa: PLC0415 (half a second that only maps with such a projection need)

    projection = getattr(cartopy.crs, name, None)
    if not (isinstance(projection, type) and issubclass(projection, cartopy.crs.Projection)):
        raise ConfigError(f"projection {name!r} is not a cartopy class, an EPSG code, a PROJ string or 'raster'")
    try:
        crs: pyproj.CRS = projection(**keywords)  # kept as it is, because it knows the edge of the map
        return crs
    except (TypeError, ValueError, pyproj.exceptions.CRSError) as error:
        raise ConfigError(f"projection {name}: {error}") from None


@lru_cache(maxsize=64)
def same_crs(one: pyproj.CRS, other: pyproj.CRS) -> bool:
    """Whether coordinates need no transformation between the two."""
    return bool(one.equals(other, ignore_axis_order=True))


@lru_cache(maxsize=64)
def transformer(source: pyproj.CRS, target: pyproj.CRS) -> pyproj.Transformer:
    """A cached transformer; x is always east, y always north."""
    return pyproj.Transformer.from_crs(source, target, always_xy=True)


def unwrap(longitudes: Floats, near: float | Floats) -> Floats:
    """Longitudes moved by whole circles to within half a circle of `near`.

    Examples
    --------
    >>> unwrap(np.array([-175.0, 10.0]), 190.0)
    array([185.,  10.])
    """
    return longitudes + CIRCLE * np.round((near - longitudes) / CIRCLE)


def project_extent(extent: Extent, source: pyproj.CRS, target: pyproj.CRS) -> Extent:
    """The box that holds an extent in another CRS.

    The whole extent is sampled, not only its edges, so that a pole within it counts. In a geographic target,
    longitudes run on past 180 rather than wrap.

    Raises
    ------
    RegionError
        If no part of the extent can be projected.
    """
    if same_crs(source, target):
        return extent
    columns = np.linspace(extent.xmin, extent.xmax, _SAMPLES)
    if source.is_geographic:
        columns = np.append(columns, list(_beside_seam(extent, target)))
    x, y = np.meshgrid(columns, np.linspace(extent.ymin, extent.ymax, _SAMPLES))
    projected_x, projected_y = transformer(source, target).transform(x, y)
    usable = np.isfinite(projected_x) & np.isfinite(projected_y)
    if not target.is_geographic and not _is_modest(projected_x, projected_y, target):
        usable &= _areal_scale(x, y, source, target) <= _MOST_STRETCHED
    if not usable.any():
        raise RegionError(f"the region ({extent}) cannot be shown in the projection {target.name!r}")
    px, py = projected_x[usable], projected_y[usable]
    if target.is_geographic:
        near = x[usable] + meridian_offset(source, target) if source.is_geographic else px[px.size // 2]
        px = unwrap(px, near)
    return Extent(float(px.min()), float(px.max()), float(py.min()), float(py.max()))


def _beside_seam(extent: Extent, target: pyproj.CRS) -> Iterator[float]:
    """The longitudes within an extent at which a projection's left and right edges lie, a little to either side."""
    operation = target.coordinate_operation
    origins = [p.value for p in operation.params if p.name.startswith("Longitude of")] if operation else []
    for seam in (float(origin) + turn * CIRCLE + CIRCLE / 2 for origin in origins for turn in range(-3, 3)):
        for longitude in (seam - _BESIDE, seam + _BESIDE):
            if extent.xmin < longitude < extent.xmax:
                yield longitude


def meridian_offset(source: pyproj.CRS, target: pyproj.CRS) -> float:
    """What is added to longitudes between two geographic CRSs that count them from different meridians."""
    return float(transformer(source, target).transform(0.0, 0.0)[0])


def _is_modest(x: Floats, y: Floats, target: pyproj.CRS) -> bool:
    """Whether projected points lie so near together that no pole, and nothing like it, can be among them."""
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return False
    return bool(max(np.ptp(x), np.ptp(y)) * target.axis_info[0].unit_conversion_factor < _MODEST)


def _areal_scale(x: Floats, y: Floats, source: pyproj.CRS, target: pyproj.CRS) -> Floats:
    """How many times larger than on the earth a small area is on the map; infinite where it cannot be told."""
    longitudes, latitudes = transformer(source, pyproj.CRS.from_epsg(4326)).transform(x, y)
    scale = pyproj.Proj(target).get_factors(longitudes, latitudes).areal_scale
    return np.where(np.isfinite(scale), scale, np.inf)


def with_meridian(crs: pyproj.CRS, longitude: float) -> pyproj.CRS:
    """A geographic CRS like this one that counts longitudes from another meridian.

    GDAL gives longitudes within ±180 of the prime meridian; moving that to the middle of a map keeps
    a grid that crosses the antimeridian in one piece.
    """
    definition = crs.to_json_dict()
    definition.pop("id", None)
    datum = definition.get("datum") or definition.pop("datum_ensemble")
    definition["datum"] = {
        "type": "GeodeticReferenceFrame",
        "name": f"{datum['name']} counted from {longitude:.9g}",
        "ellipsoid": datum["ellipsoid"],
        "prime_meridian": {"name": "middle of the map", "longitude": longitude},
    }
    return pyproj.CRS.from_json_dict(definition)


def cartopy_projection(crs: pyproj.CRS, extent: Extent) -> cartopy.crs.Projection:
    """Any CRS as cartopy needs it for a GeoAxes: with an edge, here the extent given, and a step to interpolate by."""
    import cartopy.crs  # noqa: PLC0415

    projection = cartopy.crs.Projection(crs.to_wkt())
    projection.bounds = (extent.xmin, extent.xmax, extent.ymin, extent.ymax)
    projection.threshold = max(extent.width, extent.height) / 1000
    return projection


def project_geometry(geometry: shapely.Geometry, source: pyproj.CRS, target: pyproj.CRS) -> shapely.Geometry:
    """A geometry in another CRS, cut and closed where the projection tears it; by cartopy, slow and thorough."""
    import cartopy.crs  # noqa: PLC0415

    whole_source, whole_target = (
        crs if isinstance(crs, cartopy.crs.Projection) else cartopy_projection(crs, _whole(crs))
        for crs in (source, target)
    )
    projected: shapely.Geometry = whole_target.project_geometry(geometry, whole_source)
    return projected


def _whole(crs: pyproj.CRS) -> Extent:
    """The box of all that a CRS can show, but for the last degrees at the poles."""
    if crs.is_geographic:
        return Extent(-180.0, 180.0, -90.0, 90.0)
    longitudes, latitudes = np.meshgrid(np.linspace(-179.9, 179.9, 73), np.linspace(-85, 85, 69))
    x, y = transformer(pyproj.CRS.from_epsg(4326), crs).transform(longitudes, latitudes)
    finite = np.isfinite(x) & np.isfinite(y)
    return Extent(float(x[finite].min()), float(x[finite].max()), float(y[finite].min()), float(y[finite].max()))
