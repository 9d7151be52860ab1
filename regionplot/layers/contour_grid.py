"""The values of a field at nodes around a panel, on which contours are traced."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from regionplot.geo.contours import Floats, blurred
from regionplot.geo.extent import Extent, PanelGrid
from regionplot.geo.windows import cells_per_pixel
from regionplot.layers.contour_settings import ContourSettings
from regionplot.layers.field import Field
from regionplot.sheet.sheet import Sheet

NODE_PIXELS = 4
"""Pixels between the nodes of the grid on which lines are traced."""
_SMOOTH_CELLS, _ROUGH_CELLS = 0.2, 0.8
"""Automatic blur of smooth and of rough fields: standard deviation in cells."""
LEAST_BLUR, _MOST = 3.0, 80.0
"""Limits of the automatic blur in pixels."""
_ROUGH = 0.7
"""Minimum roughness of rough fields. Pressure and heights of models have 0.25 to 0.55, means of observations 1.3, and
white noise has 1.7."""
BLUR_REACH = 3
"""Reach of the blur in standard deviations. Nodes that are nearer to the edge of a grid depend on the edge."""
_BLUR_STEPS = 2
"""Number of automatic blurs between one blur and its double. Neighboring maps have the same blur."""


@dataclass(frozen=True)
class ContourGrid:
    """Nodes around a panel, at multiples of their spacing in map units."""

    panel: PanelGrid
    """Its pixels are the nodes."""
    nodes: tuple[Floats, Floats]
    """x and y of the nodes in pixels of the sheet, in ascending order."""

    @classmethod
    def of(cls, sheet: Sheet, beyond: float) -> ContourGrid:
        """Return the nodes of a sheet's panel, and of `beyond` pixels around the panel."""
        shown, box = sheet.view.panel, sheet.view.box
        limits, nodes = [], []
        for low, high, pixel, start in (
            (shown.extent.xmin, shown.extent.xmax, shown.pixel_width, box.left),
            (shown.extent.ymin, shown.extent.ymax, shown.pixel_height, box.bottom),
        ):
            step = pixel * NODE_PIXELS
            first, last = math.floor(low / step - beyond / NODE_PIXELS), math.ceil(high / step + beyond / NODE_PIXELS)
            limits += [(first - 0.5) * step, (last + 0.5) * step]
            nodes.append(start + (np.arange(first, last + 1) * step - low) / pixel)
        x, y = nodes
        return cls(PanelGrid(Extent(*limits), x.size, y.size), (x, y))


@dataclass(frozen=True, eq=False)
class GridValues:
    """The values of a field at the nodes of a grid. Row 0 is in the south."""

    grid: ContourGrid
    values: Floats
    """Values without blur, NaN if missing."""
    blurred: Floats
    """Values from which lines are traced."""
    blur: float
    """Standard deviation of the blur in nodes."""

    @classmethod
    def of(cls, sheet: Sheet, field: Field, settings: ContourSettings, beyond: float) -> GridValues:
        """Return the values around a panel.

        Parameters
        ----------
        sheet : Sheet
            The map.
        field : Field
            The field.
        settings : ContourSettings
            The blur, and the scale of the values.
        beyond : float
            Pixels around the panel that are needed.
        """
        pixels = blur_pixels(sheet, field, settings)
        grid = ContourGrid.of(sheet, max(beyond, BLUR_REACH * pixels))
        values = field.at(grid.panel, sheet.crs)
        if settings.raster is None and sheet.shown is not None:
            values = sheet.shown(values)
        values = values[::-1] * settings.scale + settings.offset
        blur = pixels / NODE_PIXELS
        return cls(grid, values, blurred(values, blur) if blur else values, blur)

    def within(self, grid: ContourGrid) -> GridValues:
        """Return the values at the nodes of a smaller grid."""
        (own_x, own_y), (x, y) = self.grid.nodes, grid.nodes
        left, bottom = (round((nodes[0] - own[0]) / NODE_PIXELS) for own, nodes in ((own_x, x), (own_y, y)))
        inner = slice(bottom, bottom + y.size), slice(left, left + x.size)
        return GridValues(grid, self.values[inner], self.blurred[inner], self.blur)


def blur_pixels(sheet: Sheet, field: Field, settings: ContourSettings) -> float:
    """Return the standard deviation of the blur in pixels.

    If neighboring cells differ much, the field is blurred by most of a cell, so that lines do not show single cells. A
    smooth field is blurred by a fifth of a cell, so that lines stay at their places.
    """
    if settings.smooth != "auto":
        return settings.smooth
    cells = _ROUGH_CELLS if field.roughness >= _ROUGH else _SMOOTH_CELLS
    cell = 1 / max(cells_per_pixel(field.geometry, sheet.view.panel, sheet.crs), cells / _MOST)
    steps = round(_BLUR_STEPS * math.log2(max(cells * cell, LEAST_BLUR) / LEAST_BLUR))
    return min(LEAST_BLUR * 2 ** (steps / _BLUR_STEPS), _MOST)
