"""RasterInfo: the description of a raster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from regionplot.geo.grid import GridGeometry
from regionplot.inputs.color_tables import Coloring
from regionplot.inputs.geolocation import Geolocation
from regionplot.system.files import Fingerprint

FIELDS = ("raster", "variable", "long_name", "units", "time")
"""What `RasterInfo.description` may tell of a grid."""


@dataclass(frozen=True)
class RasterInfo:
    """A grid as its file describes it; no cell of it is read."""

    path: Path
    source: str
    """What GDAL opens: the path, or a subdataset of it."""
    driver: str
    """The GDAL driver that opens it, and no other."""
    fingerprint: Fingerprint | None
    """Of the file, when it was inspected."""
    band: int
    """From 1."""
    geometry: GridGeometry
    dtype: np.dtype[Any]
    """Of the values once they are read."""
    nodata: float | None
    scale: float
    offset: float
    has_mask: bool
    """A mask band or an alpha band says what is missing."""
    decode: bool
    """Make nodata missing, and apply scale and offset."""
    description: Mapping[str, object]
    """What templates and labels may say: `raster` (the file's stem), `variable`, `long_name`, `units`, and `time` (a
    datetime in UTC) if it is known."""
    geolocation: Geolocation | None = None
    """The 2-D coordinates of a curvilinear grid's cells; `geometry` is then that of a regular grid fitted to them."""
    fineness: int = 1
    """How many cells of that lie along the spacing of the file's."""
    smooth: bool = False
    """Interpolate between the file's cells, rather than take the nearest."""
    coloring: Coloring | None = None
    """How it is drawn; None as numbers. In true colour, its cells are packed: see `TrueColor.read`."""
