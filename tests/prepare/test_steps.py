"""Each step equals a simple, independent computation on small arrays with missing cells."""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
import scipy.ndimage
import shapely
from affine import Affine
from pydantic import ValidationError
from rasterio.features import geometry_mask
from rasterio.warp import Resampling, reproject

from regionplot.blocks.grid import Block
from regionplot.blocks.values import BandReader, Storage
from regionplot.errors import ConfigError, FeaturesError, RasterError
from regionplot.geo.grid import GridGeometry, Window
from regionplot.prepare.base import BlockContext, Operation
from regionplot.prepare.chain import Chain
from regionplot.prepare.steps.accumulate import Accumulate, Accumulation
from regionplot.prepare.steps.convert import convert
from regionplot.prepare.steps.expression import Expression
from regionplot.prepare.steps.focal import Focal
from regionplot.prepare.steps.hillshade import Hillshade
from regionplot.prepare.steps.mask import MaskByVector
from regionplot.prepare.steps.reclassify import Reclassify, Rule
from regionplot.prepare.steps.scale import Scale
from regionplot.prepare.steps.slope import Slope
from regionplot.prepare.steps.warp import Warp, target_geometry
from regionplot.settings.raster import RasterSettings

UTM = pyproj.CRS.from_epsg(32612)
LONLAT = pyproj.CRS.from_epsg(4326)


def meters(height: int, width: int, cell: float = 100.0) -> GridGeometry:
    return GridGeometry(Affine(cell, 0, 500_000, 0, -cell, 4_000_000), height, width, UTM)


def apply_to_array(operation: Operation, values: Any, geometry: GridGeometry | None = None, **others: Any) -> Any:
    """Apply an operation to a whole array."""
    stack = np.asarray(values, float)
    stack = stack if stack.ndim == 3 else stack[None]
    geometry = geometry or meters(*stack.shape[1:])
    whole = Window(0, 0, *stack.shape[1:])
    context = BlockContext(
        Block(whole, whole), geometry, {name: np.asarray(v, float)[None] for name, v in others.items()}
    )
    result = operation.bind(geometry).apply(stack, context)
    return result[0] if len(result) == 1 else result


@pytest.fixture
def holed() -> Any:
    """Heights with missing cells: single cells, a row, and a corner."""
    random = np.random.default_rng(3)
    values = random.normal(500, 100, (23, 31))
    values[random.random(values.shape) < 0.15] = np.nan
    values[:9, :9] = np.nan
    values[15] = np.nan
    return values


def windows(values: Any, reach: int) -> Any:
    """Return the square around each cell, with NaN beyond the edges."""
    padded = np.pad(values, reach, constant_values=np.nan)
    return np.lib.stride_tricks.sliding_window_view(padded, (2 * reach + 1,) * 2)


# expressions


def test_an_expression_computes_its_formula_and_missing_cells_stay_missing() -> None:
    b1, b2 = np.array([[1.0, np.nan, 3, 4]]), np.array([[2.0, 2, np.nan, 0]])
    result = apply_to_array(Expression("where(b1 > 2, b1 - b2 * 0.5, -b1) ** 2"), np.stack([b1, b2]))
    np.testing.assert_array_equal(result, [[1, np.nan, np.nan, 16]])


def test_results_that_are_not_finite_are_missing() -> None:
    np.testing.assert_array_equal(apply_to_array(Expression("1 / b1 + log(b1)"), [[0.0, 1, -1]]), [[np.nan, 1, np.nan]])


def test_isnan_keeps_missing_cells_in_the_formula() -> None:
    np.testing.assert_array_equal(apply_to_array(Expression("where(isnan(b1), 0, b1)"), [[np.nan, 5.0]]), [[0, 5]])


@pytest.mark.parametrize("formula", ["b1 + snow.b1 * 2", "b1 + snow_b1 * 2"])
def test_further_inputs_have_names(formula: str) -> None:
    np.testing.assert_array_equal(apply_to_array(Expression(formula), [[1.0]], snow=[[3.0]]), [[7]])


def test_integers_are_divided_as_floats() -> None:
    np.testing.assert_array_equal(apply_to_array(Expression("b1 * (1 / 2)"), [[3.0]]), [[1.5]])


@pytest.mark.parametrize(
    "formula",
    [
        "__import__('os').system('touch HERE')",
        "b1.__class__",
        "b1.b1.b1",
        "().__class__.__bases__[0].__subclasses__()",
        "(lambda: 1)()",
        "[b1 for b1 in (1,)]",
        "b1[0]",
        "'text'",
        "b1 if b1 else b2",
        "open(b1)",
        "eval(b1)",
        "where(b1, b1)",
        "sqrt(x=b1)",
        "sqrt(*b1)",
        "(b1 := 3)",
        "b1 and b2",
        "not b1",
        "0 < b1 < 3",
        "b1; b2",
        "b1 = 3",
        "1j * b1",
        "True",
        "None",
        "f'{b1}'",
        "_b1",
        "a__b1",
        "b0",
        "b01",
        "b1234567890",
        "b²",
        "1 + 1",
        "",
        "b1 +",
        "1e999 * b1",
        "b1 @ b2",
        "b1\x00",
        "yield b1",
        "sum(b1)",
    ],
)
def test_texts_that_are_not_formulas_over_bands_are_refused(formula: str) -> None:
    with pytest.raises(ValidationError, match="Value error"):
        Expression(formula)


@pytest.mark.parametrize(
    "formula",
    [
        "+".join(["b1"] * 2000),
        "(" * 150 + "b1" + ")" * 150 + "+b1" * 800,
        "-" * 500 + "b1",
        "abs(" * 90 + "b1" + ")" * 90,
    ],
    ids=["many terms", "many nodes", "deep signs", "deep calls"],
)
def test_very_long_or_deep_formulas_are_refused(formula: str) -> None:
    with pytest.raises(ValueError, match=r"too long|too deeply|not an expression|at most 2000 characters"):
        Expression(formula)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "formula", ["9**9**9**9 * b1", "10**400 * b1", "b1 * (1/0)", "~b1", "where(b1, 1, 2)", "b1 & 3"]
)
def test_errors_of_numexpr_are_reported_before_a_block_is_read(formula: str) -> None:
    with pytest.raises(ConfigError, match=re.escape("cannot be evaluated")):
        Expression(formula).bind(meters(2, 2))


def test_missing_bands_are_named() -> None:
    with pytest.raises(ConfigError, match="no b3; the bands are b1 to b2"):
        Expression("b1 + b3").bands(2)
    with pytest.raises(ConfigError, match="no snow_b2; the bands of further inputs are: snow_b1"):
        Expression("b1 + snow.b2").check_extra_inputs({"snow": 1})


# focal


@pytest.mark.parametrize("size", [1, 3, 7])
@pytest.mark.parametrize(
    ("kind", "plain"), [("mean", np.nanmean), ("median", np.nanmedian), ("min", np.nanmin), ("max", np.nanmax)]
)
@pytest.mark.filterwarnings("ignore:(Mean of empty|All-NaN):RuntimeWarning")
def test_a_focal_statistic_uses_the_valid_cells(holed: Any, kind: Any, plain: Callable[..., Any], size: int) -> None:
    expected = plain(windows(holed, size // 2), axis=(2, 3))
    np.testing.assert_allclose(apply_to_array(Focal(kind, size, fill=True), holed), expected, rtol=1e-13)
    kept = np.where(np.isnan(holed), np.nan, expected)
    np.testing.assert_allclose(apply_to_array(Focal(kind, size), holed), kept, rtol=1e-13)


def test_a_gaussian_equals_scipy_normalized_by_the_weights_of_valid_cells(holed: Any) -> None:
    there = np.isfinite(holed)
    options: dict[str, Any] = {"sigma": 1.3, "radius": math.ceil(4 * 1.3), "mode": "constant"}
    total = scipy.ndimage.gaussian_filter(np.where(there, holed, 0), **options)
    weight = scipy.ndimage.gaussian_filter(there.astype(float), **options)
    expected = np.where(there, total / np.where(there, weight, 1), np.nan)
    np.testing.assert_allclose(apply_to_array(Focal("gaussian", sigma=1.3), holed), expected, rtol=1e-12)


def test_smoothing_keeps_a_constant_up_to_the_edge() -> None:
    constant = np.full((9, 9), 7.0)
    np.testing.assert_allclose(apply_to_array(Focal("gaussian", sigma=2), constant), constant, rtol=1e-15)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": 4}, "odd number"),
        ({"size": -1}, "greater than or equal to 1"),
        ({"kind": "variance"}, "should be 'mean', 'gaussian'"),
        ({"kind": "gaussian", "sigma": 0.0}, "greater than 0"),
        ({"size": 1001}, "the largest has 501 cells"),
    ],
)
def test_impossible_neighborhoods_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Focal(**wrong)


def test_halos_follow_from_the_size() -> None:
    assert [Focal("mean", 5).halo, Focal("gaussian", sigma=1.3).halo, Slope().halo, Scale().halo] == [2, 6, 1, 0]


# classes, units


def test_the_first_rule_applies_and_ranges_exclude_their_upper_limit() -> None:
    operation = Reclassify(["5=50", "0:10=1", "10:=2", ":-100=missing", "else=9"])
    values = [[0, 5, 9.99, 10, 1e6, -1, -200, np.nan]]
    np.testing.assert_array_equal(apply_to_array(operation, values), [[1, 50, 1, 2, 2, 9, np.nan, np.nan]])


def test_values_without_a_rule_are_kept_unless_else_is_given() -> None:
    np.testing.assert_array_equal(apply_to_array(Reclassify(["1=2"]), [[1, 3]]), [[2, 3]])
    np.testing.assert_array_equal(
        apply_to_array(
            Reclassify(["1=2", "else=missing"]),
            [[1, 3]],
        ),
        [[2, np.nan]],
    )


@pytest.mark.parametrize(
    "rules", [["1"], ["a=1"], ["2:1=1"], ["1:1=1"], ["nan=1"], ["1=inf"], ["else=1", "1=2"], ["else=1"]]
)
def test_texts_that_are_not_rules_are_refused(rules: list[str]) -> None:
    with pytest.raises(ValueError, match=r"rule|is not less than"):
        Reclassify(rules)


def test_a_rule_can_have_one_bound() -> None:
    assert Rule.parse(" :5 = 3") == Rule(-math.inf, 5, 3)


@pytest.mark.parametrize(
    ("source", "target", "value", "expected"),
    [
        ("mm", "inch", 25.4, 1),
        ("K", "degC", 273.15, 0),
        ("C", "F", 100, 212),
        ("degF", "kelvin", 32, 273.15),
        ("kg m-2", "g/cm^2", 10, 1),
        ("m s-1", "knot", 1852 / 3600, 1),
        ("ug m-3", "mg/m**3", 1000, 1),
        ("%", "1", 50, 0.5),
        ("degrees_C", "degree_F", 100, 212),
        ("degree_Celsius", "degrees_kelvin", 0, 273.15),
        ("m³ s⁻¹", "liter/s", 1, 1000),
        ("Hz**(1/2)", "s^-0.5", 2, 2),
        ("(m/s)**2", "m2 s-2", 3, 3),
    ],
)
def test_units_are_converted(source: str, target: str, value: float, expected: float) -> None:
    operation = convert(source, target)
    np.testing.assert_allclose(apply_to_array(operation, [[value]]), [[expected]], rtol=1e-12, atol=1e-10)
    assert operation.describe({"units": source})["units"] == target


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("mm", "second", "convert mm:second"),
        ("smoot3x", "m", "smoot3x"),
        ("", "m", "states no units"),
        ("m", "(", r"convert m:\("),
        ("dBm", "mW", r"convert dBm:mW: .*not linear .logarithmic units.*use an expression step"),
        ("mW", "dBm", "not linear"),
        ("dB", "1", "not linear"),
        ("1e-3 m", "m", "scaling factor"),
        ("m" * 61, "m", "more than 60 characters"),
        *(
            (hanging, "m", "one or two digits")
            for hanging in (
                "m**9**9**9",
                "9**9**9 m",
                "(9**9)**9",
                "9**999",
                "9⁹⁹⁹⁹⁹⁹⁹⁹⁹",
                "(9⁹⁹)⁹⁹",
                "9**(99*99*99*99)",
                "9**(99 99 99 99)",
                "((9^99)*1)^99",
                "9** 9 ** 9",
                "9**+(9**99)",
                "9**--9",
                "9**9e9",
            )
        ),
    ],
)
def test_impossible_units_are_refused(source: str, target: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        convert(source, target)


# terrain


def test_the_slope_of_a_plane_is_constant() -> None:
    rows, columns = np.mgrid[0:9, 0:11]
    plane = columns * 100 * 0.3 - rows * 100 * 0.4
    np.testing.assert_allclose(apply_to_array(Slope("percent"), plane)[1:-1, 1:-1], 50)
    np.testing.assert_allclose(apply_to_array(Slope("degree"), plane)[1:-1, 1:-1], math.degrees(math.atan(0.5)))
    np.testing.assert_allclose(apply_to_array(Slope("percent", z_factor=2), plane)[1:-1, 1:-1], 100)


def horn(values: Any, cell: float) -> tuple[Any, Any]:
    """Return the rise to the east and north with Horn's weights. A missing neighbor is as high as the cell."""
    around = windows(values, 1)
    around = np.where(np.isnan(around), values[..., None, None], around)
    weights = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / (8 * cell)
    return (around * weights).sum(axis=(2, 3)), (around * -weights.T).sum(axis=(2, 3))


def test_hillshade_follows_from_the_angle_between_light_and_ground(holed: Any) -> None:
    east, north = horn(holed, 100)
    slope, aspect = np.arctan(np.hypot(east, north)), np.arctan2(-east, -north)
    altitude, azimuth = np.radians(35), np.radians(300)
    light = np.sin(altitude) * np.cos(slope) + np.cos(altitude) * np.sin(slope) * np.cos(azimuth - aspect)
    expected = 255 * np.maximum(0, light)
    np.testing.assert_allclose(apply_to_array(Hillshade(300, 35), holed), expected, rtol=1e-10, atol=1e-10)


def test_a_slope_to_the_northwest_is_lit_from_the_northwest() -> None:
    rows, columns = np.mgrid[0:5, 0:5]
    rising_to_the_south_east = (rows + columns) * 50.0
    assert (
        apply_to_array(Hillshade(315, 45), rising_to_the_south_east)[2, 2]
        > apply_to_array(Hillshade(135, 45), rising_to_the_south_east)[2, 2]
    )


def test_a_grid_from_south_to_north_has_the_same_hillshade() -> None:
    values = np.random.default_rng(1).normal(0, 50, (8, 9))
    up = GridGeometry(Affine(100, 0, 500_000, 0, 100, 4_000_000 - 800), 8, 9, UTM)
    np.testing.assert_allclose(
        apply_to_array(Hillshade(), values[::-1], up)[::-1], apply_to_array(Hillshade(), values), rtol=1e-12
    )


def test_cell_sizes_in_degrees_are_computed_on_the_ellipsoid() -> None:
    geometry = GridGeometry(Affine(0.1, 0, 10, 0, -0.1, 61), 20, 20, LONLAT)
    geod = pyproj.Geod(ellps="WGS84")
    _, _, across = geod.inv(10, 60.05, 10.1, 60.05)
    _, _, down = geod.inv(10, 60.0, 10, 60.1)
    east = apply_to_array(Slope("percent"), np.tile(np.arange(20.0), (20, 1)), geometry)
    north = apply_to_array(Slope("percent"), np.tile(np.arange(20.0)[:, None], (1, 20)), geometry)
    assert east[9, 9] == pytest.approx(100 / across, rel=1e-5)
    assert north[9, 9] == pytest.approx(100 / down, rel=1e-5)


def test_feet_are_converted_and_cells_beyond_a_pole_are_missing() -> None:
    feet = GridGeometry(Affine(100, 0, 0, 0, -100, 0), 3, 3, pyproj.CRS.from_epsg(2225))
    assert apply_to_array(Slope("percent"), np.tile(np.arange(3.0), (3, 1)), feet)[1, 1] == pytest.approx(
        100 / (100 * 0.3048006096)
    )
    polar = GridGeometry(Affine(1, 0, 0, 0, -1, 92), 5, 5, LONLAT)
    assert np.isnan(apply_to_array(Slope(), np.ones((5, 5)), polar)[0]).all()


@pytest.mark.parametrize("operation", [Slope(), Hillshade()])
def test_cells_at_the_poles_are_missing(operation: Operation) -> None:
    globe = GridGeometry(Affine(1, 0, 0, 0, -1, 90.5), 181, 9, LONLAT)
    result = apply_to_array(operation, np.random.default_rng(1).normal(size=(181, 9)), globe)
    assert np.isnan(result[[0, -1]]).all()
    assert np.isfinite(result[1:-1]).all()


def test_a_rotated_grid_is_refused() -> None:
    rotated = GridGeometry(Affine.rotation(30) @ Affine.scale(100, -100), 3, 3, UTM)
    with pytest.raises(ConfigError, match="not rotated"):
        Hillshade().bind(rotated)


# masks


TRIANGLE = shapely.Polygon([(-98.2, 41.3), (-93.1, 47.7), (-90.4, 42.2)])


@pytest.mark.parametrize("all_touched", [False, True])
@pytest.mark.parametrize("keep", ["inside", "outside"])
def test_a_mask_equals_the_geometry_mask_of_rasterio(write_vector: Any, keep: Any, all_touched: bool) -> None:
    geometry = GridGeometry(Affine(0.5, 0, -100, 0, -0.5, 50), 20, 30, LONLAT)
    hole = TRIANGLE.difference(shapely.Point(-94, 44).buffer(0.8))
    path = write_vector([hole])
    outside = geometry_mask([hole], (20, 30), geometry.transform, all_touched=all_touched)
    result = apply_to_array(MaskByVector(path, keep, all_touched=all_touched), np.ones((20, 30)), geometry)
    np.testing.assert_array_equal(np.isnan(result), outside if keep == "inside" else ~outside)


def test_polygons_are_projected_to_the_crs_of_the_raster(write_vector: Any) -> None:
    x, y = pyproj.Transformer.from_crs(4326, 32612, always_xy=True).transform(-111, 36)
    geometry = GridGeometry(Affine(100, 0, x - 1000, 0, -100, y + 1000), 20, 20, UTM)
    path = write_vector([shapely.box(-111, 36, -110, 37)])
    inside = np.isfinite(apply_to_array(MaskByVector(path), np.ones((20, 20)), geometry))
    assert inside[:10, 10:].all()
    assert inside.sum() == 100


def test_polygons_are_found_at_longitudes_shifted_by_360_degrees(write_vector: Any) -> None:
    geometry = GridGeometry(Affine(1, 0, 0, 0, -1, 10), 20, 360, LONLAT)
    inside = np.isfinite(
        apply_to_array(MaskByVector(write_vector([shapely.box(-100, -5, -90, 5)])), np.ones((20, 360)), geometry)
    )
    assert inside[5:15, 260:270].all()
    assert inside.sum() == 100


@pytest.mark.parametrize("zone", [23, 25])
@pytest.mark.parametrize("keep", ["inside", "outside"])
def test_a_country_far_from_the_central_meridian_masks_no_cell(write_vector: Any, zone: int, keep: Any) -> None:
    """The projection is torn 90 degrees from the central meridian, in or near the country."""
    crs = pyproj.CRS.from_epsg(32600 + zone)
    geometry = GridGeometry(Affine(50_000, 0, 0, 0, -50_000, 5e6), 20, 20, crs)
    path = write_vector([shapely.box(34, -5, 48, 5)])
    inside = np.isfinite(apply_to_array(MaskByVector(path, keep), np.ones((20, 20)), geometry))
    assert (inside == (keep == "outside")).all()


def test_lines_and_unreadable_files_are_refused(write_vector: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no polygons"):
        MaskByVector(write_vector([shapely.LineString([(0, 0), (1, 1)])])).bind(meters(2, 2))
    (tmp_path / "bad.geojson").write_text("{")
    with pytest.raises(FeaturesError, match=r"bad\.geojson"):
        MaskByVector(tmp_path / "bad.geojson").bind(meters(2, 2))


def test_a_mask_pickles_without_its_polygons(write_vector: Any) -> None:
    mask = MaskByVector(write_vector([shapely.Point(-95, 45).buffer(3, quad_segs=4000)]))
    geometry = GridGeometry(Affine(0.5, 0, -100, 0, -0.5, 50), 20, 30, LONLAT)
    ready = mask.bind(geometry)
    pickled = pickle.dumps(ready)
    assert len(pickled) < 5000
    whole = Window(0, 0, 20, 30)
    context = BlockContext(Block(whole, whole), geometry)
    for operation in (ready, pickle.loads(pickled)):
        assert (
            np.isfinite(operation.apply(np.ones((1, 20, 30)), context)).sum()
            == np.isfinite(ready.apply(np.ones((1, 20, 30)), context)).sum()
        )


# accumulation


@pytest.mark.parametrize(
    ("how", "plain"), [("sum", np.nansum), ("mean", np.nanmean), ("min", np.nanmin), ("max", np.nanmax)]
)
@pytest.mark.filterwarnings("ignore:(Mean of empty|All-NaN):RuntimeWarning")
def test_missing_values_are_left_out_of_an_accumulation(how: Any, plain: Callable[..., Any]) -> None:
    random = np.random.default_rng(5)
    values = random.normal(size=(6, 10, 10))
    values[random.random(values.shape) < 0.5] = np.nan
    values[:, 0, 0] = np.nan
    expected = np.where(np.isnan(values).all(axis=0), np.nan, plain(values, axis=0))
    np.testing.assert_allclose(apply_to_array(Accumulate(how), values), expected, rtol=1e-12)


def test_last_is_the_last_valid_value() -> None:
    values = [[[1, 1, np.nan]], [[2, 2, np.nan]], [[np.nan, 3, np.nan]]]
    np.testing.assert_array_equal(apply_to_array(Accumulate("last"), values), [[2, 3, np.nan]])


def test_sums_of_rasters_keep_all_digits(write_raster: Any) -> None:
    paths = [write_raster(np.full((2, 2), value, "float32"), name=f"{value}.tif") for value in (2**24, 1)]
    whole = Window(0, 0, 2, 2)
    for dtype in ("int32", "float64"):
        together = Accumulation(tuple(map(source_of, paths)), Accumulate("sum"), Storage(dtype, nodata=-1))
        with rasterio.open(paths[0]) as one, rasterio.open(paths[1]) as other:
            assert (together([one, other], Block(whole, whole), None) == 2**24 + 1).all()


def test_a_sum_of_bands_keeps_all_digits() -> None:
    bands, whole = np.array([2**24, 1], "float32").reshape(2, 1, 1), Window(0, 0, 1, 1)
    assert Accumulate("sum").apply(bands, BlockContext(Block(whole, whole), meters(1, 1), {})) == 2**24 + 1


# warps


def source_of(path: Path) -> BandReader:
    return BandReader.of(RasterSettings(path=path))


def warped(warp: Warp, path: Path) -> Any:
    whole = Window(0, 0, warp.target.height, warp.target.width)
    with rasterio.open(path) as dataset:
        return warp([dataset], Block(whole, whole), None)


@pytest.mark.parametrize("method", ["nearest", "bilinear", "cubic", "average", "max"])
def test_a_warp_equals_reproject_of_rasterio(write_raster: Any, holed: Any, method: Any) -> None:
    values = np.where(np.isnan(holed), -9999, holed).astype("float32")
    path = write_raster(values, nodata=-9999)
    source = source_of(path)
    target = target_geometry(source.geometry, pyproj.CRS.from_epsg(5070))
    result = warped(Warp(source, target, method, Storage()), path)[0]
    expected = np.full(result.shape, np.nan, "float32")
    with rasterio.open(path) as dataset:
        reproject(
            rasterio.band(dataset, 1), expected, dst_transform=target.transform, dst_crs="EPSG:5070", src_nodata=-9999,
            dst_nodata=np.nan, resampling=Resampling[method], XSCALE=1, YSCALE=1,
        )  # fmt: skip
    both = np.isfinite(result) & np.isfinite(expected)
    assert both.sum() > 0.95 * np.isfinite(expected).sum() > 100
    # reproject interpolates positions, with an error of up to an eighth of a cell
    assert np.median(abs(result[both] - expected[both])) < 5
    assert abs(result[both] - expected[both]).mean() < 10


def test_nearest_cells_are_at_the_positions_of_proj(write_raster: Any) -> None:
    values = np.arange(600, dtype="float32").reshape(20, 30)
    path = write_raster(values)
    source = source_of(path)
    target = target_geometry(source.geometry, pyproj.CRS.from_epsg(5070), (40_000, 40_000))
    result = warped(Warp(source, target, "nearest", Storage()), path)[0]
    rows, columns = np.mgrid[0 : target.height, 0 : target.width] + 0.5
    x, y = target.transform @ (columns, rows)
    x, y = pyproj.Transformer.from_crs(5070, 4326, always_xy=True).transform(x, y)
    column, row = np.floor(~source.geometry.transform @ (x, y)).astype(int)
    inside = (row >= 0) & (row < 20) & (column >= 0) & (column < 30)
    expected = np.where(inside, values[row.clip(0, 19), column.clip(0, 29)], np.nan)
    np.testing.assert_array_equal(result, expected)


def test_scale_and_offset_are_applied_after_interpolation(write_raster: Any) -> None:
    path = write_raster(np.array([[0, 100], [0, 100]], "int16"), scales=(0.1,), offsets=(5,))
    source = source_of(path)
    target = target_geometry(source.geometry, resolution=(0.5, 1))
    assert (target.height, target.width) == (2, 4)
    result = warped(Warp(source, target, "bilinear", Storage()), path)[0]
    np.testing.assert_allclose(result[0], [5, 7.5, 12.5, 15])


def test_missing_cells_of_one_band_stay_valid_in_other_bands(write_raster: Any) -> None:
    values = np.full((2, 40, 40), 7.0, "float32")
    values[0, 10:20, 10:20] = -9999
    path = write_raster(values, nodata=-9999)
    source = source_of(path)
    result = warped(Warp(source, target_geometry(source.geometry, resolution=(0.8, 0.8)), "bilinear", Storage()), path)
    assert np.isnan(result[0]).any()
    assert set(result[0][np.isfinite(result[0])]) == {7}
    assert (result[1] == 7).all()


def test_large_averages_have_no_seams(write_raster: Any) -> None:
    values = np.random.default_rng(0).random((2400, 2400))
    path = write_raster(values, Affine(1000, 0, 0, 0, -1000, 0), "EPSG:5070")
    source = source_of(path)
    result = warped(Warp(source, target_geometry(source.geometry, resolution=(2000, 2000)), "average", Storage()), path)
    np.testing.assert_allclose(result[0], values.reshape(1200, 2, 1200, 2).mean((1, 3)), rtol=1e-5)


@pytest.mark.parametrize("resolution", [(50_000, 50_000), None])
def test_a_target_without_coordinates_for_all_cells_is_refused(write_raster: Any, resolution: Any) -> None:
    path = write_raster(np.ones((721, 1440), "float32"), Affine(0.25, 0, -180.125, 0, -0.25, 90.125))
    with pytest.raises(RasterError, match=r"cannot be reprojected to .* as a whole"):
        target_geometry(source_of(path).geometry, pyproj.CRS.from_epsg(3413), resolution)


@pytest.mark.parametrize("west", [-180, 0])
@pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:3395", "+proj=merc +lat_ts=20 +R=6371200"])
def test_a_mercator_grid_of_the_world_ends_before_the_poles(write_raster: Any, west: int, crs: str) -> None:
    """GDAL suggests a few very large cells, because a pole is far away."""
    path = write_raster(np.ones((180, 360), "float32"), Affine(1, 0, west, 0, -1, 90))
    for resolution in (None, (100_000, 100_000)):
        target = target_geometry(source_of(path).geometry, pyproj.CRS(crs), resolution)
        assert abs(target.transform.a) < 200_000
        assert 1.7e7 < target.extent.ymax < 2.1e7
        assert -2.1e7 < target.extent.ymin < -1.7e7
        assert target.extent.width == pytest.approx(4e7, rel=0.1)


def test_a_grid_from_0_to_360_degrees_covers_western_longitudes(write_raster: Any) -> None:
    values = np.tile(np.arange(360, dtype="float32"), (180, 1))
    path = write_raster(values, Affine(1, 0, 0, 0, -1, 90))
    target = GridGeometry(Affine(50_000, 0, -1_000_000, 0, -50_000, 2_500_000), 30, 40, pyproj.CRS.from_epsg(5070))
    result = warped(Warp(source_of(path), target, "nearest", Storage()), path)[0]
    assert np.isfinite(result).all()
    assert 250 <= result.min() <= result.max() <= 276


def test_a_grid_from_0_to_360_degrees_is_filled_from_a_grid_from_minus_180(write_raster: Any) -> None:
    values = np.tile(np.arange(-180, 180, dtype="float32"), (180, 1))
    path = write_raster(values, Affine(1, 0, -180, 0, -1, 90))
    target = GridGeometry(Affine(2, 0, 0, 0, -2, 90), 90, 180, LONLAT)
    result = warped(Warp(source_of(path), target, "nearest", Storage()), path)[0]
    longitudes = (np.arange(180) * 2 + 1 + 180) % 360 - 180
    np.testing.assert_allclose(result, np.tile(longitudes, (90, 1)), atol=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"resolution": (0.0, 1.0)}, "above zero"), ({"resolution": (1e-9, 1e-9)}, "too large")],
)
def test_impossible_grids_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        target_geometry(meters(100, 100), **options)


# storage


def test_values_are_decoded_as_for_maps_and_encoded_as_requested(write_raster: Any) -> None:
    path = write_raster(np.array([[-1, 0, 10], [20, 30, 32767]], "int16"), nodata=-1, scales=(0.5,), offsets=(1,))
    source = source_of(path)
    with rasterio.open(path) as dataset:
        values = source.read(dataset, source.geometry.full_window)
    np.testing.assert_array_equal(values[0], np.array([[np.nan, 1, 6], [11, 16, 16384.5]], "float32"))
    stored = Storage("int16", -1, 0.5, 1).encode(values)
    np.testing.assert_array_equal(stored[0], [[-1, 0, 10], [20, 30, 32767]])
    assert Storage("uint8", 255).encode(np.array([[[300.0, -1, 254.4, np.nan]]])).tolist() == [[[255, 255, 254, 255]]]
    with pytest.raises(ConfigError, match="not a value of uint8"):
        Storage("uint8", -9999)


def test_cells_that_a_mask_band_marks_are_missing(write_raster: Any) -> None:
    path = write_raster(np.arange(4, dtype="uint8").reshape(2, 2) + 1)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(np.array([[True, False], [True, True]]))
    source = source_of(path)
    with rasterio.open(path) as dataset:
        values = source.read(dataset, source.geometry.full_window)
    np.testing.assert_array_equal(values[0], [[1, np.nan], [3, 4]])


def test_a_chain_has_a_halo_a_number_of_bands_and_a_profile(write_raster: Any) -> None:
    source = source_of(write_raster(np.zeros((3, 5, 5), "float64")))
    chain = Chain.of(source, [Focal("mean", 5), Expression("b1 + b3"), Slope()])
    assert (chain.halo, chain.count, chain.storage.dtype) == (3, 1, "float64")
    profile = chain.profile({"dtype": "int16", "count": 3, "nodata": -1, "width": 5})
    assert (profile["count"], profile["dtype"], profile["width"]) == (1, "float64", 5)
    with pytest.raises(ConfigError, match="no b2"):
        Chain.of(source, [Accumulate(), Expression("b2")])
