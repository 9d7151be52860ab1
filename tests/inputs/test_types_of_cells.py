"""Cells of all types are read exactly, or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio.shutil
import rioxarray  # noqa: F401 (adds `.rio` to arrays)
import xarray as xr

from regionplot.blocks.values import BandReader
from regionplot.errors import RasterError
from regionplot.geo.dtypes import float_dtype
from regionplot.inputs.array import ArraySource
from regionplot.inputs.describe import open_source
from regionplot.settings.raster import RasterSettings

TRANSFORM = "<GeoTransform>0, 1, 0, 0, 0, -1</GeoTransform>"
REAL = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]


@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("nodata", [None, 7])
def test_real_numbers_are_read_exactly(dtype: str, nodata: int | None, write_raster: Callable[..., Path]) -> None:
    kind = np.dtype(dtype)
    largest = np.iinfo(kind).max if kind.kind in "iu" and kind.itemsize < 8 else 2**24
    cells = np.array([[0, 1, 7], [100, 7, largest]], kind)
    path = write_raster(cells, nodata=nodata)
    for mask_and_scale in (True, False):
        source = open_source(RasterSettings(path=path, mask_and_scale=mask_and_scale))
        values = source.read(source.describe().geometry.full_window, cells.shape, "nearest")
        assert values.dtype == (float_dtype(kind) if mask_and_scale else kind)
        is_missing = mask_and_scale and nodata is not None
        np.testing.assert_array_equal(values, np.where(cells == nodata, np.nan, cells) if is_missing else cells)


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_the_largest_integer_of_64_bits_can_be_the_nodata_value(
    dtype: str, write_raster: Callable[..., Path], tmp_path: Path
) -> None:
    """Rasterio reads no such value, because float64 rounds it to a number that the type cannot hold."""
    largest = np.iinfo(dtype).max
    plain = write_raster(np.array([[1, largest], [2, 3]], dtype), name="plain.tif")
    source = f"<SimpleSource><SourceFilename>{plain}</SourceFilename></SimpleSource>"
    band = f'<VRTRasterBand dataType="{dtype.title().replace("i", "I")}" band="1"><NoDataValue>{largest}</NoDataValue>'
    virtual = f'<VRTDataset rasterXSize="2" rasterYSize="2"><SRS>EPSG:4326</SRS>{TRANSFORM}{band}{source}'
    rasterio.shutil.copy(f"{virtual}</VRTRasterBand></VRTDataset>", tmp_path / "grid.tif", driver="GTiff")
    source = open_source(RasterSettings(path=tmp_path / "grid.tif"))
    values = source.read(source.describe().geometry.full_window, (2, 2), "nearest")
    np.testing.assert_array_equal(values, [[1, np.nan], [2, 3]])


@pytest.mark.parametrize("dtype", ["complex64", "complex128", "complex_int16"])
def test_complex_numbers_are_refused(dtype: str, write_raster: Callable[..., Path]) -> None:
    path = write_raster(np.ones((3, 3), "complex64"), dtype=dtype)
    for read in (open_source, BandReader.of, BandReader.of_band):
        with pytest.raises(RasterError, match=r"its cells are complex numbers, .* DERIVED_SUBDATASET:AMPLITUDE:"):
            read(RasterSettings(path=path))


@pytest.mark.parametrize("dtype", ["complex64", "U3", "datetime64[s]", "object"])
def test_an_array_of_something_else_is_refused(dtype: str) -> None:
    cells = xr.DataArray(np.zeros((2, 2), dtype), {"y": [1.0, 0.0], "x": [0.0, 1.0]}, ("y", "x"), "cells")
    with pytest.raises(RasterError, match="cells: a map needs an array of real numbers, but its type is"):
        ArraySource.of(cells.rio.write_crs("EPSG:4326"))


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float16", "float64"])
def test_an_array_of_real_numbers_is_drawn(dtype: str) -> None:
    cells = xr.DataArray(np.array([[0, 1], [1, 1]], dtype), {"y": [1.0, 0.0], "x": [0.0, 1.0]}, ("y", "x"), "cells")
    if dtype != "bool":
        cells.attrs["_FillValue"] = -1 if dtype == "int8" else 255
    source = ArraySource.of(cells.rio.write_crs("EPSG:4326"))
    values = source.read(source.describe().geometry.full_window, (2, 2))
    assert values.dtype.kind == "f"
    assert values.tolist() == [[0, 1], [1, 1]]
