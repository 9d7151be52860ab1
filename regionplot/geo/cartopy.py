"""Make cartopy projections from settings and CRSs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
import shapely

from regionplot.errors import ConfigError
from regionplot.geo.crs import parse_crs, transformer
from regionplot.geo.extent import Extent

if TYPE_CHECKING:
    import cartopy.crs


RASTER = "raster"


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
