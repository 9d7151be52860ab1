"""Draw a region's map as an ordinary matplotlib figure with a GeoAxes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import AxesImage

from regionplot.geo.cartopy import cartopy_projection
from regionplot.geo.region import Region
from regionplot.render import artists
from regionplot.render.sheets import Sheet, Style
from regionplot.render.style import plain_style
from regionplot.shared.data import SharedData

if TYPE_CHECKING:
    from cartopy.mpl.geoaxes import GeoAxes
    from matplotlib.figure import Figure


_ABOVE = 3
"""zorder of the first layer; an overlay with a zorder between 0 and this lies between raster and lines."""


def plot_region(shared: SharedData, region: Region) -> Figure:
    """Draw one region's map as a figure.

    `figure.savefig(path)` gives, pixel for pixel, the map that `render_regions` writes with `[output] png = "rgb"`; a
    palette has fewer shades along the edges of lines. The first axes of the figure is
    a `cartopy.mpl.geoaxes.GeoAxes` in the map's CRS; what is drawn on it lies between raster and lines.

    Parameters
    ----------
    shared : SharedData
        What `SharedData.load` gives.
    region : Region
        One of what `read_regions` gives, or made by hand.

    Returns
    -------
    matplotlib.figure.Figure
        Not registered with pyplot: nothing to close.

    Raises
    ------
    NoOverlapError
        If the region lies outside the raster.
    RegionError
        If it cannot be projected, or its row lacks a field of the title.
    """
    with plain_style():
        return draw_figure(Sheet.of(region, Style.of(shared)))


def draw_figure(sheet: Sheet) -> Figure:
    """Return a figure of a sheet. The caller holds the default style."""
    style = sheet.style
    figure = artists.new_figure(style.layout)
    FigureCanvasAgg(figure)
    axes = _add_axes(figure, sheet)
    artists.add_key(figure, style.layout, style.scale, style.label)
    for order, artist in enumerate(sheet.artists_above(axes)):
        artist.set_zorder(_ABOVE + order)
        axes.add_artist(artist) if artist.get_clip_box() else figure.add_artist(artist)
    return figure


def _add_axes(figure: Figure, sheet: Sheet) -> GeoAxes:
    """A GeoAxes on exactly the panel's pixels, with the sampled raster as its image."""
    extent, layout = sheet.view.panel.extent, sheet.style.layout
    roomy = extent.resized(3 * extent.width, 3 * extent.height)
    projection = cartopy_projection(sheet.style.shared.crs, roomy)
    axes: GeoAxes = figure.add_axes(sheet.view.box.fractions(layout.size), projection=projection)
    axes.set_aspect("auto")
    axes.set_xlim(extent.xmin, extent.xmax)
    axes.set_ylim(extent.ymin, extent.ymax)
    axes.set_autoscale_on(False)
    axes.spines["geo"].set_visible(False)
    axes.patch.set_facecolor(sheet.style.shared.config.map.background)
    image = AxesImage(
        axes,
        extent=(extent.xmin, extent.xmax, extent.ymin, extent.ymax),
        origin="upper",
        interpolation="nearest",
        resample=False,
    )
    image.set_data(sheet.image)
    image.set_zorder(0)
    image.set_clip_box(axes.bbox)
    axes.add_image(image)
    return axes
