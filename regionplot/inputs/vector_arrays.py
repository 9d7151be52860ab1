"""Convert projected geometries to arrays and back. A child process returns the arrays, and the cache keeps them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from regionplot.geo.linework import Geometries, no_geometries

_NOTES = "notes"
"""Name of the array that holds the notes about the file as JSON."""
_TYPES = {
    "lines": shapely.GeometryType.LINESTRING,
    "polygons": shapely.GeometryType.POLYGON,
    "points": shapely.GeometryType.POINT,
}
Note = tuple[int, str]
"""Level and text of a log record."""


@dataclass(frozen=True)
class ProjectedGeometries:
    """The geometries of a vector file in the CRS of the maps."""

    lines: Geometries
    polygons: Geometries
    points: Geometries
    notes: tuple[Note, ...]
    """Facts about the file that the user should know."""

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return arrays of coordinates and offsets, and the notes as JSON."""
        arrays: dict[str, NDArray[Any]] = {_NOTES: np.frombuffer(json.dumps(self.notes).encode(), dtype=np.uint8)}
        for name in _TYPES:
            geometries: Geometries = getattr(self, name)
            if geometries.size:
                _, arrays[name], offsets = shapely.to_ragged_array(geometries)
                arrays |= {f"{name}_{number}": offset for number, offset in enumerate(offsets)}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> ProjectedGeometries | None:
        """Return the geometries and notes of `to_arrays`. Return None if the arrays are damaged."""
        try:
            lines, polygons, points = (_from_ragged(type_, name, arrays) for name, type_ in _TYPES.items())
            notes = tuple((level, text) for level, text in json.loads(arrays[_NOTES].tobytes()))
        except (KeyError, ValueError, TypeError, IndexError, shapely.errors.ShapelyError):
            return None
        return cls(lines, polygons, points, notes)


def _from_ragged(kind: shapely.GeometryType, name: str, arrays: Mapping[str, NDArray[Any]]) -> Geometries:
    if name not in arrays:
        return no_geometries()
    offsets = tuple(arrays[f"{name}_{number}"] for number in range(int(kind) if kind != 3 else 2))
    return np.asarray(shapely.from_ragged_array(kind, arrays[name], offsets or None), dtype=object)
