"""Labels of contour lines, in gaps of the lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from regionplot.geo.contours import ContourLine, Floats, label_spots
from regionplot.layers.contour_settings import ContourSettings
from regionplot.sheet.marks import Label
from regionplot.sheet.placing import LabelBox
from regionplot.sheet.sheet import Sheet
from regionplot.text import number_text

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
LineGaps = dict[int, list[tuple[float, float, Label]]]
"""For each labeled line, by its number: start and end of each gap along the line, and the label."""


@dataclass
class LineLabels:
    """Choose the straightest and most level places for labels. Labels keep a distance from each other."""

    sheet: Sheet
    style: ContourSettings
    bold: set[float]

    def place(self, lines: Sequence[ContourLine]) -> LineGaps:
        """Return the labels of lines. Bold lines come first."""
        long = [number for number, line in enumerate(lines) if line.length >= _MIN_LABELED]
        widths = [self._width(lines[number]) for number in long]
        spots = label_spots([lines[number] for number in long], widths)
        level = np.array([lines[number].level for number in long])[spots.line]
        is_open, placed = self._is_inside(spots.points), LineGaps()
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
        size = self.sheet.placer.measure(number_text(level), self._points, self._weight(level))
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
            x, y, number_text(level), self._points, self.style.color, self.style.casing, _LABEL_HALO,
            angle, self._weight(level), vertical_align="center_baseline",
            font=self.sheet.layout.page.font,
        )  # fmt: skip
