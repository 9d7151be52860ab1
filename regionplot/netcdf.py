"""NetCDF variables over several dimensions beside y and x, such as time and level.

rioxarray 0.19 cannot open them with an xarray that checks coordinates against dimensions. Here they are described as it
describes the others; bands are in GDAL's order, the last dimension fastest
(https://gdal.org/en/stable/drivers/raster/netcdf.html).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

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
