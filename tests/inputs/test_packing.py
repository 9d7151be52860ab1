"""Stored cells are decoded to the values that the attributes of a file define."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionplot.geo.dtypes import float_dtype
from regionplot.inputs.describe import open_source
from regionplot.inputs.packing import Packing, exact_packing
from regionplot.settings.raster import RasterSettings

INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32"]
SCALES = [("0.1", "0"), ("0.01", "273.15"), ("0.001", "-5"), ("1", "-273.15"), ("25", "0"), ("-0.5", "12.5")]


@pytest.mark.parametrize("attribute", [float, lambda text: float(np.float32(text))], ids=["double", "single"])
@pytest.mark.parametrize(("scale", "offset"), SCALES)
@pytest.mark.parametrize("dtype", INTEGERS)
def test_a_packed_decimal_equals_the_same_number_in_the_settings(
    dtype: str, scale: str, offset: str, attribute: Any
) -> None:
    limits = np.iinfo(dtype)
    stored = np.unique(np.linspace(limits.min, limits.max, 777).astype(dtype))
    values = Packing(scale=attribute(scale), offset=attribute(offset)).decode(stored.copy(), float_dtype(stored.dtype))
    meant = [float(int(cell) * Decimal(scale) + Decimal(offset)) for cell in stored]
    np.testing.assert_array_equal(values, np.array(meant, values.dtype))


@given(
    scale=st.floats(1e-12, 1e6),
    offset=st.floats(-1e6, 1e6),
    cells=st.lists(st.integers(-(2**15), 2**15 - 1), min_size=1, max_size=20),
)
def test_any_packing_is_right_to_single_precision(scale: float, offset: float, cells: list[int]) -> None:
    values = Packing(scale=scale, offset=offset).decode(np.array(cells, np.int16), np.dtype(np.float32))
    meant = np.array(cells, float) * scale + offset
    np.testing.assert_allclose(values, meant, rtol=1e-6, atol=1e-7 * max(abs(offset), scale * 2**15))


@pytest.mark.parametrize(
    ("scale", "meant"),
    [(2.0**-12, None), (1 / 3, None), (0.1, (1, 0, 10)), (float(np.float32(0.01)), (1, 0, 100)), (float("inf"), None)],
)
def test_only_short_decimals_are_computed_with_integers(scale: float, meant: tuple[int, int, int] | None) -> None:
    found = exact_packing(scale, 0.0)
    if meant is None and found is not None:
        assert found[0] / found[2] == scale
    else:
        assert found == meant


@pytest.mark.parametrize("dtype", [*INTEGERS, "int64", "uint64", "float32", "float64"])
def test_all_missing_values_and_cells_outside_the_valid_range_are_nan(dtype: str) -> None:
    stored = np.arange(100).astype(dtype).reshape(10, 10)
    packing = Packing(nodata=5.0, missing=(7.0, 50.0, 1000.5, -3.0), valid=(2.0, 90.0), scale=0.5)
    values = packing.decode(stored.copy(), float_dtype(stored.dtype))
    cells = np.arange(100).reshape(10, 10)
    missing = (cells < 2) | (cells > 90) | np.isin(cells, (5, 7, 50))
    np.testing.assert_array_equal(values, np.where(missing, np.nan, cells * 0.5).astype(values.dtype))


@pytest.mark.parametrize(
    ("dtype", "nodata"), [("int64", -(2**63) + 1), ("int64", 2**63 - 1), ("uint64", 2**64 - 1), ("int64", -9999)]
)
def test_a_nodata_value_of_64_bits_is_missing(dtype: str, nodata: int) -> None:
    """GDAL gives the nodata value as float64, which is not exact."""
    stored = np.array([0, 1, nodata], dtype)
    assert np.isnan(Packing(nodata=float(nodata)).decode(stored, np.dtype(float))).tolist() == [False, False, True]


def test_a_missing_value_that_gdal_prints_with_eight_digits_is_missing() -> None:
    fill = np.float32(9.96921e36)
    stored = np.array([fill, np.nextafter(fill, np.float32(0)), 1e36, np.inf, np.nan], np.float32)
    values = Packing(missing=(float(f"{fill:.8g}"),)).decode(stored, stored.dtype)
    assert np.isnan(values).tolist() == [True, True, False, False, True]


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32"])
@pytest.mark.parametrize("scale", [1e300, np.inf, np.nan, 0.0, 1e-300])
def test_an_absurd_scale_gives_values_without_warnings(dtype: str, scale: float) -> None:
    stored = np.array([0, 1, 100], dtype)
    values = Packing(scale=scale, offset=1.0).decode(stored.copy(), float_dtype(stored.dtype))
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(values, (stored.astype(float) * scale + 1).astype(values.dtype))


def test_a_nodata_value_that_the_type_cannot_hold_matches_no_cell() -> None:
    stored = np.array([0, 1, 255], np.uint8)
    assert not np.isnan(Packing(nodata=-1.0, missing=(256.0, 0.5)).decode(stored, np.dtype("f4"))).any()
    assert not np.isnan(Packing(nodata=255.0).decode(np.array([True, False]), np.dtype("f4"))).any()


@pytest.mark.parametrize(("scale", "offset"), [(0.0, 0.0), (0.0, 273.0), (np.nan, 0.0), (np.inf, 0.0), (2.0, np.nan)])
def test_a_scale_that_hides_all_values_is_ignored_with_a_warning(
    scale: float, offset: float, write_raster: Any, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_raster(np.array([[1, 2], [3, 4]], np.int16), scales=(scale,), offsets=(offset,))
    source = open_source(RasterSettings(path=path))
    window = source.describe().geometry.full_window
    np.testing.assert_array_equal(source.read(window, (2, 2), "nearest"), [[1, 2], [3, 4]])
    assert f"the scale {scale:g} and the offset {offset:g} are ignored" in caplog.text
    caplog.clear()
    assert open_source(RasterSettings(path=path, mask_and_scale=False)).describe().mask_and_scale is False
    assert not caplog.records
