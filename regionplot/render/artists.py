"""Turn marks into matplotlib artists. The fast renderer and the figure use the same artists."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from matplotlib import patches, patheffects, text
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.path import Path as Outline
from matplotlib.transforms import IdentityTransform

from regionplot.layers.base import Layer
from regionplot.render.colorbar import add_colorbar
from regionplot.render.fonts import FALLBACKS
from regionplot.render.text import UnhintedText, fit_text
from regionplot.sheet.layout import POINTS_PER_INCH, Layout
from regionplot.sheet.marks import (
    AxesCall,
    ColorBar,
    Label,
    Markers,
    Path,
    Rectangle,
    ScaleImage,
    SheetMark,
    Text,
)
from regionplot.sheet.sheet import Sheet


def new_figure(layout: Layout, kind: type[Figure] = Figure) -> Figure:
    """Return an empty white figure of a class. It is not registered with pyplot."""
    figure = kind(figsize=layout.inches, dpi=layout.dpi, facecolor="white")
    figure.set_layout_engine("none")
    return figure


def add_frame(figure: Figure, layout: Layout, layers: Iterable[Layer]) -> None:
    """Add the marks that are the same on all maps to a figure: color bar, legend and others."""
    for layer in layers:
        for mark in layer.frame(layout):
            if isinstance(mark, ColorBar):
                add_colorbar(figure, layout, mark)
            else:
                figure.add_artist(sheet_artist(mark, figure))


PanelArtists = Path | Markers | Label | AxesCall


@dataclass(frozen=True)
class DrawnMarks:
    """The marks of one map, in two groups: in the panel and on the sheet."""

    in_panel: tuple[PanelArtists, ...]
    """Marks over the raster, clipped to the panel, from the bottom to the top."""
    on_sheet: tuple[SheetMark, ...]
    """Marks above everything in the panel, from the bottom to the top."""

    @classmethod
    def of(cls, layers: Iterable[Layer], sheet: Sheet) -> DrawnMarks:
        """Return the marks of layers on a map, except the raster: its image is in `Sheet.codes`."""
        marks = [mark for layer in layers for mark in layer.draw(sheet)]
        on_sheet = tuple(mark for mark in marks if isinstance(mark, Rectangle | Text))
        return cls(tuple(m for m in marks if not isinstance(m, Rectangle | Text | ScaleImage)), on_sheet)


def panel_artists(mark: PanelArtists, axes: Axes) -> Iterator[Artist]:
    """Yield the artists of a mark in the panel, clipped to it.

    Parameters
    ----------
    mark : Path, Markers, Label or AxesCall
        The mark.
    axes : Axes
        The axes of the panel, in map coordinates. The artists are not added to the axes.
    """
    for artist in _MAKERS[type(mark)](mark, axes):
        artist.set_clip_box(axes.bbox)
        yield artist


def _path(mark: Path, axes: Axes) -> Iterator[Artist]:
    style: dict[str, Any] = {"facecolor": mark.facecolor, "edgecolor": mark.edgecolor, "linewidth": mark.linewidth}
    patch = patches.PathPatch(
        Outline(mark.vertices, mark.codes), joinstyle="round", capstyle="round", snap=False, **style
    )
    patch.set_transform(axes.transData)
    yield patch


def _markers(mark: Markers, axes: Axes) -> Iterator[Artist]:
    markers = Line2D(
        *mark.points.T,
        linestyle="none",
        marker="o",
        markersize=mark.size,
        markerfacecolor=mark.facecolor,
        markeredgecolor=mark.edgecolor,
        markeredgewidth=mark.linewidth,
    )
    markers.set_transform(axes.transData)
    yield markers


def _label(mark: Label, axes: Axes) -> Iterator[Artist]:  # noqa: ARG001 (all makers take the same arguments)
    style: dict[str, Any] = {"fontsize": mark.points, "color": mark.color, "parse_math": False, "usetex": False}
    place: dict[str, Any] = {"horizontalalignment": "center", "verticalalignment": "center"}
    place["fontfamily"] = FALLBACKS.families(mark.text)
    label = text.Text(mark.x, mark.y, mark.text, transform=IdentityTransform(), **style, **place)
    if mark.halo != "none":
        stroke = patheffects.withStroke(linewidth=2 * mark.halo_points, foreground=mark.halo, joinstyle="round")
        label.set_path_effects([stroke])
    yield label


def _call(mark: AxesCall, axes: Axes) -> Iterable[Artist]:
    return mark.make_artists(axes)


_MAKERS: dict[type, Callable[[Any, Axes], Iterable[Artist]]] = {
    Path: _path,
    Markers: _markers,
    Label: _label,
    AxesCall: _call,
}


def sheet_artist(mark: SheetMark, figure: Figure) -> Artist:
    """Return the artist of a mark on the sheet. The artist is not added to the figure."""
    artist = _rectangle(mark, figure) if isinstance(mark, Rectangle) else _text(mark)
    artist.set_figure(figure)
    if isinstance(mark, Text) and isinstance(artist, text.Text) and mark.max_width is not None:
        fit_text(artist, mark.max_width, mark.smallest)
    return artist


def _rectangle(mark: Rectangle, figure: Figure) -> Artist:
    style: dict[str, Any] = {"facecolor": mark.facecolor, "edgecolor": mark.edgecolor, "antialiased": False}
    style["linewidth"] = mark.line_pixels * POINTS_PER_INCH / figure.dpi
    box = mark.box
    return patches.Rectangle((box.left, box.bottom), box.width, box.height, transform=IdentityTransform(), **style)


def _text(mark: Text) -> Artist:
    kind = text.Text if mark.is_hinted else UnhintedText
    style: dict[str, Any] = {"fontsize": mark.points, "color": mark.color, "parse_math": False, "usetex": False}
    place: dict[str, Any] = {"horizontalalignment": mark.align, "verticalalignment": mark.vertical_align}
    place["fontfamily"] = FALLBACKS.families(mark.text)
    return kind(mark.x, mark.y, mark.text, transform=IdentityTransform(), **style, **place)
