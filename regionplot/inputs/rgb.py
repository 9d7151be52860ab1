"""Read the red, green and blue bands of a raster file as packed colors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.geo.grid import Window
from regionplot.inputs.color_tables import RgbBands
from regionplot.inputs.gdal import opened
from regionplot.inputs.reading import Overviews, check_unchanged, gdal_resampling, gdal_window, overview_options
from regionplot.inputs.source import RasterInfo
from regionplot.inputs.thinning import HONORING, read_thinned

PACKED = np.dtype(np.uint32)
"""Type of packed colors: the bytes are red, green, blue and opacity. All four are 0 if the cell is missing."""


@dataclass(frozen=True)
class RgbSource:
    """A `RasterSource` that reads the cells of a raster file as packed colors."""

    info: RasterInfo
    bands: RgbBands
    overviews: Overviews = Overviews.EXACT
    """Overviews to use with the resampling methods that produce no new colors."""

    @classmethod
    def of(cls, info: RasterInfo, bands: RgbBands) -> RgbSource:
        """Return a source for the colors in the RGB bands of a file."""
        return cls(replace(info, dtype=PACKED), bands)

    def describe(self) -> RasterInfo:
        """Return the metadata of the file, with the type of packed colors."""
        return self.info

    def read(self, window: Window, shape: tuple[int, int], resampling: str = "nearest") -> NDArray[np.uint32]:
        """Read a window as packed colors. See `RasterSource.read`."""
        bands, area, method = self.bands, gdal_window(window), gdal_resampling(resampling, window, shape)
        samples = np.empty((*shape, 4), bands.dtype)
        samples[..., 3] = bands.largest
        colors = np.moveaxis(samples, -1, 0)[
            : len(bands.bands)
        ]  # all bands are read together, because one block can hold all bands
        info, is_exact = self.info, self.overviews is Overviews.EXACT
        options = overview_options(info, window, shape, resampling) if is_exact else {}
        with opened(info.path, info.gdal_name, options) as dataset:
            if options and dataset.driver not in HONORING:
                colors[:] = read_thinned(dataset, list(bands.bands), window, shape, method)
            else:
                dataset.read(list(bands.bands), window=area, out=colors, resampling=method)
            missing = _missing(samples, bands)
            if bands.has_mask:
                missing |= dataset.read_masks(bands.bands[0], window=area, out_shape=shape) == 0
        check_unchanged(self.info)
        packed = _bytes(samples, bands.largest).view(PACKED)[..., 0]
        packed[missing] = 0
        return packed


def _missing(samples: NDArray[Any], bands: RgbBands) -> NDArray[np.bool_]:
    """Return an array that is True for missing cells.

    If there is a nodata value, the four samples of a cell are compared with it as one number.
    """
    if len(bands.bands) == samples.shape[-1]:
        return np.asarray(samples[..., 3] == 0)
    if bands.nodata is None:
        return np.zeros(samples.shape[:2], np.bool_)
    nodata = np.array([bands.nodata] * 3 + [bands.largest]).astype(bands.dtype)
    cell = np.dtype(f"u{nodata.nbytes}")
    return np.asarray(samples.view(cell)[..., 0] == nodata.view(cell)[0])


def _bytes(samples: NDArray[Any], largest: int) -> NDArray[np.uint8]:
    """Scale samples to bytes. 0 stays 0, and `largest` becomes 255."""
    if samples.dtype == np.uint8:
        return samples
    table = np.minimum(np.rint(np.arange(2**16) * (255 / largest)), 255).astype(np.uint8)
    return np.concatenate([table[row][None] for row in samples])
