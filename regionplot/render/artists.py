"""Make the matplotlib artists of a sheet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import shapely
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.transforms import IdentityTransform
from numpy.typing import NDArray

from regionplot.colors.base import Scale
from regionplot.colors.classes import ClassScale
from regionplot.colors.numbers import ColorScale
from regionplot.geo.extent import PanelGrid
from regionplot.inputs.vectors import FeatureLayer
from regionplot.render.colorbar import add_colorbar, whole_pixels
from regionplot.render.text import INK, UnhintedText, fit_text, key_text, shorten_text
from regionplot.sheet.layout import Box, Layout, LegendGrid


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
        style["linewidth"] = whole_pixels(layout)
        yield Rectangle((box.left, box.bottom), box.width, box.height, transform=IdentityTransform(), **style)
        name = key_text(box.right + grid.gap, box.bottom + box.height / 2, item.label, layout, "left")
        name.set_figure(figure)
        shorten_text(name, grid.name_width)
        yield name


def _legend_label(figure: Figure, layout: Layout, label: str) -> Text:
    text = key_text(layout.size[0] / 2, layout.legend_label, label, layout, "center")
    text.set_figure(figure)
    fit_text(text, layout)
    return text


def neatline(box: Box, layout: Layout) -> Rectangle:
    """The line around the panel, drawn over all that is in it; of whole pixels, so that it has no soft edge."""
    style: dict[str, Any] = {"facecolor": "none", "edgecolor": INK, "antialiased": False}
    style["linewidth"] = whole_pixels(layout)
    return Rectangle((box.left, box.bottom), box.width, box.height, transform=IdentityTransform(), **style)


def layer_artists(layer: FeatureLayer, panel: PanelGrid, axes: Axes) -> Iterator[Artist]:
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


def title_text(text: str, layout: Layout, figure: Figure) -> Text:
    """The title above a panel, made smaller or cut so that it fits between the sheet's margins."""
    title = UnhintedText(
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
    fit_text(title, layout)
    return title


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
