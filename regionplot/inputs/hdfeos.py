"""Read where HDF-EOS5 files place the cells of their grids.

These files have no axes. A text in the file, `StructMetadata`, states the corners and the projection of each grid
(https://www.earthdata.nasa.gov/s3fs-public/imported/HDFEOS5-UG-VOL-I-FINAL.pdf). The projections are those of the
General Cartographic Transformation Package (GCTP).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyproj

from regionplot.errors import RasterError
from regionplot.geo.axes import Axis
from regionplot.geo.crs import parse_crs
from regionplot.geo.extent import LONLAT
from regionplot.inputs.file_axes import GridAxes, PlacedAxes
from regionplot.inputs.netcdf import Variable, read_text

_METADATA = re.compile(r"/HDFEOS INFORMATION/StructMetadata\.\d+")
_GRID = re.compile(r"/HDFEOS/GRIDS/(?P<grid>[^/]+)/Data Fields/(?P<field>[^/]+)")
_SPHERES: Mapping[int, Mapping[str, float | str]] = {
    0: {"ellps": "clrk66"},
    8: {"ellps": "GRS80"},
    12: {"datum": "WGS84"},
    19: {"R": 6370997.0},
}
"""Earth models of GCTP by code."""


@dataclass(frozen=True)
class _Structure:
    """The description of one grid in the text."""

    text: str

    def value(self, key: str, default: str = "") -> str:
        found = re.search(rf"^\s*{key}\s*=\s*(.*?)\s*$", self.text, re.M)
        return default if found is None else found[1]

    def numbers(self, key: str) -> list[float]:
        try:
            return [float(number) for number in self.value(key).strip("()").split(",")]
        except ValueError:
            return []

    def dimensions(self, field: str) -> list[str]:
        """Return the names of the dimensions of a data field, or an empty list if they are not stated."""
        found = re.search(rf'DataFieldName="{re.escape(field)}".*?DimList=\((.*?)\)', self.text, re.S)
        return [] if found is None else re.findall(r'"(.*?)"', found[1])


def place_hdfeos(path: Path, variable: Variable, variables: Sequence[Variable]) -> PlacedAxes | None:
    """Return the axes of a data field of an HDF-EOS5 grid. Return None if the variable is not such a data field.

    Parameters
    ----------
    path : Path
        The file.
    variable : Variable
        The variable to draw.
    variables : sequence of Variable
        All variables of the file.

    Raises
    ------
    RasterError
        If the description of the grid cannot be read, or its projection is not known.
    """
    found = _GRID.fullmatch(variable.path)
    texts = sorted(other.path for other in variables if _METADATA.fullmatch(other.path))
    if found is None or not texts:
        return None
    text = "".join(read_text(path, name) for name in texts)
    structure = _structure(text, found["grid"])
    if structure is None:
        return None
    corners = structure.numbers("UpperLeftPointMtrs") + structure.numbers("LowerRightMtrs")
    positions = _positions(variable, structure, found["field"])
    if len(corners) != 4 or positions is None:
        raise RasterError(f"{path}: StructMetadata does not state the corners and dimensions of {found['grid']!r}")
    crs = _crs(path, structure)
    left, upper, right, lower = (_degrees(x) for x in corners) if crs.is_geographic else corners
    origin = structure.value("GridOrigin")
    y_limits = (min(upper, lower), max(upper, lower)) if origin.endswith(("_LL", "_LR")) else (upper, lower)
    x_limits = (right, left) if origin.endswith(("_UR", "_LR")) else (left, right)
    grid = GridAxes(variable, variable, variable, *positions, crs.is_geographic)
    try:
        return PlacedAxes(grid, _axis(*y_limits, grid.shape[0]), _axis(*x_limits, grid.shape[1]), crs)
    except ValueError as error:
        raise RasterError(
            f"{path}: the corners of {found['grid']!r} in StructMetadata cannot be used: {error}"
        ) from None


def _structure(text: str, grid: str) -> _Structure | None:
    """Return the description of a grid."""
    parts = re.findall(r"GROUP\s*=\s*(GRID_\d+)\s*\n(.*?)END_GROUP\s*=\s*\1\b", text, re.S)
    found = (_Structure(body) for _, body in parts)
    return next((structure for structure in found if structure.value("GridName").strip('"') == grid), None)


def _positions(variable: Variable, structure: _Structure, field: str) -> tuple[int, int] | None:
    """Return the positions of the dimensions along y and x, or None if they are not known."""
    names = structure.dimensions(field)
    if {"YDim", "XDim"} <= set(names) and len(names) == len(variable.shape):
        return names.index("YDim"), names.index("XDim")
    sizes = structure.numbers("YDim"), structure.numbers("XDim")
    last = len(variable.shape) - 2
    return (last, last + 1) if tuple(variable.shape[last:]) == tuple(n for size in sizes for n in size) else None


def _axis(first: float, last: float, count: int) -> Axis:
    """Return a regular axis between two edges."""
    step = (last - first) / count
    centers = np.asarray(first + (np.arange(count) + 0.5) * step, np.float64)
    return Axis.of(centers, width=abs(step) if count == 1 else None)


def _degrees(packed: float) -> float:
    """Convert an angle in the form DDDMMMSSS.SS to degrees. An angle of at most 360 is in degrees already."""
    size = abs(packed)
    if size <= 360:
        return packed
    degrees, rest = divmod(size, 1e6)
    minutes, seconds = divmod(rest, 1e3)
    return float(np.copysign(degrees + minutes / 60 + seconds / 3600, packed))


def _crs(path: Path, structure: _Structure) -> pyproj.CRS:
    """Return the CRS of a grid."""
    name = structure.value("Projection").removeprefix("HE5_").removeprefix("GCTP_")
    parameters = (structure.numbers("ProjParams") + [0.0] * 13)[:13]
    if name == "GEO":
        return parse_crs(LONLAT)
    zone = int((structure.numbers("ZoneCode") or [0.0])[0])
    projection = _projection(name, zone, parameters)
    try:
        if projection is None:
            raise ValueError("it is not known")
        return pyproj.CRS.from_dict({**projection, **_earth(structure, parameters), "no_defs": True})
    except (ValueError, pyproj.exceptions.CRSError) as error:
        raise RasterError(
            f"{path}: the HDF-EOS projection {name!r} cannot be used: {error}; reproject the file to a GeoTIFF"
        ) from None


def _earth(structure: _Structure, parameters: Sequence[float]) -> dict[str, float | str]:
    """Return the ellipsoid as parameters of PROJ."""
    major, minor = parameters[:2]
    if major <= 0:
        code = structure.numbers("SphereCode") or [12.0]
        return dict(_SPHERES.get(int(code[0]), _SPHERES[12]))
    if minor <= 0 or minor == major:
        return {"R": major}
    return {"a": major, "b": minor} if minor > 1 else {"a": major, "es": minor}


def _projection(name: str, zone: int, parameters: Sequence[float]) -> dict[str, float | str] | None:
    """Return a projection of GCTP as parameters of PROJ, or None if the projection is not known."""
    longitude, latitude = _degrees(parameters[4]), _degrees(parameters[5])
    pole = float(np.copysign(90, latitude))
    origin = {"lon_0": longitude, "x_0": parameters[6], "y_0": parameters[7]}
    known: dict[str, dict[str, float | str]] = {
        "SNSOID": {"proj": "sinu", **origin},
        "LAMAZ": {"proj": "laea", "lat_0": latitude, **origin},
        "PS": {"proj": "stere", "lat_0": pole, "lat_ts": latitude, **origin},
        "CEA": {"proj": "cea", "lat_ts": latitude, **origin},
        "BCEA": {"proj": "cea", "lat_ts": latitude, **origin},
        "UTM": {"proj": "utm", "zone": abs(zone), **({"south": True} if zone < 0 else {})},
    }
    return known.get(name)
