"""Draw maps, and let a function of the user add to each map.

The fast renderer draws the map. The function gets an empty GeoAxes, whose artists are drawn over the map.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from typing_extensions import override

from regionplot.errors import ConfigError, FunctionError, Place, Problem
from regionplot.geo.region import Region
from regionplot.render.canvases import Canvases
from regionplot.render.figure import add_geo_axes, draw_figure, set_extent
from regionplot.render.frame import new_figure
from regionplot.render.own import draw_alone, load_for_functions
from regionplot.render.renderer import MapRenderer
from regionplot.render.sheets import Style, make_sheet
from regionplot.render.style import plain_style
from regionplot.render.vector import vectors_of
from regionplot.settings.functions import UserFunction
from regionplot.shared.data import SharedData
from regionplot.shared.functions import call_function, load_function
from regionplot.sheet.sheet import Sheet
from regionplot.sheet.view import View
from regionplot.system.stopwatch import Stopwatch
from regionplot.text import one_line
from regionplot.writers.base import Bytes, FigurePicture, Picture, make_writer

_OPAQUE = 255
_BELOW = 1.0
"""The layers of a figure get a zorder below this number. Artists of the user usually have a zorder of 1 or more."""


class DecoratedRenderer(MapRenderer):
    """Draw maps, and call the function of `[map] decorate` for each map.

    Parameters
    ----------
    shared : SharedData
        The data to draw.
    maps : int
        Expected number of maps.
    canvases : Canvases, optional
        Canvases that the renderer shares with renderers of other fields.

    Raises
    ------
    ConfigError
        If the function cannot be imported, or the settings require a palette.
    InputError
        If the raster, or the function of `[map] load`, fails.
    """

    def __init__(self, shared: SharedData, maps: int = 1, canvases: Canvases | None = None) -> None:
        assert shared.config.map.decorate is not None, "the settings name a function"
        output = shared.config.output
        if make_writer(output).palette == "palette":
            raise ConfigError(
                f"[output.{output.format}] mode: maps with [map] decorate have no palette, because the function can "
                "draw in any color; use 'auto'"
            )
        super().__init__(shared, maps, canvases)
        self._function: UserFunction = shared.config.map.decorate
        self._loaded = load_function(self._function)
        load_for_functions(shared)

    @override
    def render(self, region: Region, watch: Stopwatch | None = None) -> Picture:
        """Draw one region. See `MapRenderer.render`.

        Raises
        ------
        FunctionError
            If the function fails.
        """
        watch = watch or Stopwatch()
        picture = super().render(region, watch)
        with draw_alone():
            figure = new_figure(self.style.layout)
            figure.patch.set_visible(False)
            view = make_view(region, self.style)
            axes = add_geo_axes(figure, view, self.style.shared.crs_of(region), self.style.layout.size)
            axes.patch.set_visible(False)
            self._decorate(axes, region, view)
            pixels = self._drawn_over(picture, figure)
        watch.lap("function")
        return replace(picture, image=pixels, palette=None)

    @override
    def render_vectors(self, region: Region) -> FigurePicture:
        """Draw one region for a vector format. See `MapRenderer.render_vectors`.

        Raises
        ------
        FunctionError
            If the function fails.
        """
        sheet = make_sheet(region, self.style)
        return vectors_of(self._decorated_figure(region, sheet), sheet, self.style)

    @override
    def figure(self, region: Region) -> Figure:
        """Draw one region as a matplotlib figure. See `MapRenderer.figure`.

        Raises
        ------
        FunctionError
            If the function fails.
        """
        return self._decorated_figure(region, make_sheet(region, self.style))

    def _decorated_figure(self, region: Region, sheet: Sheet) -> Figure:
        """Return the figure of a map to which the function has added."""
        figure = self._figure(sheet)
        with draw_alone():
            self._decorate(figure.axes[0], region, sheet.view)
        return figure

    def _figure(self, sheet: Sheet) -> Figure:
        """Return the figure of a map. Its layers lie below artists of the user."""
        with plain_style():
            figure = draw_figure(sheet, self.style)
        children = [child for child in figure.axes[0].get_children() if child.get_zorder() >= _BELOW]
        top = max([child.get_zorder() for child in children], default=_BELOW)
        for child in children:
            child.set_zorder(_BELOW * child.get_zorder() / (top + 1))
        return figure

    def _decorate(self, axes: Axes, region: Region, view: View) -> None:
        """Call the function. Then restore the limits, because the map below is already drawn."""
        call_function("decorate", self._function, self._loaded, region.name, axes, region, self.style.shared)
        set_extent(axes, view)

    def _drawn_over(self, picture: Picture, figure: Figure) -> Bytes:
        """Draw a figure over a picture. Return RGB pixels."""
        renderer = FigureCanvasAgg(figure).get_renderer()
        buffer = np.asarray(renderer.buffer_rgba())
        buffer[..., :3], buffer[..., 3] = picture.pixels, _OPAQUE
        try:
            figure.draw(renderer)
        except MemoryError:
            raise
        except Exception as error:  # an artist of the user fails only now
            place = Place(section="map" if self._function.function is None else "", key="decorate")
            message = f"an artist of {self._function.name!r} cannot be drawn: {type(error).__name__}: {error}"
            raise FunctionError(Problem(one_line(message), place)) from error
        return buffer[..., :3].copy()


def make_view(region: Region, style: Style) -> View:
    """Fit a region to the panel of a style."""
    return View.of(region, style.shared.crs_of(region), style.layout.panel, style.shared.config.map.fit)
