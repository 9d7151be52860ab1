"""Turn marks into matplotlib artists. The fast renderer and the figure use the same artists.

Most artists need no figure: `render.agg` draws them without importing `matplotlib.figure`, which takes 0.1 s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from matplotlib import patches, text
from matplotlib.artist import Artist
from matplotlib.lines import Line2D
from matplotlib.path import Path as Outline
from matplotlib.transforms import BboxBase, IdentityTransform, Transform

from regionplot.render.drawn_marks import PanelArtists
from regionplot.render.fonts import FALLBACKS, label_font, weight_of
from regionplot.render.text import HaloText, UnhintedText, fit_text, fits_unmeasured, shrink_alike, wrap_text
from regionplot.sheet.layout import POINTS_PER_INCH
from regionplot.sheet.marks import (
    AxesCall,
    Barbs,
    Image,
    Label,
    Markers,
    Path,
    Rectangle,
    SheetMark,
    Strokes,
    Text,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class PanelPlace(Protocol):
    """The place of a panel on the sheet. `matplotlib.axes.Axes` has these attributes."""

    @property
    def bbox(self) -> BboxBase:
        """The panel in pixels of the sheet."""

    @property
    def transData(self) -> Transform:  # noqa: N802 (the name in matplotlib)
        """Transform from map coordinates to pixels of the sheet."""


def panel_artists(mark: PanelArtists, axes: Axes | PanelPlace) -> Iterator[Artist]:
    """Yield the artists of a mark in the panel, clipped to it.

    Parameters
    ----------
    mark : Path, Markers, Label, Barbs, Image or AxesCall
        The mark.
    axes : Axes or PanelPlace
        The axes of the panel, in map coordinates. The artists are not added to the axes. A place is sufficient unless
        the type of the mark is in `drawn_marks.NEEDS_AXES`.
    """
    for artist in _MAKERS[type(mark)](mark, axes):
        artist.set_clip_box(axes.bbox)
        yield artist


def _path(mark: Path, axes: PanelPlace) -> Iterator[Artist]:
    style: dict[str, Any] = {"facecolor": mark.facecolor, "edgecolor": mark.edgecolor, "linewidth": mark.linewidth}
    patch = patches.PathPatch(
        Outline(mark.vertices, mark.codes), joinstyle="round", capstyle=mark.cap, snap=False, **style
    )
    patch.set_transform(axes.transData)
    yield patch


_MARKERS = {"circle": "o", "square": "s", "triangle": "^", "diamond": "D", "star": "*", "cross": "X"}


def _markers(mark: Markers, axes: PanelPlace) -> Iterator[Artist]:
    markers = Line2D(
        *mark.points.T,
        linestyle="none",
        marker=_MARKERS[mark.shape],
        markersize=mark.size,
        markerfacecolor=mark.facecolor,
        markeredgecolor=mark.edgecolor,
        markeredgewidth=mark.linewidth,
    )
    markers.set_transform(axes.transData)
    yield markers


def _label(mark: Label, axes: PanelPlace) -> Iterator[Artist]:  # noqa: ARG001 (all makers take the same arguments)
    if mark.halo != "none" and mark.vertical_align != "center":
        yield HaloText(mark, label_font(mark.text, mark.points, mark.weight, mark.font))
        return
    style: dict[str, Any] = {"fontsize": mark.points, "color": mark.color, "parse_math": False, "usetex": False}
    place: dict[str, Any] = {"horizontalalignment": mark.align, "verticalalignment": mark.vertical_align}
    place |= {"rotation": mark.rotation, "rotation_mode": "anchor"} if mark.rotation else {}
    place |= {"fontfamily": FALLBACKS.families(mark.text, mark.font), "fontweight": weight_of(mark.weight, mark.font)}
    label = text.Text(mark.x, mark.y, mark.text, transform=IdentityTransform(), **style, **place)
    if mark.halo != "none":
        from matplotlib import patheffects  # noqa: PLC0415 (few maps have halos)

        stroke = patheffects.withStroke(linewidth=2 * mark.halo_points, foreground=mark.halo, joinstyle="round")
        label.set_path_effects([stroke])
    yield label


def _barbs(mark: Barbs, axes: Axes) -> Iterator[Artist]:
    from matplotlib.quiver import Barbs as BarbArtist  # noqa: PLC0415 (few maps have barbs)

    style: dict[str, Any] = {"length": mark.length, "capstyle": "round", "joinstyle": "round"}
    yield BarbArtist(
        axes, *mark.points.T, *mark.wind.T, **style, linewidth=mark.linewidth, barbcolor=mark.color,
        flagcolor=mark.color, flip_barb=mark.is_southern, sizes=_BARB_SIZES,
    )  # fmt: skip


_BARB_SIZES = {"emptybarb": 0.18, "spacing": 0.14, "height": 0.42, "width": 0.3}


def _image(mark: Image, axes: Axes) -> Iterator[Artist]:
    from matplotlib.image import AxesImage  # noqa: PLC0415 (few maps have pictures)

    box = mark.box
    (left, bottom), (right, top) = axes.transData.inverted().transform([(box.left, box.bottom), (box.right, box.top)])
    image = AxesImage(axes, extent=(left, right, bottom, top), origin="upper", interpolation="nearest", resample=False)
    image.set_data(mark.pixels)
    image.set_transform(axes.transData)
    yield image


def _call(mark: AxesCall, axes: Axes) -> Iterable[Artist]:
    return mark.make_artists(axes)


_MAKERS: dict[type, Callable[[Any, Any], Iterable[Artist]]] = {
    Path: _path,
    Markers: _markers,
    Label: _label,
    Barbs: _barbs,
    Image: _image,
    AxesCall: _call,
}


def strokes(mark: Strokes) -> Artist:
    """Return the artist of lines in the frame of the sheet."""
    path = Outline.make_compound_path(*(Outline(line) for line in mark.lines))
    style: dict[str, Any] = {"facecolor": mark.facecolor or "none", "edgecolor": mark.color}
    style |= {"linewidth": mark.linewidth, "capstyle": "butt", "joinstyle": "round"}
    return patches.PathPatch(path, transform=IdentityTransform(), **style)


def sheet_artist(mark: SheetMark, figure: Figure) -> Artist:
    """Return the artist of a mark on the sheet. The artist is not added to the figure."""
    artist = _artist(mark, figure.dpi)
    artist.set_figure(figure)
    if isinstance(mark, Text) and isinstance(artist, text.Text) and mark.max_width is not None:
        if isinstance(artist, UnhintedText):
            smaller = shrink_alike(artist, mark.alike, mark.max_width, mark.smallest)
            wrap_text(artist, mark.max_width, mark.smallest / smaller)
        else:
            fit_text(artist, mark.max_width, mark.smallest)
    return artist


def artist_without_figure(mark: SheetMark, dpi: float) -> Artist | None:
    """Return the artist of a mark on the sheet. Return None if matplotlib must measure or hint a text of a figure."""
    if isinstance(mark, Text):
        fits = mark.max_width is None or fits_unmeasured(mark.text, mark.points, dpi, mark.max_width)
        return None if mark.is_hinted or not fits else _text(mark)
    return _rectangle(mark, dpi)


def _artist(mark: SheetMark, dpi: float) -> Artist:
    return _rectangle(mark, dpi) if isinstance(mark, Rectangle) else _text(mark)


def _rectangle(mark: Rectangle, dpi: float) -> Artist:
    style: dict[str, Any] = {"facecolor": mark.facecolor, "edgecolor": mark.edgecolor, "antialiased": False}
    style["linewidth"] = mark.line_pixels * POINTS_PER_INCH / dpi
    box = mark.box
    return patches.Rectangle((box.left, box.bottom), box.width, box.height, transform=IdentityTransform(), **style)


def _text(mark: Text) -> Artist:
    kind = text.Text if mark.is_hinted else UnhintedText
    style: dict[str, Any] = {"fontsize": mark.points, "color": mark.color, "parse_math": False, "usetex": False}
    place: dict[str, Any] = {"horizontalalignment": mark.align, "verticalalignment": mark.vertical_align}
    place |= {"fontfamily": FALLBACKS.families(mark.text, mark.font), "fontweight": mark.weight}
    if not mark.is_upright:
        place["rotation"] = "vertical"
    return kind(mark.x, mark.y, mark.text, transform=IdentityTransform(), **style, **place)
