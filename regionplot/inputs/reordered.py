"""Provide rasterio's dataset interface for a variable that GDAL cannot read.

GDAL cannot read a variable if its last two dimensions are not rows and columns, or if its bytes are signed but stored
as unsigned numbers, or the reverse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from regionplot.inputs.axes_source import band_count, band_position
from regionplot.inputs.file_axes import GridAxes
from regionplot.inputs.netcdf import Variable, read_values

_POSITION = "NETCDF_DIM_"
_PER_BAND = (
    "block_shapes", "colorinterp", "descriptions", "dtypes", "mask_flag_enums", "nodatavals", "offsets", "scales",
    "units",
)  # fmt: skip


class ReorderedDataset:
    """A dataset of rasterio whose bands have y as rows and x as columns.

    The netCDF4 library reads the cells. All bands of a variable have the same attributes, so the attributes are taken
    from GDAL's first band.
    """

    def __init__(self, dataset: Any, grid: GridAxes, positions: Mapping[str, Sequence[float]]) -> None:
        self.dataset = dataset
        self.grid = grid
        self.shape = self.height, self.width = grid.shape
        self.count = band_count(grid)
        self.indexes = tuple(range(1, self.count + 1))
        self._positions = positions

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.dataset, name)
        return (value[0],) * self.count if name in _PER_BAND else value

    def tags(self, band: int = 0, ns: str | None = None) -> dict[str, str]:
        """Return the tags of a band, or of the dataset if the band is 0."""
        found: dict[str, str] = self.dataset.tags(min(band, 1), ns=ns)
        if not band or ns is not None:
            return found
        place = band_position(self.grid, band)
        return {key: text for key, text in found.items() if not key.startswith(_POSITION)} | {
            f"{_POSITION}{dimension.name}": repr(float(self._positions[dimension.name][index]))
            for dimension, index in zip(self.grid.variable.dimensions, place, strict=True)
            if dimension.name in self._positions
        }


def can_read(dataset: Any, grid: GridAxes) -> bool:
    """Return True if GDAL reads the cells of a variable, in the order of its dimensions.

    In NetCDF-4 files, GDAL ignores the attribute `_Unsigned` of bytes
    (https://github.com/OSGeo/gdal/blob/master/frmts/netcdf/netcdfdataset.cpp).
    """
    stored, given = grid.variable.dtype, np.dtype(dataset.dtypes[0])
    return grid.has_usual_order and not (stored is not None and stored.itemsize == 1 and stored.kind != given.kind)


def read_positions(path: Path, grid: GridAxes, variables: Sequence[Variable]) -> dict[str, Sequence[float]]:
    """Return the coordinates along each dimension other than y and x that has a coordinate variable.

    Raises
    ------
    RasterError
        If the coordinates cannot be read.
    """
    others = [d for i, d in enumerate(grid.variable.dimensions) if i not in (grid.y_position, grid.x_position)]
    return {
        dimension.name: read_values(path, variable).tolist()
        for dimension in others
        for variable in variables
        if variable.name == dimension.name and variable.dimensions == (dimension,) and variable.dtype is not None
    }
