"""Draw a region's map as an ordinary matplotlib figure with a GeoAxes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING

import pyproj
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from regionplot.geo.cartopy import cartopy_projection
from regionplot.geo.region import Region
from regionplot.render.artists import panel_artists, sheet_artist
from regionplot.render.drawn_marks import DrawnMarks
from regionplot.render.fonts import FALLBACKS
from regionplot.render.frame import add_frame, new_figure
from regionplot.render.shading import change_colors
from regionplot.render.sheets import Style, make_sheet
from regionplot.render.style import plain_style
from regionplot.shared.data import SharedData
from regionplot.sheet.layout import Layout
from regionplot.sheet.marks import Hatch, Shade
from regionplot.sheet.sheet import Sheet
from regionplot.sheet.shifting import shifted, shifted_view
from regionplot.sheet.view import View

if TYPE_CHECKING:
    from cartopy.mpl.geoaxes import GeoAxes


_ABOVE = 3
"""zorder of the first layer above the raster. Artists that users add lie below this layer if their zorder is
less than 3."""


class MapFigure(Figure):
    """A figure of a map. Jupyter shows it as an image, also without pyplot."""

    def _repr_png_(self) -> bytes:
        """Return the figure as PNG. IPython calls this method to show the figure."""
        content = BytesIO()
        with plain_style():
            self.savefig(content, format="png")
        return content.getvalue()


def plot_region(shared: SharedData, region: Region) -> Figure:
    """Draw one region's map as a figure.

    `figure.savefig(path)` writes the same pixels as `render_regions` with `mode = "rgb"` in `[output.png]`. A palette
    image has fewer shades along the edges of lines. The first axes of the figure is a `cartopy.mpl.geoaxes.GeoAxes` in
    the map's CRS. Artists that you add to these axes lie between the raster and the lines.

    Parameters
    ----------
    shared : SharedData
        The data to draw, from `SharedData.load`.
    region : Region
        The region to draw.

    Returns
    -------
    matplotlib.figure.Figure
        The figure. It is not registered with pyplot, so you need not close it. Jupyter shows the figure if it is the
        last value of a cell.

    Raises
    ------
    NoOverlapError
        If the region lies outside the raster.
    RegionError
        If the region cannot be projected, or its row lacks a field of the title.
    """
    if shared.panels:
        from regionplot.render.sheet_of_panels import PanelsRenderer  # noqa: PLC0415 (it imports this module)

        return PanelsRenderer(shared).figure(region)
    with plain_style():
        style = Style.of(shared)
        sheet = make_sheet(region, style)
        FALLBACKS.report([sheet.title])
        return draw_figure(sheet, style)


def draw_figure(sheet: Sheet, style: Style) -> Figure:
    """Return a figure of a map. Its first axes is a GeoAxes. The caller must be inside `plain_style()`."""
    figure = new_figure(style.layout, MapFigure)
    FigureCanvasAgg(figure)
    add_map(figure, sheet, style, (0, 0), style.layout)
    return figure


def add_map(figure: Figure, sheet: Sheet, style: Style, offset: tuple[int, int], whole: Layout) -> None:
    """Add a map to a figure.

    Parameters
    ----------
    figure : Figure
        The figure.
    sheet : Sheet
        The map.
    style : Style
        The style of the map.
    offset : (int, int)
        Pixels from the lower left corner of the figure to that of the map.
    whole : Layout
        Layout with the size and the resolution of the figure.
    """
    marks = DrawnMarks.of(style.layers, sheet)
    axes = _add_axes(figure, replace(sheet, view=shifted_view(sheet.view, offset)), style, marks.shades, whole)
    add_frame(figure, style.layout, style.layers, offset, whole)
    order = _ABOVE
    for mark in marks.in_panel:
        for artist in panel_artists(shifted(mark, offset), axes):
            artist.set_zorder(order)
            axes.add_artist(artist)
            order += 1
    for number, mark_on_sheet in enumerate(marks.on_sheet, order):
        artist = sheet_artist(shifted(mark_on_sheet, offset), figure)
        artist.set_zorder(number)
        figure.add_artist(artist)


def _add_axes(figure: Figure, sheet: Sheet, style: Style, shades: Iterable[Shade | Hatch], whole: Layout) -> GeoAxes:
    """Add a GeoAxes that covers exactly the pixels of the panel, with the sampled raster as an image."""
    extent = sheet.view.panel.extent
    axes = add_geo_axes(figure, sheet.view, sheet.crs, whole.size)
    axes.patch.set_facecolor(style.shared.config.map.background)
    image = AxesImage(
        axes,
        extent=(extent.xmin, extent.xmax, extent.ymin, extent.ymax),
        origin="upper",
        interpolation="nearest",
        resample=False,
    )
    pixels = style.scale.rgba(sheet.codes)
    change_colors(pixels, sheet.codes, style.scale.nodata, shades)
    image.set_data(pixels)
    image.set_zorder(0)
    image.set_clip_box(axes.bbox)
    axes.add_image(image)
    return axes


def add_geo_axes(figure: Figure, view: View, crs: pyproj.CRS, size: tuple[int, int]) -> GeoAxes:
    """Add an empty GeoAxes that covers exactly the pixels of a panel.

    Parameters
    ----------
    figure : Figure
        The figure. Its size is that of the sheet.
    view : View
        The region and the panel.
    crs : pyproj.CRS
        CRS of the map.
    size : (int, int)
        Width and height of the sheet in pixels.
    """
    extent = view.panel.extent
    projection = cartopy_projection(crs, extent.resized(3 * extent.width, 3 * extent.height))
    axes: GeoAxes = figure.add_axes(view.box.fractions(size), projection=projection)
    axes.set_aspect("auto")
    set_extent(axes, view)
    axes.set_autoscale_on(False)
    axes.spines["geo"].set_visible(False)
    return axes


def set_extent(axes: GeoAxes, view: View) -> None:
    """Set the limits of axes to the panel of a view."""
    extent = view.panel.extent
    axes.set_xlim(extent.xmin, extent.xmax)
    axes.set_ylim(extent.ymin, extent.ymax)
