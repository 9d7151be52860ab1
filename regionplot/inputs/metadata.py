"""Read names, units and times of a raster's bands.

rioxarray 0.19 cannot open them with an xarray that checks coordinates against dimensions. Here they are described as it
describes the others; bands are in GDAL's order, the last dimension fastest
(https://gdal.org/en/stable/drivers/raster/netcdf.html).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from regionplot.text import plain_text

if TYPE_CHECKING:
    import xarray as xr


DRIVER = "netCDF"
"""GDAL's; `intake` gives HDF5 to it, too."""


_DIMENSION = "NETCDF_DIM_"


_TIME = ("units", "calendar")
"""Attributes by which a dimension's numbers are times."""


def open_variables(path: Path, driver: str) -> list[xr.Dataset]:
    """The variables of a file, without their values.

    Parameters
    ----------
    path : Path
        The file.
    driver : str
        GDAL's, `DRIVER`.

    Returns
    -------
    list of xarray.Dataset
        One for each variable, with dimensions (band, y, x), attributes, CRS and affine transform. Where a band lies
        along other dimensions stands in coordinates along `band`; times are decoded. All values are 0.

    Raises
    ------
    rasterio.errors.RasterioError, ValueError
        If they cannot be read.
    """
    import rasterio  # noqa: PLC0415 (GDAL, rioxarray and xarray take half a second: only who loads pays it)

    with rasterio.open(path, driver=driver) as dataset:
        names = dataset.subdatasets or [dataset.name]
    found = []
    for name in names:
        with rasterio.open(name, driver=driver) as dataset:
            found.append(_describe(dataset))
    return found


def _describe(dataset: Any) -> xr.Dataset:
    """One variable; `dataset` is that of its GDAL subdataset."""
    import rioxarray  # noqa: F401, PLC0415 (gives arrays their `rio`)
    import xarray as xr  # noqa: PLC0415

    tags, shared = [dataset.tags(number) for number in dataset.indexes], dataset.tags()
    attributes: dict[str, Any] = {key: text for key, text in shared.items() if "#" in key}
    attributes |= {key: text for key, text in tags[0].items() if not key.startswith(_DIMENSION)}
    attributes |= {"scale_factor": dataset.scales[0], "add_offset": dataset.offsets[0], "_FillValue": dataset.nodata}
    cells = np.broadcast_to(np.zeros((), dataset.dtypes[0]), (dataset.count, *dataset.shape))
    data = xr.DataArray(
        cells, _along_bands(tags, shared), ("band", "y", "x"), tags[0].get("NETCDF_VARNAME"), attributes
    )
    data.rio.write_transform(dataset.transform, inplace=True)
    if dataset.crs is not None:
        data.rio.write_crs(dataset.crs, inplace=True)
    data.encoding["source"] = dataset.name
    return data.to_dataset()


def _along_bands(tags: list[dict[str, str]], shared: dict[str, str]) -> dict[str, Any]:
    """Where each band lies along the dimensions beside y and x."""
    import xarray as xr  # noqa: PLC0415

    names = [key.removeprefix(_DIMENSION) for key in tags[0] if key.startswith(_DIMENSION)]
    units = {name: {key: shared[f"{name}#{key}"] for key in _TIME if f"{name}#{key}" in shared} for name in names}
    values = {name: ("band", [float(tag[_DIMENSION + name]) for tag in tags], units[name]) for name in names}
    return {str(name): data for name, data in xr.decode_cf(xr.Dataset(values)).data_vars.items()}


_TIME_TAGS = ("VALID_TIME", "TIFFTAG_DATETIME", "REF_TIME")


_TIME_FORMATS = ("%Y:%m:%d %H:%M:%S", "%Y-%m-%d %H:%M:%S")


def describe_band(data: xr.DataArray, path: Path) -> Mapping[str, object]:
    """See `RasterInfo.description`."""
    attributes = data.attrs
    variable = str(data.name or attributes.get("GRIB_ELEMENT") or "")
    units = str(attributes.get("units") or attributes.get("GRIB_UNIT") or "").strip("[]")
    long_name = str(attributes.get("GRIB_COMMENT") or attributes.get("long_name") or variable or path.stem)
    if " " not in long_name and "description" in attributes:  # some files repeat the variable's name as its long name
        long_name = str(attributes["description"])
    description: dict[str, object] = {
        "raster": path.stem,
        "variable": variable,
        "long_name": long_name.partition(" [")[0],
        "units": units,
    }
    description = {name: plain_text(str(text)) for name, text in description.items()}
    time = _time(data)
    return description if time is None else {**description, "time": time}


def _time(data: xr.DataArray) -> datetime | None:
    if "GRIB_VALID_TIME" in data.attrs:
        return datetime.fromtimestamp(int(str(data.attrs["GRIB_VALID_TIME"]).split()[0]), UTC)
    candidates = [
        str(data[name].values) for name in ("time", "valid_time") if name in data.coords and not data[name].ndim
    ]
    candidates += [str(data.attrs[tag]) for tag in _TIME_TAGS if tag in data.attrs]
    return next((time for text in candidates if (time := _parse_time(text))), None)


def _parse_time(text: str) -> datetime | None:
    text = text.partition(".")[0].removesuffix("Z")
    for parse in (datetime.fromisoformat, *(lambda t, f=f: datetime.strptime(t, f) for f in _TIME_FORMATS)):  # noqa: DTZ007 (UTC is set below)
        try:
            return parse(text).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None
