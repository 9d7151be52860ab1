"""Make cartopy projections from settings and CRSs."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pyproj

from regionplot.errors import ConfigError
from regionplot.geo.auto_projection import AUTO
from regionplot.geo.crs import is_drawable, not_drawable, parse_crs
from regionplot.geo.extent import LONLAT, Extent
from regionplot.geo.upright import upright

if TYPE_CHECKING:
    import cartopy.crs


RASTER = "raster"
"""Value of `[map] projection` for the raster's own CRS."""


def parse_projection(setting: str | Mapping[str, Any]) -> pyproj.CRS | None:
    """Return the map's CRS for a value of `[map] projection`, or None for the raster's own CRS.

    For `auto`, return the CRS of the vector layers, which are kept in degrees. `sheet.projection` chooses the CRS of
    each map.

    The axes of the CRS point east and north. See `geo.upright`.

    Parameters
    ----------
    setting : str or mapping
        `raster`, `auto`, a CRS as in `parse_crs`, the name of a cartopy class such as `Robinson`, or a mapping with the
        name of a cartopy class and its keywords, such as `{"name": "LambertConformal", "central_longitude": -96}`
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
    return None if setting == RASTER else _parse_name(LONLAT if setting == AUTO else setting)


@lru_cache(maxsize=16)
def _parse_name(setting: str) -> pyproj.CRS:
    crs = _make_cartopy_crs(setting, {}) if setting.isidentifier() else parse_crs(setting)
    if not is_drawable(crs):
        raise ConfigError(not_drawable(crs))
    return upright(crs).crs


def _make_cartopy_crs(name: str, keywords: Mapping[str, Any]) -> pyproj.CRS:
    """Return an instance of a cartopy class. Raise ConfigError if the class or a keyword is invalid."""
    import cartopy.crs  # noqa: PLC0415 (the import takes half a second; only these projections need it)

    projection = getattr(cartopy.crs, name, None)
    if not (isinstance(projection, type) and issubclass(projection, cartopy.crs.Projection)):
        raise ConfigError(
            f"projection {name!r} is not a cartopy class, an EPSG code, a PROJ string, 'raster' or 'auto'"
        )
    known = [key for key in inspect.signature(projection).parameters if key != "globe"]
    if "globe" in keywords:
        raise ConfigError(
            f"projection {name}: a globe cannot be set; use a PROJ string, such as '+proj=merc +R=6371229'"
        )
    if unknown := [key for key in keywords if key not in known]:
        raise ConfigError(f"projection {name}: there is no keyword {unknown[0]!r}; the keywords are {', '.join(known)}")
    try:
        crs: pyproj.CRS = projection(**keywords)  # not converted to a plain CRS, which would lose the map's boundary
        return crs
    except (TypeError, ValueError, AttributeError, ArithmeticError, pyproj.exceptions.CRSError) as error:
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
