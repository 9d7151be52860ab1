"""Make cartopy projections from settings and CRSs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
import shapely

from regionplot.errors import ConfigError
from regionplot.geo.crs import is_drawable, not_drawable, parse_crs, transformer
from regionplot.geo.extent import Extent

if TYPE_CHECKING:
    import cartopy.crs


RASTER = "raster"
"""Value of `[map] projection` for the raster's own CRS."""


def parse_projection(setting: str | Mapping[str, Any]) -> pyproj.CRS | None:
    """Return the map's CRS for a value of `[map] projection`, or None for the raster's own CRS.

    Parameters
    ----------
    setting : str or mapping
        `raster`, a CRS as in `parse_crs`, the name of a cartopy class such as `Robinson`, or a mapping with the name
        of a cartopy class and its keywords, such as `{"name": "LambertConformal", "central_longitude": -96}`
        (https://scitools.org.uk/cartopy/docs/latest/reference/crs.html).

    Raises
    ------
    ConfigError
        If the setting has none of these forms, the CRS is neither projected nor geographic, or cartopy refuses the
        keywords.
    """
    if isinstance(setting, Mapping):
        keywords = dict(setting)
        return _make_cartopy_crs(str(keywords.pop("name", "")), keywords)
    if setting == RASTER:
        return None
    crs = _make_cartopy_crs(setting, {}) if setting.isidentifier() else parse_crs(setting)
    if not is_drawable(crs):
        raise ConfigError(not_drawable(crs))
    return crs


def _make_cartopy_crs(name: str, keywords: Mapping[str, Any]) -> pyproj.CRS:
    """Return an instance of a cartopy class. Raise ConfigError if the class or a keyword is invalid."""
    import cartopy.crs  # noqa: PLC0415 (the import takes half a second; only these projections need it)

    projection = getattr(cartopy.crs, name, None)
    if not (isinstance(projection, type) and issubclass(projection, cartopy.crs.Projection)):
        raise ConfigError(f"projection {name!r} is not a cartopy class, an EPSG code, a PROJ string or 'raster'")
    try:
        crs: pyproj.CRS = projection(**keywords)  # not converted to a plain CRS, which would lose the map's boundary
        return crs
    except (TypeError, ValueError, pyproj.exceptions.CRSError) as error:
        raise ConfigError(f"projection {name}: {error}") from None


def cartopy_projection(crs: pyproj.CRS, extent: Extent) -> cartopy.crs.Projection:
    """Return a cartopy projection for any CRS, with the extent as its boundary.

    A GeoAxes needs the boundary, and a threshold (in units of the CRS) for the interpolation of curved lines.
    """
    import cartopy.crs  # noqa: PLC0415

    projection = cartopy.crs.Projection(crs.to_wkt())
    projection.bounds = (extent.xmin, extent.xmax, extent.ymin, extent.ymax)
    projection.threshold = max(extent.width, extent.height) / 1000
    return projection


def project_geometry(geometry: shapely.Geometry, source: pyproj.CRS, target: pyproj.CRS) -> shapely.Geometry:
    """Project a geometry with cartopy, which cuts it at seams of the projection and closes the parts. This is slow."""
    import cartopy.crs  # noqa: PLC0415

    cartopy_source, cartopy_target = (
        crs if isinstance(crs, cartopy.crs.Projection) else cartopy_projection(crs, _largest_extent(crs))
        for crs in (source, target)
    )
    projected: shapely.Geometry = cartopy_target.project_geometry(geometry, cartopy_source)
    return projected


def _largest_extent(crs: pyproj.CRS) -> Extent:
    """Return the extent of the whole earth in a CRS. In a projected CRS, latitudes beyond ±85° are left out."""
    if crs.is_geographic:
        return Extent(-180.0, 180.0, -90.0, 90.0)
    longitudes, latitudes = np.meshgrid(np.linspace(-179.9, 179.9, 73), np.linspace(-85, 85, 69))
    x, y = transformer(pyproj.CRS.from_epsg(4326), crs).transform(longitudes, latitudes)
    finite = np.isfinite(x) & np.isfinite(y)
    return Extent(float(x[finite].min()), float(x[finite].max()), float(y[finite].min()), float(y[finite].max()))
