"""Small Zarr stores for tests."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import xarray as xr
from affine import Affine

from regionplot.inputs.describe import open_source
from regionplot.inputs.source import read_window
from regionplot.settings.raster import RasterSettings

ROWS, COLUMNS = 40, 60
VALUES = np.arange(ROWS * COLUMNS, dtype=np.float32).reshape(ROWS, COLUMNS)
VALUES[3, 4] = np.nan


def dataset(times: int = 0, *, south_up: bool = False, step: float = 0.25) -> xr.Dataset:
    y = 50 - step * (np.arange(ROWS) + 0.5)
    x = -110 + step * (np.arange(COLUMNS) + 0.5)
    values = VALUES[::-1] if south_up else VALUES
    attributes = {"units": "kg m-2", "long_name": "Snow"}
    places = {"y": y[::-1] if south_up else y, "x": x}
    kinds = {"y": {"standard_name": "latitude", "units": "degrees_north"}, "x": {"standard_name": "longitude"}}
    kinds["x"]["units"] = "degrees_east"
    coordinates = {name: (name, place, kinds[name]) for name, place in places.items()}
    if not times:
        return xr.Dataset({"snow": (("y", "x"), values, attributes)}, coordinates)
    days = np.datetime64("2026-01-01", "ns") + np.arange(times) * np.timedelta64(1, "D")
    cube = np.stack([values + number for number in range(times)])
    return xr.Dataset({"snow": (("time", "y", "x"), cube, attributes)}, {"time": days, **coordinates})


def write(folder: Path, data: xr.Dataset, version: int = 3, *, consolidated: bool = True, **encoding: Any) -> Path:
    path = folder / "snow.zarr"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = {name: {"chunks": None, **encoding} for name in data.data_vars}
        data.to_zarr(path, mode="w", zarr_format=version, encoding=names, consolidated=consolidated)
    return path


def values_of(path: Path | str, **keys: Any) -> Any:
    source = open_source(RasterSettings.model_validate({"path": path, **keys}))
    return read_window(source, source.describe().geometry.full_window)[0]


def write_cog(folder: Path) -> Path:
    """Write the cells of `dataset` to a COG."""
    path = folder / "snow.tif"
    profile = {"driver": "COG", "width": COLUMNS, "height": ROWS, "count": 1, "dtype": "float32", "nodata": np.nan}
    place = Affine(0.25, 0, -110, 0, -0.25, 50)
    with rasterio.open(path, "w", crs="EPSG:4326", transform=place, **profile) as target:
        target.write(VALUES, 1)
    return path
