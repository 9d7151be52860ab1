"""Draw shared cells in axes of the user, as fast as regionplot draws them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from numpy.typing import NDArray
from typing_extensions import override

from regionplot.errors import ConfigError
from regionplot.geo.extent import Extent, PanelGrid
from regionplot.geo.sampling import sample
from regionplot.inputs.color_tables import RgbBands
from regionplot.shared.data import SharedData

_PREVIEW = 1000
"""Maximum number of rows and columns from which matplotlib computes limits that the norm lacks."""


class SampledCells(AxesImage):
    """Artist that shows the same pixels as `pcolormesh`, but takes only the cells at the pixels.

    `pcolormesh` draws a polygon for each cell. This artist samples the raster when it is drawn, because the limits and
    the size of the axes can change until then.

    Parameters
    ----------
    axes : Axes
        The axes. If they have a cartopy projection, the cells are projected.
    shared : SharedData
        The data.
    **style
        Properties of the image: `cmap`, `norm`, `alpha`, `zorder` and others.
    """

    def __init__(self, axes: Axes, shared: SharedData, **style: Any) -> None:
        super().__init__(axes, **style)
        self._shared = shared
        step = max(1, *(-(-length // _PREVIEW) for length in shared.cells.shape))
        self.set_data(np.ma.masked_invalid(shared.cells[::step, ::step]))
        self.set_clip_path(axes.patch)

    @override
    def get_extent(self) -> tuple[float, float, float, float]:
        """Return the limits of the axes."""
        return (*self.axes.get_xlim(), *self.axes.get_ylim())

    @override
    def draw(self, renderer: Any) -> None:
        """Sample the cells at the pixels of the axes, and draw the pixels."""
        if self.get_visible():
            scale = renderer.get_image_magnification()
            left, bottom = (math.floor(edge * scale) for edge in self.axes.bbox.min)
            right, top = (math.ceil(edge * scale) for edge in self.axes.bbox.max)
            to_data = self.axes.transData.inverted()
            (x0, y0), (x1, y1) = to_data.transform(np.array([(left, bottom), (right, top)]) / scale)
            extent = Extent(min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1))
            values = self._sampled(PanelGrid(extent, max(1, right - left), max(1, top - bottom)))
            upward = values[:: -1 if y0 < y1 else 1, :: 1 if x0 < x1 else -1]
            self._draw_pixels(renderer, left, bottom, self.to_rgba(upward, bytes=True))
        self.stale = False

    def _draw_pixels(self, renderer: Any, left: int, bottom: int, pixels: NDArray[np.uint8]) -> None:
        """Draw pixels, row 0 at the bottom, clipped to the axes."""
        context = renderer.new_gc()
        context.set_clip_rectangle(self.get_clip_box())
        context.set_clip_path(self.get_clip_path())
        context.set_alpha(self.get_alpha())
        renderer.draw_image(context, left, bottom, pixels)
        context.restore()

    def _sampled(self, panel: PanelGrid) -> NDArray[Any]:
        """Return the values at the pixels of a panel. Missing values are masked."""
        shared = self._shared
        crs = getattr(self.axes, "projection", shared.crs)
        cells = shared.read_panel(panel, crs)
        if cells is None:
            return np.ma.masked_invalid(np.full((panel.height, panel.width), np.nan))
        return np.ma.masked_invalid(sample(*cells, panel, crs, shared.config.raster.resampling).values)


def add_cells(shared: SharedData, axes: Axes, **style: Any) -> SampledCells:
    """Add the cells to axes. See `SharedData.pcolormesh`."""
    if isinstance(shared.coloring, RgbBands):
        raise ConfigError("the raster is drawn in true color, so its cells are not numbers; choose a band in [raster]")
    style = {key: value for key, value in style.items() if value is not None}
    style = {
        **({} if "cmap" in style else {"cmap": shared.cmap}),
        **({} if "norm" in style else {"norm": shared.norm}),
        **style,
    }
    image = SampledCells(axes, shared, **style)
    axes.add_image(image)
    return image
