"""Sheet: the data of one map, from which its layers draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot.geo.region import Region
from regionplot.sheet.layout import Layout
from regionplot.sheet.view import View


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
    pixels_per_cell: float = 1.0
    """Number of pixels along a cell of the raster, at the center of the panel. 1 if no layer needs the values."""

    @property
    def place(self) -> tuple[slice, slice]:
        """Rows and columns of the panel on the sheet, counted from the top left."""
        return self.view.place(self.layout.size)
