"""Find the seams of a projection: its edges, and the lines at which it is discontinuous (torn).

The earth is divided into cells of longitude and latitude. A projection is continuous in most cells. The other cells are
divided into finer cells. If a seam crosses a fine cell, bisection finds the points where the seam meets the sides of
the cell. The cell is then divided along the seam. The result is a set of polygons, which are called leaves. The
projection is continuous and invertible in each leaf.

::

    coarse cells ─┬─► continuous ────────────────────────────────► leaves
                  └─► torn ─► fine cells ─┬─► continuous ────────►   │
                                          └─► torn ─► bisection ─►  ─┘
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from regionplot.geo.charts import Charts, Floats, base_of, cut_meridian, has_degrees
from regionplot.geo.extent import FULL_TURN

Geometries = NDArray[np.object_]
Bools = NDArray[np.bool_]
Indices = NDArray[np.intp]
_COLUMNS, _ROWS = 135, 81
"""Number of coarse cells. The numbers are odd, so that seams at round longitudes and latitudes lie within cells."""
_FINE_PER_COARSE = 9
"""Number of fine cells along each side of a coarse cell."""
_BLOCKS = (27, 9, 3, 1)
"""Numbers of cells along the sides of the leaves that consist of whole cells."""
_BISECTIONS = 24
_CONTINUOUS_FRACTION = 0.55
"""Fraction of the length of a step. If both halves of the step are shorter, the step is not torn."""
_TORN_FRACTION = 0.05
"""Fraction of the length of a step. If the part that is left after all bisections is longer, the step is torn."""
_GAP = 1e-9
"""Distance in degrees between the meridian of a cut and the cells beside the cut."""


class Tears(NamedTuple):
    """Steps between points, and the position of the tear in each torn step."""

    is_torn: Bools
    before: Floats
    """Points just before the tears, shape (n, 2)."""
    after: Floats
    """Points just after the tears, shape (n, 2)."""
    at_before: Floats
    """Positions of `before` on the maps."""
    at_after: Floats

    def changed(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Tears:
        """Return the steps with a function applied to all arrays, such as a selection."""
        is_torn, *points = (change(array) for array in self)
        return Tears(is_torn, *points)

    def reversed(self) -> Tears:
        """Return the same steps in the opposite direction."""
        return Tears(self.is_torn, self.after, self.before, self.at_after, self.at_before)


def find_tears(
    charts: Callable[[Floats], Floats], starts: Floats, ends: Floats, at_starts: Floats, at_ends: Floats
) -> Tears:
    """Find the steps between points in which a projection is torn or ends.

    Each step is halved repeatedly, and the half that is longer on the map is kept. If the step is torn, the length of
    this half does not approach 0.

    Parameters
    ----------
    charts : callable
        Function from points, shape (n, 2), to their positions on the maps. NaN if a map cannot show the point.
    starts, ends : ndarray, shape (n, 2)
        Longitude and latitude of the two ends of each step.
    at_starts, at_ends : ndarray, shape (n, 2 * maps)
        Positions of the ends on the maps.
    """
    before, after, at_before, at_after = (array.copy() for array in (starts, ends, at_starts, at_ends))
    length = _distance(at_before, at_after)
    index = np.flatnonzero(length > 0)
    for number in range(_BISECTIONS):
        if not index.size:
            break
        middle = (before[index] + after[index]) / 2
        at_middle = charts(middle)
        first, second = _distance(at_before[index], at_middle), _distance(at_middle, at_after[index])
        in_first = first >= second
        after[index[in_first]], at_after[index[in_first]] = middle[in_first], at_middle[in_first]
        before[index[~in_first]], at_before[index[~in_first]] = middle[~in_first], at_middle[~in_first]
        if number == 0:
            index = index[~(np.maximum(first, second) < _CONTINUOUS_FRACTION * length[index])]
    is_torn = np.zeros(len(starts), bool)
    left = _distance(at_before[index], at_after[index])
    is_torn[index] = np.isinf(left) | (left > _TORN_FRACTION * length[index])
    return Tears(is_torn, before, after, at_before, at_after)


def _distance(one: Floats, other: Floats) -> Floats:
    """Return the distances of positions: infinity if one of two positions is missing, 0 if both are missing."""
    missing, other_missing = np.isnan(one[:, 0]), np.isnan(other[:, 0])
    length = np.sqrt(((one - other) ** 2).sum(axis=1))
    length[missing | other_missing] = np.inf
    length[missing & other_missing] = 0.0
    return np.asarray(length)


class _Cells:
    """Blocks of cells, with the tears of their sides.

    Parameters
    ----------
    charts : Charts
        The projection.
    corners : ndarray, shape (blocks, rows + 1, columns + 1, 2)
        Longitude and latitude of the corners of the cells.
    """

    def __init__(self, charts: Charts, corners: Floats) -> None:
        self.corners = corners
        blocks, rows, columns = corners.shape[0], corners.shape[1] - 1, corners.shape[2] - 1
        self.at = charts(corners.reshape(-1, 2)).reshape(*corners.shape[:3], -1)
        east = find_tears(charts, *_ends(corners, self.at, 2)).changed(_shaped(blocks, rows + 1, columns))
        north = find_tears(charts, *_ends(corners, self.at, 1)).changed(_shaped(blocks, rows, columns + 1))
        self.sides = _sides(east, north)
        self.areas = np.stack([_areas(self._ring(self.at[..., at : at + 2])) for at in range(0, self.at.shape[-1], 2)])
        """Signed area of each cell on each map, shape (maps, blocks, rows, columns)."""

    @cached_property
    def is_torn(self) -> Bools:
        """True for each cell with a torn side."""
        return np.asarray(np.any([side.is_torn for side in self.sides], axis=0))

    @cached_property
    def are_shown(self) -> Bools:
        """True for each cell with a corner that has a position on the map."""
        return np.asarray(np.isfinite(self._ring(self.at)[..., 0]).any(axis=-1))

    def are_whole(self, signs: Floats) -> Bools:
        """Return True for each cell in which the projection is continuous, with the given orientation."""
        turned = self.areas * signs[:, None, None, None]
        return np.asarray(~self.is_torn & (turned > 0).all(axis=0))

    def ring(self, index: tuple[Indices, ...]) -> tuple[Floats, Floats]:
        """Return corners and positions of cells, shape (n, 4, 2) and (n, 4, 2 * maps)."""
        return self._ring(self.corners)[index], self._ring(self.at)[index]

    @staticmethod
    def _ring(grid: Floats) -> Floats:
        """Return the values at the corners of each cell, counterclockwise from the south-west."""
        return np.stack([grid[:, :-1, :-1], grid[:, :-1, 1:], grid[:, 1:, 1:], grid[:, 1:, :-1]], axis=3)


def _ends(corners: Floats, at: Floats, axis: int) -> list[Floats]:
    """Return the ends of the sides along an axis, and their positions."""
    first, last = ([slice(None)] * 3 for _ in range(2))
    first[axis], last[axis] = slice(None, -1), slice(1, None)
    return [grid[tuple(part)].reshape(-1, grid.shape[-1]) for grid in (corners, at) for part in (first, last)]


def _sides(east: Tears, north: Tears) -> tuple[Tears, Tears, Tears, Tears]:
    """Return the sides of all cells, counterclockwise: south, east, north, west."""
    south, top = east.changed(lambda array: array[:, :-1]), east.changed(lambda array: array[:, 1:])
    west, right = north.changed(lambda array: array[:, :, :-1]), north.changed(lambda array: array[:, :, 1:])
    return south, right, top.reversed(), west.reversed()


def _shaped(*shape: int) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Return a function that reshapes the first dimension of an array."""
    return lambda array: array.reshape(*shape, *array.shape[1:])


def _areas(rings: Floats) -> Floats:
    """Return the signed area of rings without a repeated point, shape (..., points, 2)."""
    x, y = rings[..., 0], rings[..., 1]
    return np.asarray((x * np.roll(y, -1, axis=-1) - np.roll(x, -1, axis=-1) * y).sum(axis=-1) / 2)


class Seams:
    """The seams of the projection from one plane to another.

    Parameters
    ----------
    source, target : pyproj.CRS
        CRSs of the two planes.
    """

    def __init__(self, source: pyproj.CRS, target: pyproj.CRS) -> None:
        self.base = base_of(source)
        self.has_turns = has_degrees(source)
        """True if coordinates in the source plane are longitudes, so that they repeat after a full turn."""
        self._charts = Charts(self.base, target) if self.has_turns else Charts(self.base, target, source)
        self.west = cut_meridian(self.base, target)
        """Longitude of the west edge of the cells."""
        latitudes = np.linspace(-90.0, 90.0, _ROWS * _FINE_PER_COARSE + 1)
        self.is_cyclic = not self._is_torn_between(self.west + _GAP, self.west + FULL_TURN - _GAP, latitudes[1:-1:7])
        """True if the projection is continuous at the west edge of the cells."""
        gap = 0.0 if self.is_cyclic else _GAP
        longitudes = np.linspace(self.west + gap, self.west + FULL_TURN - gap, _COLUMNS * _FINE_PER_COARSE + 1)
        self._nodes = np.stack(np.meshgrid(longitudes, latitudes), axis=-1)
        self._coarse = _Cells(self._charts, self._nodes[None, ::_FINE_PER_COARSE, ::_FINE_PER_COARSE])
        with np.errstate(invalid="ignore"):
            self._signs = np.sign(np.nansum(np.sign(self._coarse.areas), axis=(1, 2, 3)))
        self.is_whole: Bools = self._coarse.are_whole(self._signs)[0]
        """True for each coarse cell in which the projection is continuous, shape (rows, columns)."""

    def _is_torn_between(self, west: float, east: float, latitudes: Floats) -> bool:
        """Return True if two nearly equal meridians lie at different positions on the map."""
        ends = [self._charts(np.column_stack([np.full(latitudes.size, x), latitudes])) for x in (west, east)]
        return bool((_distance(*ends) > 1e-6).any())

    @cached_property
    def _meets_seam(self) -> Bools:
        """True for each coarse cell with a seam in the cell or on its side, shape (rows, columns)."""
        meets: Bools = ~self.is_whole
        if not (self.has_turns or self.is_cyclic):
            meets[:, [0, -1]] = True
        return meets

    @cached_property
    def is_near(self) -> Bools:
        """True for each coarse cell with a seam, and for its neighbors, shape (rows, columns)."""
        torn = np.pad(self._meets_seam, ((1, 1), (0, 0)))
        torn = np.pad(torn, ((0, 0), (1, 1)), mode="wrap")
        rows, columns = self.is_whole.shape
        shifted = [torn[row : row + rows, column : column + columns] for row in range(3) for column in range(3)]
        return np.asarray(np.any(shifted, axis=0))

    def torn_points(self) -> Floats:
        """Return the centers of the coarse cells with a seam, as longitude and latitude, shape (n, 2)."""
        meets = self._meets_seam.reshape(1, _ROWS, _COLUMNS)
        corners, _ = self._coarse.ring(np.nonzero(meets))
        return np.asarray(corners.mean(axis=1))

    def near(self, points: Floats) -> Bools:
        """Return True for each point that is in or beside a coarse cell with a seam.

        Parameters
        ----------
        points : ndarray, shape (n, 2)
            Longitude and latitude. NaN counts as near.
        """
        known = np.asarray(np.isfinite(points).all(axis=1))
        place = np.where(known[:, None], points, 0.0)
        column = (((place[:, 0] - self.west) % FULL_TURN) / FULL_TURN * _COLUMNS).astype(int) % _COLUMNS
        row = np.clip((place[:, 1] + 90.0) / 180.0 * _ROWS, 0, _ROWS - 1).astype(int)
        return np.asarray(self.is_near[row, column] | ~known)

    @cached_property
    def leaves(self) -> Geometries:
        """Polygons of longitude and latitude in which the projection is continuous and invertible."""
        rings = [*self._coarse_rings(), *self._fine_rings()]
        if not rings:
            return np.empty(0, dtype=object)
        owner = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
        return np.asarray(shapely.polygons(shapely.linearrings(np.concatenate(rings), indices=owner)), dtype=object)

    def _coarse_rings(self) -> Iterator[Floats]:
        for row, column, size in _blocks(self.is_whole, _BLOCKS):
            yield self._outline(row * _FINE_PER_COARSE, column * _FINE_PER_COARSE, size * _FINE_PER_COARSE)

    def _fine_rings(self) -> Iterator[Floats]:
        rows, columns = np.nonzero(~self.is_whole & self._coarse.are_shown[0])
        if not rows.size:
            return
        steps = np.arange(_FINE_PER_COARSE + 1)
        cells = _Cells(
            self._charts,
            self._nodes[
                (rows[:, None] * _FINE_PER_COARSE + steps)[:, :, None],
                (columns[:, None] * _FINE_PER_COARSE + steps)[:, None, :],
            ],
        )
        is_whole = cells.are_whole(self._signs)
        for number, whole in enumerate(is_whole):
            for row, column, size in _blocks(whole, _BLOCKS[2:]):
                yield self._outline(
                    rows[number] * _FINE_PER_COARSE + row, columns[number] * _FINE_PER_COARSE + column, size
                )
        yield from _divided(cells, np.nonzero(cells.is_torn), self._signs)

    def _outline(self, row: int, column: int, size: int) -> Floats:
        """Return the nodes around a square of cells, with the first node repeated at the end."""
        nodes = self._nodes[row : row + size + 1, column : column + size + 1]
        sides = nodes[0, :-1], nodes[:-1, -1], nodes[-1, :0:-1], nodes[:0:-1, 0], nodes[:1, 0]
        return np.concatenate(sides)


def _blocks(is_whole: Bools, sizes: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Yield row, column and size of squares that together cover all whole cells, the largest squares first."""
    left = is_whole.copy()
    for size in sizes:
        rows, columns = (length // size for length in left.shape)
        squares = left.reshape(rows, size, columns, size)
        full = np.asarray(squares.all(axis=(1, 3)))
        squares &= ~full[:, None, :, None]
        for row, column in zip(*np.nonzero(full), strict=True):
            yield int(row) * size, int(column) * size, size


def _divided(cells: _Cells, index: tuple[Indices, ...], signs: Floats) -> Iterator[Floats]:
    """Yield the parts into which seams divide cells, as closed rings. Leave out the parts that the map cannot show."""
    corners, at_corners = cells.ring(index)
    sides = [side.changed(lambda array: array[index]) for side in cells.sides]
    parts = [part for number in range(len(corners)) for part in _parts(number, corners, at_corners, sides)]
    if not parts:
        return
    at = np.concatenate([positions for _, positions in parts])
    first = np.cumsum([0, *(len(points) for points, _ in parts[:-1])])
    following = np.arange(1, len(at) + 1)
    following[np.append(first[1:], len(at)) - 1] = first
    x, y = at[:, 0::2], at[:, 1::2]
    areas = np.add.reduceat(x * y[following] - x[following] * y, first)
    is_shown = (areas * signs > 0).all(axis=1)
    for number in np.flatnonzero(is_shown):
        ring = parts[number][0]
        yield np.array([*ring, ring[0]])


def _parts(number: int, corners: Floats, at_corners: Floats, sides: list[Tears]) -> list[tuple[list[Any], list[Any]]]:
    """Return the parts of one cell as points and positions. A part lies between two tears of the sides."""
    parts: list[tuple[list[Any], list[Any]]] = [([], [])]
    for corner, (torn, before, after, at_before, at_after) in enumerate(sides):
        parts[-1][0].append(corners[number, corner])
        parts[-1][1].append(at_corners[number, corner])
        if torn[number]:
            parts[-1][0].append(before[number])
            parts[-1][1].append(at_before[number])
            parts.append(([after[number]], [at_after[number]]))
    points, at = parts.pop()
    parts[0] = points + parts[0][0], at + parts[0][1]
    return parts


@lru_cache(maxsize=16)
def seams_between(source: pyproj.CRS, target: pyproj.CRS) -> Seams:
    """Return the seams of the projection from one CRS to another, from a cache."""
    return Seams(source, target)
