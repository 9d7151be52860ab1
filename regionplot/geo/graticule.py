"""Project meridians and parallels, and find where they meet the edges of a panel.

::

    panel ─► longitudes and latitudes ─► spacing ─► meridians, parallels ─► map CRS ─► lines ─► ends
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyproj
import shapely
from typing_extensions import override

from regionplot.errors import RegionError
from regionplot.geo.crs import Floats, meridian_offset, parse_crs, transformer, unwrap
from regionplot.geo.extent import FULL_TURN, LONLAT, PanelGrid
from regionplot.geo.ground import meters_per_pixel
from regionplot.geo.linework import Geometries, join_segments, project_shown, split_at_seams

_STEPS = [factor * 10.0**power for power in range(-5, 0) for factor in (1, 2, 5)]
_STEPS += [1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0]
"""Candidates for the spacing `auto`, in degrees."""
_LARGEST_STEP = 30.0
"""Largest spacing of lines that have a preferred distance."""
_USUAL_LINES = 8
"""Maximum number of lines along the longer side of a panel with the spacing `auto`."""
_MAX_LINES = 1000
_POLE = 90.0
_LATITUDE_SHIFT = 0.1
"""Maximum difference in degrees between the latitudes of a point in two datums."""
_METERS_PER_DEGREE = 111_195.0
"""Length of a degree of latitude."""
_PANEL_SAMPLES = 41
"""Number of columns, and of rows, in the grid of sample points of a panel."""
_VERTEX_DISTANCE = 0.25
"""Maximum distance in degrees between the vertices of a line."""
_MIN_STEPS = 64
"""Minimum number of steps between the vertices of a line."""

_SAME = 1e-6
"""Maximum distance of equal points, as a fraction of their coordinates."""

_POLAR = 0.3
"""Cosine of the latitude in the middle of a map, from which meridians have a larger spacing than parallels."""
_TO_POLE, _LEAST_GAP = 30.0, 12.0
"""Only each meridian of a multiple of 30 degrees reaches a pole. Others end where they are 12 pixels apart."""


class GridLine(NamedTuple):
    """A meridian or a parallel in map coordinates."""

    text: str
    edges: str
    """Edges of the panel where the label may be placed: `b`, `t`, `l` and `r`. The preferred edge is first."""
    parts: Geometries


@dataclass(frozen=True)
class _Lines:
    """Meridians or parallels: lines of equal longitude or of equal latitude."""

    values: Floats
    """Longitudes or latitudes."""
    along: Floats
    """Latitudes of the vertices of a meridian, or longitudes of the vertices of a parallel."""
    crs: pyproj.CRS
    """CRS of the map."""

    def coordinates(self) -> tuple[Floats, Floats]:
        """Return longitude and latitude of all vertices, shape (lines, vertices) each."""
        raise NotImplementedError

    def label(self, value: float) -> tuple[str, str]:
        """Return the label for a value, and the edges of the panel where the label may be placed."""
        raise NotImplementedError

    def lines(self) -> Iterator[GridLine]:
        """Project the lines. Break each line where the projection is discontinuous."""
        longitudes, latitudes = self.coordinates()
        lonlat = parse_crs(LONLAT)
        points = np.column_stack([longitudes.ravel(), latitudes.ravel()])
        projected = project_shown(points, lonlat, self.crs)
        row = np.repeat(np.arange(self.values.size), self.along.size)
        split = split_at_seams(points, projected, lonlat, self.crs, row[1:] == row[:-1])
        first = np.searchsorted(row[split.source_index], np.arange(self.values.size + 1))
        for number, value in enumerate(self.values):
            begin, end = first[number], first[number + 1]
            parts = join_segments(split.points[begin:end], split.is_joined[begin : end - 1])
            yield GridLine(*self.label(float(value)), parts)


class _Meridians(_Lines):
    @override
    def coordinates(self) -> tuple[Floats, Floats]:
        longitudes, latitudes = np.meshgrid(self.values, self.along, indexing="ij")
        return longitudes, latitudes

    @override
    def label(self, value: float) -> tuple[str, str]:
        longitude = round(value - FULL_TURN * math.ceil(value / FULL_TURN - 0.5), 6)  # greater than -180, at most 180
        side = "" if longitude in (0.0, FULL_TURN / 2) else "E" if longitude > 0 else "W"
        return f"{_degrees(longitude)}°{side}", "btlr"


class _Parallels(_Lines):
    @override
    def coordinates(self) -> tuple[Floats, Floats]:
        latitudes, longitudes = np.meshgrid(self.values, self.along, indexing="ij")
        return longitudes, latitudes

    @override
    def label(self, value: float) -> tuple[str, str]:
        side = "" if round(value, 6) == 0 else "N" if value > 0 else "S"
        return f"{_degrees(value)}°{side}", "lrbt"


def _degrees(value: float) -> str:
    return f"{abs(value):.6f}".rstrip("0").rstrip(".")


def grid_lines(
    panel: PanelGrid, crs: pyproj.CRS, spacing: float | None, distance: float | None = None
) -> Iterator[GridLine]:
    """Yield the parallels and the meridians of a panel.

    Parameters
    ----------
    panel : PanelGrid
        The panel.
    crs : pyproj.CRS
        CRS of the map.
    spacing : float or None
        Degrees between two lines. None: chosen from `distance`, or at most eight lines along the longer side.
    distance : float, optional
        Pixels between two lines, if `spacing` is None. The step that gives the nearest distance is chosen.

    Raises
    ------
    RegionError
        If there are too many lines.
    """
    west, east, south, north = _limits(panel, crs)
    between, gap = spacing, 0.0
    if spacing is None and (_contains_pole(panel, crs, -_POLE) or _contains_pole(panel, crs, _POLE)):
        gap = _LEAST_GAP * (north - south) / panel.height
    if spacing is None and distance is not None:
        spacing = between = _nearest_step(_degrees_per_pixel(panel, crs, (north - south) / panel.height) * distance)
        shrinking = math.cos(math.radians((south + north) / 2))
        if shrinking < _POLAR and not _has_longitudes(crs):
            between = _nearest_step(spacing / max(shrinking, 1e-3))
    longer = max(panel.width, panel.height)
    columns, rows = (max(2.0, _USUAL_LINES * side / longer) for side in (panel.width, panel.height))
    if east - west >= FULL_TURN and not _has_longitudes(crs):
        west, east, columns = west, west + FULL_TURN, 2 * _USUAL_LINES
    meridians = _without_repeated(_multiples(west, east, _step(between, east - west, columns)), south, north, crs)
    parallels = _multiples(south, north, _step(spacing, north - south, rows))
    yield from _Parallels(parallels[abs(parallels) < _POLE], _vertices(west, east), crs).lines()
    for chosen, along in _to_poles(meridians, south, north, gap):
        yield from _Meridians(chosen, along, crs).lines()


def _to_poles(meridians: Floats, south: float, north: float, gap: float) -> Iterator[tuple[Floats, Floats]]:
    """Yield meridians that reach the poles, and meridians that end near the poles, with the latitudes of vertices.

    Parameters
    ----------
    meridians : ndarray
        Longitudes.
    south, north : float
        Limits of the latitudes.
    gap : float
        Distance of two meridians at which most of them end, in degrees of latitude. 0: all reach the poles.
    """
    is_long = meridians % _TO_POLE == 0 if gap else np.ones(meridians.size, bool)
    end = _POLE - gap / math.radians(float(np.diff(meridians).min(initial=_TO_POLE)))
    for chosen, first, last in ((is_long, south, north), (~is_long, max(south, -end), min(north, end))):
        if chosen.any() and first < last:
            yield meridians[chosen], _vertices(first, last)


def _limits(panel: PanelGrid, crs: pyproj.CRS) -> tuple[float, float, float, float]:
    """Return the smallest and largest longitude and latitude of a panel, slightly beyond its edges.

    Longitudes do not wrap at 180. On a map in degrees, longitudes are in the range of the panel's x coordinates.
    """
    in_degrees = _has_longitudes(crs)
    extent, lonlat = panel.extent, parse_crs(LONLAT)
    wide = extent.resized(extent.width * (1 + 2 / _PANEL_SAMPLES), extent.height * (1 + 2 / _PANEL_SAMPLES))
    x, y = np.meshgrid(
        np.linspace(wide.xmin, wide.xmax, _PANEL_SAMPLES), np.linspace(wide.ymin, wide.ymax, _PANEL_SAMPLES)
    )
    longitudes, latitudes = transformer(crs, lonlat).transform(x, y)
    if in_degrees:
        longitudes, latitudes = x - meridian_offset(lonlat, crs), np.clip(latitudes, -_POLE, _POLE)
    usable = np.isfinite(longitudes) & np.isfinite(latitudes)
    if not usable.any():
        return 0.0, 0.0, 0.0, 0.0
    if not in_degrees:
        middle = tuple(size // 2 for size in usable.shape)
        center = longitudes[middle] if usable[middle] else np.median(longitudes[usable])
        longitudes = unwrap(np.where(usable, longitudes, np.nan), center)
    west, east = float(longitudes[usable].min()), float(longitudes[usable].max())
    south, north = float(latitudes[usable].min()), float(latitudes[usable].max())
    for pole in (-_POLE, _POLE):
        if not in_degrees and _contains_pole(panel, crs, pole):
            west, east, south, north = -FULL_TURN / 2, FULL_TURN / 2, min(south, pole), max(north, pole)
    return west, east, south, north


def _has_longitudes(crs: pyproj.CRS) -> bool:
    """Return True if x is a longitude and y is a latitude. Return False for a CRS with a rotated pole."""
    if not crs.is_geographic:
        return False
    _, latitude = transformer(parse_crs(LONLAT), crs).transform(0.0, 45.0)
    return bool(abs(latitude - 45.0) < _LATITUDE_SHIFT)


def _contains_pole(panel: PanelGrid, crs: pyproj.CRS, pole: float) -> bool:
    """Return True if a pole lies in a panel."""
    x, y = transformer(parse_crs(LONLAT), crs).transform(0.0, pole)
    extent = panel.extent
    return bool(extent.xmin <= x <= extent.xmax and extent.ymin <= y <= extent.ymax)


def _step(spacing: float | None, length: float, lines: float) -> float:
    """Return the degrees between lines, for a length in degrees and a maximum number of lines."""
    if spacing is not None:
        return spacing
    return next((step for step in _STEPS if step >= length / lines * (1 - 1e-9)), _STEPS[-1])


def _degrees_per_pixel(panel: PanelGrid, crs: pyproj.CRS, mean: float) -> float:
    """Return the degrees of latitude that a pixel shows at the center of a panel.

    `mean` is the mean over the panel. It is used if the scale is unknown, or the map is in degrees.
    """
    meters = math.nan if _has_longitudes(crs) else meters_per_pixel(crs, panel)
    return meters / _METERS_PER_DEGREE if math.isfinite(meters) and meters > 0 else mean


def _nearest_step(degrees: float) -> float:
    """Return the step of at most 30 degrees whose ratio to a number of degrees is nearest to one."""
    steps = [step for step in _STEPS if step <= _LARGEST_STEP]
    return min(steps, key=lambda step: abs(math.log(step / degrees))) if degrees > 0 else _LARGEST_STEP


def _multiples(first: float, last: float, step: float) -> Floats:
    """Return the multiples of a step between two values."""
    start, end = math.ceil(first / step - 1e-9), math.floor(last / step + 1e-9)
    if end - start >= _MAX_LINES:
        raise RegionError(
            f"[graticule] spacing: {step:g} degrees are {end - start + 1} lines on the map; use a larger spacing"
        )
    return np.arange(start, end + 1) * step


def _without_repeated(meridians: Floats, south: float, north: float, crs: pyproj.CRS) -> Floats:
    """Leave out the last meridian if it is the first one after a full turn, at the same place of the map."""
    if meridians.size < 2 or meridians[-1] - meridians[0] < FULL_TURN - 1e-9 or _has_longitudes(crs):
        return meridians
    x, y = transformer(parse_crs(LONLAT), crs).transform(meridians[[0, -1]], np.full(2, (south + north) / 2))
    size = max(abs(x[0]), abs(y[0]), 1.0)
    return meridians[:-1] if math.hypot(x[1] - x[0], y[1] - y[0]) < _SAME * size else meridians


def _vertices(first: float, last: float) -> Floats:
    steps = max(_MIN_STEPS, math.ceil((last - first) / _VERTEX_DISTANCE))
    return np.linspace(first, last, steps + 1)


def label_points(line: GridLine, panel: PanelGrid) -> Iterator[tuple[float, float, str]]:
    """Yield the positions for the labels of a line: x and y in pixels from the lower left corner, and the edge.

    A line that meets no edge of the panel has one position inside the panel.
    """
    at, paths = _ends_and_paths(line, panel)
    if not paths:
        return
    edge = next((edge for edge in line.edges if len(at[edge])), "")
    points = at[edge] if edge else [_inner_point(np.concatenate(paths), line, panel)]
    for x, y in points:
        yield float(x), float(y), edge


def line_ends(line: GridLine, panel: PanelGrid) -> dict[str, Floats]:
    """Return the points at which a line meets the edges of the panel, in pixels from its lower left corner.

    The keys are `l`, `r`, `b` and `t`.
    """
    return _ends_and_paths(line, panel)[0]


def line_feet(line: GridLine, panel: PanelGrid) -> Floats:
    """Return the points of the lower edge below the lowest point of a line, in pixels, shape (n, 2).

    On a map in degrees that shows more than the earth, meridians end at the pole, above the edge.
    """
    paths = _ends_and_paths(line, panel)[1]
    lowest = [path[np.argmin(path[:, 1])] for path in paths]
    return np.array(lowest).reshape(-1, 2) * (1.0, 0.0)


def _ends_and_paths(line: GridLine, panel: PanelGrid) -> tuple[dict[str, Floats], list[Floats]]:
    """Return the ends of a line at each edge of the panel, and the vertices of its parts, in pixels."""
    extent = panel.extent
    parts = shapely.get_parts(shapely.clip_by_rect(line.parts, extent.xmin, extent.ymin, extent.xmax, extent.ymax))
    parts = parts[~shapely.is_empty(parts) & (shapely.get_type_id(parts) == 1)]
    if not parts.size:
        return dict.fromkeys("lrbt", np.empty((0, 2))), []
    scale = np.array([panel.pixel_width, panel.pixel_height])
    paths = [(shapely.get_coordinates(part) - (extent.xmin, extent.ymin)) / scale for part in parts]
    ends = np.array([path[end] for path in paths for end in (0, -1)])
    at = {
        "l": ends[ends[:, 0] < 0.5],
        "r": ends[ends[:, 0] > panel.width - 0.5],
        "b": ends[ends[:, 1] < 0.5],
        "t": ends[ends[:, 1] > panel.height - 0.5],
    }
    return at, paths


def _inner_point(path: Floats, line: GridLine, panel: PanelGrid) -> Floats:
    """Return the point for the label of a line that meets no edge."""
    x, y = path.T
    if line.edges.startswith("b"):
        number = np.argmin(abs(y - panel.height / 2))  # a meridian: halfway up the panel
    elif abs(path[0] - path[-1]).max() < 1:
        number = np.argmin(y)  # a parallel around a pole: its lowest point
    else:
        number = np.argmin(x)
    return np.asarray(path[number])
