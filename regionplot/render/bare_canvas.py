"""Draw lines, areas, rectangles and usual texts with matplotlib's compiled modules alone.

The pixels equal those of `render.agg`, which makes matplotlib's artists of the same marks. The classes `_Pen` and
`_Outline` have the attributes that Agg reads of `GraphicsContextBase` and `Path`.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regionplot.colors.names import Rgba, rgba_of
from regionplot.fonts import files_of
from regionplot.layers.base import Layer
from regionplot.layers.features import Features
from regionplot.layers.stack import can_yield, has_usual_texts
from regionplot.layers.title import Title
from regionplot.render.compiled import CompiledModules
from regionplot.render.drawn_marks import NEEDS_AXES, PanelArtists
from regionplot.render.sheets import Style
from regionplot.sheet.layout import POINTS_PER_INCH, Box, Layout
from regionplot.sheet.marks import FONT, LINETO, Markers, Path, Rectangle, Shade, SheetMark, Text
from regionplot.sheet.view import View
from regionplot.system.threads import GLOBALS_LOCK
from regionplot.writers.base import Bytes

Matrix = NDArray[np.float64]
_SIMPLIFIED = 128
"""Minimum number of vertices of a path that matplotlib simplifies."""
_THRESHOLD = 1 / 9
"""Default of matplotlib's parameter `path.simplify_threshold`."""
_UNIT = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]], float)
_UNIT_CODES = np.array([1, 2, 2, 2, 79], np.uint8)
_FIXED = 0x10000
"""One, as FreeType writes fixed-point numbers."""
_UPRIGHT, _TURNED = np.array([[_FIXED, 0], [0, _FIXED]]), np.array([[0, -_FIXED], [_FIXED, 0]])
"""Transforms of letters of a text that runs to the right, and of one that runs upwards."""
_SUBPIXELS = 0x40
"""FreeType's units per pixel."""
_MAX_LETTERS = 1024
"""Maximum number of letters that are kept, each at a position within a pixel. They take half a megabyte."""
_BEFORE = {"left": 0.0, "center": 0.5, "right": 1.0}
"""Part of a text that lies before its position, by alignment."""
_USUAL_SIGNS = {"°", "−"}
"""Characters that all usual fonts have, in addition to ASCII."""


def draws_usual_marks(layers: Iterable[Layer]) -> bool:
    """Return True if layers draw only paths in the panel, and no texts on the sheet but titles, numbers and units."""
    return not any(map(_draws_others, layers))


def draws_usual_texts(layers: Iterable[Layer]) -> bool:
    """Return True if layers draw no texts on the sheet but titles, numbers and units."""
    return not any(can_yield(layer, (Text,)) and not has_usual_texts(layer) for layer in layers)


def _draws_others(layer: Layer) -> bool:
    if isinstance(layer, Features):
        return layer.vectors.points.size > 0
    return can_yield(layer, (*NEEDS_AXES, Markers, Shade, Text)) and not has_usual_texts(layer)


def are_usual(titles: Iterable[str], style: Style) -> bool:
    """Return True if the marks of all titles are usual. See `is_usual`."""
    layers, layout = [layer for layer in style.layers if isinstance(layer, Title)], style.layout
    return all(is_usual(layer.mark(title, layout), layout.dpi) for title in titles for layer in layers)


def is_usual(mark: Text, dpi: float) -> bool:
    """Return True if a text needs no hinting and fits, and a font of this package or of matplotlib has its letters."""
    width = len(mark.text) * mark.points * dpi / POINTS_PER_INCH  # no ASCII letter is wider than the font size
    fits = mark.max_width is None or width <= mark.max_width
    is_plain = mark.vertical_align == "baseline" and not mark.is_hinted and mark.text.isprintable()
    has_letters = mark.text.isascii() or all(letter.isascii() or letter in _USUAL_SIGNS for letter in mark.text)
    return fits and is_plain and has_letters and _weight_number(mark.font, mark.weight) is not None


def _weight_number(family: str, weight: str) -> int | None:
    """Return the number of the file of a font for a weight. Return None if matplotlib must choose the font."""
    count = 1 if family == FONT else len(files_of(family))
    number = _WEIGHTS.get(weight, count)
    return number if number < count else None


_WEIGHTS = {"normal": 0, "semibold": 1}


class _Outline(NamedTuple):
    """The attributes of a `matplotlib.path.Path` that Agg reads."""

    vertices: NDArray[np.float64]
    codes: NDArray[np.uint8]
    should_simplify: bool = False
    simplify_threshold: float = _THRESHOLD


class _Letter(NamedTuple):
    """The pixels of a letter on the sheet."""

    pixels: Bytes
    """Opacity, shape (height, width)."""
    left: int
    """First column."""
    bottom: int
    """Rows between the letter and the bottom of the sheet."""


class _Pen:
    """The attributes of a `matplotlib.backend_bases.GraphicsContextBase` that Agg reads.

    Parameters
    ----------
    color : Rgba
        Color of lines and letters.
    linewidth : float
        Line width in points. Lines that are not visible have the width 0.
    clip : ndarray, shape (2, 2), optional
        Corners of the area to draw in. By default, the whole sheet.
    cap : {"round", "butt"}
        Shape of the ends of lines.
    """

    _alpha, _forced_alpha, _antialiased = 1.0, False, 1
    _joinstyle = "round"
    _snap: bool | None = False

    def __init__(
        self, color: Rgba, linewidth: float = 0.0, clip: Matrix | None = None, cap: Literal["round", "butt"] = "round"
    ) -> None:
        self._rgb, self._cliprect, self._capstyle = color, clip, cap
        self._linewidth = linewidth if color[3] else 0.0

    def get_dashes(self) -> tuple[float, None]:
        return 0, None

    def get_clip_path(self) -> tuple[None, None]:
        return None, None

    def get_snap(self) -> bool | None:
        return self._snap

    def get_hatch_path(self, *_: float) -> None:
        return None

    def get_hatch_color(self) -> Rgba:
        return 0.0, 0.0, 0.0, 1.0

    def get_hatch_linewidth(self) -> float:
        return 1.0

    def get_sketch_params(self) -> None:
        return None


class _SharpPen(_Pen):
    """The pen of a rectangle with sharp edges."""

    _antialiased = 0
    _joinstyle = "miter"
    _snap = None


class BareCanvas:
    """A sheet of pixels. See `ink_drawing.InkCanvas`.

    Parameters
    ----------
    layout : Layout
        The layout of the sheet.
    modules : CompiledModules
        matplotlib's compiled modules.
    """

    def __init__(self, layout: Layout, modules: CompiledModules) -> None:
        self.layout = layout
        self._modules = modules
        self._renderer = modules.agg.RendererAgg(*layout.size, layout.dpi)
        self._fonts: dict[tuple[str, str], Any] = {}
        self._letters: dict[tuple[Any, ...], _Letter] = {}
        self.buffer: Bytes = np.asarray(self._renderer)
        """Shape (height, width, 4)."""

    @contextmanager
    def style(self) -> Iterator[None]:
        """Suppress warnings of NumPy. Other threads wait."""
        with GLOBALS_LOCK, np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            yield

    def slices(self, box: Box) -> tuple[slice, slice]:
        """Return the rows and columns of a box in the buffer."""
        height = self.layout.size[1]
        return slice(height - box.top, height - box.bottom), slice(box.left, box.right)

    def draw_in_panel(self, marks: Iterable[PanelArtists], view: View) -> None:
        """Draw paths in the panel of a view."""
        to_pixels, corners = _place(view, self.layout)
        for mark in marks:
            assert isinstance(mark, Path), "see `draws_usual_marks`"
            pen = _Pen(rgba_of(mark.edgecolor), mark.linewidth, corners, mark.cap)
            face = rgba_of(mark.facecolor)
            self._renderer.draw_path(pen, _outline(mark), to_pixels, face if face[3] else None)

    def draw_on_sheet(self, mark: SheetMark) -> None:
        """Draw a mark on the sheet."""
        if isinstance(mark, Rectangle):
            self._draw_rectangle(mark)
        else:
            self._draw_text(mark)

    def _draw_rectangle(self, mark: Rectangle) -> None:
        box = mark.box
        to_pixels = np.array([[box.width, 0, box.left], [0, box.height, box.bottom], [0, 0, 1]], float)
        face = _rgba(mark.facecolor)
        pen = _SharpPen(rgba_of(mark.edgecolor), mark.line_pixels * POINTS_PER_INCH / self.layout.dpi, cap="butt")
        self._renderer.draw_path(pen, _Outline(_UNIT, _UNIT_CODES), to_pixels, face if face[3] else None)

    def _draw_text(self, mark: Text) -> None:
        """Draw the letters of a text, as `text.UnhintedText` and `RendererAgg.draw_text` do."""
        font, pen, height = self._font(mark), _Pen(rgba_of(mark.color)), self.layout.size[1]
        flags = self._modules.freetype.LoadFlags.NO_HINTING
        before, angle = _BEFORE[mark.align] * self._width(mark, font), 0.0 if mark.is_upright else math.pi / 2
        x, y = (mark.x - before, mark.y) if mark.is_upright else (mark.x, mark.y - before)
        cos, sin = math.cos(angle), math.sin(angle)
        for item in font._layout(mark.text, flags, features=None, language=None):
            right, up = x + item.x * cos - item.y * sin, y + item.x * sin + item.y * cos
            letter = self._letter(mark, item, round(_SUBPIXELS * right), round(_SUBPIXELS * up))
            self._renderer.draw_text_image(letter.pixels, letter.left, height - letter.bottom, 0, pen)

    def _letter(self, mark: Text, item: Any, right: int, up: int) -> _Letter:
        """Return the pixels of a letter at a position in 64ths of a pixel.

        FreeType draws a letter that is moved by whole pixels with the same pixels. So these are kept for later titles.
        """
        columns, right = divmod(right, _SUBPIXELS)
        rows, up = divmod(up, _SUBPIXELS)
        font = item.ft_object
        key = font, mark.points, mark.is_upright, item.glyph_index, right, up
        if (found := self._letters.get(key)) is None:
            if len(self._letters) >= _MAX_LETTERS:
                self._letters.clear()
            flags, mode = self._modules.freetype.LoadFlags.NO_HINTING, self._modules.freetype.RenderMode.NORMAL
            font.set_size(mark.points, self.layout.dpi)
            font._set_transform(_UPRIGHT if mark.is_upright else _TURNED, [right, up])
            bitmap = font._render_glyph(item.glyph_index, flags, mode)
            pixels = np.array(bitmap.buffer)
            found = self._letters[key] = _Letter(pixels, bitmap.left, bitmap.top - len(pixels))
        return _Letter(found.pixels, found.left + columns, found.bottom + rows)

    def _font(self, mark: Text) -> Any:
        """Return the font of a text in its size."""
        key = mark.font, mark.weight
        if key not in self._fonts:
            number = _weight_number(*key)
            assert number is not None, "see `is_usual`"
            content = self._modules.font if mark.font == FONT else files_of(mark.font)[number].read_bytes()
            self._fonts[key] = self._modules.freetype.FT2Font(io.BytesIO(content))
        font = self._fonts[key]
        font.clear()
        font.set_size(mark.points, self.layout.dpi)
        font._set_transform(_UPRIGHT, [0, 0])
        return font

    def _width(self, mark: Text, font: Any) -> float:
        """Return the width of a text in pixels. It is not needed if the text is aligned left."""
        if mark.align == "left":
            return 0.0
        font.set_text(mark.text, 0.0, flags=self._modules.freetype.LoadFlags.NO_HINTING)
        width: float = font.get_width_height()[0]
        return width / _SUBPIXELS


def _outline(mark: Path) -> _Outline:
    codes = np.asarray(mark.codes, np.uint8)
    is_simplified = len(codes) >= _SIMPLIFIED and bool((codes <= LINETO).all())
    return _Outline(np.asarray(mark.vertices, float), codes, is_simplified)


def _rgba(color: str | tuple[float, ...]) -> tuple[Any, ...]:
    return rgba_of(color) if isinstance(color, str) else (*color, 1.0)[:4]


def _place(view: View, layout: Layout) -> tuple[Matrix, Matrix]:
    """Return the transform from map coordinates to pixels, and the corners of the panel in pixels.

    The numbers are computed as in `agg.AxesPlace`, to the last bit.
    """
    left, bottom, width, height = view.box.fractions(layout.size)
    corners = np.array([[left, bottom], [left + width, bottom + height]]) * layout.size
    (x, y), (x_end, y_end) = corners
    to_pixels = np.array([[x_end - x, 0, x], [0, y_end - y, y], [0, 0, 1]])
    extent = view.panel.extent
    across, down = 1 / (extent.xmax - extent.xmin), 1 / (extent.ymax - extent.ymin)
    to_unit = np.array([[across, 0, -extent.xmin * across], [0, down, -extent.ymin * down], [0, 0, 1]])
    return np.dot(to_pixels, to_unit), corners
