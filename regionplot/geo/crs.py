"""Parse coordinate reference systems and transform between them.

The only module beside `drawing` that may touch cartopy, and only for a projection given by its cartopy class name.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot.errors import ConfigError

CIRCLE = 360.0
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


def meridian_offset(source: pyproj.CRS, target: pyproj.CRS) -> float:
    """What is added to longitudes between two geographic CRSs that count them from different meridians."""
    return float(transformer(source, target).transform(0.0, 0.0)[0])


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
