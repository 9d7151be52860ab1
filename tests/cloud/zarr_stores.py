"""Small Zarr stores for tests."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

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


def write(folder: Path, data: xr.Dataset, version: int = 3, **encoding: Any) -> Path:
    path = folder / "snow.zarr"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data.to_zarr(path, mode="w", zarr_format=version, encoding={"snow": {"chunks": None, **encoding}})
    return path


def values_of(path: Path, **keys: Any) -> Any:
    source = open_source(RasterSettings(path=path, **keys))
    return read_window(source, source.describe().geometry.full_window)[0]
