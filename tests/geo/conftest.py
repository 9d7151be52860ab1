"""Fixtures that several test modules of `geo` share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyproj
import pytest
from affine import Affine
from numpy.typing import NDArray

from regionplot.geo.extent import PanelGrid
from regionplot.geo.grid import GridGeometry

Warp = Callable[..., NDArray[Any]]


@pytest.fixture(scope="session")
def warp_exactly() -> Warp:
    """Return a function that warps cells to a panel with GDAL, and transforms each position exactly.

    rasterio's `reproject` cannot do this: its tolerance is an eighth of a cell.
    """
    from rasterio.enums import Resampling
    from rasterio.io import MemoryFile
    from rasterio.vrt import WarpedVRT

    def warp(
        values: NDArray[Any], geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS, resampling: str, **options: Any
    ) -> NDArray[Any]:
        extent = panel.extent
        grid = {"height": geometry.height, "width": geometry.width, "transform": geometry.transform}
        target = Affine(panel.pixel_width, 0, extent.xmin, 0, -panel.pixel_height, extent.ymax)
        with MemoryFile() as file:
            with file.open(
                driver="GTiff", count=1, dtype=values.dtype, crs=geometry.crs.to_wkt(), nodata=np.nan, **grid
            ) as new:
                new.write(values, 1)
            with (
                file.open() as source,
                WarpedVRT(
                    source, crs=crs.to_wkt(), transform=target, width=panel.width, height=panel.height,
                    resampling=Resampling[resampling], tolerance=1e-9, nodata=np.nan, **options,
                ) as warped,
            ):  # fmt: skip
                return np.asarray(warped.read(1))

    return warp
