"""Contour lines of the raster or of another field, with labels in gaps of the lines, and marks for highs and lows.

::

    field ─► nodes around the panel ─► blur ─► contourpy ─► lines ─► labels ─► gaps ─► casing, lines, labels
                                        └────► highs and lows

The nodes lie at multiples of their spacing in map units. Two maps of the same scale therefore have the same lines,
labels and marks where they overlap, except near the edges of the maps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import shapely
from numpy.typing import NDArray
from pydantic import Field as Limits
from pydantic import model_validator
from typing_extensions import override

from regionplot.errors import RegionError
from regionplot.geo.contours import (
    ContourLine,
    Floats,
    blurred,
    find_highs,
    label_spots,
    levels_between,
    trace,
)
from regionplot.geo.extent import Extent, PanelGrid
from regionplot.layers.base import Layer, LayerSettings, LoadContext, settings_digest
from regionplot.layers.field import Field, field_of
from regionplot.settings.base import Color
from regionplot.settings.field import FieldSettings
from regionplot.sheet.marks import Label, PanelMark, Path
from regionplot.sheet.placing import LabelBox, Placer
from regionplot.sheet.sheet import Sheet

NODE_PIXELS = 4
"""Pixels between the nodes of the grid on which lines are traced."""
_BEYOND = 40
"""Pixels by which the grid extends beyond the panel."""
_MAX_LEVELS = 500
_LABEL_HALO = 1.3
"""Width of the halo around labels in points. The halo has the color of the casing."""
_LABEL_GAP = 4
"""Pixels between a label and the ends of its line."""
_MIN_LABELED = 170
"""Minimum length in pixels of a line with a label."""
_SAME_LEVEL, _OTHER_LEVEL = 450, 70
"""Minimum pixels between labels of the same level, and between any two labels."""
_TRIED = 8
"""Pixels around a place without room in which the same line is not tried again."""
_EDGE_X, _EDGE_Y = 26, 18
"""Minimum pixels between the center of a label and the edge of the panel."""
_REACH, _INSIDE = 170, 34
"""Pixels around a high or low without a higher or lower value, and minimum pixels to the edge of the panel."""
_MARK_POINTS, _VALUE_POINTS = 24, 11
_MARK_HALO, _VALUE_HALO, _HALO = 1.6, 1.2, "#ffffffe6"


class ContourSettings(LayerSettings):
    """`[[contours]]`: contour lines."""

    is_array: ClassVar[bool] = True

    raster: FieldSettings | None = None
    """Raster with the values, such as `{ path = "pressure.grib2", band = "PRMSL" }`. Default: the raster of the map, in
    `[colors] units`."""
    interval: Annotated[float, Limits(gt=0)] | None = None
    """Difference between the values of two lines."""
    base: float = 0.0
    """Value from which the interval is counted."""
    levels: Annotated[tuple[float, ...], Limits(min_length=1, max_length=_MAX_LEVELS, strict=False)] | None = None
    """Values of the lines, instead of `interval`."""
    scale: float = 1.0
    """Factor for the values. Levels and labels are the values multiplied by `scale`, plus `offset`."""
    offset: float = 0.0
    """Number to add to the values."""
    smooth: Annotated[float, Limits(ge=0, le=200)] = 0.0
    """Blur of the field before lines are traced: standard deviation in pixels."""
    color: Color = "#2f5088"
    """Color of lines and labels."""
    linewidth: Annotated[float, Limits(ge=0, le=100)] = 1.0
    """Line width in points."""
    bold: Annotated[int, Limits(ge=0, le=1000)] = 5
    """Draw every n-th line with `bold_linewidth`. 0: none."""
    bold_linewidth: Annotated[float, Limits(ge=0, le=100)] = 1.7
    """Width of bold lines in points."""
    casing: Color = "#ffffff8c"
    """Color of the casing under the lines. `none`: no casing. Maps with a casing are RGB images."""
    casing_width: Annotated[float, Limits(ge=0, le=100)] = 0.8
    """Width of the casing on each side of a line, in points."""
    min_length: Annotated[float, Limits(ge=0, le=10_000)] = 40.0
    """Minimum length of a line in pixels. Shorter lines are left out."""
    labels: bool = True
    """Write the values in gaps of the lines."""
    font_size: Annotated[float, Limits(gt=0, le=100)] = 9.5
    """Font size of the labels in points, on a sheet of 14 × 9 inches."""
    highs_lows: bool = False
    """Mark highs with H and lows with L, and write their values. Maps with such marks are RGB images."""
    high_color: Color = "#1d4f9e"
    """Color of the marks of highs."""
    low_color: Color = "#b02a20"
    """Color of the marks of lows."""

    @model_validator(mode="after")
    def _check_levels(self) -> Self:
        if (self.interval is None) == (self.levels is None):
            raise ValueError("set either interval, such as 4, or levels, such as [0, 10, 20]")
        return self

    def levels_in(self, values: Floats) -> list[tuple[float, bool]]:
        """Return the levels between the smallest and the largest value, and True for bold levels.

        Raises
        ------
        RegionError
            If there are too many levels.
        """
        if not np.isfinite(values).any():
            return []
        if self.interval is None:
            return [(level, self._is_bold(number)) for number, level in enumerate(sorted(self.levels or ()))]
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        if (high - low) / self.interval > _MAX_LEVELS:
            raise RegionError(
                f"[[contours]] interval: {self.interval:g} is too small for values from {low:g} to {high:g}; "
                "use a larger interval"
            )
        found = levels_between(low, high, self.interval, self.base)
        found = found[found > low]  # a line at the smallest value would run around areas of equal values, such as 0
        return [(float(each), self._is_bold(round((each - self.base) / self.interval))) for each in found]

    def _is_bold(self, number: int) -> bool:
        return self.bold > 0 and number % self.bold == 0


@dataclass(frozen=True)
class Contours(Layer):
    """Contour lines of one field."""

    Settings = ContourSettings
    zorder: ClassVar[float] = 25
    wants_values: ClassVar[bool] = True
    mark_types: ClassVar[frozenset[type]] = frozenset({Path, Label})
    label_order: ClassVar[int] = 10
    settings: ContourSettings
    field: Field | None
    """The field. None: the raster of the map."""
    key: str

    @classmethod
    @override
    def load(cls, settings: ContourSettings, context: LoadContext) -> Self:
        if settings.raster is None:
            return cls(settings, None, settings_digest(settings))
        field = Field.load(settings.raster, context, "[[contours]] raster")
        return cls(settings, field, settings_digest(settings, field.key, exclude={"raster"}))

    @override
    def draw(self, sheet: Sheet) -> Iterator[PanelMark]:
        style = self.settings
        grid = ContourGrid.of(sheet, _REACH if style.highs_lows else _BEYOND)
        values = self._values(sheet, grid)
        if values is None:
            return
        levels = style.levels_in(values)
        marks = list(self._highs_and_lows(sheet, grid, values)) if style.highs_lows else []
        lines = trace(*grid.nodes, values, [level for level, _ in levels])
        lines = [line for line in lines if line.length >= style.min_length]
        bold = {level for level, is_bold in levels if is_bold}
        labels = _LineLabels(sheet, style, bold).place(lines) if style.labels else {}
        yield from self._lines(sheet, lines, labels, bold)
        yield from (label for spots in labels.values() for _, _, label in spots)
        yield from marks

    def _values(self, sheet: Sheet, grid: ContourGrid) -> Floats | None:
        """Return the values at the nodes of a grid, row 0 in the south, or None if there are none."""
        field = self.field or field_of(sheet)
        if field is None:
            return None
        values = field.at(grid.panel, sheet.crs)
        if self.field is None and sheet.shown is not None:
            values = sheet.shown(values)
        values = values[::-1] * self.settings.scale + self.settings.offset
        return blurred(values, self.settings.smooth / NODE_PIXELS) if self.settings.smooth else values

    def _lines(
        self, sheet: Sheet, lines: Sequence[ContourLine], labels: _Labels, bold: set[float]
    ) -> Iterator[PanelMark]:
        """Yield the casings of all lines, then the lines. Bold lines are above the others."""
        style = self.settings
        kinds: tuple[list[Floats], list[Floats]] = [], []
        for number, line in enumerate(lines):
            kinds[line.level in bold].extend(line.parts((a, b) for a, b, _ in labels.get(number, ())))
        for color, extra in ((style.casing, 2 * style.casing_width), (style.color, 0.0)):
            for width, parts in zip((style.linewidth, style.bold_linewidth), kinds, strict=True):
                if parts and width > 0 and color != "none":
                    yield _path(sheet, parts, color, width + extra)

    def _highs_and_lows(self, sheet: Sheet, grid: ContourGrid, values: Floats) -> Iterator[Label]:
        style, placer = self.settings, sheet.placer
        x, y = grid.nodes
        prominence = 0.25 * (style.interval or 0.0)
        for letter, sign, color in (("H", 1, style.high_color), ("L", -1, style.low_color)):
            for row, column in find_highs(sign * values, _REACH // NODE_PIXELS, prominence):
                center = LabelBox.around(x[column], y[row], 0, 0)
                if placer.is_inside(center, _INSIDE):
                    yield from self._mark(sheet, placer, letter, color, center, float(values[row, column]))

    def _mark(
        self, sheet: Sheet, placer: Placer, letter: str, color: str, at: LabelBox, value: float
    ) -> Iterator[Label]:
        """Yield the letter and the value of a high or low, and take their boxes."""
        factor, x, y = sheet.label_factor, at.left, at.bottom
        text = _number(round(value, _digits(self.settings.interval)))
        letters, digits = _MARK_POINTS * factor, _VALUE_POINTS * factor
        size, below = placer.measure(letter, letters, "semibold"), placer.measure(text, digits, "semibold")
        bottom = y - size.ascent / 2 + sheet.pixels(3 * factor)
        under = bottom - sheet.pixels(5 * factor) - below.ascent
        boxes = [
            LabelBox.around(x, bottom + size.ascent / 2, size.width, size.ascent),
            LabelBox.of_text(x - below.width / 2, under, below),
        ]
        if not all(placer.is_inside(box, 2) and placer.is_free(box) for box in boxes):
            return
        placer.take(*(box.grown(4, 3) for box in boxes))
        for baseline, string, points, halo in (
            (bottom, letter, letters, _MARK_HALO),
            (under, text, digits, _VALUE_HALO),
        ):
            yield Label(
                round(x), round(baseline), string, points, color, _HALO, halo * factor,
                weight="semibold", vertical_align="baseline", font=sheet.layout.page.font,
            )  # fmt: skip

    @override
    def inks(self) -> frozenset[str]:
        settings = self.settings
        casing = {settings.casing} if settings.casing_width > 0 else set()
        marks = {settings.high_color, settings.low_color, _HALO} if settings.highs_lows else set()
        return frozenset({settings.color, *casing, *marks})


_Labels = dict[int, list[tuple[float, float, Label]]]
"""For each labeled line, by its number: start and end of each gap along the line, and the label."""


@dataclass(frozen=True)
class ContourGrid:
    """Nodes around a panel, at multiples of their spacing in map units."""

    panel: PanelGrid
    """Its pixels are the nodes."""
    nodes: tuple[Floats, Floats]
    """x and y of the nodes in pixels of the sheet, in ascending order."""

    @classmethod
    def of(cls, sheet: Sheet, beyond: int) -> ContourGrid:
        """Return the nodes of a sheet's panel, and of `beyond` pixels around the panel."""
        shown, box = sheet.view.panel, sheet.view.box
        limits, nodes = [], []
        for low, high, pixel, start in (
            (shown.extent.xmin, shown.extent.xmax, shown.pixel_width, box.left),
            (shown.extent.ymin, shown.extent.ymax, shown.pixel_height, box.bottom),
        ):
            step = pixel * NODE_PIXELS
            first, last = math.floor(low / step - beyond / NODE_PIXELS), math.ceil(high / step + beyond / NODE_PIXELS)
            limits += [(first - 0.5) * step, (last + 0.5) * step]
            nodes.append(start + (np.arange(first, last + 1) * step - low) / pixel)
        x, y = nodes
        return cls(PanelGrid(Extent(*limits), x.size, y.size), (x, y))


@dataclass
class _LineLabels:
    """Choose the straightest and most level places for labels. Labels keep a distance from each other."""

    sheet: Sheet
    style: ContourSettings
    bold: set[float]

    def place(self, lines: Sequence[ContourLine]) -> _Labels:
        """Return the labels of lines. Bold lines come first."""
        long = [number for number, line in enumerate(lines) if line.length >= _MIN_LABELED]
        widths = [self._width(lines[number]) for number in long]
        spots = label_spots([lines[number] for number in long], widths)
        level = np.array([lines[number].level for number in long])[spots.line]
        is_open, placed = self._is_inside(spots.points), _Labels()
        for spot in np.lexsort((spots.badness, ~np.isin(level, list(self.bold)))):
            if not is_open[spot]:
                continue
            line, distance = spots.line[spot], np.hypot(*(spots.points - spots.points[spot]).T)
            label = self._label(float(level[spot]), spots.points[spot], float(spots.angle[spot]))
            if label is None:
                is_open &= (spots.line != line) | (distance > _TRIED)
                continue
            is_open &= (distance > _OTHER_LEVEL) & ((level != level[spot]) | (distance > _SAME_LEVEL))
            start, end = (float(spots.along[spot] + side * widths[line] / 2) for side in (-1, 1))
            placed.setdefault(long[line], []).append((start, end, label))
        return placed

    def _is_inside(self, points: Floats) -> NDArray[np.bool_]:
        """Return True for points that are not too near to an edge of the panel."""
        box = self.sheet.view.box
        x, y = (points - (box.left, box.bottom)).T
        is_inside: NDArray[np.bool_] = (
            (x > _EDGE_X) & (x < box.width - _EDGE_X) & (y > _EDGE_Y) & (y < box.height - _EDGE_Y)
        )
        return is_inside

    @property
    def _points(self) -> float:
        return self.sheet.label_points(self.style.font_size)

    def _weight(self, level: float) -> Literal["semibold", "normal"]:
        return "semibold" if level in self.bold else "normal"

    def _width(self, line: ContourLine) -> float:
        """Return the width of the gap for the label of a line."""
        return self._size(line.level)[0] + 2 * _LABEL_GAP

    def _size(self, level: float) -> tuple[float, float]:
        size = self.sheet.placer.measure(_number(level), self._points, self._weight(level))
        return size.width, size.ascent

    def _label(self, level: float, point: Floats, angle: float) -> Label | None:
        """Return a label and take its box, or return None if there is no room."""
        x, y = map(float, point)
        width, height = self._size(level)
        along, across = abs(math.cos(math.radians(angle))), abs(math.sin(math.radians(angle)))
        box = LabelBox.around(x, y, width * along + height * across, width * across + height * along)
        placer = self.sheet.placer
        if not (placer.is_inside(box, 6) and placer.is_free(box, _LABEL_GAP, _LABEL_GAP)):
            return None
        placer.take(box)
        return Label(
            x, y, _number(level), self._points, self.style.color, self.style.casing, _LABEL_HALO,
            angle, self._weight(level), vertical_align="center_baseline",
            font=self.sheet.layout.page.font,
        )  # fmt: skip


def _path(sheet: Sheet, parts: Sequence[Floats], color: str, width: float) -> Path:
    """Return a path of lines in pixels of the sheet."""
    extent, panel, box = sheet.view.panel.extent, sheet.view.panel, sheet.view.box
    scale = np.array([panel.pixel_width, panel.pixel_height])
    origin = np.array([extent.xmin - box.left * scale[0], extent.ymin - box.bottom * scale[1]])
    vertices, line = np.concatenate(parts), np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    path = Path.of_lines(shapely.linestrings(vertices * scale + origin, indices=line), color, width)
    return Path(path.vertices, path.codes, edgecolor=color, linewidth=width, cap="butt")


def _digits(interval: float | None) -> int:
    """Return the number of decimal places for values."""
    return max(0, math.ceil(-math.log10(interval))) if interval else 0


def _number(value: float) -> str:
    """Return a number with a minus sign of the height of a plus sign."""
    return f"{float(f'{value:.10g}'):.12g}".replace("-", "−")
