"""Use an xarray DataArray as a raster source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rioxarray  # noqa: F401 (adds `.rio` to arrays)
import xarray as xr
from numpy.typing import NDArray

from regionplot.errors import ConfigError, RasterError
from regionplot.geo.dtypes import float_dtype
from regionplot.geo.foreign_crs import drawable_crs
from regionplot.geo.grid import GridGeometry, Window
from regionplot.inputs.reading import decode
from regionplot.inputs.source import RasterInfo
from regionplot.text import plain_text


@dataclass(frozen=True)
class ArraySource:
    """A `RasterSource` for the cells of a DataArray.

    Examples
    --------
    >>> import rioxarray, xarray
    >>> snow = xarray.DataArray([[1.0, 2.0], [3.0, 4.0]], {"y": [41.0, 40.0], "x": [-99.0, -98.0]}, ("y", "x"), "snow")
    >>> source = ArraySource.of(snow.rio.write_crs("EPSG:4326"))
    >>> source.describe().description["long_name"]
    'snow'
    >>> source.read(Window(0, 1, 2, 1), (2, 1))
    array([[2.],
           [4.]])
    """

    info: RasterInfo
    values: NDArray[Any]

    @classmethod
    def of(cls, data: xr.DataArray) -> ArraySource:
        """Create a raster source for a DataArray.

        Parameters
        ----------
        data : xarray.DataArray
            Array with two dimensions, a CRS in `.rio`, and coordinates or a transform. Its cells are loaded into
            memory. Cells that equal the nodata value of the array are missing.

        Raises
        ------
        RasterError
            If the array is not two-dimensional, has fewer than 2 rows or columns, does not hold real numbers, or has no
            CRS.
        """
        name = plain_text(str(data.name or "array"))
        if data.ndim != 2 or min(data.shape) < 2:
            raise RasterError(f"{name}: a map needs an array of rows and columns, but its shape is {data.shape}")
        if data.dtype.kind not in "biuf":
            raise RasterError(f"{name}: a map needs an array of real numbers, but its type is {data.dtype}")
        if data.rio.crs is None:
            raise RasterError(f"{name}: the array has no CRS; set it with .rio.write_crs")
        values = np.asarray(data.transpose(data.rio.y_dim, data.rio.x_dim).values)
        height, width = values.shape
        try:
            crs = drawable_crs(data.rio.crs.to_wkt())
        except ConfigError as error:
            raise RasterError(f"{name}: {error}, or set it with .rio.write_crs") from None
        nodata = data.rio.nodata
        info = RasterInfo(
            path=Path(name),
            gdal_name=name,
            fingerprint=None,
            band=1,
            geometry=GridGeometry(data.rio.transform(), height, width, crs),
            dtype=float_dtype(values.dtype),
            nodata=None if nodata is None else float(nodata),
            scale=1.0,
            offset=0.0,
            has_mask=False,
            mask_and_scale=True,
            description={
                "raster": name,
                "variable": name,
                "long_name": plain_text(str(data.attrs.get("long_name", name))),
                "units": plain_text(str(data.attrs.get("units", ""))),
            },
        )
        return cls(info, values)

    def describe(self) -> RasterInfo:
        """Return the metadata of the array."""
        return self.info

    def read(self, window: Window, shape: tuple[int, int], resampling: str = "nearest") -> NDArray[Any]:  # noqa: ARG002
        """Read a window. See `RasterSource.read`.

        Thinning keeps the first cell of each thinned block. The argument `resampling` is ignored.
        """
        rows = window.row_off + np.arange(shape[0]) * window.height // shape[0]
        columns = window.col_off + np.arange(shape[1]) * window.width // shape[1]
        return decode(self.values[np.ix_(rows, columns)], None, self.info)
