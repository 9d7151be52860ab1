"""Find the paths of files that the text of a CRS names. GDAL and PROJ open these files."""

from __future__ import annotations

import re

_WKT_PATH = re.compile(
    r"(?:proj4_grids\"\s*,\s*\"|parameterfile\s*[\[(]\s*\"[^\"]*\"\s*,\s*\")(?P<name>[^\"]*[/\\~][^\"]*)", re.IGNORECASE
)
"""A path in a place of WKT that can name a file. PROJ looks up a name without a folder only among its own files."""
_PROJ_PATH = re.compile(r"(?:grids|init)\s*=\s*(?P<name>[^\"\s]*[/\\~][^\"\s]*)", re.IGNORECASE)
"""A path in a PROJ string."""


def path_in_wkt(text: str) -> str | None:
    """Return the first path that the WKT in a text names, or None. When GDAL reads the WKT, it opens this path."""
    found = _WKT_PATH.search(text)
    return found["name"] if found else None


def path_in_crs(text: str) -> str | None:
    """Return the first path that a CRS definition, as WKT or as a PROJ string, names. Otherwise, return None.

    Examples
    --------
    >>> path_in_crs("+proj=longlat +ellps=intl +nadgrids=/tmp/a.gsb")
    '/tmp/a.gsb'
    >>> path_in_crs("+proj=longlat +ellps=intl +nadgrids=@null")
    """
    found = _PROJ_PATH.search(text)
    return found["name"] if found else path_in_wkt(text)
