"""Lines of longitude and latitude, with labels inside or outside the edges of the panel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal, Self, cast

import numpy as np
import pyproj
from pydantic import Field
from typing_extensions import override

from regionplot.geo.charts import has_degrees
from regionplot.geo.clip import IndexedGeometries
from regionplot.geo.crs import Floats
from regionplot.geo.crs_cache import crs_cache
from regionplot.geo.extent import PanelGrid
from regionplot.geo.graticule import GridLine, grid_lines, label_points, line_ends, line_feet
from regionplot.geo.linework import Geometries
from regionplot.layers.base import Layer, LayerSettings, LoadContext, settings_digest
from regionplot.layers.symbol_keys import symbol_keys_width
from regionplot.settings.base import Color
from regionplot.sheet.key import ColorBarKey
from regionplot.sheet.layout import POINTS_PER_INCH, Box, Page, Room
from regionplot.sheet.marks import Label, PanelMark, Path, Rectangle, SheetMark, Text
from regionplot.sheet.placing import LabelBox
from regionplot.sheet.sheet import Sheet

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
    light_color: Color | None = None
    """Color of the lines instead of `color` if values below the scale are not drawn (`under = "none"` in `[colors]`).
    Most of a map can then be background."""
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
    """Color of the halo around letters inside the panel. `none`: no halo."""

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
        if settings.light_color is not None and context.config.colors.under == "none":
            settings = settings.model_copy(update={"color": settings.light_color})
        kind = GraticuleWithMargin if settings.labels and settings.position == "outside" else Graticule
        return cast("Self", kind(settings, settings_digest(settings)))

    @classmethod
    @override
    def room(cls, settings: GraticuleSettings, page: Page) -> Room | None:
        has_bar = page.has_short_bar and page.config.colors.colorbar and isinstance(page.key, ColorBarKey)
        has_room = has_bar or symbol_keys_width(page) > 0
        needs_room = settings.labels and settings.position == "outside" and not has_room
        height = page.pixels(settings.font_size + _BELOW)
        return Room("bottom", height, is_beside_panel=True) if needs_room else None

    @override
    def draw(self, sheet: Sheet) -> Iterator[PanelMark | SheetMark]:
        lines = self._lines(sheet)
        yield from self._paths(sheet, lines)
        if lines and self.settings.labels:
            yield from _Labels(sheet, self.settings).place(lines)

    def _lines(self, sheet: Sheet) -> list[GridLine]:
        return _lines(sheet.view.panel, sheet.crs, *self._spacing(sheet))

    def _spacing(self, sheet: Sheet) -> tuple[float | None, int | None]:
        """Return the degrees between lines, or None, and the preferred pixels between lines, or None."""
        settings, page = self.settings, sheet.layout.page
        spacing = None if isinstance(settings.spacing, str) else settings.spacing
        return spacing, None if settings.distance is None else page.pixels(settings.distance)

    def _paths(self, sheet: Sheet, lines: list[GridLine]) -> Iterator[Path]:
        settings = self.settings
        if not lines or settings.linewidth <= 0 or settings.color == "none":
            return
        reach = settings.linewidth / 2 * sheet.layout.dpi / POINTS_PER_INCH
        shown = _shown_lines(sheet.view.panel, sheet.crs, *self._spacing(sheet), reach)
        if shown.size:
            yield Path.of_lines(shown, settings.color, settings.linewidth)

    @override
    def inks(self) -> frozenset[str]:
        settings = self.settings
        if not settings.labels or settings.position == "outside":
            return frozenset({settings.color})
        return frozenset({settings.color, settings.text_color, settings.halo} - {"none"})


@crs_cache(4)
def _lines(panel: PanelGrid, crs: pyproj.CRS, spacing: float | None, distance: int | None) -> list[GridLine]:
    """Return the lines of a panel. They are kept, because panel and sheet are drawn one after the other."""
    return list(grid_lines(panel, crs, spacing, distance))


@crs_cache(4)
def _shown_lines(
    panel: PanelGrid, crs: pyproj.CRS, spacing: float | None, distance: int | None, reach: float
) -> Geometries:
    """Return the parts of the lines in a panel. `reach`: pixels beyond its edges that a line in the panel covers."""
    parts = np.concatenate([line.parts for line in _lines(panel, crs, spacing, distance)])
    return IndexedGeometries.of(parts).clip_to_panel(panel, 0.0, reach) if parts.size else parts


@crs_cache(4)
def _ends(
    panel: PanelGrid, crs: pyproj.CRS, spacing: float | None, distance: int | None
) -> list[tuple[str, str, Floats]]:
    """Return the label of each line, its preferred edge, and the points in pixels where its labels are."""
    found = []
    for line in _lines(panel, crs, spacing, distance):
        edge = line.edges[0]
        feet = line_feet(line, panel) if edge == "b" and has_degrees(crs) else None
        found.append((line.text, edge, line_ends(line, panel)[edge] if feet is None else feet))
    return found


@dataclass(frozen=True)
class GraticuleWithMargin(Graticule):
    """Lines of longitude and latitude whose labels are outside the panel: below it, and at its left."""

    ignores_raster: ClassVar[bool] = True
    mark_types: ClassVar[frozenset[type]] = frozenset({Path, Text, Rectangle})
    has_usual_texts: ClassVar[bool] = True

    @override
    def draw(self, sheet: Sheet) -> Iterator[PanelMark | SheetMark]:
        lines = self._lines(sheet)
        yield from self._paths(sheet, lines)
        if not sheet.layout.page.is_narrow:
            yield from self._labels(sheet)

    def _labels(self, sheet: Sheet) -> Iterator[SheetMark]:
        """Yield ticks and labels. A label that would touch an earlier label is left out."""
        size = sheet.layout.page.small_points(self.settings.font_size) * sheet.layout.dpi / POINTS_PER_INCH
        taken: dict[str, list[tuple[float, float]]] = {}
        for text, edge, places in self._ends(sheet):
            half = (len(text) * _LETTER + _LAST_LETTER) * size / 2
            others = taken.setdefault(edge, [])
            for x, y in places:
                along = float(x if edge == "b" else y)
                if all(abs(along - other) > half + width for other, width in others):
                    marks = list(self._label(text, float(x), float(y), edge, sheet))
                    others += [(along, half)] if marks else []
                    yield from marks

    def _ends(self, sheet: Sheet) -> list[tuple[str, str, Floats]]:
        return _ends(sheet.view.panel, sheet.crs, *self._spacing(sheet))

    def _label(self, words: str, x: float, y: float, edge: str, sheet: Sheet) -> Iterator[SheetMark]:
        """Yield the tick and the label at a point on the left or lower edge of the panel. x and y are in pixels."""
        page, box = sheet.layout.page, sheet.view.box
        tick, corner = page.pixels(_TICK), page.pixels(_CORNER)
        points = page.small_points(self.settings.font_size)
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


@dataclass
class _Labels:
    """Place labels one after the other. Leave out labels that would touch an edge of the panel or another label."""

    sheet: Sheet
    settings: GraticuleSettings
    _taken: list[LabelBox] = field(default_factory=list)

    def place(self, lines: list[GridLine]) -> Iterator[Label]:
        """Yield the labels of lines."""
        for line in lines:
            for x, y, edge in label_points(line, self.sheet.view.panel):
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
        taken = LabelBox.around(x, y, width, height)
        if (
            taken.left < box.left + inside - 1
            or taken.bottom < box.bottom + inside - 1
            or taken.right > box.right - inside + 1
            or taken.top > box.top - inside + 1
            or any(taken.overlaps(other.grown(gap, gap)) for other in self._taken)
        ):
            return None
        self._taken.append(taken)
        if self.sheet.shared_placer is not None:
            self.sheet.shared_placer.take(taken)
        style, font = self.settings, self.sheet.layout.page.font
        return Label(round(x), round(y), text, self._points, style.text_color, style.halo, _HALO, font=font)
