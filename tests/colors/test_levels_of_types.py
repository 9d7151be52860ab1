"""Cells of all types belong to the right class, with few cells and with many cells per pixel of the maps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from regionplot.colors.classes import Classes, ClassScale, ValueClass
from regionplot.colors.numbers import ColorScale
from regionplot.geo.crs import parse_crs
from regionplot.geo.extent import Extent, PanelGrid
from regionplot.geo.grid import GridGeometry
from regionplot.geo.sampling import sample
from regionplot.inputs.packing import Packing
from regionplot.settings.loading import read_config

TYPES = [
    "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64",
]  # fmt: skip
LEVELS = {
    "between": [-0.5, 0.5, 1.5, 3.5],
    "on": [0, 1, 2, 3],
    "below zero": [-1, 1, 3],
    "all below": [-30.5, -20, -10.5],
    "outside the type": [-1e6, 1, 1e30],
    "one above": [1.0000001, 3],
}
CRS = parse_crs("EPSG:4326")


def scale_of(levels: list[float], under: str = "black") -> ColorScale:
    settings = {"levels": levels, "under": under, "over": "red"}
    return ColorScale.of(read_config({"raster": {"path": "sample:relief"}, "colors": settings}), np.zeros((2, 2)))


def cells_of(dtype: str) -> np.ndarray:
    """Return cells with the smallest and the largest integers of the type, and some in between."""
    kind = np.dtype(dtype)
    ends = [np.iinfo(kind).min, np.iinfo(kind).max] if kind.kind in "iu" else [0, 1]
    return np.array([[0, 1, ends[0]], [1, 0, ends[1]]] if kind.kind == "b" else [[0, 1, 2], [3, *ends]], kind)


def sampled(cells: np.ndarray) -> np.ndarray:
    """Return the values of the cells at the pixels of a panel with one pixel per cell."""
    from affine import Affine

    height, width = cells.shape
    geometry = GridGeometry(Affine(1, 0, 0, 0, -1, height), height, width, CRS)
    return sample(cells, geometry, PanelGrid(Extent(0, width, 0, height), width, height), CRS).values


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("levels", LEVELS.values(), ids=list(LEVELS))
def test_a_cell_belongs_to_the_class_of_its_value(dtype: str, levels: list[float]) -> None:
    scale, cells = scale_of(levels), cells_of(dtype)
    expected = [[sum(level <= float(cell) for level in levels) for cell in row] for row in cells]
    assert scale.codes(cells).tolist() == expected
    assert scale.codes(sampled(cells)).tolist() == expected
    few, many = scale.classify_cells(cells, cells.size + 1), scale.classify_cells(cells, cells.size)
    assert few is not None
    assert few.tolist() == expected
    assert many is None


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32"])
@pytest.mark.parametrize(
    ("factor", "offset"), [(0.1, 0.0), (0.01, 0.0), (float(np.float32(0.01)), 0.0), (0.001, 5.0), (0.1, -12.8)]
)
def test_a_packed_value_on_a_level_belongs_to_the_class_above(dtype: str, factor: float, offset: float) -> None:
    stored = np.arange(128, dtype=dtype).reshape(8, 16)
    float_type = np.dtype("f4" if stored.itemsize < 4 else "f8")
    values = Packing(scale=factor, offset=offset).decode(stored.copy(), float_type)
    digits = 3
    levels = [round(cell * round(factor, 6) + offset, digits) for cell in range(128)]
    codes = scale_of(levels).codes(values)
    assert codes.ravel().tolist() == list(range(1, 129))


@pytest.mark.parametrize("dtype", [name for name in TYPES if name not in ("bool", "float16")])
def test_values_of_every_data_type_find_their_class(dtype: str) -> None:
    drawn = (ValueClass(1, "red"), ValueClass(3, "blue"))
    scale = ClassScale.of(Classes(drawn, drawn), read_config({"raster": {"path": "sample:relief"}}))
    cells = cells_of(dtype)
    expected = [[{1: 1, 3: 2}.get(int(cell), 0) for cell in row] for row in cells.tolist()]
    assert scale.codes(cells).tolist() == expected
    assert scale.codes(sampled(cells)).tolist() == expected


@pytest.mark.parametrize("norm", ["linear", "log", "sqrt", "symlog"])
@pytest.mark.parametrize("limits", [{}, {"vmin": 1e6}, {"vmax": 0.5}, {"vmin": 1e300}, {"vmax": 1e-270}], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_limits_outside_the_data_give_a_scale(norm: str, limits: dict[str, Any], dtype: str) -> None:
    grids = {
        "usual": np.linspace(1, 99, 20), "negative": -np.linspace(1, 99, 20), "zero": np.zeros(20),
        "one value": np.full(20, 7.0), "nodata": np.full(20, np.nan), "inf": np.full(20, np.inf),
        "-inf": np.full(20, -np.inf), "huge": np.linspace(-3e38, 3e38, 20), "large": np.full(20, 1e17),
    }  # fmt: skip
    for name, grid in grids.items():
        values = grid.astype(dtype).reshape(4, 5)
        colors = {"norm": norm, **limits}
        scale = ColorScale.of(read_config({"raster": {"path": "sample:relief"}, "colors": colors}), values)
        low, high = scale.norm.vmin, scale.norm.vmax
        assert low is not None
        assert high is not None
        assert low < high, name
        assert all({"vmin": low, "vmax": high}[key] == limit for key, limit in limits.items()), name
        codes = scale.codes(values)
        doubles = values.astype(float)
        if dtype == "float32":  # limits are rounded like the values
            low, high = (float(np.float32(limit)) if 1e-37 < abs(limit) < 3.4e38 else limit for limit in (low, high))
        assert (codes[doubles > high] == 257).all(), name
        assert (codes[doubles < low] == 0).all(), name
        assert (codes[np.isnan(values)] == scale.nodata).all(), name
