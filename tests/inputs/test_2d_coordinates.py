"""2-D coordinates belong to the variable in their group, in any order of dimensions and any unit of angles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
from numpy.typing import NDArray

from regionplot.inputs.curvilinear import CurvilinearSource
from regionplot.inputs.describe import open_bands, open_source
from regionplot.settings.raster import RasterSettings

ROW, COLUMN = np.mgrid[:20, :30]
LATITUDES, LONGITUDES = 10 - 0.1 * ROW + 0.03 * COLUMN, 20 + 0.1 * COLUMN + 0.03 * ROW


def write(path: Path, order: str = "yx", groups: tuple[str, ...] = ("/",), **options: Any) -> Path:
    """Write a variable with 2-D coordinates to each group. Each group lies 20 degrees farther to the north."""
    factor, units, stored = options.get("factor", 1.0), options.get("units", "degrees"), options.get("stored", "f4")
    with netCDF4.Dataset(path, "w") as file:
        for name, size in (("y", 20), ("x", 30), ("t", 2)):
            file.createDimension(name, size)
        for number, name in enumerate(groups):
            group = file if name == "/" else file.createGroup(name)
            for coordinate, values in (("latitude", LATITUDES + 20 * number), ("longitude", LONGITUDES)):
                group.createVariable(coordinate, "f8", ("y", "x"))[:] = values * factor
                group[coordinate].units = units
            rain = group.createVariable("rain", stored, tuple(order))
            rain.setncatts(options.get("attributes", {}))
            rain.set_auto_maskandscale(False)
            weight = {"y": 6, "x": 1, "t": 1}
            indices = np.indices(rain.shape)
            cells = sum(index * weight[letter] for index, letter in zip(indices, order, strict=True))
            rain[:] = np.asarray(cells).astype("u1").view("i1") if stored == "i1" else cells
    return path


def native(path: Path, **settings: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the values and the latitudes of the cells in the file's own rows and columns."""
    source = open_source(RasterSettings(path=path, **settings))
    assert isinstance(source, CurvilinearSource)
    cells = source.read_native()
    return cells.values, cells.latitudes


@pytest.mark.parametrize("order", ["yx", "tyx", "yxt", "xy", "txy", "ytx"])
def test_dimensions_may_have_any_order(tmp_path: Path, order: str) -> None:
    path = write(tmp_path / "grid.nc", order)
    values, latitudes = native(path)
    np.testing.assert_array_equal(values, 6 * ROW + COLUMN)
    np.testing.assert_array_equal(latitudes, LATITUDES)
    assert len(open_bands(RasterSettings(path=path))) == (2 if "t" in order else 1)
    if "t" in order:
        np.testing.assert_array_equal(native(path, band=2)[0], 6 * ROW + COLUMN + 1)


def test_coordinates_in_the_group_of_the_variable_are_used(tmp_path: Path) -> None:
    path = write(tmp_path / "grid.nc", groups=("a", "b", "b/c"))
    for number, group in enumerate(("a", "b", "b/c")):
        _, latitudes = native(path, variable=f"{group}/rain")
        np.testing.assert_array_equal(latitudes, LATITUDES + 20 * number)


@pytest.mark.parametrize(("units", "factor"), [("radian", np.pi / 180), ("arc_minutes", 60.0)])
def test_coordinates_are_converted_to_degrees(tmp_path: Path, units: str, factor: float) -> None:
    _, latitudes = native(write(tmp_path / "grid.nc", units=units, factor=factor))
    np.testing.assert_allclose(latitudes, LATITUDES)


def test_signed_bytes_are_read_as_unsigned(tmp_path: Path) -> None:
    path = write(tmp_path / "grid.nc", stored="i1", attributes={"_Unsigned": "true"})
    values, _ = native(path)
    np.testing.assert_array_equal(values, 6 * ROW + COLUMN)
    assert values.max() > 127
