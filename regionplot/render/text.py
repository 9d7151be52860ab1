"""Measure, shorten and draw text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.backend_bases import RendererBase
from matplotlib.text import Text
from matplotlib.transforms import Bbox, IdentityTransform

from regionplot.render.style import DRAWING_LOCK
from regionplot.sheet.layout import HALF_CAPITAL, Layout

POINTS_PER_INCH = 72


INK = "#222222"


_SMALLEST_TITLE = 0.6
"""A long title shrinks to this part of its size; beyond that it is cut."""


_ELLIPSIS = "…"


def key_text(x: float, middle: float, text: str, layout: Layout, alignment: str) -> Text:
    """A line of text whose capitals stand around a height."""
    half = layout.label_points * layout.dpi / POINTS_PER_INCH * HALF_CAPITAL
    style: dict[str, Any] = {"fontsize": layout.label_points, "color": INK, "parse_math": False, "usetex": False}
    place: dict[str, Any] = {"horizontalalignment": alignment, "verticalalignment": "baseline"}
    return Text(round(x), round(middle - half), text, transform=IdentityTransform(), **style, **place)


class UnhintedText(Text):
    """A line of text drawn from the left end of its baseline, neither measured nor hinted.

    Measuring a title and hinting its glyphs (twice, to place and to draw them) takes longer than sampling the raster.
    """

    def draw(self, renderer: RendererBase) -> None:
        """See matplotlib."""
        context = renderer.new_gc()
        context.set_foreground(self.get_color())
        x, y = self.get_transform().transform(self.get_position())
        if renderer.flipy():  # not in PDF
            y = self.get_figure(root=True).bbox.height - y  # type: ignore[union-attr]  # it has one when it is drawn
        with _unhinted():
            renderer.draw_text(context, x, y, self.get_text(), self.get_fontproperties(), 0, mtext=self)
        context.restore()

    def get_window_extent(self, *args: Any, **keywords: Any) -> Bbox:
        """See matplotlib."""
        with _unhinted():
            return super().get_window_extent(*args, **keywords)


@contextmanager
def _unhinted() -> Iterator[None]:
    """Draw text without hinting. `rc_context` would copy all parameters."""
    with DRAWING_LOCK:
        before = matplotlib.rcParams["text.hinting"]
        matplotlib.rcParams["text.hinting"] = "none"
        try:
            yield
        finally:
            matplotlib.rcParams["text.hinting"] = before


def fit_text(title: Text, layout: Layout) -> None:
    """Make a text smaller, or cut it, so that it fits between the sheet's margins."""
    available = layout.size[0] - 2 * layout.panel.left
    if not fits_unmeasured(title.get_text(), available, layout) and (width := _width(title)) > available:
        title.set_fontsize(float(title.get_fontsize()) * max(_SMALLEST_TITLE, available / width * 0.99))
        shorten_text(title, available)


def fits_unmeasured(text: str, available: float, layout: Layout) -> bool:
    """Whether it need not be measured: no letter of ASCII is wider than the font is high."""
    return text.isascii() and len(text) * layout.title_points * layout.dpi / POINTS_PER_INCH <= available


def shorten_text(title: Text, available: float) -> None:
    """Cut a text with an ellipsis until it fits the available pixels."""
    text = title.get_text()
    while text and _width(title) > available:
        text = text[: int(len(text) * min(available / _width(title), 0.98))].rstrip()
        title.set_text(text + _ELLIPSIS)


def _width(title: Text) -> float:
    """In pixels."""
    return float(title.get_window_extent().width)
