"""Find and read the variables of a NetCDF file that hold the 2-D coordinates of another variable.

GDAL tells for files that follow the CF conventions (https://gdal.org/en/stable/development/rfc/rfc4_geolocate.html).
Where it does not, the two are known by their units, standard names or names, and by their shape. Only variables of the
same file are read, whatever its metadata say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot.errors import RasterError
from regionplot.system.machine import available_memory

Floats = NDArray[np.floating[Any]]


_UNITS = {"latitude": re.compile(r"degrees?_?n(orth)?", re.I), "longitude": re.compile(r"degrees?_?e(ast)?", re.I)}


_NAMES = {"latitude": re.compile(r"lat(itude)?", re.I), "longitude": re.compile(r"lon(g(itude)?)?", re.I)}


_PLAIN_UNITS = ("", "degree", "degrees", "deg")


AS_STORED = {"GDAL_NETCDF_BOTTOMUP": "NO", "GDAL_NETCDF_CENTERLONG_180": "NO"}
"""For GDAL, which would otherwise turn rows over, and take 360 from what seems to be a longitude beyond 180."""


_TURNS = 720.0
"""Degrees; a longitude beyond is none."""


_BYTES = 64
"""Of memory for each cell, while cells are brought onto a regular grid."""


@dataclass(frozen=True)
class Geolocation:
    """Where a file says how its cells lie."""

    longitudes: str
    """What GDAL opens: a subdataset of the file."""
    latitudes: str
    band: int
    """Of both, from 1."""
    crs: pyproj.CRS
    """Of the coordinates; geographic."""


def kind_of(name: str, attributes: Mapping[str, Any]) -> str | None:
    """Whether a variable holds `latitude` or `longitude`; None if neither.

    Parameters
    ----------
    name : str
        The variable's.
    attributes : mapping
        Its `units` and `standard_name`, if it has them.
    """
    units, standard = attributes.get("units", ""), attributes.get("standard_name")
    units = str(units[0] if isinstance(units, tuple) and units else units)
    for kind in _UNITS:
        plain = units in _PLAIN_UNITS and _NAMES[kind].search(name.rpartition("/")[2])
        if standard == kind or _UNITS[kind].fullmatch(units) or (plain and standard is None and _is_short(name)):
            return kind
    return None


def _is_short(name: str) -> bool:
    """Whether a name is nothing but a coordinate's, with a prefix or suffix at most: not `latent_heat`."""
    pattern = r"(x|nav_|geo|[tuvfwc])?(lat(itude)?s?|lon(g(itude)?)?s?)(_?(rho|psi|u|v|t|m|c))?"
    return re.fullmatch(pattern, name.rpartition("/")[2], re.I) is not None


def find_geolocation(
    path: Path, driver: str, source: str, bands: tuple[int, int], crs: pyproj.CRS
) -> Geolocation | None:
    """The variables that say where the cells of another lie; None if there are none.

    Parameters
    ----------
    path : Path
        The file.
    driver : str
        GDAL's.
    source : str
        The subdataset of the cells.
    bands : (int, int)
        The band of the cells, from 0, and how many they have.
    crs : pyproj.CRS
        Of the coordinates.

    Raises
    ------
    RasterError
        If the coordinates that the file names are not of the cells' shape.
    """
    import rasterio  # noqa: PLC0415 (GDAL: only who reads pays for its import)

    with rasterio.open(path, driver=driver) as dataset:
        parts = {_variable_in(name): name for name in dataset.subdatasets}
    with rasterio.open(source, driver=driver) as dataset:
        tags, shape = dataset.tags(ns="GEOLOCATION"), dataset.shape
    named = [_variable_in(tags.get(key, "")) for key in ("X_DATASET", "Y_DATASET")]
    found = [parts[name] for name in named if name in parts]
    pair = (found[0], found[1]) if len(found) == 2 else _pair_of_shape(parts, driver, shape)
    if pair is None:
        return None
    with rasterio.open(pair[0], driver=driver) as x, rasterio.open(pair[1], driver=driver) as y:
        for dataset in (x, y):
            if dataset.shape != shape:
                raise RasterError(
                    f"{path}: {_variable_in(source)} has {_sides(shape)} cells, but its coordinates "
                    f"{_variable_in(dataset.name)} have {_sides(dataset.shape)}; choose another with variable = NAME"
                )
        each = max(1, bands[1] // min(x.count, y.count))
        band = min(bands[0] // each, x.count - 1, y.count - 1) + 1
    return Geolocation(pair[0], pair[1], band, crs)


def _variable_in(subdataset: str) -> str:
    """The name of a variable, without the path of groups that GDAL gives sometimes and sometimes not."""
    return subdataset.rpartition(":")[2].rpartition("/")[2]


def _sides(shape: tuple[int, int]) -> str:
    return f"{shape[0]} x {shape[1]}"


def _pair_of_shape(parts: Mapping[str, str], driver: str, shape: tuple[int, int]) -> tuple[str, str] | None:
    """A longitude and a latitude of one shape; of several, two whose names are alike but for that."""
    found: dict[str, dict[str, str]] = {"longitude": {}, "latitude": {}}
    for kind, name, source in _coordinates(parts, driver, shape):
        found[kind].setdefault(_NAMES[kind].sub("", name, count=1).lower(), source)
    x, y = found["longitude"], found["latitude"]
    if len(x) == len(y) == 1:
        return next(iter(x.values())), next(iter(y.values()))
    alike = sorted(x.keys() & y.keys(), key=lambda rest: (len(rest), rest))
    return (x[alike[0]], y[alike[0]]) if alike else None


def _coordinates(parts: Mapping[str, str], driver: str, shape: tuple[int, int]) -> Iterator[tuple[str, str, str]]:
    """Kind, name and subdataset of all coordinates of a shape."""
    import rasterio  # noqa: PLC0415

    for name, source in parts.items():
        if any(pattern.search(name) for pattern in _NAMES.values()):
            with rasterio.open(source, driver=driver) as dataset:
                kind = kind_of(name, dataset.tags(1)) if dataset.shape == shape else None
            if kind:
                yield kind, name, source


def read_coordinates(path: Path, driver: str, geolocation: Geolocation) -> tuple[Floats, Floats]:
    """The longitudes and latitudes of all cells.

    Returns
    -------
    longitudes, latitudes : ndarray, shape (rows, columns)
        In degrees, as precise as they are stored; NaN, in both, where one of them is none.

    Raises
    ------
    RasterError
        If there is not the memory to work with so many, or no coordinate is known.
    rasterio.errors.RasterioError
        If they cannot be read.
    """
    longitudes, latitudes = (_read(path, driver, source, geolocation.band) for source in _sources(geolocation))
    with np.errstate(invalid="ignore"):
        known = (abs(latitudes) <= 90) & (abs(longitudes) <= _TURNS)
    if not known.any():
        names = " and ".join(_variable_in(source) for source in _sources(geolocation))
        raise RasterError(f"{path}: the coordinates {names} are missing everywhere; no cell can be placed")
    longitudes[~known] = latitudes[~known] = np.nan
    return longitudes, latitudes


def _sources(geolocation: Geolocation) -> tuple[str, str]:
    return geolocation.longitudes, geolocation.latitudes


def _read(path: Path, driver: str, source: str, band: int) -> Floats:
    import rasterio  # noqa: PLC0415

    with rasterio.Env(**AS_STORED), rasterio.open(source, driver=driver) as dataset:
        needed = dataset.height * dataset.width * _BYTES
        if needed > available_memory():
            raise RasterError(
                f"{path}: to place {_sides(dataset.shape)} cells by 2-D coordinates takes {needed // 2**20:,} MB of "
                "memory, more than there is; regrid the file"
            )
        stored = dataset.read(band)
        scale, offset, nodata = dataset.scales[band - 1], dataset.offsets[band - 1], dataset.nodatavals[band - 1]
    values: Floats = stored.astype(np.float32 if stored.dtype == np.float32 else np.float64)
    if nodata is not None:
        values[stored == nodata] = np.nan
    return values if (scale, offset) == (1.0, 0.0) else values * values.dtype.type(scale) + values.dtype.type(offset)
