"""Place labels on a map so that they do not overlap.

All layers of a map share one `Placer`. It knows the boxes that are taken. A layer asks for the size of a text, tries
places for it, and takes the first free place. The module uses only numbers, so no text is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from regionplot.sheet.layout import Box

_LETTER, _ASCENT, _DESCENT = 0.62, 0.76, 0.24
"""Estimated width of a letter, and height above and below the baseline, in units of the font size."""
_FIRST = 64
"""Number of boxes for which memory is reserved at first."""


class TextSize(NamedTuple):
    """Size of a line of text in pixels."""

    width: float
    ascent: float
    """Height above the baseline."""
    descent: float
    """Depth below the baseline."""

    @property
    def height(self) -> float:
        """Height of the text."""
        return self.ascent + self.descent


Measure = Callable[[str, float, str], TextSize]
"""Function that returns the size of a text for its letters, font size in points and weight."""


class LabelBox(NamedTuple):
    """A rectangle in pixels of the sheet, from the lower left corner."""

    left: float
    bottom: float
    right: float
    top: float

    @classmethod
    def around(cls, x: float, y: float, width: float, height: float) -> LabelBox:
        """Return a box of some size around a point."""
        return cls(x - width / 2, y - height / 2, x + width / 2, y + height / 2)

    @classmethod
    def of_text(cls, left: float, baseline: float, size: TextSize) -> LabelBox:
        """Return the box of a text that begins at a point of its baseline."""
        return cls(left, baseline - size.descent, left + size.width, baseline + size.ascent)

    def grown(self, dx: float, dy: float) -> LabelBox:
        """Return the box with a margin on each side."""
        return LabelBox(self.left - dx, self.bottom - dy, self.right + dx, self.top + dy)

    def pixels_in(self, panel: Box) -> tuple[slice, slice]:
        """Return the rows and columns of the pixels of a panel that the box covers. Row 0 is at the top."""
        rows = slice(max(math.floor(panel.top - self.top), 0), max(math.ceil(panel.top - self.bottom), 0))
        return rows, slice(max(math.floor(self.left - panel.left), 0), max(math.ceil(self.right - panel.left), 0))

    def overlaps(self, other: LabelBox) -> bool:
        """Return True if the boxes have an area in common."""
        return (
            self.left < other.right and other.left < self.right
            and self.bottom < other.top and other.bottom < self.top
        )  # fmt: skip


def estimated_size(dpi: float) -> Measure:
    """Return a function that estimates the size of texts without a font."""

    def measure(text: str, points: float, weight: str) -> TextSize:  # noqa: ARG001 (all measures have these arguments)
        pixels = points * dpi / 72
        return TextSize(len(text) * _LETTER * pixels, _ASCENT * pixels, _DESCENT * pixels)

    return measure


@dataclass
class Placer:
    """The boxes of a panel that labels take."""

    panel: Box
    measure: Measure
    _taken: NDArray[np.float64] = field(default_factory=lambda: np.empty((_FIRST, 4)))
    """Left, bottom, right and top of each taken box, shape (n, 4). Only the first `_count` rows are used."""
    _count: int = 0
    symbols: dict[tuple[int, int], LabelBox] = field(default_factory=dict)
    """Boxes of symbols that have no name yet, by their rounded centers."""

    def __iter__(self) -> Iterator[LabelBox]:
        """Iterate over the taken boxes."""
        return (LabelBox(*map(float, row)) for row in self._taken[: self._count])

    def take(self, *boxes: LabelBox) -> None:
        """Take boxes, whether they are free or not."""
        for box in boxes:
            if self._count == len(self._taken):
                self._taken = np.concatenate([self._taken, np.empty_like(self._taken)])
            self._taken[self._count] = box
            self._count += 1

    def take_symbol(self, x: float, y: float, side: float) -> None:
        """Take the box of a symbol. A label can then name the symbol."""
        box = LabelBox.around(x, y, side, side)
        self.take(box)
        self.symbols[round(x), round(y)] = box

    def is_free(self, box: LabelBox, dx: float = 0.0, dy: float = 0.0) -> bool:
        """Return True if no taken box is nearer to a box than `dx` pixels along x and `dy` pixels along y."""
        left, bottom, right, top = self._taken[: self._count].T
        box = box.grown(dx, dy)
        return not bool(((box.left < right) & (left < box.right) & (box.bottom < top) & (bottom < box.top)).any())

    def are_free(self, boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return True for each box that no taken box overlaps.

        Parameters
        ----------
        boxes : ndarray, shape (n, 4)
            Left, bottom, right and top.
        """
        left, bottom, right, top = boxes.T[..., None]
        taken = self._taken[: self._count].T
        overlap = (left < taken[2]) & (taken[0] < right) & (bottom < taken[3]) & (taken[1] < top)
        return np.asarray(~overlap.any(axis=1))

    def is_inside(self, box: LabelBox, margin: float = 0.0) -> bool:
        """Return True if a box lies in the panel, at least `margin` pixels from its edges."""
        panel = self.panel
        return (
            box.left >= panel.left + margin and box.right <= panel.right - margin
            and box.bottom >= panel.bottom + margin and box.top <= panel.top - margin
        )  # fmt: skip

    def first_free(self, places: Iterable[LabelBox], gap: tuple[float, float], margin: float) -> LabelBox | None:
        """Return the first box that is free and in the panel, or None. The box is not taken.

        Parameters
        ----------
        places : iterable of LabelBox
            The places to try. The preferred place is first.
        gap : (float, float)
            Pixels to taken boxes along x and y.
        margin : float
            Pixels to the edges of the panel.
        """
        return next((box for box in places if self.is_inside(box, margin) and self.is_free(box, *gap)), None)


def places_beside(x: float, y: float, size: TextSize, distance: float) -> Iterator[LabelBox]:
    """Yield the places of a label beside a point: right, left, in the corners, above and below.

    Parameters
    ----------
    x, y : float
        The point, in pixels of the sheet.
    size : TextSize
        Size of the label.
    distance : float
        Pixels from the point to the label.
    """
    width, height, corner = size.width, size.height, 0.7 * distance
    for left, bottom in (
        (x + distance, y - height / 2),
        (x - distance - width, y - height / 2),
        (x + corner, y + corner),
        (x + corner, y - corner - height),
        (x - corner - width, y + corner),
        (x - corner - width, y - corner - height),
        (x - width / 2, y + distance),
        (x - width / 2, y - distance - height),
    ):
        yield LabelBox(left, bottom, left + width, bottom + height)
