"""Marks: lines, symbols, texts and other parts of a map, as plain values.

Layers yield marks. `render.artists` turns marks into matplotlib artists.

Marks in the panel (`ScaleImage`, `Shade`, `Hatch`, `Path`, `Markers`, `Label`, `Barbs`, `Image`, `AxesCall`) are
clipped to the panel. `Rectangle` and `Text` lie on the sheet, above everything in the panel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import shapely
from numpy.typing import NDArray

from regionplot.geo.extent import Extent
from regionplot.sheet.key import ColorBarKey
from regionplot.sheet.layout import Box
from regionplot.sheet.placing import LabelBox

INK = "#222222"
"""Usual color of the frame and its text."""
FONT = "DejaVu Sans"
"""Usual font family."""
MOVETO, LINETO, CLOSEPOLY = 1, 2, 79
"""Codes of a path. `matplotlib.path.Path` uses the same codes."""
_POLYGON = 3
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class ScaleImage:
    """The pixels of the panel as codes of the color scale."""

    codes: NDArray[np.unsignedinteger[Any]]
    """Shape (height, width), row 0 in the north."""


@dataclass(frozen=True, slots=True)
class Hatch:
    """Lines from the lower left to the upper right over the missing cells of the raster, one pixel wide."""

    color: str
    spacing: int
    """Pixels between two lines, along a row."""


@dataclass(frozen=True, slots=True, eq=False)
class Shade:
    """Light on the pixels of the raster. It does not change the colors of marks above the raster."""

    levels: NDArray[np.uint8]
    """Level of light at each pixel, shape (height, width). 0 is the darkest slope, `geo.relief.FLAT` is flat ground,
    and 255 is the lightest slope."""
    dark: str
    """Color that multiplies the colors of dark slopes."""
    light: str
    """Color that is mixed into the colors of light slopes."""
    dark_strength: float
    """Opacity of `dark` at the level 0."""
    light_strength: float
    """Opacity of `light` at the level 255."""


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """Lines or areas as one compound path, in map coordinates."""

    vertices: Floats
    """x and y, shape (n, 2)."""
    codes: NDArray[np.uint8]
    """`MOVETO`, `LINETO` or `CLOSEPOLY` for each vertex, shape (n,)."""
    facecolor: str = "none"
    edgecolor: str = "none"
    linewidth: float = 0.0
    """Line width in points."""
    cap: Literal["round", "butt"] = "round"
    """Shape of the ends of lines."""

    @classmethod
    def of_lines(cls, lines: NDArray[np.object_], color: str, linewidth: float) -> Path:
        """Return a path of LineStrings."""
        vertices, line = shapely.get_coordinates(lines, return_index=True)
        codes = np.full(len(vertices), LINETO, np.uint8)
        codes[_first_of_each(line)] = MOVETO
        return cls(vertices, codes, edgecolor=color, linewidth=linewidth)

    @classmethod
    def of_polygons(cls, polygons: NDArray[np.object_], color: str) -> Path:
        """Return a filled path of Polygons. Geometries of other types are left out.

        All shells run clockwise and all holes run counterclockwise. matplotlib fills each point whose winding number is
        not zero. Therefore, the path covers the union of the polygons, and holes are not filled.
        """
        areas = polygons[shapely.get_type_id(polygons) == _POLYGON]
        rings, polygon = shapely.get_rings(areas, return_index=True)
        vertices, ring = shapely.get_coordinates(rings, return_index=True)
        is_shell = np.diff(polygon, prepend=-1) > 0
        vertices = vertices[_oriented(vertices, ring, is_shell)]
        codes = np.full(len(vertices), LINETO, np.uint8)
        first = _first_of_each(ring)
        codes[first] = MOVETO
        codes[np.append(first[1:], len(vertices)) - 1] = CLOSEPOLY
        return cls(vertices, codes, facecolor=color)

    @classmethod
    def around_polygons(cls, polygons: NDArray[np.object_], extent: Extent, color: str) -> Path:
        """Return a filled path of everything in an extent that Polygons do not cover.

        The polygons lie in the extent and do not overlap. The path around the extent runs counterclockwise, and the
        shells of polygons run clockwise. In the polygons, the winding number is therefore zero. This takes much less
        time than the difference of the areas.
        """
        inner = cls.of_polygons(polygons, color)
        frame = shapely.get_coordinates(shapely.box(extent.xmin, extent.ymin, extent.xmax, extent.ymax, ccw=True))
        codes = np.array([MOVETO, LINETO, LINETO, LINETO, CLOSEPOLY], np.uint8)
        return cls(np.concatenate([frame, inner.vertices]), np.concatenate([codes, inner.codes]), facecolor=color)


def _oriented(vertices: Floats, ring: NDArray[np.intp], is_clockwise: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the order of vertices in which each ring runs clockwise or counterclockwise."""
    index = np.arange(len(vertices))
    if not index.size:
        return index
    first = _first_of_each(ring)
    x, y = (vertices - vertices[first][ring]).T  # relative to the first vertex, to reduce rounding errors
    crosses = np.append(x[:-1] * y[1:] - x[1:] * y[:-1], 0.0)  # 0 between the last vertex of a ring and the next ring
    is_reversed = (np.add.reduceat(crosses, first) < 0) != is_clockwise
    mirrored = (first + np.append(first[1:], len(vertices)) - 1)[ring] - index
    return np.where(is_reversed[ring], mirrored, index)


def _first_of_each(owner: NDArray[np.intp]) -> NDArray[np.intp]:
    return np.flatnonzero(np.concatenate([[True], owner[1:] != owner[:-1]]))


@dataclass(frozen=True, slots=True, eq=False)
class Markers:
    """Symbols of one size and color, in map coordinates."""

    points: Floats
    """x and y, shape (n, 2)."""
    size: float
    """Diameter in points."""
    facecolor: str
    edgecolor: str
    linewidth: float
    """Line width in points."""
    shape: Literal["circle", "square", "triangle", "diamond", "star", "cross"] = "circle"


@dataclass(frozen=True, slots=True)
class OnDark:
    """Colors of a label on a dark raster."""

    color: str
    halo: str
    box: LabelBox
    """The part of the panel that decides whether the raster is dark."""


@dataclass(frozen=True, slots=True)
class Label:
    """A short text in the panel, centered on a point, with a halo."""

    x: float
    """Pixels from the left edge of the sheet."""
    y: float
    """Pixels from the bottom edge of the sheet."""
    text: str
    points: float
    """Font size in points."""
    color: str
    halo: str
    """Color of the halo. `none`: no halo."""
    halo_points: float
    """Width of the halo around the letters, in points."""
    rotation: float = 0.0
    """Degrees by which the text is turned counterclockwise around its center."""
    weight: Literal["normal", "semibold"] = "normal"
    align: Literal["left", "center"] = "center"
    """Part of the text that lies at `x`."""
    vertical_align: Literal["baseline", "center", "center_baseline"] = "center"
    """Part of the text that lies at `y`. `center_baseline`: half the height above the baseline."""
    font: str = FONT
    """Font family."""
    on_dark: OnDark | None = None
    """Colors if the raster under the text is dark. None: the colors do not depend on the raster."""

    def reversed(self) -> Label:
        """Return the label in its colors on a dark raster."""
        if self.on_dark is None:
            return self
        return replace(self, color=self.on_dark.color, halo=self.on_dark.halo, on_dark=None)


@dataclass(frozen=True, slots=True, eq=False)
class Barbs:
    """Wind barbs. The tips of the barbs lie at the points."""

    points: Floats
    """x and y in map coordinates, shape (n, 2)."""
    wind: Floats
    """Wind to the right and to the top of the sheet, shape (n, 2). A short line stands for 5, a long line for 10 and a
    flag for 50."""
    is_southern: NDArray[np.bool_]
    """True for points in the southern hemisphere, where flags are on the other side, shape (n,)."""
    color: str
    length: float
    """Length in points."""
    linewidth: float
    """Line width in points."""


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """A picture in the panel, in whole pixels."""

    pixels: NDArray[np.uint8]
    """Red, green, blue and opacity, shape (height, width, 4)."""
    box: Box
    """Place on the sheet, of the size of the picture."""


@dataclass(frozen=True, slots=True)
class AxesCall:
    """A function that makes matplotlib artists. Use this mark for anything that no other mark can draw."""

    make_artists: Callable[[Any], Iterable[Any]]
    """Function that takes the `Axes` of the panel, in map coordinates, and returns artists. The function must not add
    the artists to the axes."""


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A rectangle on the sheet, in whole pixels and with sharp edges."""

    box: Box
    facecolor: str | tuple[float, ...]
    edgecolor: str
    line_pixels: int


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text on the sheet."""

    x: float
    """Pixels from the left edge of the sheet."""
    y: float
    """Pixels from the bottom edge of the sheet."""
    text: str
    points: float
    """Font size in points."""
    color: str = INK
    align: Literal["left", "center", "right"] = "left"
    """Part of the text that lies at `x`."""
    vertical_align: Literal["baseline", "center"] = "baseline"
    """Part of the text that lies at `y`."""
    max_width: float | None = None
    """Maximum width in pixels. A longer text is made smaller, then divided into two lines. None: no maximum."""
    smallest: float = 1.0
    """Minimum font size for a text that is too long, as a fraction of `points`."""
    alike: tuple[str, ...] = ()
    """Other texts of the same font size. If one of them is too long, this text is made smaller, too."""
    is_hinted: bool = True
    """False: the letters are drawn without hinting, which is faster."""
    font: str = FONT
    """Font family."""
    weight: Literal["normal", "semibold", "bold"] = "normal"
    is_upright: bool = True
    """False: the text runs from the bottom to the top."""


@dataclass(frozen=True, slots=True)
class ColorBar:
    """A color bar on the sheet."""

    box: Box
    key: ColorBarKey
    label: str
    points: float
    """Font size in points."""
    line_pixels: int
    """Width of the outline in pixels."""
    max_width: float
    """Maximum width of the label in pixels. Longer labels are made smaller, then truncated."""
    color: str = INK
    """Color of ticks and texts."""
    line_color: str = INK
    """Color of the outline."""
    font: str = FONT
    """Font family."""
    label_above: bool = False
    """True: the label is above the left end of the bar. False: it is below the middle of the bar."""


@dataclass(frozen=True, slots=True)
class Strokes:
    """Lines or areas in the frame of the sheet, in pixels from its lower left corner: symbols of a key."""

    lines: tuple[tuple[tuple[float, float], ...], ...]
    """x and y of the vertices of each line."""
    color: str
    linewidth: float
    """Line width in points."""
    facecolor: str | None = None
    """Color of the areas inside the lines. None: no color."""


PanelMark = ScaleImage | Shade | Hatch | Path | Markers | Label | Barbs | Image | AxesCall
SheetMark = Rectangle | Text
FrameMark = SheetMark | ColorBar | Strokes
Mark = PanelMark | FrameMark
