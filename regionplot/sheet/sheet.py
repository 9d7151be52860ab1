"""Sheet: the data of one map, from which its layers draw."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot.geo.extent import PanelGrid
from regionplot.geo.grid import GridGeometry
from regionplot.geo.region import Region
from regionplot.sheet.layout import POINTS_PER_INCH, Layout
from regionplot.sheet.lightness import DARK, luminance
from regionplot.sheet.view import View

if TYPE_CHECKING:
    from regionplot.sheet.placing import LabelBox, Placer

_SMALLEST = 0.9
"""Minimum factor for labels in the panel."""
_MIN_POINTS = 8.0
"""Minimum font size of labels in the panel, unless the settings give a smaller size."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The raster around a panel that is a part of a larger map, such as a tile."""

    geometry: GridGeometry
    """Geometry of the raster."""
    values: Callable[[PanelGrid], NDArray[Any]]
    """Function that returns the values of the raster at the pixels of any panel in the CRS of the map, NaN for
    nodata."""


@dataclass(frozen=True)
class Sheet:
    """One region's map, sampled and classified."""

    region: Region
    view: View
    """The extent of the panel and its pixels. With `fit = "exact"`, the panel can be smaller than `layout.panel`."""
    layout: Layout
    crs: pyproj.CRS
    """CRS of the map."""
    description: Mapping[str, object]
    """Metadata of the raster: `raster`, `variable`, `long_name`, `units` and `time`, as far as they are known."""
    title: str
    codes: NDArray[np.unsignedinteger[Any]]
    """The pixels of the panel as codes of the color scale, shape (height, width), row 0 in the north."""
    no_data: bool
    """True if the region holds only nodata."""
    values: NDArray[Any] | None = None
    """Values of the raster at the pixels of the panel, with NaN for nodata. None if no layer needs the values."""
    cells: tuple[NDArray[Any], GridGeometry] | None = None
    """Cells of the raster that cover the panel, and their geometry. None if no layer needs the values, and if the cells
    are not numbers."""
    shown: Callable[[NDArray[Any]], NDArray[Any]] | None = None
    """Function that converts values of the raster to `[colors] units`. None if no layer needs the values."""
    colors: Callable[[NDArray[Any]], NDArray[np.uint8]] | None = None
    """Function that returns the RGBA colors of codes, shape (..., 4)."""
    surroundings: Surroundings | None = None
    """The raster around the panel. None if the map is not a part of a larger map."""
    shared_placer: Placer | None = None
    """Boxes that the labels of all layers take. None if no layer shares its labels with others."""

    @cached_property
    def placer(self) -> Placer:
        """Boxes that labels take: shared by all layers, or new if no layer shares them."""
        from regionplot.sheet.placing import Placer, estimated_size  # noqa: PLC0415 (few maps have labels)

        return self.shared_placer or Placer(self.view.box, estimated_size(self.layout.dpi))

    def pixels(self, points: float) -> float:
        """Return a length in pixels. `points` is the length in points."""
        return points * self.layout.dpi / POINTS_PER_INCH

    @property
    def label_factor(self) -> float:
        """Factor for labels in the panel, relative to a sheet of 14 × 9 inches. It is at least 0.9."""
        return max(self.layout.page.text_factor, _SMALLEST)

    @property
    def label_scale(self) -> float:
        """Factor for distances between labels in pixels. It is at least 1, and 1 at 100 dpi on the standard sheet."""
        return max(1.0, self.label_factor * self.layout.dpi / 100)

    def label_points(self, points: float) -> float:
        """Return the font size of a label in the panel. `points` is the size on a sheet of 14 × 9 inches."""
        return max(points * self.label_factor, min(points, _MIN_POINTS))

    def is_dark(self, box: LabelBox) -> bool:
        """Return True if the mean lightness L* of the raster under a box is below 45."""
        if self.colors is None or not self.codes.size:
            return False
        rows, columns = box.pixels_in(self.view.box)
        rgb = self.colors(self.codes[rows, columns])[..., :3].reshape(-1, 3)
        return bool(rgb.size and luminance(rgb).mean() < DARK)

    @property
    def place(self) -> tuple[slice, slice]:
        """Rows and columns of the panel on the sheet, counted from the top left."""
        return self.view.place(self.layout.size)
