"""Labels of contour lines, in gaps of the lines.

The map is divided into squares at multiples of their side in map units. In each square, a level has at most one label.
The place of a label depends only on the lines in its square, also on those beyond the panel. Two maps of the same scale
therefore have the same labels where they overlap. There are no labels near the edges of squares, so that labels of
neighboring squares keep a distance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from regionplot.geo.contours import ContourLine, Floats, label_spots
from regionplot.layers.contour_grid import NODE_PIXELS
from regionplot.layers.contour_settings import ContourSettings
from regionplot.layers.label_texts import REVERSED
from regionplot.sheet.marks import Label, OnDark
from regionplot.sheet.placing import LabelBox
from regionplot.sheet.sheet import Sheet
from regionplot.text import number_text

_LABEL_HALO = 1.3
"""Width of the halo around labels in points. The halo has the color of the casing."""
DARK_HALO = "#1f242966"
"""Color of the halo around labels on dark colors."""
_LABEL_GAP = 4
"""Pixels between a label and the ends of its line."""
_MIN_LABELED = 170
"""Minimum length in pixels of a line with a label."""
_SQUARE, _SMALL_SQUARE = 340, 240
"""Pixels along a square, on usual and on small panels."""
_SMALL_PANEL = 480
"""Minimum pixels along the shorter side of a usual panel."""
_APART = 74
"""Minimum pixels between two labels."""
_MARGIN = 40
"""Pixels beyond the squares in which lines are known. Half of a label is shorter."""
MAX_LABEL_REACH = _SQUARE - _APART + _MARGIN
"""Maximum pixels beyond the panel in which lines must be known to place labels."""
_OFF_CENTER = 1.5
"""Badness of a place that is one side of a square away from the center of the square. Labels near the centers are far
from the next label of the same level."""
_TRIED = 8
"""Pixels around a place without room in which the same line is not tried again."""
_EDGE, _EDGE_X, _EDGE_Y = 6, 26, 18
"""Minimum pixels between a label and the edge of the panel, and between its center and the edge. A label that is nearer
is left out. It takes its place, so that the same labels are on a neighboring map."""
LineGaps = dict[int, list[tuple[float, float, Label]]]
"""For each labeled line, by its number: start and end of each gap along the line, and the label."""


def label_reach(sheet: Sheet) -> float:
    """Return the number of pixels beyond the panel in which lines must be known to place labels."""
    return float(_square(sheet) - _APART + _MARGIN)


def _square(sheet: Sheet) -> int:
    """Return the number of pixels along the squares of a map."""
    box = sheet.view.box
    return _SQUARE if min(box.width, box.height) >= _SMALL_PANEL else _SMALL_SQUARE


@dataclass
class LineLabels:
    """Choose the straightest and most level places for labels, one for each level in each square of the map."""

    sheet: Sheet
    style: ContourSettings
    bold: set[float]

    def place(self, lines: Sequence[ContourLine]) -> LineGaps:
        """Return the labels of lines. Bold lines come first."""
        long = [number for number, line in enumerate(lines) if line.length >= _MIN_LABELED or self._is_cut(line)]
        widths = [self._width(lines[number]) for number in long]
        spots = label_spots([lines[number] for number in long], widths)
        level = np.array([lines[number].level for number in long])[spots.line]
        square, off_center, is_open = self._squares(spots.points)
        is_shown, placed, placer = self._is_inside(spots.points), LineGaps(), self.sheet.placer
        for spot in np.lexsort((spots.badness + _OFF_CENTER * off_center, ~np.isin(level, list(self.bold)))):
            if not is_open[spot]:
                continue
            line, distance = spots.line[spot], np.hypot(*(spots.points - spots.points[spot]).T)
            label, box = self._label(float(level[spot]), spots.points[spot], float(spots.angle[spot]))
            if not placer.is_free(box, _LABEL_GAP, _LABEL_GAP):
                is_open &= (spots.line != line) | (distance > _TRIED)
                continue
            if is_shown[spot] and placer.is_inside(box, _EDGE):
                placer.take(box)
                start, end = (float(spots.along[spot] + side * widths[line] / 2) for side in (-1, 1))
                placed.setdefault(long[line], []).append((start, end, label))
            is_open &= (distance > _APART) & ((level != level[spot]) | (square != square[spot]))
        return placed

    def _is_cut(self, line: ContourLine) -> bool:
        """Return True if a line may continue beyond the grid. Its length does not count."""
        box, reach = self.sheet.view.box, label_reach(self.sheet)
        center = box.left + box.width / 2, box.bottom + box.height / 2
        x, y = abs(line.points[[0, -1]] - center).T
        return bool(((x > box.width / 2 + reach - NODE_PIXELS) | (y > box.height / 2 + reach - NODE_PIXELS)).any())

    def _squares(self, points: Floats) -> tuple[NDArray[np.intp], Floats, NDArray[np.bool_]]:
        """Return the square of each point, its distance from the center in sides, and True for possible places."""
        panel, box, side = self.sheet.view.panel, self.sheet.view.box, _square(self.sheet)
        origin = np.array([panel.extent.xmin / panel.pixel_width, panel.extent.ymin / panel.pixel_height])
        column, row = ((points - (box.left, box.bottom) + origin) / side).T
        number = np.floor(row)
        column = column + number % 2 / 2  # the squares lie like bricks
        x, y = column - np.floor(column) - 0.5, row - number - 0.5
        index = np.floor(column) - np.floor(column.min(initial=0)), number - number.min(initial=0)
        square = (index[1] * (index[0].max(initial=0) + 1) + index[0]).astype(np.intp)
        return square, np.hypot(x, y), np.maximum(abs(x), abs(y)) < 0.5 - _APART / 2 / side

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
        size = self.sheet.placer.measure(number_text(level), self._points, self._weight(level))
        return size.width, size.ascent

    def _label(self, level: float, point: Floats, angle: float) -> tuple[Label, LabelBox]:
        """Return a label and its box."""
        x, y = map(float, point)
        width, height = self._size(level)
        along, across = abs(math.cos(math.radians(angle))), abs(math.sin(math.radians(angle)))
        box = LabelBox.around(x, y, width * along + height * across, width * across + height * along)
        label = Label(
            x, y, number_text(level), self._points, self.style.color, self.style.casing, _LABEL_HALO,
            angle, self._weight(level), vertical_align="center_baseline",
            font=self.sheet.layout.page.font, on_dark=OnDark(REVERSED, DARK_HALO, box),
        )  # fmt: skip
        return label, box
