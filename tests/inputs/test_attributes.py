"""Attributes of NetCDF variables say which stored cells are missing, and which sign the stored cells have."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from regionplot.blocks.values import BandReader
from regionplot.inputs.describe import open_source
from regionplot.inputs.gdal import gdal_options, open_raster
from regionplot.settings.raster import RasterSettings

CELLS = np.array([[-100, -5, 0], [1, 50, 99], [100, 101, 120], [127, -128, -1]])
LATITUDES = np.array([50.0, 49.0, 48.0, 47.0]), {"units": "degrees_north"}
LONGITUDES = np.array([5.0, 6.0, 7.0]), {"units": "degrees_east"}


@pytest.fixture
def read(write_netcdf: Any) -> Any:
    """Return a function that writes cells with attributes, and reads them in both ways: for maps, and for blocks."""

    def write_and_read(dtype: str, cells: NDArray[Any] = CELLS, **attributes: Any) -> NDArray[Any]:
        axes = {"d4": LATITUDES, "d3": LONGITUDES}
        path = write_netcdf(**axes, v=(cells.astype(dtype), attributes))
        source = open_source(RasterSettings(path=path, variable="v"))
        values = source.read(source.describe().geometry.full_window, CELLS.shape, "nearest")
        reader = BandReader.of(RasterSettings(path=path, variable="v"))
        with gdal_options(), open_raster(path, reader.bands[0].gdal_name) as dataset:
            np.testing.assert_array_equal(reader.read(dataset, reader.geometry.full_window)[0], values)
        return values

    return write_and_read


def shown(values: NDArray[Any]) -> list[float]:
    return sorted(values[~np.isnan(values)].tolist())


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "float32", "float64"])
@pytest.mark.parametrize(
    "attributes",
    [
        {"_FillValue": -100, "missing_value": 101},
        {"_FillValue": 101, "missing_value": -100},
        {"missing_value": [-100, 101]},
        {"_FillValue": -100, "missing_value": [-100, 101]},
    ],
    ids=str,
)
def test_all_fill_values_are_missing(dtype: str, attributes: dict[str, Any], read: Any) -> None:
    values = read(dtype, **{key: np.array(value, dtype) for key, value in attributes.items()})
    assert shown(values) == sorted(set(CELLS.ravel().tolist()) - {-100, 101})


@pytest.mark.parametrize("dtype", ["int8", "int16", "float32"])
@pytest.mark.parametrize(
    ("limits", "least", "most"),
    [
        ({"valid_range": [0, 100]}, 0, 100),
        ({"valid_range": "[0, 100]"}, 0, 100),
        ({"valid_range": "0b, 1.0e2f"}, 0, 100),
        ({"valid_min": 0, "valid_max": 100}, 0, 100),
        ({"valid_min": 0}, 0, 127),
        ({"valid_max": 100}, -128, 100),
    ],
    ids=str,
)
def test_cells_outside_the_valid_range_are_missing(
    dtype: str, limits: dict[str, Any], least: int, most: int, read: Any, caplog: pytest.LogCaptureFixture
) -> None:
    attributes = {key: value if isinstance(value, str) else np.array(value, dtype) for key, value in limits.items()}
    values = read(dtype, **attributes)
    assert shown(values) == [cell for cell in sorted(CELLS.ravel().tolist()) if least <= cell <= most]
    assert not caplog.records


def test_a_scale_and_an_offset_can_be_texts(read: Any) -> None:
    np.testing.assert_allclose(read("int16", scale_factor="0.5", add_offset="10"), CELLS * 0.5 + 10)
    np.testing.assert_array_equal(read("int16", scale_factor="tenths"), CELLS)


def test_a_valid_range_applies_to_stored_cells(read: Any) -> None:
    values = read("int16", valid_range=np.array([0, 100], "i2"), scale_factor=0.1, add_offset=5.0)
    assert shown(values) == np.array([5.0, 5.1, 10.0, 14.9, 15.0], "f4").tolist()


@pytest.mark.parametrize("limits", [[0.0, 9.95], [0.05, 1200.5]])
def test_a_fractional_range_of_packed_cells_applies_to_the_unpacked_values(limits: list[float], read: Any) -> None:
    values = read("int16", valid_range=np.array(limits), scale_factor=0.1, _FillValue=np.int16(-128))
    assert shown(values) == [v for v in np.array(sorted(CELLS.ravel() * 0.1), "f4") if limits[0] <= v <= limits[1]]


def test_a_range_that_hides_all_cells_is_applied_to_the_unpacked_values(
    read: Any, caplog: pytest.LogCaptureFixture
) -> None:
    kelvin = {"scale_factor": 0.01, "add_offset": 273.15, "valid_range": np.array([270, 330], "i2")}
    assert shown(read("int16", **kelvin)) == np.array(sorted(CELLS.ravel() * 0.01 + 273.15), "f4").tolist()
    assert "valid_range = 270, 330 hides all cells; it is applied to the values after scaling" in caplog.text


def test_a_range_that_contradicts_all_values_is_ignored_with_a_warning(
    read: Any, caplog: pytest.LogCaptureFixture
) -> None:
    values = read("float32", valid_min=np.float32(200), valid_max=np.float32(300))
    assert shown(values) == sorted(CELLS.ravel().tolist())
    assert "valid_min = 200 and valid_max = 300 hides all cells; it is ignored" in caplog.text


def test_a_range_is_not_contradicted_by_missing_cells(read: Any, caplog: pytest.LogCaptureFixture) -> None:
    cells = np.full((4, 3), -9)
    assert shown(read("int16", cells, _FillValue=np.int16(-9), valid_range=np.array([0, 5], "i2"))) == []
    assert not caplog.records


@pytest.mark.parametrize(
    "attributes",
    [{"_Unsigned": "true"}, {"valid_range": np.array([0, 255], "i2")}],
    ids=["flag", "range of unsigned bytes"],
)
def test_signed_bytes_can_mean_unsigned_numbers(attributes: dict[str, Any], read: Any) -> None:
    assert shown(read("int8", **attributes)) == sorted(CELLS.astype("u1").ravel().tolist())


def test_larger_integers_can_mean_unsigned_numbers(read: Any) -> None:
    for dtype, bits in (("int16", 16), ("int32", 32)):
        fill = {"_FillValue": np.array(-1, dtype), "missing_value": np.array(-100, dtype)}
        expected = sorted(cell % 2**bits for cell in CELLS.ravel().tolist() if cell not in (-1, -100))
        assert shown(read(dtype, _Unsigned="true", **fill)) == np.array(expected, float).tolist()


def test_the_range_of_unsigned_numbers_can_be_stored_in_signed_numbers(read: Any) -> None:
    values = read("int8", _Unsigned="true", valid_min=np.int8(1), valid_max=np.int8(-36))
    assert shown(values) == [cell for cell in sorted(CELLS.astype("u1").ravel().tolist()) if 1 <= cell <= 220]


def test_a_range_below_zero_contradicts_unsigned_numbers(read: Any, caplog: pytest.LogCaptureFixture) -> None:
    values = read("int16", _Unsigned="true", valid_range=np.array([-100, 110], "i2"))
    assert shown(values) == [cell for cell in sorted(CELLS.ravel().tolist()) if -100 <= cell <= 110]
    assert any(record.levelno == logging.WARNING and "_Unsigned" in record.message for record in caplog.records)
