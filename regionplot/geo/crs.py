"""Parse coordinate reference systems (CRSs), compare them, and transform coordinates between them."""

from __future__ import annotations

import math
import re
import stat
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot.errors import ConfigError
from regionplot.geo.centered import CenteredCRS, CenteredTransformer, parse_centered
from regionplot.geo.crs_cache import crs_cache
from regionplot.geo.extent import FULL_TURN, LONLAT
from regionplot.text import plain_text

_MAX_QUOTE = 80
"""Maximum length of a CRS in a message, in characters."""
_MAX_REASON = 200
_RADIANS = math.radians(1)
_POLE_LONGITUDES = {
    "o_lon_p": -1.0,
    "North pole grid longitude (netCDF CF convention)": -1.0,
    "Axis rotation (GRIB convention)": 1.0,
}
"""Parameters of rotated poles that shift all longitudes. The value is 1 if a larger parameter moves the origin of
the longitudes eastward, and -1 if a smaller parameter does.
"""
_COMMON_DATUM = re.compile(
    r"World Geodetic System 1984|North American Datum 1983|(Not specified|unknown)\b", re.IGNORECASE
)
"""Datums for which PROJ needs no shift to WGS 84."""
_PLANE = 2
"""Number of axes of a CRS without heights."""
Floats = NDArray[np.floating[Any]]


@lru_cache(maxsize=64)
def parse_crs(text: str) -> pyproj.CRS:
    """Return the CRS for an EPSG code, a PROJ string or WKT.

    The text can name files, such as grids of datum shifts. For a text from a table or a data file, use
    `geo.foreign_crs` instead.

    Raises
    ------
    ConfigError
        If PROJ does not know the CRS, or the text names a pipe or a device.
    """
    try:
        if centered := parse_centered(text):
            return centered
        _refuse_special_files(text)
        return pyproj.CRS.from_user_input(text)
    except (pyproj.exceptions.CRSError, ValueError, RecursionError) as error:
        internal = str(error).rpartition("Internal Proj Error: ")[2].rstrip(")")
        others = re.sub(rf"(?<!\w){re.escape(text)}(?!\w)", "…", internal) if text else internal
        reason = plain_text(others, _MAX_REASON)
        raise ConfigError(
            f"{shortened(text)} is not a CRS that PROJ knows ({reason}); use a code such as EPSG:5070"
        ) from None


def _refuse_special_files(text: str) -> None:
    """Raise ConfigError if the definition of a CRS names a pipe or a device. PROJ would wait for its data."""
    for name in re.split(r"[\s,@=\":]+", text):
        with suppress(OSError, ValueError):  # most words are not the path of a file
            mode = Path(name).stat().st_mode if "/" in name else 0
            if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
                raise ConfigError(f"{shortened(text)} names {shortened(name)}, which is not a file; correct the path")


def shortened(text: str) -> str:
    """Return a text from an input for a message: quoted, in one line, and truncated if it is long."""
    return repr(plain_text(text, _MAX_QUOTE))


@crs_cache(64)
def horizontal(crs: pyproj.CRS) -> pyproj.CRS:
    """Return the part of a CRS that gives positions on the earth's surface, without heights."""
    if crs.is_compound and crs.sub_crs_list:
        return horizontal(crs.sub_crs_list[0])
    if crs.is_bound and crs.source_crs is not None and crs.source_crs.is_compound:
        return horizontal(crs.source_crs)
    return crs.to_2d() if len(crs.axis_info) > _PLANE else crs


def is_drawable(crs: pyproj.CRS) -> bool:
    """Return True for a geographic or projected CRS whose projection PROJ knows.

    Other CRSs have no relation to the earth, or have no plane.
    """
    flat = horizontal(crs)
    if not (flat.is_geographic or flat.is_projected) or len(flat.axis_info) != _PLANE or flat.geodetic_crs is None:
        return False
    try:
        transformer(flat, flat.geodetic_crs)
    except ConfigError:
        return False
    return True


def not_drawable(crs: pyproj.CRS) -> str:
    """Return the message for a CRS that is not drawable."""
    return (
        f"the CRS {shortened(crs.name)} ({crs.type_name}) cannot be drawn as a map; use a projected or geographic CRS"
    )


@crs_cache(64)
def same_crs(one: pyproj.CRS, other: pyproj.CRS) -> bool:
    """Return True if coordinates need no transformation between two CRSs. Axis order and heights are ignored."""
    if isinstance(one, CenteredCRS) or isinstance(other, CenteredCRS):
        return one is other or one.srs == other.srs
    return bool(horizontal(one).equals(horizontal(other), ignore_axis_order=True))


def unit_size(crs: pyproj.CRS) -> float:
    """Return the size of a unit in meters (projected CRS) or radians (geographic CRS); 1 if the CRS states no unit."""
    return float(crs.axis_info[0].unit_conversion_factor) or 1.0 if crs.axis_info else 1.0


def transformer(source: pyproj.CRS, target: pyproj.CRS) -> pyproj.Transformer | CenteredTransformer:
    """Return a transformer between two CRSs, from a cache. Coordinates are (x, y) or (longitude, latitude).

    Raises
    ------
    ConfigError
        If no transformation is known, for example between two planets.
    """
    if isinstance(source, CenteredCRS) or isinstance(target, CenteredCRS):
        return _through_lonlat(source, target)
    return _transformer(source, target)


@lru_cache(maxsize=64)
def _through_lonlat(source: pyproj.CRS, target: pyproj.CRS) -> CenteredTransformer:
    return CenteredTransformer(source, target, parse_crs(LONLAT), _transformer)


@crs_cache(64)
def _transformer(source: pyproj.CRS, target: pyproj.CRS) -> pyproj.Transformer:
    try:
        return pyproj.Transformer.from_crs(horizontal(source), horizontal(target), always_xy=True)
    except pyproj.exceptions.ProjError as error:
        raise ConfigError(
            f"there is no transformation from the CRS {shortened(source.name)} to {shortened(target.name)} "
            f"({plain_text(str(error), _MAX_REASON)}); choose another CRS"
        ) from None


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


@crs_cache(64)
def with_meridian(crs: pyproj.CRS, longitude: float) -> pyproj.CRS:
    """Return a copy of a geographic CRS with another origin of the longitudes.

    GDAL returns longitudes from -180 to 180, relative to the prime meridian. If the prime meridian is in the middle of
    the map, a grid that crosses the antimeridian stays in one piece.

    Parameters
    ----------
    crs : pyproj.CRS
        Geographic CRS in degrees. Heights are left out.
    longitude : float
        The new origin of the longitudes, in degrees in `crs`.

    Raises
    ------
    ConfigError
        If the CRS is derived by a method whose origin cannot be changed.
    """
    definition = horizontal(crs).to_json_dict()
    inner = definition.get("source_crs", definition)  # a bound CRS consists of a CRS and a shift of its datum
    inner.pop("id", None)
    if "conversion" in inner:
        _turn_pole(inner["conversion"]["parameters"], longitude, crs)
    elif inner is definition and not _COMMON_DATUM.match(crs.datum.name if crs.datum else ""):
        definition = _derived(definition, longitude)
    else:
        _move_meridian(inner, longitude)
    return pyproj.CRS.from_json_dict(definition)


def _derived(base: dict[str, Any], longitude: float) -> dict[str, Any]:
    """Return the PROJJSON of a CRS that is derived from a geographic CRS by a rotation about the poles.

    The datum keeps its name, so PROJ finds its shift to other datums.
    """
    base.pop("$schema", None)
    values = {"o_lat_p": 90.0, "o_lon_p": 0.0, "lon_0": longitude}
    axes = (("Longitude", "lon", "east"), ("Latitude", "lat", "north"))
    return {
        "type": "DerivedGeographicCRS",
        "name": f"{base['name']} counted from {longitude:.9g}",
        "base_crs": base,
        "conversion": {
            "name": "rotation about the poles",
            "method": {"name": "PROJ ob_tran o_proj=longlat"},
            "parameters": [{"name": name, "value": value, "unit": "degree"} for name, value in values.items()],
        },
        "coordinate_system": {
            "subtype": "ellipsoidal",
            "axis": [
                {"name": name, "abbreviation": short, "direction": direction, "unit": "degree"}
                for name, short, direction in axes
            ],
        },
    }


def _move_meridian(definition: dict[str, Any], longitude: float) -> None:
    """Move the prime meridian in the PROJJSON of a geographic CRS."""
    datum = definition.pop("datum", None) or definition.pop("datum_ensemble")
    definition["datum"] = {
        "type": "GeodeticReferenceFrame",
        "name": f"{datum['name']} counted from {longitude:.9g}",
        "ellipsoid": datum["ellipsoid"],
        "prime_meridian": {"name": "middle of the map", "longitude": _degrees(datum) + longitude},
    }


def _degrees(datum: dict[str, Any]) -> float:
    """Return the longitude of a datum's prime meridian in degrees east of Greenwich."""
    longitude = datum.get("prime_meridian", {}).get("longitude", 0.0)
    if not isinstance(longitude, dict):
        return float(longitude)
    unit = longitude["unit"]
    size = unit["conversion_factor"] if isinstance(unit, dict) else _RADIANS
    return float(longitude["value"]) * size / _RADIANS


def _turn_pole(parameters: list[dict[str, Any]], longitude: float, crs: pyproj.CRS) -> None:
    """Change the origin of the longitudes in the conversion of a CRS with a rotated pole."""
    for parameter in parameters:
        if parameter["name"] in _POLE_LONGITUDES:
            parameter["value"] += _POLE_LONGITUDES[parameter["name"]] * longitude
            return
    raise ConfigError(
        f"{shortened(crs.name)} cannot be interpolated on a map in another CRS; set resampling to 'nearest'"
    )
