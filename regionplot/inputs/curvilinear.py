"""Read a curvilinear grid (a grid with 2-D coordinates), and resample it to a regular grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from regionplot.errors import RasterError
from regionplot.geo.dtypes import float_dtype
from regionplot.geo.grid import Window
from regionplot.inputs.geolocation import Geolocation, read_coordinates
from regionplot.inputs.source import RasterInfo, RasterSource

if TYPE_CHECKING:
    from regionplot.geo.curvilinear.fit import RegularGrid
    from regionplot.geo.curvilinear.locator import CellLocator, Resampling

_INTERPOLATING = ("bilinear", "cubic")


@dataclass(frozen=True)
class NativeCells:
    """The cells of a curvilinear grid in the file's own rows and columns."""

    values: NDArray[Any]
    """Values of the cells in floating point, shape (rows, columns); NaN if missing."""
    longitudes: NDArray[np.floating[Any]]
    """Longitudes of the cell centers in degrees, shape (rows, columns); NaN if unknown."""
    latitudes: NDArray[np.floating[Any]]
    """Latitudes of the cell centers in degrees, shape (rows, columns); NaN if unknown."""


@dataclass(frozen=True)
class CurvilinearSource:
    """A `RasterSource` that resamples a curvilinear grid to a regular grid that is fitted to it."""

    cells: RasterSource
    """Source of the cells in the file's own rows and columns."""
    geolocation: Geolocation
    grid: RegularGrid
    method: Resampling
    """How values on the regular grid are computed."""

    @classmethod
    def of(cls, cells: RasterSource, geolocation: Geolocation, resampling: str) -> CurvilinearSource:
        """Fit a regular grid to a curvilinear grid.

        Parameters
        ----------
        cells : RasterSource
            Source of the cells in the file's own rows and columns.
        geolocation : Geolocation
            Variables that hold the coordinates.
        resampling : str
            `[raster] resampling`; `bilinear` and `cubic` interpolate.

        Raises
        ------
        RasterError
            If the coordinates cannot be read, or all cells have the same coordinates.
        """
        from regionplot.geo.curvilinear.fit import fit_grid  # noqa: PLC0415 (few rasters are curvilinear)
        from regionplot.geo.curvilinear.locator import Resampling  # noqa: PLC0415

        path = cells.describe().path
        grid = fit_grid(*read_coordinates(path, geolocation), geolocation.crs)
        if grid is None:
            raise RasterError(f"{path}: all cells of the curvilinear grid have the same coordinates; check the file")
        return cls(cells, geolocation, grid, Resampling.LINEAR if resampling in _INTERPOLATING else Resampling.NEAREST)

    def with_cells(self, cells: RasterSource) -> CurvilinearSource:
        """Return a source for other cells with the same coordinates."""
        return replace(self, cells=cells)

    def describe(self) -> RasterInfo:
        """Return the metadata of the cells, with the geometry of the regular grid."""
        info = self.cells.describe()
        # The type must hold NaN, for positions without a source cell.
        dtype = info.dtype if info.dtype.kind == "f" else float_dtype(info.dtype)
        return replace(info, geometry=self.grid.geometry, dtype=dtype, has_windows=False)

    def read(self, window: Window, shape: tuple[int, int], resampling: str = "nearest") -> NDArray[Any]:  # noqa: ARG002
        """Read a window of the regular grid. Each call reads all cells of the file. See `RasterSource.read`.

        The setting `[raster] resampling` selects the method of resampling to the regular grid. Thinning keeps the first
        cell of each thinned block of the regular grid. The argument `resampling` is ignored.
        """
        native = self.read_native()
        locator = self._locator(native.longitudes, native.latitudes)
        values = locator.resample(native.values, window, self.method)
        rows, columns = (np.arange(n) * size // n for n, size in zip(shape, values.shape, strict=True))
        return values if values.shape == shape else values[np.ix_(rows, columns)]

    def read_native(self) -> NativeCells:
        """Read all cells of the file and their coordinates.

        Raises
        ------
        RasterError
            If the cells cannot be read, or the file has changed since it was described.
        """
        longitudes, latitudes = read_coordinates(self.cells.describe().path, self.geolocation)
        return NativeCells(
            self._read_values(), longitudes, latitudes
        )  # values are read last, because this read checks the fingerprint of the file

    def _read_values(self) -> NDArray[Any]:
        native = self.cells.describe().geometry
        values = self.cells.read(native.full_window, (native.height, native.width), "nearest")
        return values.astype(self.describe().dtype, copy=False)

    def _locator(self, longitudes: NDArray[Any], latitudes: NDArray[Any]) -> CellLocator:
        from regionplot.geo.curvilinear.locator import CellLocator  # noqa: PLC0415

        return CellLocator(longitudes, latitudes, self.grid, self.geolocation.crs)


def resample_bands(bands: Sequence[CurvilinearSource]) -> Iterator[NDArray[Any]]:
    """Yield each band, resampled to the whole regular grid. Each cell has the value of the nearest cell in the file.

    The bands have the same coordinates, so cells are located only once.

    Raises
    ------
    RasterError
        If a band cannot be read.
    """
    first = bands[0]
    locator = first._locator(*read_coordinates(first.cells.describe().path, first.geolocation))
    nearest = locator.nearest(first.grid.geometry.full_window)
    for band in bands:
        values = band._read_values().ravel()[nearest]
        np.putmask(values, nearest < 0, np.nan)
        yield values
