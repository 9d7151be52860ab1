"""Test bilinear and cubic sampling. GDAL's warp with exact positions is the reference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
from affine import Affine
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from regionplot.colors.truecolor import TrueColorScale
from regionplot.geo import sampling
from regionplot.geo.crs import parse_crs
from regionplot.geo.extent import Extent, PanelGrid
from regionplot.geo.grid import GridGeometry
from regionplot.geo.kernels import KERNELS
from regionplot.geo.positions import MAX_SMOOTH_ERROR
from regionplot.geo.project import project_extent
from regionplot.geo.sampling import pixel_centers, sample
from regionplot.inputs.color_tables import RgbBands
from regionplot.inputs.rgb import PACKED

LONLAT = parse_crs("EPSG:4326")
ALBERS = parse_crs("EPSG:5070")
POLAR = parse_crs("+proj=stere +lat_0=90 +lat_ts=60 +lon_0=-150 +R=6371229")
LAMBERT = parse_crs("+proj=lcc +lat_0=25 +lat_1=25 +lat_2=25 +lon_0=-95 +R=6371200")
GRIDS = {
    "world": GridGeometry(Affine(2, 0, -180, 0, -2, 90), 90, 180, LONLAT),
    "world 0..360": GridGeometry(Affine(2, 0, 0, 0, -2, 90), 90, 180, LONLAT),
    "part, 0..360": GridGeometry(Affine(0.7, 0, 170, 0, -0.7, 75), 71, 130, LONLAT),
    "south up": GridGeometry(Affine(2, 0, -180, 0, 2, -90), 90, 180, LONLAT),
    "east left": GridGeometry(Affine(-0.9, 0, -50, 0, -0.9, 75), 70, 180, LONLAT),
    "Lambert": GridGeometry(Affine(60e3, 0, -2.7e6, 0, -60e3, 1.5e6), 57, 89, LAMBERT),
    "polar": GridGeometry(Affine(60e3, 0, -5e6, 0, -60e3, 5e6), 166, 166, POLAR),
    "rotated": GridGeometry(Affine(50e3, 19e3, -2.5e6, 18e3, -51e3, 2.5e6), 60, 90, LAMBERT),
}
Warp = Callable[..., NDArray[Any]]
CONUS, ALEUTIANS, ALASKA = Extent(-125, -66, 24, 50), Extent(165, 200, 48, 66), Extent(-175, -130, 55, 71)
MAPS = {
    "CONUS, degrees": (CONUS, LONLAT), "CONUS, Albers": (CONUS, ALBERS), "CONUS, Lambert": (CONUS, LAMBERT),
    "Aleutians, degrees": (ALEUTIANS, LONLAT), "Aleutians, Lambert": (ALEUTIANS, LAMBERT),
    "Alaska, polar": (ALASKA, POLAR),
}  # fmt: skip
_ROUNDING = 1e-6
"""Maximum relative error of single precision."""
_CLOSE = 1.1 * MAX_SMOOTH_ERROR
"""Maximum error of a position in pixels. The product checks the error at a part of the pixels only."""
_STEEPEST = 1.6
"""Maximum ratio of a cubic slope to the largest difference between its cells."""
_STEEPEST_AT_HOLES = 4
"""The same for `bilinear` beside missing cells, because the valid cells have at least a quarter of the weights."""


def panel_of(extent: Extent, crs: pyproj.CRS, width: int = 180, height: int = 110) -> PanelGrid:
    limits = project_extent(extent, LONLAT, crs)
    scale = max(limits.width / width, limits.height / height)
    return PanelGrid(limits.resized(scale * width, scale * height), width, height)


@pytest.fixture
def without_gdal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test fail if GDAL warps."""
    monkeypatch.setattr(sampling, "warp_to_panel", lambda *_: pytest.fail("GDAL has warped"))


def noise(geometry: GridGeometry, missing: float) -> NDArray[np.float64]:
    """Return random cells, some of which are missing alone and others in a block."""
    random = np.random.default_rng(5)
    values = random.normal(100, 20, size=(geometry.height, geometry.width))
    values[random.random(values.shape) < missing] = np.nan
    if missing:
        values[geometry.height // 3 : geometry.height // 2, : geometry.width // 3] = np.nan
    return values


def positions(geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the exact grid (column, row) of the pixels."""
    x, y = pyproj.Transformer.from_crs(crs, geometry.crs, always_xy=True).transform(*np.meshgrid(*pixel_centers(panel)))
    if geometry.crs.is_geographic:
        x = np.mod(x - geometry.extent.xmin, 360) + geometry.extent.xmin
    a, b, c, d, e, f = (~geometry.transform)[:6]
    return a * x + b * y + c, d * x + e * y + f


def repeated(values: NDArray[Any], geometry: GridGeometry) -> tuple[NDArray[Any], list[GridGeometry]]:
    """Return cells and their geometries that together cover all longitudes in which GDAL looks. GDAL does not wrap."""
    if not geometry.crs.is_geographic:
        return values, [geometry]
    a, b, c, d, e, f = geometry.transform[:6]
    copies = 3 if geometry.columns_per_turn == geometry.width else 1
    places = [Affine(a, b, c + turn, d, e, f) for turn in ((-360, 0, 360) if copies == 1 else (-np.sign(a) * 360,))]
    size = geometry.height, copies * geometry.width
    return np.hstack([values] * copies), [GridGeometry(place, *size, geometry.crs) for place in places]


def cells_per_pixel(column: NDArray[Any], row: NDArray[Any]) -> Any:
    """Return the number of cells along a pixel at each pixel, except where the columns jump."""
    steps = [abs(np.gradient(p, axis=axis)) for p in (column, row) for axis in (0, 1)]
    return np.max([np.where(step < 10, step, 0) for step in steps], axis=0)


def largest_steps(values: NDArray[Any], geometry: GridGeometry, column: NDArray[Any], row: NDArray[Any]) -> Any:
    """Return the range of the cells around each position. It limits the slope of interpolated values."""
    padded = np.pad(values, 2, mode="wrap" if geometry.columns_per_turn == geometry.width else "edge")
    around = sliding_window_view(padded, (5, 5))
    low, high = (np.nan_to_num(reduce(around, axis=(2, 3))) for reduce in (np.fmin.reduce, np.fmax.reduce))
    cells = [np.clip(np.floor(p).astype(int), 0, n - 1) for p, n in ((row, values.shape[0]), (column, values.shape[1]))]
    return (high - low)[cells[0], cells[1]]


def check_against_gdal(
    warp: Warp, values: NDArray[Any], geometry: GridGeometry, panel: PanelGrid,
    crs: pyproj.CRS, resampling: str,
) -> float:  # fmt: skip
    """Compare all pixels with GDAL's warp. Return the share of the pixels that are not missing.

    Missing cells change the value of a pixel abruptly at the edges and at the centers of cells. There, errors of
    positions matter, so these pixels are not compared.
    """
    shown = sample(values, geometry, panel, crs, resampling)
    source, places = repeated(values.astype(shown.values.dtype), geometry)
    expected = np.full(shown.values.shape, np.nan)
    for place in places:
        found = warp(source, place, panel, crs, resampling, XSCALE=1, YSCALE=1)
        np.copyto(expected, found, where=np.isnan(expected))
    column, row = positions(geometry, panel, crs)
    abrupt = np.isnan(source).any() | (column < 2) | (column > geometry.width - 2)
    abrupt |= (row < 2) | (row > geometry.height - 2)
    close = _CLOSE * cells_per_pixel(column, row)
    compared = ~(abrupt & (np.minimum(*(abs(p - np.round(p * 2) / 2) for p in (column, row))) < close))
    np.testing.assert_array_equal(np.isnan(shown.values)[compared], np.isnan(expected)[compared])
    steepest = _STEEPEST_AT_HOLES if np.isnan(source).any() else _STEEPEST
    tolerance = steepest * close * largest_steps(values, geometry, column, row) + _ROUNDING * np.nanmax(abs(values))
    np.testing.assert_array_less(
        abs(shown.values - expected)[compared & np.isfinite(expected)], tolerance[compared & np.isfinite(expected)]
    )
    inside = (row >= 0) & (row < geometry.height) & (column >= 0) & (column < geometry.width)
    np.testing.assert_array_equal(np.broadcast_to(shown.inside, inside.shape)[compared], inside[compared])
    return float(np.isfinite(expected).mean())


@pytest.mark.usefixtures("without_gdal")
@pytest.mark.parametrize("missing", [0, 0.1])
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("resampling", KERNELS)
def test_values_equal_those_of_gdal(warp_exactly: Warp, resampling: str, grid: str, missing: float) -> None:
    geometry, seen = GRIDS[grid], []
    for extent, crs in MAPS.values():
        panel = panel_of(extent, crs)
        seen.append(check_against_gdal(warp_exactly, noise(geometry, missing), geometry, panel, crs, resampling))
    assert max(seen) > 0.1


@pytest.mark.usefixtures("without_gdal")
@pytest.mark.parametrize("resampling", KERNELS)
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
@pytest.mark.parametrize("map_name", ["CONUS, degrees", "CONUS, Albers"])
def test_every_data_type_is_interpolated_without_loss(
    warp_exactly: Warp, resampling: str, dtype: str, map_name: str
) -> None:
    """Equal cells keep their value exactly, so that a value at a level stays in its class."""
    extent, crs = MAPS[map_name]
    panel, geometry = panel_of(extent, crs), GRIDS["world"]
    cells = np.round(noise(geometry, 0)).astype(dtype)
    check_against_gdal(warp_exactly, cells, geometry, panel, crs, resampling)
    largest = np.iinfo(dtype).max if dtype[0] in "ui" else 12345.678
    shown = sample(np.full_like(cells, largest), geometry, panel, crs, resampling).values
    assert (shown == np.array(largest, dtype).astype(shown.dtype)).all()


@pytest.mark.usefixtures("without_gdal")
@pytest.mark.parametrize("resampling", KERNELS)
def test_values_near_the_limits_of_the_data_type_do_not_overflow(resampling: str) -> None:
    geometry, (extent, crs) = GRIDS["world"], MAPS["CONUS, Albers"]
    cells = np.where(np.indices((90, 180)).sum(axis=0) % 2, 3e38, -3e38).astype(np.float32)
    assert np.isfinite(sample(cells, geometry, panel_of(extent, crs), crs, resampling).values).all()


@pytest.mark.parametrize("resampling", KERNELS)
@pytest.mark.parametrize(("cells_per_pixel", "calls"), [(0.3, 0), (1.0, 0), (1.2, 0), (2.0, 0), (3.0, 1)])
@pytest.mark.parametrize("crs", [LONLAT, LAMBERT], ids=["lonlat", "lcc"])
def test_gdal_warps_coarser_panels_only_if_they_extend_beyond_the_grid(
    monkeypatch: pytest.MonkeyPatch, warp_exactly: Warp, resampling: str, cells_per_pixel: float, calls: int,
    crs: pyproj.CRS,
) -> None:  # fmt: skip
    """For other panels, the weights are those of GDAL. `test_reduction` tests coarser panels."""
    geometry = GridGeometry(Affine(20e3, 0, -2e6, 0, -20e3, 1.5e6), 150, 200, LAMBERT)
    geometry = geometry if crs is LAMBERT else GridGeometry(Affine(0.2, 0, -115, 0, -0.2, 50), 150, 200, LONLAT)
    counted = []
    warp = sampling.warp_to_panel
    monkeypatch.setattr(sampling, "warp_to_panel", lambda *args: counted.append(1) or warp(*args))
    side, (x, y) = 40 * cells_per_pixel * geometry.transform.a, geometry.extent.center
    panel = PanelGrid(Extent(x - side, x + side, y - side * 0.75, y + side * 0.75), 80, 60)
    cells = noise(geometry, 0).astype(np.float32)
    shown = sample(cells, geometry, panel, crs, resampling).values
    assert len(counted) == calls
    if not calls:
        reference = warp_exactly if cells_per_pixel <= 1 else warp
        np.testing.assert_allclose(shown, reference(cells, geometry, panel, crs, resampling), atol=1e-3)


@pytest.mark.parametrize("resampling", KERNELS)
def test_gdal_warps_coarser_panels_in_another_crs(monkeypatch: pytest.MonkeyPatch, resampling: str) -> None:
    geometry = GridGeometry(Affine(0.2, 0, -115, 0, -0.2, 50), 150, 200, LONLAT)
    warped = []
    monkeypatch.setattr(sampling, "warp_to_panel", lambda *_: warped.append(1) or np.zeros((30, 40), np.float32))
    panel = PanelGrid(Extent(-6e5, 6e5, -45e4, 45e4), 40, 30)
    sample(noise(geometry, 0).astype(np.float32), geometry, panel, LAMBERT, resampling)
    assert warped


@pytest.mark.parametrize("resampling", KERNELS)
@pytest.mark.parametrize(
    ("geometry", "panel"),
    [
        (GridGeometry(Affine(0.7, 0, -180, 0, -0.7, 90), 257, 514, LONLAT), panel_of(ALEUTIANS, LONLAT)),
        (GridGeometry(Affine(2, 0, -100, 0, -2, 90), 60, 1, LONLAT), PanelGrid(Extent(-100, -98, 30, 50), 20, 30)),
        (GRIDS["world"], PanelGrid(CONUS, 1, 30)),
        (GRIDS["world"], PanelGrid(Extent(-180, 180, -90, 90), 30, 1)),
    ],
    ids=["columns that do not divide 360 degrees", "a grid of one column", "a panel of one column", "of one row"],
)
def test_gdal_warps_panels_that_cannot_be_gathered(
    monkeypatch: pytest.MonkeyPatch, resampling: str, geometry: GridGeometry, panel: PanelGrid
) -> None:
    counted = []
    warp = sampling.warp_to_panel
    monkeypatch.setattr(sampling, "warp_to_panel", lambda *args: counted.append(1) or warp(*args))
    assert np.isfinite(sample(noise(geometry, 0), geometry, panel, LONLAT, resampling).values).all()
    assert counted


REAL = {
    "etopo5_global_0to360.tif": (Extent(176, 188, 50, 56), parse_crs("EPSG:3338")),
    "gridmet_elevation_conus.tif": (Extent(-125, -117, 40, 45), ALBERS),
    "ndfd_temp_conus_lcc.tif": (Extent(-82, -74, 34, 38), parse_crs("EPSG:3857")),
    "aqm_ozone_alaska_polar.tif": (Extent(170, 200, 52, 62), parse_crs("EPSG:3338")),
    "aso_snowdepth_grandmesa_50m.tif": (Extent(-108.2, -108.0, 39.0, 39.1), LONLAT),
}


@pytest.mark.usefixtures("without_gdal")
@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("resampling", KERNELS)
def test_real_grids_look_as_if_gdal_had_warped_them(
    shared_data_folder: Path, warp_exactly: Warp, resampling: str, name: str
) -> None:
    """Pixels have another class only at the boundaries of classes."""
    import rasterio

    with rasterio.open(shared_data_folder / name) as file:
        cells = file.read(1, masked=True).astype(np.float32).filled(np.nan)
        geometry = GridGeometry(file.transform, *cells.shape, parse_crs(file.crs.to_wkt()))
    extent, crs = REAL[name]
    panel = panel_of(extent, crs, 700, 450)
    shown = sample(cells, geometry, panel, crs, resampling).values
    places = repeated(cells, geometry) if geometry.crs.is_geographic else (cells, [geometry])
    expected = np.full(shown.shape, np.nan, np.float32)
    for place in places[1]:
        found = warp_exactly(places[0], place, panel, crs, resampling, XSCALE=1, YSCALE=1)
        np.copyto(expected, found, where=np.isnan(expected))
    assert np.isfinite(expected).mean() > 0.05
    assert (np.isnan(shown) != np.isnan(expected)).mean() < 1e-4
    levels = np.nanquantile(cells, np.linspace(0.05, 0.95, 12))
    classes = [np.digitize(values, levels) for values in (shown, expected)]
    assert (classes[0] != classes[1]).mean() < 1e-3
    assert np.nanquantile(abs(shown - expected), 0.999) < 1e-3 * np.ptp(levels)


@pytest.mark.usefixtures("without_gdal")
@pytest.mark.parametrize("resampling", KERNELS)
def test_each_band_of_a_color_image_is_interpolated(warp_exactly: Warp, resampling: str) -> None:
    geometry, (extent, crs) = GRIDS["world"], MAPS["CONUS, Albers"]
    panel, random = panel_of(extent, crs), np.random.default_rng(2)
    pixels = random.integers(0, 256, (90, 180, 4)).astype(np.uint8)
    pixels[..., 3] = 255
    pixels[20:30, 40:50] = 0
    scale = TrueColorScale(RgbBands((1, 2, 3), "uint8", 255, None, has_mask=False), "white")
    found = scale.sample(pixels.view(PACKED)[..., 0], geometry, panel, crs, resampling).values
    shown = found.view(np.uint8).reshape(*found.shape, 4)
    bands = np.where(pixels[..., 3:] == 0, np.nan, pixels).astype(np.float32)
    expected = np.stack([warp_exactly(bands[..., n], geometry, panel, crs, resampling) for n in range(3)], axis=-1)
    missing = np.isnan(expected[..., 0])
    assert 0.01 < missing.mean() < 0.3
    assert ((shown[..., 3] == 0) != missing).mean() < 1e-3
    both = ~missing & (shown[..., 3] > 0)
    assert np.quantile(abs(shown[..., :3][both] - np.clip(expected[both], 0, 255)), 0.999) < 2
