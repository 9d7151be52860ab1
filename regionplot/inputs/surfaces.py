"""Convert the geometries of a file to shapely, including surfaces, which GEOS does not know."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely

from regionplot.geo.linework import Geometries

_POINT, _LINE, _POLYGON, _COLLECTION = 1, 2, 3, 7
_TRIANGLE = 17
_SURFACES = (15, 16)
"""Type ids of PolyhedralSurface and TIN in WKB."""
_COLLECTIONS = (4, 5, 6, 7, *_SURFACES)
_LARGEST_DEPTH = 32
"""Maximum depth of nested collections."""
_XY = 16
"""Bytes of a vertex."""


def parse_geometries(wkb: Sequence[bytes | None]) -> Geometries:
    """Return geometries for WKB in two dimensions. The result is None for a geometry that cannot be read.

    A surface (PolyhedralSurface, TIN) becomes a collection of polygons, because its polygons can overlap on the map.
    """
    with np.errstate(invalid="ignore"):  # coordinates that are not numbers
        found = np.asarray(shapely.from_wkb(np.asarray(wkb, dtype=object), on_invalid="fix"), dtype=object)
        for index in np.flatnonzero(shapely.is_missing(found)).tolist():
            unread = wkb[index]
            if unread is not None:
                found[index] = shapely.from_wkb(_without_surfaces(unread), on_invalid="fix")
    return found


def _without_surfaces(wkb: bytes) -> bytes | None:
    """Return WKB in which each surface is a collection of polygons, or None if the WKB is damaged."""
    content = bytearray(wkb)
    try:
        _convert(content, 0, 0)
    except (IndexError, ValueError):
        return None
    return bytes(content)


def _convert(wkb: bytearray, start: int, depth: int) -> int:
    """Change the type ids of a geometry and of its parts, and return the position after the geometry."""
    kind = _number(wkb, start, start + 1)
    if depth > _LARGEST_DEPTH:
        raise ValueError("the collections are nested too deeply")
    if kind in _COLLECTIONS:
        _set_number(wkb, start, start + 1, _COLLECTION if kind in _SURFACES else kind)
        position = start + 9
        for _ in range(_number(wkb, start, start + 5)):
            position = _convert(wkb, position, depth + 1)
        return position
    if kind in (_POLYGON, _TRIANGLE):
        _set_number(wkb, start, start + 1, _POLYGON)
        position = start + 9
        for _ in range(_number(wkb, start, start + 5)):
            position += 4 + _XY * _number(wkb, start, position)
        return position
    if kind == _LINE:
        return start + 9 + _XY * _number(wkb, start, start + 5)
    if kind == _POINT:
        return start + 5 + _XY
    raise ValueError(f"geometries of type {kind} are not known")


def _number(wkb: bytearray, start: int, position: int) -> int:
    """Return the 32-bit integer at a position of a geometry that begins at `start`."""
    if position + 4 > len(wkb):
        raise ValueError("the geometry is truncated")
    return int.from_bytes(wkb[position : position + 4], "little" if wkb[start] else "big")


def _set_number(wkb: bytearray, start: int, position: int, value: int) -> None:
    wkb[position : position + 4] = value.to_bytes(4, "little" if wkb[start] else "big")
