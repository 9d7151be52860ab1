"""Find and read the variables of a NetCDF file that hold the 2-D coordinates of another variable.

GDAL names these variables if a file follows the CF conventions (https://gdal.org/en/stable/development/rfc/rfc4_geolocate.html).
In other files, these variables are recognized by their units, standard name or variable name, and by their shape. Only
variables in the same file are read, even if the metadata name another file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot.errors import RasterError
from regionplot.inputs.gdal import opened
from regionplot.system.machine import available_memory

Floats = NDArray[np.floating[Any]]
_UNITS = {
    "latitude": re.compile(r"(deg(ree)?s?|°)[_ ]?(n(orth)?|south)", re.I),
    "longitude": re.compile(r"(deg(ree)?s?|°)[_ ]?(e(ast)?|west)", re.I),
}
_NAMES = {"latitude": re.compile(r"lat(itude)?", re.I), "longitude": re.compile(r"lon(g(itude)?)?", re.I)}
_ANGLES = {
    **dict.fromkeys(("", "degree", "degrees", "deg", "degrees_true", "°"), 1.0),
    **dict.fromkeys(("arc_minute", "arcminute", "arcmin", "minute_of_arc", "'"), 1 / 60),
    **dict.fromkeys(("arc_second", "arcsecond", "arcsec", "second_of_arc", '"'), 1 / 3600),
    **dict.fromkeys(("radian", "rad"), 180 / np.pi),
    **dict.fromkeys(("milliradian", "mrad"), 0.18 / np.pi),
    **dict.fromkeys(("microradian", "urad"), 0.00018 / np.pi),
}
"""Size of units of angles in degrees."""
_MAX_LONGITUDE = 720.0
"""Maximum longitude that is valid, in degrees."""
_BYTES_PER_CELL = 64
"""Memory per cell that resampling needs, in bytes."""


@dataclass(frozen=True)
class Geolocation:
    """Variables that hold the coordinates of a grid's cells."""

    longitudes: str
    """GDAL's name of the subdataset that holds the longitudes."""
    latitudes: str
    """GDAL's name of the subdataset that holds the latitudes."""
    band: int
    """Number of the band to read from both subdatasets, from 1."""
    crs: pyproj.CRS
    """Geographic CRS of the coordinates."""
    options: ClassVar[Mapping[str, str]] = {"GDAL_NETCDF_BOTTOMUP": "NO", "GDAL_NETCDF_CENTERLONG_180": "NO"}
    """GDAL options for reading the file's own rows and columns. Without these options, GDAL could flip the rows, and
    could subtract 360 from longitudes beyond 180."""


def kind_of(name: str, attributes: Mapping[str, Any]) -> str | None:
    """Return `latitude` or `longitude` for a variable that holds latitudes or longitudes. Otherwise, return None.

    Parameters
    ----------
    name : str
        Name of the variable.
    attributes : mapping
        Attributes of the variable. `units` and `standard_name` are used.

    Examples
    --------
    >>> kind_of("nav_lat", {}), kind_of("latent_heat", {})
    ('latitude', None)
    """
    units, standard = str(attributes.get("units", "")), attributes.get("standard_name")
    for kind in _UNITS:
        has_name = _angle(units) is not None and _NAMES[kind].search(name.rpartition("/")[2])
        is_named = has_name and standard is None and _is_coordinate_name(name)
        if standard == kind or _UNITS[kind].fullmatch(units) or is_named:
            return kind
    return None


def degrees_per_unit(units: str) -> float | None:
    """Return the size of a unit of longitudes or latitudes in degrees, or None if the unit is not an angle.

    The size is negative for longitudes that increase to the west and latitudes that increase to the south.

    Examples
    --------
    >>> degrees_per_unit("degrees_E"), degrees_per_unit("arcminutes"), degrees_per_unit("K")
    (1.0, 0.016666666666666666, None)
    """
    if any(pattern.fullmatch(units) for pattern in _UNITS.values()):
        return -1.0 if units.lower().endswith(("west", "south")) else 1.0
    return _angle(units)


def _angle(units: str) -> float | None:
    """Return the size, in degrees, of a unit without a direction. Return None if the unit is not an angle."""
    name = units.strip().lower()
    return _ANGLES.get(name, _ANGLES.get(name.removesuffix("s")))


def _is_coordinate_name(name: str) -> bool:
    """Return True for the name of a coordinate, such as `nav_lat`. Return False for a name such as `latent_heat`."""
    pattern = r"(x|nav_|geo|[tuvfwc])?(lat(itude)?s?|lon(g(itude)?)?s?)(_?(rho|psi|u|v|t|m|c))?"
    return re.fullmatch(pattern, name.rpartition("/")[2], re.I) is not None


def find_geolocation(
    path: Path, grid: str, shape: tuple[int, int], band: tuple[int, int], crs: pyproj.CRS
) -> Geolocation | None:
    """Return the variables that hold the coordinates of another variable's cells, or None if there are none.

    Parameters
    ----------
    path : Path
        The file.
    grid : str
        GDAL's name of the subdataset that holds the cells.
    shape : (int, int)
        Rows and columns of the cells.
    band : (int, int)
        Number of the band that holds the cells (from 1), and total number of bands.
    crs : pyproj.CRS
        CRS of the coordinates.

    Raises
    ------
    RasterError
        If the metadata name coordinates whose shape differs from the shape of the cells.
    """
    with opened(path) as dataset:
        parts = sorted(dataset.subdatasets, key=lambda name: -_common_groups(name, grid))
    with opened(path, grid) as dataset:
        tags = dataset.tags(ns="GEOLOCATION")
    found = [_named(parts, tags[key]) for key in ("X_DATASET", "Y_DATASET") if key in tags]
    names = [name for name in found if name is not None]
    pair = (names[0], names[1]) if len(names) == 2 else _pair_of_shape(path, parts, shape)
    if pair is None:
        return None
    counts = [_band_count(path, coordinates, grid, shape) for coordinates in pair]
    number, count = band
    bands_per_coordinate = max(1, count // min(counts))
    coordinate_band = min((number - 1) // bands_per_coordinate, min(counts) - 1) + 1
    return Geolocation(pair[0], pair[1], coordinate_band, crs)


def _band_count(path: Path, coordinates: str, grid: str, shape: tuple[int, int]) -> int:
    """Return the number of bands of a coordinate variable. Check that it has the shape of the cells."""
    with opened(path, coordinates) as dataset:
        if dataset.shape != shape:
            raise RasterError(
                f"{path}: {_variable_in(grid)} has {_sides(shape)} cells, but its coordinates "
                f"{_variable_in(coordinates)} have {_sides(dataset.shape)}; choose another variable with "
                "variable = NAME in [raster]"
            )
        return int(dataset.count)


def _variable_in(subdataset: str) -> str:
    """Return the name of the variable in a subdataset, without the path of its group."""
    return subdataset.rpartition(":")[2].rpartition("/")[2]


def _common_groups(one: str, other: str) -> int:
    """Return the number of groups, from the root, that contain both of two variables."""
    groups = (name.rpartition(":")[2].strip("/").split("/")[:-1] for name in (one, other))
    pairs = list(zip(*groups, strict=False))
    return next((depth for depth, (a, b) in enumerate(pairs) if a != b), len(pairs))


def _named(parts: Sequence[str], wanted: str) -> str | None:
    """Return the subdataset that GDAL's metadata name. Compare paths first, then names of variables."""
    same_path = (part for part in parts if _path_in(part) == _path_in(wanted))
    same_name = (part for part in parts if _variable_in(part) == _variable_in(wanted))
    return next(same_path, next(same_name, None))


def _path_in(subdataset: str) -> str:
    """Return the path of the variable in a subdataset."""
    return subdataset.rpartition(":")[2].strip("/")


def _sides(shape: tuple[int, int]) -> str:
    return f"{shape[0]} x {shape[1]}"


def _pair_of_shape(path: Path, parts: Sequence[str], shape: tuple[int, int]) -> tuple[str, str] | None:
    """Return the subdatasets of a longitude and a latitude that have the given shape, or None if there is no pair.

    If there are several longitudes or latitudes, the names of the pair must differ only in `lon` and `lat`. For equal
    names in several groups, the first subdataset is taken.
    """
    found: dict[str, dict[str, str]] = {"longitude": {}, "latitude": {}}
    for kind, name, subdataset in _coordinates(path, parts, shape):
        found[kind].setdefault(_NAMES[kind].sub("", name, count=1).lower(), subdataset)
    x, y = found["longitude"], found["latitude"]
    if len(x) == len(y) == 1:
        return next(iter(x.values())), next(iter(y.values()))
    common = sorted(x.keys() & y.keys(), key=lambda rest: (len(rest), rest))
    return (x[common[0]], y[common[0]]) if common else None


def _coordinates(path: Path, parts: Sequence[str], shape: tuple[int, int]) -> Iterator[tuple[str, str, str]]:
    """Yield the kind, name and subdataset of each coordinate variable that has the given shape."""
    for subdataset in parts:
        name = _variable_in(subdataset)
        if any(pattern.search(name) for pattern in _NAMES.values()):
            with opened(path, subdataset) as dataset:
                kind = kind_of(name, dataset.tags(1)) if dataset.shape == shape else None
            if kind:
                yield kind, name, subdataset


def read_coordinates(path: Path, geolocation: Geolocation, memory: int | None = None) -> tuple[Floats, Floats]:
    """Read the longitudes and latitudes of all cells.

    Parameters
    ----------
    path : Path
        The file.
    geolocation : Geolocation
        Variables that hold the coordinates.
    memory : int, optional
        Maximum memory for resampling, in bytes. By default, all free memory.

    Returns
    -------
    longitudes, latitudes : ndarray, shape (rows, columns)
        Coordinates in degrees: float32 if the file stores float32, otherwise float64. If one coordinate of a cell is
        missing, both are NaN.

    Raises
    ------
    RasterError
        If resampling needs more than `memory`, no cell has valid coordinates, or the coordinates cannot be read.
    """
    memory = available_memory() if memory is None else memory
    names = geolocation.longitudes, geolocation.latitudes
    longitudes, latitudes = (_read(path, name, geolocation.band, memory) for name in names)
    with np.errstate(invalid="ignore"):
        is_known = (abs(latitudes) <= 90) & (abs(longitudes) <= _MAX_LONGITUDE)
    if not is_known.any():
        variables = " and ".join(_variable_in(name) for name in names)
        raise RasterError(
            f"{path}: the coordinates {variables} have no valid cell; check the file, or choose another variable"
        )
    longitudes[~is_known] = latitudes[~is_known] = np.nan
    return longitudes, latitudes


def _read(path: Path, name: str, band: int, memory: int) -> Floats:
    with opened(path, name, **Geolocation.options) as dataset:
        needed = dataset.height * dataset.width * _BYTES_PER_CELL
        if needed > memory:
            raise RasterError(
                f"{path}: {_sides(dataset.shape)} cells with 2-D coordinates need {needed // 2**20:,} MB of memory, "
                "more than is available; regrid the file"
            )
        stored = dataset.read(band)
        units = degrees_per_unit(dataset.tags(band).get("units", ""))
        scale, offset, nodata = dataset.scales[band - 1], dataset.offsets[band - 1], dataset.nodatavals[band - 1]
    values: Floats = stored.astype(np.float32 if stored.dtype == np.float32 else np.float64)
    if nodata is not None:
        values[stored == nodata] = np.nan
    if (scale, offset) != (1.0, 0.0):
        values = values * values.dtype.type(scale) + values.dtype.type(offset)
    return values if units in (None, 1.0) else values * values.dtype.type(units)
