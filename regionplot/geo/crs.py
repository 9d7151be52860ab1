"""Parse coordinate reference systems (CRSs), compare them, and transform coordinates between them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot.errors import ConfigError

FULL_TURN = 360.0
"""Degrees of longitude around the earth."""
Floats = NDArray[np.floating[Any]]


@lru_cache(maxsize=64)
def parse_crs(text: str) -> pyproj.CRS:
    """Return the CRS for an EPSG code, a PROJ string or WKT.

    Raises
    ------
    ConfigError
        If PROJ does not know the CRS.
    """
    try:
        return pyproj.CRS.from_user_input(text)
    except pyproj.exceptions.CRSError as error:
        raise ConfigError(f"{text!r} is not a CRS that PROJ knows ({error}); use a code such as EPSG:5070") from None


@lru_cache(maxsize=64)
def same_crs(one: pyproj.CRS, other: pyproj.CRS) -> bool:
    """Return True if coordinates need no transformation between two CRSs. The axis order is ignored."""
    return bool(one.equals(other, ignore_axis_order=True))


@lru_cache(maxsize=64)
def transformer(source: pyproj.CRS, target: pyproj.CRS) -> pyproj.Transformer:
    """Return a transformer between two CRSs, from a cache. Coordinates are (x, y) or (longitude, latitude)."""
    return pyproj.Transformer.from_crs(source, target, always_xy=True)


def unwrap(longitudes: Floats, near: float | Floats) -> Floats:
    """Return longitudes shifted by multiples of 360° to within 180° of `near`.

    Examples
    --------
    >>> unwrap(np.array([-175.0, 10.0]), 190.0)
    array([185.,  10.])
    """
    return longitudes + FULL_TURN * np.round((near - longitudes) / FULL_TURN)


def meridian_offset(source: pyproj.CRS, target: pyproj.CRS) -> float:
    """Return the degrees to add to a longitude in the source CRS to get the longitude in the target CRS.

    Both CRSs are geographic. Their prime meridians may differ.
    """
    return float(transformer(source, target).transform(0.0, 0.0)[0])


def with_meridian(crs: pyproj.CRS, longitude: float) -> pyproj.CRS:
    """Return a geographic CRS like the given one, with another prime meridian.

    GDAL returns longitudes from -180 to 180, relative to the prime meridian. If the prime meridian is in the middle of
    the map, a grid that crosses the antimeridian stays in one piece.
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
