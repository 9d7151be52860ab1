"""Measure, fit and draw text."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.backend_bases import RendererBase
from matplotlib.colors import to_rgba
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.textpath import text_to_path
from matplotlib.transforms import Affine2D, Bbox, IdentityTransform
from typing_extensions import override

from regionplot.sheet.layout import POINTS_PER_INCH
from regionplot.sheet.marks import Label

_ELLIPSIS = "…"
_UNITS = re.compile(r" \([^()]*\)$")
"""Units at the end of the label of a color bar."""
_LINE_HEIGHT, _FIRST_LINE = 1.15, 0.75
"""Line spacing as a multiple of the font size, and height of the first line above the baseline in line spacings."""
_LEAST_POINTS = 5.0
"""Minimum font size of a text in two lines. A text that is still too long is truncated."""
_BEFORE = {"left": 0.0, "center": 0.5, "right": 1.0}
"""Part of a text that lies before its position, by alignment."""


class UnhintedText(Text):
    """A text that is drawn on its baseline without hinting, horizontally or from the bottom to the top.

    If the text has two lines, the first line is above the baseline, and the second line is slightly below it.

    The text is measured only if it is not aligned left.

    matplotlib measures a text and hints its glyphs twice. For a title, this takes longer than sampling the raster.
    """

    def draw(self, renderer: RendererBase) -> None:
        """Draw the text. See `matplotlib.text.Text.draw`."""
        context = renderer.new_gc()
        context.set_foreground(self.get_color())
        lines = self.get_text().split("\n")
        height: Any = renderer.points_to_pixels(_LINE_HEIGHT * float(self.get_fontsize()))
        for number, line in enumerate(lines):
            self._draw_line(renderer, context, line, 0.0 if len(lines) == 1 else (_FIRST_LINE - number) * height)
        context.restore()

    def _draw_line(self, renderer: RendererBase, context: Any, line: str, up: float) -> None:
        x, y = self.get_transform().transform(self.get_position())
        before, angle = (
            _BEFORE[self.get_horizontalalignment()] * self._measured_width(renderer, line),
            self.get_rotation(),
        )
        x, y = (x - before, y + up) if angle == 0 else (x - up, y - before)
        if renderer.flipy():  # y points down, except in PDF
            y = renderer.get_canvas_width_height()[1] - y
        with _unhinted():
            renderer.draw_text(context, x, y, line, self.get_fontproperties(), angle, mtext=self)

    def _measured_width(self, renderer: RendererBase, line: str) -> float:
        if self.get_horizontalalignment() == "left":
            return 0.0
        with _unhinted():
            return renderer.get_text_width_height_descent(line, self.get_fontproperties(), ismath=False)[0]

    def get_window_extent(self, *args: Any, **keywords: Any) -> Bbox:
        """Return the box of the text without hinting. See `matplotlib.text.Text.get_window_extent`."""
        with _unhinted():
            return super().get_window_extent(*args, **keywords)


class HaloText(Artist):
    """A line of text with a halo. The outlines of texts are kept, because maps repeat their labels.

    Parameters
    ----------
    mark : Label
        The text, its place, colors and halo. It is aligned to its baseline, or to half the height above the baseline.
    font : FontProperties
        Font and size of the text.
    """

    def __init__(self, mark: Label, font: FontProperties) -> None:
        super().__init__()
        self._mark, self._font = mark, font
        self._colors = [to_rgba(color) for color in (mark.color, mark.halo)]
        self.set_transform(IdentityTransform())

    def place(self) -> tuple[float, float]:
        """Return the place of the text, in pixels of the output."""
        x, y = self.get_transform().transform((self._mark.x, self._mark.y))
        return float(x), float(y)

    @override
    def draw(self, renderer: RendererBase) -> None:
        """Draw the halo, then the letters."""
        pixels: Any = renderer.points_to_pixels(1.0)
        outline, center = _outline(self._mark.text, self._font)
        dx = center[0] if self._mark.align == "center" else 0.0
        dy = center[1] if self._mark.vertical_align == "center_baseline" else 0.0
        place = Affine2D().translate(-dx, -dy).rotate_deg(self._mark.rotation)
        place = place.scale(self._font.get_size_in_points() * pixels / text_to_path.FONT_SCALE)
        place, (color, halo) = place.translate(*self.place()), self._colors
        context = renderer.new_gc()
        clip: Any = self.clipbox
        context.set_clip_rectangle(clip)
        context.set_joinstyle("round")
        context.set_foreground(halo, isRGBA=True)
        context.set_linewidth(2 * self._mark.halo_points * pixels)
        renderer.draw_path(context, outline, place)
        context.set_linewidth(0)
        renderer.draw_path(context, outline, place, color)
        context.restore()


@lru_cache(maxsize=4096)
def _outline(text: str, font: FontProperties) -> tuple[Path, tuple[float, float]]:
    """Return the outline of a text at the font size `FONT_SCALE`, and its center above the baseline."""
    vertices, codes = text_to_path.get_text_path(font, text)
    path = Path(vertices, codes)
    box = extents(path)
    return path, ((box.x0 + box.x1) / 2, max(box.y1, 0.0) / 2)


def extents(path: Path) -> Bbox:
    """Return the limits of a path, as `Path.get_extents` does.

    Letters usually have points at their limits. Then no curve has to be searched for its limits, which takes longer
    than drawing the text. Curves lie within the limits of their end points and control points.
    """
    vertices, codes = np.asarray(path.vertices), np.asarray(path.codes)
    is_end = np.isin(codes, [Path.MOVETO, Path.LINETO])
    for code, points in ((Path.CURVE3, 2), (Path.CURVE4, 3)):
        is_end[np.flatnonzero(codes == code)[points - 1 :: points]] = True
    is_control = np.isin(codes, [Path.CURVE3, Path.CURVE4]) & ~is_end
    if not is_end.any():
        return path.get_extents()
    low, high = vertices[is_end].min(axis=0), vertices[is_end].max(axis=0)
    controls = vertices[is_control]
    if ((controls < low) | (controls > high)).any():
        return path.get_extents()
    return Bbox([low, high])


@contextmanager
def _unhinted() -> Iterator[None]:
    """Turn hinting off. `rc_context` is slower, because it copies all parameters."""
    before = matplotlib.rcParams["text.hinting"]
    matplotlib.rcParams["text.hinting"] = "none"
    try:
        yield
    finally:
        matplotlib.rcParams["text.hinting"] = before


def fit_text(text: Text, available: float, smallest: float) -> None:
    """Shrink a text, then truncate it if necessary, so that it fits. The text must belong to a figure.

    Parameters
    ----------
    text : Text
        The text to change.
    available : float
        Available width in pixels.
    smallest : float
        Smallest font size, as a fraction of the current font size.
    """
    figure = text.get_figure(root=True)
    assert figure is not None, "the text belongs to no figure"
    if fits_unmeasured(text.get_text(), float(text.get_fontsize()), figure.dpi, available):
        return
    if (width := _width(text)) > available:
        text.set_fontsize(float(text.get_fontsize()) * max(smallest, available / width * 0.99))
        shorten_text(text, available)


def wrap_text(text: UnhintedText, available: float, smallest: float) -> None:
    """Shrink a text, then divide it into two lines, so that it fits. The text must belong to a figure.

    Two lines are shrunk further if necessary. They are truncated only if letters would be too small to read.

    Parameters
    ----------
    text : UnhintedText
        The text to change.
    available : float
        Available width in pixels.
    smallest : float
        Smallest font size of one line, as a fraction of the current font size.
    """
    letters, points = text.get_text(), float(text.get_fontsize())
    fit_text(text, available, smallest)
    if text.get_text() == letters or len(letters) < 2:
        return
    text.set_text("\n".join(halves(letters)))
    text.set_fontsize(points * smallest)
    if (width := _width(text)) > available:
        text.set_fontsize(max(points * smallest * available / width * 0.99, min(_LEAST_POINTS, points * smallest)))
    while (width := _width(text)) > available:
        letters = letters[: int(len(letters) * min(available / width, 0.98))].rstrip()
        text.set_text("\n".join(halves(letters + _ELLIPSIS)))


def shrink_alike(text: UnhintedText, others: Sequence[str], available: float, smallest: float) -> float:
    """Shrink a text until other texts would fit, too. Return the new font size as a fraction of the old size.

    Parameters
    ----------
    text : UnhintedText
        The text to change. It must belong to a figure.
    others : sequence of str
        The other texts.
    available : float
        Available width in pixels.
    smallest : float
        Smallest font size, as a fraction of the current font size.
    """
    letters, points, widest = text.get_text(), float(text.get_fontsize()), 0.0
    for other in others:
        text.set_text(other)
        widest = max(widest, _width(text))
    text.set_text(letters)
    factor = max(smallest, available / widest * 0.99) if widest > available else 1.0
    text.set_fontsize(points * factor)
    return factor


def halves(letters: str) -> tuple[str, str]:
    """Return two parts of a text of about equal length. A text with spaces is divided at a space.

    Examples
    --------
    >>> halves("Snow water equivalent")
    ('Snow water', 'equivalent')
    >>> halves("abcdef")
    ('abc', 'def')
    """
    middle = len(letters) / 2
    spaces = [place for place, letter in enumerate(letters) if letter == " "]
    place = min(spaces, key=lambda place: abs(place - middle), default=0)
    if not 0.25 * len(letters) < place < 0.75 * len(letters):
        place = round(middle)
    return letters[:place].rstrip(), letters[place:].lstrip()


def fits_unmeasured(letters: str, points: float, dpi: float, available: float) -> bool:
    """Return True if a text certainly fits: no ASCII letter is wider than the font size."""
    return letters.isascii() and len(letters) * points * dpi / POINTS_PER_INCH <= available


def shorten_text(text: Text, available: float) -> None:
    """Truncate a text and add an ellipsis, so that it fits into the available pixels. Keep short units at its end."""
    letters, units = text.get_text(), ""
    found = _UNITS.search(letters)
    if found is not None and len(found[0]) <= len(letters) / 2:
        letters, units = letters[: found.start()], found[0]
    while letters and (width := _width(text)) > available:
        letters = letters[: len(letters) - max(math.ceil(len(text.get_text()) * (1 - available / width)), 1)].rstrip()
        text.set_text(f"{letters}{_ELLIPSIS}{units}")


def _width(text: Text) -> float:
    """Return the width of a text in pixels."""
    return float(text.get_window_extent().width)
