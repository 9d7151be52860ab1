"""Convert between stored values and physical values. Other modules use either stored or physical values, not both.

::

    stored (any type, nodata, mask, scale, offset) ─► values (floating point, with units, NaN if missing)
    values ─► stored
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.blocks.task import RasterReader
from regionplot.errors import ConfigError
from regionplot.geo.dtypes import fits_dtype, float_dtype
from regionplot.geo.grid import GridGeometry, Window
from regionplot.inputs.describe import open_bands, open_source
from regionplot.inputs.gdal import gdal_errors
from regionplot.inputs.reading import decode, is_plain
from regionplot.inputs.source import RasterInfo, RasterSource
from regionplot.settings.raster import RasterSettings

Values = NDArray[np.floating[Any]]
"""Array of shape (bands, rows, columns), with NaN for missing values."""


@dataclass(frozen=True)
class BandReader(RasterReader):
    """A raster whose bands are read as physical values."""

    bands: tuple[RasterInfo, ...]
    """Bands to read, in order."""
    sources: tuple[RasterSource, ...] = ()
    """Sources of the bands, if GDAL's rows and columns differ from the rows and columns of the grid: 2-D coordinates,
    uneven axes, another order of dimensions. Otherwise, empty.
    """

    @classmethod
    def of(cls, settings: RasterSettings) -> BandReader:
        """Describe all bands of a raster.

        Parameters
        ----------
        settings : RasterSettings
            Path, variable and CRS of the raster.

        Raises
        ------
        RasterError
            If the raster cannot be opened or georeferenced.
        """
        return cls._from_sources(open_bands(settings))

    @classmethod
    def of_band(cls, settings: RasterSettings) -> BandReader:
        """Describe the band that the settings select. Raise errors like `of`."""
        return cls._from_sources((open_source(settings),))

    @classmethod
    def _from_sources(cls, sources: Sequence[RasterSource]) -> BandReader:
        own = tuple(source for source in sources if not is_plain(source))
        return cls(tuple(source.describe() for source in sources), own)

    @property
    def geometry(self) -> GridGeometry:
        """Geometry of the grid."""
        return self.bands[0].geometry

    @property
    def path(self) -> Path:
        """Path of the file."""
        return self.bands[0].path

    @property
    def needs_copy(self) -> bool:
        """True if blocks cannot be read from the file itself: GDAL needs a name or a source to read this raster."""
        return bool(self.sources) or self.bands[0].gdal_name != str(self.bands[0].path)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the values."""
        return np.result_type(*(float_dtype(info.dtype) for info in self.bands))

    def read(self, dataset: Any, window: Window) -> Values:
        """Return the values in a window.

        Parameters
        ----------
        dataset : rasterio.DatasetReader
            The open file.
        window : Window
            Cells to read.

        Returns
        -------
        ndarray, shape (bands, rows, columns)

        Raises
        ------
        RasterError
            If the cells cannot be read.
        """
        values = np.empty((len(self.bands), window.height, window.width), self.dtype)
        for number, info in enumerate(self.bands):
            with gdal_errors(self.path):
                mask = dataset.read_masks(info.band, window=window.ranges) if info.has_mask else None
                stored = dataset.read(info.band, window=window.ranges)
            values[number] = decode(stored, mask, info)
        return values


@dataclass(frozen=True, slots=True)
class Storage:
    """Data type, nodata value, scale and offset of stored values."""

    dtype: str = "float32"
    nodata: float = float("nan")
    """Value of missing cells. NaN needs a floating-point type."""
    scale: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        try:
            is_supported = np.dtype(self.dtype).kind in "iuf"
        except TypeError:
            is_supported = False
        if not is_supported:
            raise ConfigError(f"{self.dtype!r} is not a data type of cells; use one like float32 or int16")
        if not fits_dtype(np.dtype(self.dtype), self.nodata):
            raise ConfigError(f"nodata {self.nodata:g} is not a value of {self.dtype}; choose another nodata value")

    def encode(self, values: Values) -> NDArray[Any]:
        """Return values as stored. In an integer data type, values that do not fit become missing."""
        dtype = np.dtype(self.dtype)
        scaled = values if (self.scale, self.offset) == (1.0, 0.0) else (values - self.offset) / self.scale
        if dtype.kind == "f":
            missing = np.isnan(scaled)
            return (
                np.where(missing, dtype.type(self.nodata), scaled.astype(dtype))
                if missing.any()
                else scaled.astype(dtype)
            )
        limits = np.iinfo(dtype)
        rounded = np.rint(scaled.astype(np.float64))
        held = (rounded >= limits.min) & (rounded <= limits.max)
        return np.where(held, rounded, self.nodata).astype(dtype)
