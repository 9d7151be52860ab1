"""Marks for highs and lows: H and L, with their values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from regionplot.geo.contours import Floats, find_highs
from regionplot.layers.contour_grid import NODE_PIXELS, GridValues
from regionplot.layers.contour_settings import ContourSettings
from regionplot.sheet.layout import POINTS_PER_INCH
from regionplot.sheet.marks import Label
from regionplot.sheet.placing import LabelBox
from regionplot.sheet.sheet import Sheet
from regionplot.text import number_text

REACH = 170
"""Pixels around a high or low without a higher or lower value."""
_INSIDE = 34
"""Minimum pixels to the edge of the panel."""
NEAR = 130
"""Maximum pixels from a high or low outside the panel to the panel, if it keeps labels of contour lines away."""
_PROMINENCE = 0.25
"""Minimum difference from the mean of the surroundings, as a fraction of the interval."""
_GAP = (2.0, 2.0)
"""Minimum pixels from a mark to labels, along x and along y."""
_MARK_POINTS, _VALUE_POINTS = 24, 11
_LETTER_HALO, _VALUE_HALO = 1.6, 1.2
MARK_HALO = "#ffffffe6"
"""Color of the halos."""
_RING = 1.25
"""Maximum width and height of a line that a letter covers, in font sizes of the letter."""


@dataclass(frozen=True)
class HighsAndLows:
    """The marks of one map. Highs and lows are found in the blurred field, so that they match the lines."""

    sheet: Sheet
    style: ContourSettings

    def marks(self, found: GridValues) -> Iterator[Label]:
        """Yield the marks, and take their boxes."""
        style, placer = self.style, self.sheet.placer
        x, y = found.grid.nodes
        prominence = _PROMINENCE * (style.interval or 0.0)
        for letter, sign, color in (("H", 1, style.high_color), ("L", -1, style.low_color)):
            for row, column in find_highs(sign * found.blurred, REACH // NODE_PIXELS, prominence):
                center = LabelBox.around(x[column], y[row], 0, 0)
                if not placer.is_inside(center, -NEAR if style.labels else _INSIDE):
                    continue
                value = sign * _highest(sign * found.values, row, column, found.blur)
                marks = self._mark(letter, color, center, number_text(round(value, _digits(style.interval))))
                if placer.is_inside(center, _INSIDE):
                    yield from marks

    def _mark(self, letter: str, color: str, at: LabelBox, text: str) -> list[Label]:
        """Return the letter and the value of a high or low, and take their boxes. Return nothing if there is no room.

        A mark outside the panel takes its boxes, too, so that the labels of contour lines are those of other maps.
        """
        sheet, placer = self.sheet, self.sheet.placer
        factor, x, y = sheet.label_factor, at.left, at.bottom
        letters, digits = _MARK_POINTS * factor, _VALUE_POINTS * factor
        size, below = placer.measure(letter, letters, "semibold"), placer.measure(text, digits, "semibold")
        bottom = y - size.ascent / 2 + sheet.pixels(3 * factor)
        under = bottom - sheet.pixels(5 * factor) - below.ascent
        boxes = [
            LabelBox.around(x, bottom + size.ascent / 2, size.width, size.ascent),
            LabelBox.of_text(x - below.width / 2, under, below),
        ]
        is_inside = all(placer.is_inside(box, 2) for box in boxes)
        if not (is_inside or self.style.labels) or not all(placer.is_free(box, *_GAP) for box in boxes):
            return []
        placer.take(*(box.grown(4, 3) for box in boxes))
        texts = (bottom, letter, letters, _LETTER_HALO), (under, text, digits, _VALUE_HALO)
        return [
            Label(
                round(x), round(baseline), string, points, color, MARK_HALO, halo * factor,
                weight="semibold", vertical_align="baseline", font=sheet.layout.page.font,
            )
            for baseline, string, points, halo in texts if is_inside
        ]  # fmt: skip


def is_covered(line: Floats, marks: Sequence[Label], dpi: float) -> bool:
    """Return True if a letter covers a line, of which only scraps would be visible beside the letter.

    Parameters
    ----------
    line : ndarray, shape (n, 2)
        x and y of the vertices in pixels.
    marks : sequence of Label
        The marks of the map.
    dpi : float
        Pixels per inch.
    """
    low, high = line.min(axis=0), line.max(axis=0)
    for mark in marks:
        size = mark.points * dpi / POINTS_PER_INCH
        center = np.array([mark.x, mark.y + size / 3])
        if (high - low <= _RING * size).all() and (low <= center).all() and (center <= high).all():
            return True
    return False


def _highest(values: Floats, row: int, column: int, blur: float) -> float:
    """Return the highest value within the blur around a node. The blur has lowered the peak, so it is not used."""
    reach = math.ceil(blur)
    around = values[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1]
    return float(np.nanmax(around))


def _digits(interval: float | None) -> int:
    """Return the number of decimal places for values."""
    return max(0, math.ceil(-math.log10(interval))) if interval else 0
