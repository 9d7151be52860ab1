"""Define the protocol of raster sources, and the metadata that each source returns.

GDAL reads most formats. To add a format, write a class in a new module, and add one line to `registry.SOURCES`. The key
is the suffix of the files, without the dot. The class has a class method `open`, which takes `RasterSettings` and
returns a `RasterSource`. Other packages add sources with entry points of the group `regionplot.sources`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from regionplot.geo.grid import GridGeometry, Window
from regionplot.inputs.color_tables import RgbBands
from regionplot.inputs.packing import EVERYTHING, Packing
from regionplot.system.files import Fingerprint

if TYPE_CHECKING:
    from regionplot.inputs.curvilinear import NativeCells

FIELDS = ("raster", "variable", "long_name", "units", "level", "time", "reference_time", "lead", "source")
"""Keys that `RasterInfo.description` can have."""


@dataclass(frozen=True, repr=False)
class RasterInfo:
    """Metadata of one band of a grid. No cells are read to find the metadata."""

    path: Path
    gdal_name: str
    """GDAL's name of the grid: the path of the file, or the name of a subdataset."""
    fingerprint: Fingerprint | None
    """Fingerprint of the file when it was described. None if there is no file."""
    band: int
    """Number of the band, from 1."""
    geometry: GridGeometry
    dtype: np.dtype[Any]
    """Type of the values that `RasterSource.read` returns."""
    nodata: float | None
    scale: float
    offset: float
    has_mask: bool
    """True if a mask band or an alpha band marks missing cells."""
    mask_and_scale: bool
    """True if `RasterSource.read` replaces nodata with NaN and applies scale and offset."""
    description: Mapping[str, object]
    """Text for titles and labels: `raster` (the file's stem), `variable`, `long_name`, `units` and, if they are
    known, `level`, `time` and `reference_time` (datetimes in UTC), `lead` (hours from the reference time), and
    `source` (producer of the data)."""
    color_table: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    """Red, green, blue and opacity (0 to 255) of each value. Empty if the band has no color table."""
    class_names: Mapping[int, str] = field(default_factory=dict)
    """Names of the values of a color table."""
    rgb: RgbBands | None = None
    """Bands of red, green and blue, if the file has them."""
    has_windows: bool = True
    """True if a window can be read without reading the whole grid."""
    stored: np.dtype[Any] | None = None
    """Type of the stored cells, if it differs from the type that GDAL gives."""
    missing: tuple[float, ...] = ()
    """Stored values that mark missing cells, besides `nodata`."""
    valid: tuple[float, float] = EVERYTHING
    """Smallest and largest valid stored value."""
    standard_name: str = ""
    """CF standard name of the quantity. Empty if it is unknown."""
    has_bit_flags: bool = False
    """True if each bit of the values is a flag (CF attribute `flag_masks`)."""

    @property
    def can_miss(self) -> bool:
        """True if cells can be missing, because the file has a value or a mask for them."""
        has_value = self.nodata is not None or bool(self.missing)
        return self.has_mask or (self.mask_and_scale and has_value)

    @property
    def units(self) -> str:
        """Units of the values, or an empty text."""
        return str(self.description.get("units", ""))

    @property
    def packing(self) -> Packing:
        """How the values are stored."""
        return Packing(self.nodata, self.scale, self.offset, self.missing, self.valid)

    @property
    def is_plain(self) -> bool:
        """True if GDAL can decode the cells with a nodata value, a scale and an offset only."""
        return not self.has_mask and self.stored is None and not self.missing and self.valid == EVERYTHING

    def __repr__(self) -> str:
        """Return the file, the band, the shape, the type and the CRS."""
        shape = (self.geometry.height, self.geometry.width)
        return f"<RasterInfo {self.path.name}: band {self.band}, {shape} {self.dtype} in {self.geometry.crs.name}>"


class StoredBand(Protocol):
    """The data that are needed to read the cells of a band. The attributes are those of `RasterInfo`."""

    @property
    def path(self) -> Path:
        """File of the band."""
        ...

    @property
    def gdal_name(self) -> str:
        """GDAL's name of the grid."""
        ...

    @property
    def fingerprint(self) -> Fingerprint | None:
        """Fingerprint of the file when it was described."""
        ...

    @property
    def band(self) -> int:
        """Number of the band, from 1."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        ...

    @property
    def has_mask(self) -> bool:
        """True if a mask band or an alpha band marks missing cells."""
        ...

    @property
    def mask_and_scale(self) -> bool:
        """True if cells are decoded to values."""
        ...

    @property
    def stored(self) -> np.dtype[Any] | None:
        """Type of the stored cells, if it differs from the type that GDAL gives."""
        ...

    @property
    def packing(self) -> Packing:
        """How the values are stored."""
        ...


class RasterSource(Protocol):
    """A grid that can be described without reading cells, and read in windows.

    A source of a file opens and closes the file in each call, so a forked process inherits no open file. The source
    keeps no cells, so it can be pickled quickly.
    """

    def describe(self) -> RasterInfo:
        """Return the metadata of the grid."""
        ...

    def read(self, window: Window, shape: tuple[int, int], resampling: str) -> NDArray[Any]:
        """Read a window, resampled to a shape.

        Parameters
        ----------
        window : Window
            The cells to read.
        shape : (int, int)
            Rows and columns of the result.
        resampling : str
            Resampling method, by its rasterio name. It is used if `shape` differs from the shape of the window.

        Returns
        -------
        ndarray of `RasterInfo.dtype`, shape `shape`
            Values with scale and offset applied, NaN if missing.

        Raises
        ------
        RasterError
            If the cells cannot be read, or the file has changed since it was described.
        """
        ...


@runtime_checkable
class ResampledSource(RasterSource, Protocol):
    """A source that resamples a curvilinear grid to a regular grid."""

    @property
    def cells(self) -> RasterSource:
        """Source of the cells in the file's own rows and columns."""
        ...

    def read_native(self) -> NativeCells:
        """Read all cells in the file's own rows and columns, with their coordinates.

        Raises
        ------
        RasterError
            If the cells cannot be read, or the file has changed since it was described.
        """
        ...


def read_window(
    source: RasterSource, window: Window, step: int = 1, resampling: str = "nearest"
) -> tuple[NDArray[Any], GridGeometry]:
    """Read a window of a source, thinned to one cell per `step` rows and columns.

    Parameters
    ----------
    source : RasterSource
        The grid.
    window : Window
        The cells to read.
    step : int
        Thinning factor: each `step` × `step` block becomes one cell.
    resampling : str
        Resampling method, by its rasterio name.

    Returns
    -------
    values : ndarray, shape (rows, columns)
        Values of the cells, as `RasterSource.read` returns them.
    geometry : GridGeometry
        Geometry of the values.

    Raises
    ------
    RasterError
        If the cells cannot be read, or the file has changed since it was described.
    """
    shape = -(-window.height // step), -(-window.width // step)
    return source.read(window, shape, resampling), source.describe().geometry.subgrid(window, *shape)
