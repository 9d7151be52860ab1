"""The things drawn on a sheet, as matplotlib artists: the same ones whichever way the sheet is drawn."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import matplotlib
import numpy as np
import shapely
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.transforms import Bbox, IdentityTransform
from numpy.typing import NDArray

from regionplot.drawing.categories import ClassScale
from regionplot.drawing.colors import ColorScale, Scale
from regionplot.features import FeatureLayer
from regionplot.layout import HALF_CAPITAL, Layout, LegendGrid
from regionplot.models import Box, PixelGrid

_POINTS_PER_INCH = 72
INK = "#222222"
_SMALLEST_TITLE = 0.6
"""A long title shrinks to this part of its size; beyond that it is cut."""
_ELLIPSIS = "…"
_UNIT_NAMES = {"degC": "°C", "C": "°C", "degree_C": "°C", "degF": "°F", "F": "°F", "degK": "K", "1": ""}


def new_figure(layout: Layout) -> Figure:
    """An empty white sheet, without pyplot."""
    figure = Figure(figsize=layout.inches, dpi=layout.dpi, facecolor="white")
    figure.set_layout_engine("none")
    return figure


def add_key(figure: Figure, layout: Layout, scale: Scale, label: str) -> None:
    """What explains the colours, below the panel: a colour bar for numbers, a legend for classes."""
    if isinstance(scale, ColorScale):
        add_colorbar(figure, layout, scale, label)
    elif isinstance(scale, ClassScale) and layout.legend:
        for artist in legend_artists(figure, layout, layout.legend, scale):
            figure.add_artist(artist)
        figure.add_artist(_legend_label(figure, layout, label))


def legend_artists(figure: Figure, layout: Layout, grid: LegendGrid, scale: ClassScale) -> Iterator[Artist]:
    """A swatch and a name for each class."""
    for number, (item, color) in enumerate(zip(scale.shown, scale.swatches, strict=True)):
        box = grid.swatch_box(number)
        style: dict[str, Any] = {"facecolor": color, "edgecolor": INK, "antialiased": False}
        style["linewidth"] = _whole_pixels(layout)
        yield Rectangle((box.left, box.bottom), box.width, box.height, transform=IdentityTransform(), **style)
        name = _key_text(box.right + grid.gap, box.bottom + box.height / 2, item.label, layout, "left")
        name.set_figure(figure)
        _shorten(name, grid.name_width)
        yield name


def _legend_label(figure: Figure, layout: Layout, label: str) -> Text:
    text = _key_text(layout.size[0] / 2, layout.legend_label, label, layout, "center")
    text.set_figure(figure)
    _fit(text, layout)
    return text


def _key_text(x: float, middle: float, text: str, layout: Layout, alignment: str) -> Text:
    """A line of text whose capitals stand around a height."""
    half = layout.label_points * layout.dpi / _POINTS_PER_INCH * HALF_CAPITAL
    style: dict[str, Any] = {"fontsize": layout.label_points, "color": INK, "parse_math": False, "usetex": False}
    place: dict[str, Any] = {"horizontalalignment": alignment, "verticalalignment": "baseline"}
    return Text(round(x), round(middle - half), text, transform=IdentityTransform(), **style, **place)


def add_colorbar(figure: Figure, layout: Layout, scale: ColorScale, label: str) -> None:
    """The colour bar below the panel, if the layout has one."""
    if layout.colorbar is None:
        return
    axes = figure.add_axes(layout.colorbar.fractions(layout.size))
    bar = figure.colorbar(
        ScalarMappable(scale.norm, scale.cmap),
        cax=axes,
        orientation="horizontal",
        extend=scale.extend,
        extendfrac=0.015,
        ticks=scale.levels,
    )
    bar.outline.set(edgecolor=INK, linewidth=_whole_pixels(layout), antialiased=False)
    axes.tick_params(labelsize=layout.label_points, width=0.6, length=3, pad=2, colors=INK, which="major")
    axes.tick_params(width=0.4, length=1.5, which="minor")
    bar.set_label(label, fontsize=layout.label_points, color=INK, labelpad=2, parse_math=False)
    _fit(axes.xaxis.label, layout)
    if scale.levels is not None:
        axes.minorticks_off()
        axes.set_xticklabels([f"{level:g}" for level in scale.levels], parse_math=False)
        _thin_labels(figure, axes)


def _thin_labels(figure: Figure, axes: Axes) -> None:
    """Keep every second, third ... label of the classes, so that no two touch."""
    figure.draw_without_rendering()
    labels = [label for label in axes.get_xticklabels() if label.get_text()]
    boxes = [label.get_window_extent() for label in labels]
    for step in range(1, len(labels) + 1):
        kept = boxes[::step]
        if all(left.x1 + 0.3 * left.height < right.x0 for left, right in pairwise(kept)):
            break
    for number, label in enumerate(labels):
        label.set_visible(number % step == 0)


def colorbar_label(long_name: str, units: str) -> str:
    """A label out of a raster's metadata.

    Examples
    --------
    >>> colorbar_label("Snow water equivalent", "kg m-2")
    'Snow water equivalent (kg m⁻²)'
    """
    superscripts = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    shown = _UNIT_NAMES.get(units, units)
    shown = re.sub(r"(?<=[A-Za-z])\^?(-?\d+)\b", lambda power: power[1].translate(superscripts), shown)
    shown = re.sub(r"\bug\b", "µg", shown)
    return f"{long_name} ({shown})" if shown else long_name


def neatline(box: Box, layout: Layout) -> Rectangle:
    """The line around the panel, drawn over all that is in it; of whole pixels, so that it has no soft edge."""
    style: dict[str, Any] = {"facecolor": "none", "edgecolor": INK, "antialiased": False}
    style["linewidth"] = _whole_pixels(layout)
    return Rectangle((box.left, box.bottom), box.width, box.height, transform=IdentityTransform(), **style)


def _whole_pixels(layout: Layout) -> float:
    """The width of the frame's lines, in points."""
    return layout.neatline_pixels * _POINTS_PER_INCH / layout.dpi


def layer_artists(layer: FeatureLayer, panel: PixelGrid, axes: Axes) -> Iterator[Artist]:
    """One vector layer within a panel, as one compound path for its faces and one for its lines."""
    style = layer.settings
    faces = layer.polygons_in(panel)
    if faces.size:
        yield _patch(_polygon_path(faces), axes, facecolor=style.facecolor, edgecolor="none", linewidth=0)
    lines = layer.lines_in(panel)
    if lines.size and style.linewidth > 0 and style.edgecolor != "none":
        yield _patch(_line_path(lines), axes, facecolor="none", edgecolor=style.edgecolor, linewidth=style.linewidth)
    points = layer.points_in(panel)
    if points.size:
        yield _markers(points, layer, axes)


def _patch(path: Path, axes: Axes, **style: Any) -> PathPatch:
    patch = PathPatch(path, joinstyle="round", capstyle="round", snap=False, **style)
    patch.set_transform(axes.transData)
    patch.set_clip_box(axes.bbox)
    return patch


def _markers(points: NDArray[np.object_], layer: FeatureLayer, axes: Axes) -> Line2D:
    style = layer.settings
    face = style.edgecolor if style.facecolor == "none" else style.facecolor
    markers = Line2D(
        *shapely.get_coordinates(points).T,
        linestyle="none",
        marker="o",
        markersize=2 + 2 * style.linewidth,
        markerfacecolor=face,
        markeredgecolor=style.edgecolor,
        markeredgewidth=style.linewidth,
    )
    markers.set_transform(axes.transData)
    markers.set_clip_box(axes.bbox)
    return markers


def _line_path(lines: NDArray[np.object_]) -> Path:
    vertices, line = shapely.get_coordinates(lines, return_index=True)
    codes = np.full(len(vertices), Path.LINETO, Path.code_type)
    codes[_first_of_each(line)] = Path.MOVETO
    return Path(vertices, codes)


def _polygon_path(polygons: NDArray[np.object_]) -> Path:
    areas = polygons[shapely.get_type_id(polygons) == 3]
    vertices, ring = shapely.get_coordinates(shapely.get_rings(areas), return_index=True)
    codes = np.full(len(vertices), Path.LINETO, Path.code_type)
    first = _first_of_each(ring)
    codes[first] = Path.MOVETO
    codes[np.append(first[1:], len(vertices)) - 1] = Path.CLOSEPOLY
    return Path(vertices, codes)


def _first_of_each(owner: NDArray[np.intp]) -> NDArray[np.intp]:
    return np.flatnonzero(np.concatenate([[True], owner[1:] != owner[:-1]]))


class _Caption(Text):
    """A line of text drawn from the left end of its baseline, neither measured nor hinted.

    Measuring a title and hinting its glyphs (twice, to place and to draw them) takes longer than sampling the raster.
    """

    def draw(self, renderer: RendererBase) -> None:
        """See matplotlib."""
        context = renderer.new_gc()
        context.set_foreground(self.get_color())
        x, y = self.get_position()
        top = self.get_figure(root=True).bbox.height  # type: ignore[union-attr]  # it has one when it is drawn
        with _unhinted():
            renderer.draw_text(context, x, top - y, self.get_text(), self.get_fontproperties(), 0, mtext=self)
        context.restore()

    def get_window_extent(self, *args: Any, **keywords: Any) -> Bbox:
        """See matplotlib."""
        with _unhinted():
            return super().get_window_extent(*args, **keywords)


@contextmanager
def _unhinted() -> Iterator[None]:
    """Text as its outlines are, for a while; `rc_context` would copy all parameters."""
    before = matplotlib.rcParams["text.hinting"]
    matplotlib.rcParams["text.hinting"] = "none"
    try:
        yield
    finally:
        matplotlib.rcParams["text.hinting"] = before


def title_text(text: str, layout: Layout, figure: Figure) -> Text:
    """The title above a panel, made smaller or cut so that it fits between the sheet's margins."""
    title = _Caption(
        layout.panel.left,
        layout.title_baseline,
        " ".join(text.split()),
        fontsize=layout.title_points,
        color=INK,
        parse_math=False,
        usetex=False,
        transform=IdentityTransform(),
    )
    title.set_figure(figure)
    _fit(title, layout)
    return title


def _fit(title: Text, layout: Layout) -> None:
    """Make a text smaller, or cut it, so that it fits between the sheet's margins."""
    available = layout.size[0] - 2 * layout.panel.left
    if not _surely_fits(title.get_text(), available, layout) and (width := _width(title)) > available:
        title.set_fontsize(float(title.get_fontsize()) * max(_SMALLEST_TITLE, available / width * 0.99))
        _shorten(title, available)


def _surely_fits(text: str, available: float, layout: Layout) -> bool:
    """Whether it need not be measured: no letter of ASCII is wider than the font is high."""
    return text.isascii() and len(text) * layout.title_points * layout.dpi / _POINTS_PER_INCH <= available


def _shorten(title: Text, available: float) -> None:
    text = title.get_text()
    while text and _width(title) > available:
        text = text[: int(len(text) * min(available / _width(title), 0.98))].rstrip()
        title.set_text(text + _ELLIPSIS)


def _width(title: Text) -> float:
    """In pixels."""
    return float(title.get_window_extent().width)


def note_text(text: str, layout: Layout, box: Box) -> Text:
    """A note in the middle of a panel."""
    return Text(
        box.left + box.width / 2,
        box.bottom + box.height / 2,
        text,
        fontsize=layout.title_points,
        color="#777777",
        verticalalignment="center",
        horizontalalignment="center",
        parse_math=False,
        usetex=False,
        transform=IdentityTransform(),
    )
