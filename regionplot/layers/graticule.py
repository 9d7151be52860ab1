"""Lines of longitude and latitude, with labels inside or outside the edges of the panel.

::

    panel ─► longitudes and latitudes ─► spacing ─► meridians, parallels ─► map CRS ─► clip ─► lines
                                                                                         └─► ends ─► labels
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal, NamedTuple, Self, cast

import numpy as np
import pyproj
import shapely
from pydantic import Field
from typing_extensions import override

from regionplot.errors import RegionError
from regionplot.geo.clip import IndexedGeometries
from regionplot.geo.crs import Floats, meridian_offset, parse_crs, transformer, unwrap
from regionplot.geo.extent import FULL_TURN, LONLAT, PanelGrid
from regionplot.geo.linework import Geometries, join_segments, project_shown, split_at_seams
from regionplot.layers.base import Layer, LayerSettings, LoadContext, settings_digest
from regionplot.settings.base import Color
from regionplot.sheet.key import ColorBarKey
from regionplot.sheet.layout import POINTS_PER_INCH, Box, Page, Room
from regionplot.sheet.marks import Label, PanelMark, Path, Rectangle, SheetMark, Text
from regionplot.sheet.placing import LabelBox
from regionplot.sheet.sheet import Sheet

_STEPS = [factor * 10.0**power for power in range(-5, 0) for factor in (1, 2, 5)]
_STEPS += [1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0]
"""Candidates for the spacing `auto`, in degrees."""
_USUAL_LINES = 8
"""Maximum number of lines along the longer side of a panel with the spacing `auto`."""
_MAX_LINES = 1000
_POLE = 90.0
_LATITUDE_SHIFT = 0.1
"""Maximum difference in degrees between the latitudes of a point in two datums."""
_PANEL_SAMPLES = 41
"""Number of columns, and of rows, in the grid of sample points of a panel."""
_VERTEX_DISTANCE = 0.25
"""Maximum distance in degrees between the vertices of a line."""
_MIN_STEPS = 64
"""Minimum number of steps between the vertices of a line."""
_LETTER, _LAST_LETTER, _HEIGHT = 0.62, 0.4, 0.8
"""Width of a digit, extra width of the last letter (up to a W), and height of a label, in units of the font size."""
_GAP = 3
"""Points between labels and the edge of the panel, and between labels."""
_HALO = 1.2
"""Width of the halo in points."""
_TICK, _CORNER, _BELOW = 2.9, 15.8, 8
"""Points of a tick outside the panel, points between a corner of the panel and the nearest label outside, and height of
the space below the panel in addition to the font size."""


class GraticuleSettings(LayerSettings):
    """`[graticule]`: lines of longitude and latitude."""

    spacing: Literal["auto"] | Annotated[float, Field(gt=0, le=90)] = "auto"
    """Degrees between lines. `auto`: at most eight lines along the longer side of the panel, or see `distance`."""
    distance: Annotated[float, Field(gt=0, le=10_000)] | None = None
    """Points between two lines, on a sheet of 14 × 9 inches. `auto` then chooses the spacing that is nearest to it."""
    zorder: Annotated[float, Field(ge=1, le=69)] = 30
    """Place in the drawing order. Vector layers have 20, so that a graticule with 10 lies below them."""
    color: Color = "#505050"
    """Color of lines and labels."""
    linewidth: Annotated[float, Field(ge=0, le=100)] = 0.4
    """Line width in points."""
    labels: bool = True
    """Write longitudes and latitudes at the edges of the panel."""
    position: Literal["inside", "outside"] = "inside"
    """Place of the labels. `outside`: longitudes are below the panel, and latitudes at its left, without a halo. The
    latitudes need a `margin` of 16 points in `[sheet]`."""
    label_color: Color | None = None
    """Color of the labels, if it is not `color`."""
    font_size: Annotated[float, Field(gt=0, le=100)] = 8
    """Font size of the labels in points, on a sheet of 14 × 9 inches."""
    halo: Color = "white"
    """Color of the halo around letters inside the panel. `none`: no halo. Maps with a halo are RGB images."""

    @property
    def text_color(self) -> str:
        """Color of the labels."""
        return self.color if self.label_color is None else self.label_color


@dataclass(frozen=True)
class Graticule(Layer):
    """Lines of longitude and latitude (EPSG:4326)."""

    Settings = GraticuleSettings
    zorder: ClassVar[float] = 30
    ignores_raster: ClassVar[bool] = True
    mark_types: ClassVar[frozenset[type]] = frozenset({Path, Label})
    settings: GraticuleSettings
    key: str

    @classmethod
    @override
    def load(cls, settings: GraticuleSettings, context: LoadContext) -> Self:
        kind = GraticuleWithMargin if settings.labels and settings.position == "outside" else Graticule
        return cast("Self", kind(settings, settings_digest(settings)))

    @classmethod
    @override
    def room(cls, settings: GraticuleSettings, page: Page) -> Room | None:
        has_room = (
            page.config.sheet.colorbar == "short" and page.config.colors.colorbar and isinstance(page.key, ColorBarKey)
        )
        needs_room = settings.labels and settings.position == "outside" and not has_room
        height = page.pixels(settings.font_size + _BELOW)
        return Room("bottom", height, is_beside_panel=True) if needs_room else None

    @override
    def draw(self, sheet: Sheet) -> Iterator[PanelMark | SheetMark]:
        lines = self._lines(sheet)
        yield from self._paths(sheet, lines)
        if lines and self.settings.labels:
            yield from _Labels(sheet, self.settings).place(lines)

    def _lines(self, sheet: Sheet) -> list[_Line]:
        kinds = _lines(sheet, self.settings)
        return [line for kind in kinds for line in kind.lines()]

    def _paths(self, sheet: Sheet, lines: list[_Line]) -> Iterator[Path]:
        if not lines:
            return
        settings = self.settings
        parts = np.concatenate([line.parts for line in lines])
        reach = settings.linewidth / 2 * sheet.layout.dpi / POINTS_PER_INCH
        shown = IndexedGeometries.of(parts).clip_to_panel(sheet.view.panel, 0.0, reach) if parts.size else parts
        if shown.size and settings.linewidth > 0 and settings.color != "none":
            yield Path.of_lines(shown, settings.color, settings.linewidth)

    @override
    def inks(self) -> frozenset[str] | None:
        settings = self.settings
        if not settings.labels or settings.position == "outside":
            return frozenset({settings.color})
        return None if settings.halo != "none" else frozenset({settings.color, settings.text_color})


@dataclass(frozen=True)
class GraticuleWithMargin(Graticule):
    """Lines of longitude and latitude whose labels are outside the panel: below it, and at its left."""

    ignores_raster: ClassVar[bool] = True
    mark_types: ClassVar[frozenset[type]] = frozenset({Path, Text, Rectangle})

    @override
    def draw(self, sheet: Sheet) -> Iterator[PanelMark | SheetMark]:
        lines = self._lines(sheet)
        yield from self._paths(sheet, lines)
        for line in lines:
            edge = line.edges[0]
            for place in _ends(line, sheet.view.panel)[edge]:
                yield from self._label(line.text, float(place[0]), float(place[1]), edge, sheet)

    def _label(self, words: str, x: float, y: float, edge: str, sheet: Sheet) -> Iterator[SheetMark]:
        """Yield the tick and the label at a point on the left or lower edge of the panel. x and y are in pixels."""
        page, box = sheet.layout.page, sheet.view.box
        tick, corner = page.pixels(_TICK), page.pixels(_CORNER)
        points = self.settings.font_size * page.text_factor
        size = points * page.dpi / POINTS_PER_INCH
        is_below = edge == "b"
        along, length, origin = (x, box.width, box.left) if is_below else (y, box.height, box.bottom)
        if not corner <= along <= length - corner or (not is_below and box.left < tick + _HEIGHT * size):
            return
        at, width = origin + round(along), page.neatline_pixels
        ticks = Box(at, box.bottom - tick, width, tick) if is_below else Box(box.left - tick, at, tick, width)
        yield Rectangle(ticks, page.line_ink, "none", 0)
        yield Text(
            at if is_below else box.left - 2 * tick,
            box.bottom - 2 * tick - round(size * _HEIGHT) if is_below else at,
            words,
            points,
            self.settings.text_color,
            align="center",
            is_hinted=False,
            font=page.font,
            is_upright=is_below,
        )


class _Line(NamedTuple):
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

    def lines(self) -> Iterator[_Line]:
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
            yield _Line(*self.label(float(value)), parts)


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


def _lines(sheet: Sheet, settings: GraticuleSettings) -> Iterator[_Lines]:
    """Yield the parallels and the meridians of a map.

    Raises
    ------
    RegionError
        If there are too many lines.
    """
    panel, crs, spacing = sheet.view.panel, sheet.crs, settings.spacing
    west, east, south, north = _limits(panel, crs)
    if isinstance(spacing, str) and settings.distance is not None:
        spacing = _nearest_step((north - south) / panel.height * sheet.layout.page.pixels(settings.distance))
    longer = max(panel.width, panel.height)
    columns, rows = (max(2.0, _USUAL_LINES * side / longer) for side in (panel.width, panel.height))
    if east - west >= FULL_TURN and not _has_longitudes(crs):
        west, east, columns = west, west + FULL_TURN, 2 * _USUAL_LINES
    meridians = _multiples(west, east, _step(spacing, east - west, columns))
    parallels = _multiples(south, north, _step(spacing, north - south, rows))
    yield _Parallels(parallels[abs(parallels) < _POLE], _vertices(west, east), crs)
    yield _Meridians(meridians, _vertices(south, north), crs)


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


def _step(spacing: float | str, length: float, lines: float) -> float:
    """Return the degrees between lines, for a length in degrees and a maximum number of lines."""
    if not isinstance(spacing, str):
        return spacing
    return next((step for step in _STEPS if step >= length / lines * (1 - 1e-9)), _STEPS[-1])


def _nearest_step(degrees: float) -> float:
    """Return the step whose ratio to a number of degrees is nearest to one."""
    return min(_STEPS, key=lambda step: abs(math.log(step / degrees))) if degrees > 0 else _STEPS[-1]


def _multiples(first: float, last: float, step: float) -> Floats:
    """Return the multiples of a step between two values."""
    start, end = math.ceil(first / step - 1e-9), math.floor(last / step + 1e-9)
    if end - start >= _MAX_LINES:
        raise RegionError(
            f"[graticule] spacing: {step:g} degrees are {end - start + 1} lines on the map; use a larger spacing"
        )
    return np.arange(start, end + 1) * step


def _vertices(first: float, last: float) -> Floats:
    steps = max(_MIN_STEPS, math.ceil((last - first) / _VERTEX_DISTANCE))
    return np.linspace(first, last, steps + 1)


@dataclass
class _Labels:
    """Place labels one after the other. Leave out labels that would touch an edge of the panel or another label."""

    sheet: Sheet
    settings: GraticuleSettings
    _taken: list[tuple[float, float, float, float]] = field(default_factory=list)
    """Left, bottom, right and top of each placed label, in pixels."""

    def place(self, lines: list[_Line]) -> Iterator[Label]:
        """Yield the labels of lines."""
        for line in lines:
            for x, y, edge in _anchors(line, self.sheet.view.panel):
                label = self._label(line.text, x, y, edge)
                if label is not None:
                    yield label

    @property
    def _points(self) -> float:
        return self.settings.font_size * self.sheet.layout.page.text_factor

    def _pixels(self, points: float) -> float:
        return points * self.sheet.layout.dpi / POINTS_PER_INCH

    def _label(self, text: str, x: float, y: float, edge: str) -> Label | None:
        """Return a label near a point of the panel, or None if there is no space. x and y are in pixels.

        A label at an edge is moved inward.
        """
        box, size, gap = self.sheet.view.box, self._pixels(self._points), self._pixels(_GAP)
        width, height = (len(text) * _LETTER + _LAST_LETTER) * size, _HEIGHT * size
        inside = self.sheet.layout.page.neatline_pixels / 2 + gap
        x, y = box.left + x, box.bottom + y
        x = {"l": box.left + inside + width / 2, "r": box.right - inside - width / 2}.get(edge, x)
        y = {"b": box.bottom + inside + height / 2, "t": box.top - inside - height / 2}.get(edge, y)
        taken = x - width / 2, y - height / 2, x + width / 2, y + height / 2
        if (
            taken[0] < box.left + inside - 1
            or taken[1] < box.bottom + inside - 1
            or taken[2] > box.right - inside + 1
            or taken[3] > box.top - inside + 1
            or any(_overlap(taken, other, gap) for other in self._taken)
        ):
            return None
        self._taken.append(taken)
        if self.sheet.shared_placer is not None:
            self.sheet.shared_placer.take(LabelBox(*taken))
        style, font = self.settings, self.sheet.layout.page.font
        return Label(round(x), round(y), text, self._points, style.text_color, style.halo, _HALO, font=font)


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float], gap: float) -> bool:
    return (
        one[0] < other[2] + gap and other[0] < one[2] + gap
        and one[1] < other[3] + gap and other[1] < one[3] + gap
    )  # fmt: skip


def _anchors(line: _Line, panel: PanelGrid) -> Iterator[tuple[float, float, str]]:
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


def _ends(line: _Line, panel: PanelGrid) -> dict[str, Floats]:
    """Return the points at which a line meets the edges of the panel, in pixels from its lower left corner.

    The keys are `l`, `r`, `b` and `t`.
    """
    return _ends_and_paths(line, panel)[0]


def _ends_and_paths(line: _Line, panel: PanelGrid) -> tuple[dict[str, Floats], list[Floats]]:
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


def _inner_point(path: Floats, line: _Line, panel: PanelGrid) -> Floats:
    """Return the point for the label of a line that meets no edge."""
    x, y = path.T
    if line.edges.startswith("b"):
        number = np.argmin(abs(y - panel.height / 2))  # a meridian: halfway up the panel
    elif abs(path[0] - path[-1]).max() < 1:
        number = np.argmin(y)  # a parallel around a pole: its lowest point
    else:
        number = np.argmin(x)
    return np.asarray(path[number])
