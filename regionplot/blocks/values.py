"""Convert between stored values and physical values. The only place where both meet.

::

    stored (any type, nodata, mask, scale, offset) ─► values (floating, in their units, NaN where missing)
    values ─► stored
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.errors import ConfigError
from regionplot.geo.dtypes import fits_dtype, float_dtype
from regionplot.geo.grid import GridGeometry, Window
from regionplot.inputs.curvilinear import CurvilinearSource
from regionplot.inputs.describe import open_bands, open_source
from regionplot.inputs.gdal import gdal_errors
from regionplot.inputs.reading import decode
from regionplot.inputs.source import RasterInfo
from regionplot.settings.raster import RasterSettings

Values = NDArray[np.floating[Any]]
"""Shape (bands, rows, columns); NaN where there is nothing."""


@dataclass(frozen=True)
class BandReader:
    """A raster whose bands are read as values."""

    bands: tuple[RasterInfo, ...]
    """Those that are read, in order."""
    curvilinear: tuple[CurvilinearSource, ...] = ()
    """Sources of the bands, if they have 2-D coordinates."""

    @classmethod
    def of(cls, settings: RasterSettings, *, whole: bool = True) -> BandReader:
        """Look at a raster.

        Parameters
        ----------
        settings : RasterSettings
            Its path, variable, CRS and band.
        whole : bool
            Read all bands; else only the one that the settings name.

        Raises
        ------
        RasterError
            If it cannot be opened, or placed on the earth.
        """
        sources = open_bands(settings) if whole else (open_source(settings),)
        curvilinear = tuple(source for source in sources if isinstance(source, CurvilinearSource))
        return cls(tuple(source.describe() for source in sources), curvilinear)

    @property
    def geometry(self) -> GridGeometry:
        """Where the cells lie."""
        return self.bands[0].geometry

    @property
    def path(self) -> Path:
        """The file."""
        return self.bands[0].path

    @property
    def is_subdataset(self) -> bool:
        """Whether the cells are in a part of the file that GDAL opens under a name of its own."""
        return self.bands[0].gdal_name != str(self.bands[0].path)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the values."""
        return np.result_type(*(float_dtype(info.dtype) for info in self.bands))

    def read(self, dataset: Any, window: Window) -> Values:
        """The values of a window, through an open handle of the file.

        Parameters
        ----------
        dataset : rasterio.DatasetReader
            The file, open.
        window : Window
            The cells.

        Returns
        -------
        ndarray, shape (bands, rows, columns)

        Raises
        ------
        RasterError
            If they cannot be read.
        """
        from rasterio.windows import Window as RasterioWindow  # noqa: PLC0415

        area = RasterioWindow(window.column, window.row, window.width, window.height)
        values = np.empty((len(self.bands), window.height, window.width), self.dtype)
        for place, info in enumerate(self.bands):
            with gdal_errors(self.path):
                mask = dataset.read_masks(info.band, window=area) if info.has_mask else None
                stored = dataset.read(info.band, window=area)
            values[place] = decode(stored, mask, info)
        return values


@dataclass(frozen=True, slots=True)
class Storage:
    """How values are written."""

    dtype: str = "float32"
    nodata: float = float("nan")
    """What missing cells become; NaN only in a floating type."""
    scale: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        try:
            known = np.dtype(self.dtype).kind in "iuf"
        except TypeError:
            known = False
        if not known:
            raise ConfigError(f"{self.dtype!r} is not a type of cells; take one like float32 or int16")
        if not fits_dtype(np.dtype(self.dtype), self.nodata):
            raise ConfigError(f"nodata {self.nodata:g} is no value of {self.dtype}; name one that is")

    def encode(self, values: Values) -> NDArray[Any]:
        """Values as they are stored; what the type cannot hold becomes missing."""
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
