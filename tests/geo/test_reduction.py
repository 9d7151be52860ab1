"""Test bilinear and cubic sampling for panels that are coarser than the grid. GDAL's warp is the reference."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
from affine import Affine
from numpy.typing import NDArray

from regionplot.geo import sampling
from regionplot.geo.crs import parse_crs
from regionplot.geo.extent import Extent, PanelGrid
from regionplot.geo.grid import GridGeometry
from regionplot.geo.sampling import sample
from regionplot.geo.warp import warp_to_panel

ALBERS, LONLAT = parse_crs("EPSG:5070"), parse_crs("EPSG:4326")
METHODS = ("bilinear", "cubic")
SHAPE = (240, 320)
_ROUNDING = 1e-6
"""Stated tolerance, as a fraction of the largest value: the rounding of single precision."""


def grid(down: float = -1.0) -> GridGeometry:
    """Return a grid whose cells have the size 1. Row 0 is in the north unless `down` is positive."""
    return GridGeometry(Affine(1, 0, 0, 0, down, 0 if down > 0 else SHAPE[0]), *SHAPE, ALBERS)


def panel(limits: tuple[float, ...] = (40.3, 280.9, 30.2, 200.8), size: tuple[int, int] = (87, 71)) -> PanelGrid:
    return PanelGrid(Extent(*limits), *size)


def noise(dtype: str = "float32") -> NDArray[np.float32]:
    return (np.random.default_rng(0).normal(size=SHAPE) * 1000).astype(dtype)


@pytest.fixture
def no_warp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "warp_to_panel", lambda *_: pytest.fail("GDAL warps"))


def check(values: NDArray[np.generic], geometry: GridGeometry, shown: PanelGrid, resampling: str) -> None:
    found = sample(values, geometry, shown, geometry.crs, resampling)
    expected = warp_to_panel(values, geometry, shown, geometry.crs, resampling)
    assert found.inside.all()
    assert found.values.dtype == expected.dtype
    np.testing.assert_allclose(found.values, expected, rtol=0, atol=_ROUNDING * np.nanmax(abs(values)))


@pytest.mark.usefixtures("no_warp")
@pytest.mark.parametrize("resampling", METHODS)
@pytest.mark.parametrize(
    "shown",
    [
        panel(),
        panel(size=(220, 150)),  # slightly coarser
        panel(size=(300, 60)),  # finer along x
        panel((40, 280, 40, 200), (120, 80)),  # whole cells per pixel
        panel((40, 280, 40, 200), (119, 79)),  # nearly whole cells per pixel
        panel((0, 320, 0, 240), (100, 75)),  # the whole grid
    ],
)
def test_values_are_those_of_gdal(shown: PanelGrid, resampling: str) -> None:
    check(noise(), grid(), shown, resampling)


@pytest.mark.usefixtures("no_warp")
@pytest.mark.parametrize("resampling", METHODS)
@pytest.mark.parametrize("dtype", ["int16", "uint8", "int32", "float64"])
def test_every_data_type_is_reduced_like_gdal(dtype: str, resampling: str) -> None:
    check(noise(dtype), grid(), panel(), resampling)


@pytest.mark.usefixtures("no_warp")
@pytest.mark.parametrize("resampling", METHODS)
@pytest.mark.parametrize("share", [0.05, 0.7, 1.0])
def test_missing_cells_are_treated_as_by_gdal(share: float, resampling: str) -> None:
    values = abs(noise())
    values[np.random.default_rng(1).random(SHAPE) < share] = np.nan
    values[60:90, 80:] = np.nan
    found = sample(values, grid(), panel(), ALBERS, resampling).values
    expected = warp_to_panel(values, grid(), panel(), ALBERS, resampling)
    nearest = sample(values, grid(), panel(), ALBERS).values
    expected = np.where(np.isnan(expected), nearest, expected)  # as for all pixels that GDAL loses
    np.testing.assert_array_equal(np.isnan(found), np.isnan(nearest))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=_ROUNDING * 1000)


@pytest.mark.usefixtures("no_warp")
@pytest.mark.parametrize("resampling", METHODS)
def test_rows_can_run_from_the_south(resampling: str) -> None:
    values = noise()
    found = sample(values, grid(down=1.0), panel(), ALBERS, resampling).values
    np.testing.assert_array_equal(found, sample(values[::-1], grid(), panel(), ALBERS, resampling).values)


@pytest.mark.usefixtures("no_warp")
def test_columns_are_shifted_by_whole_turns() -> None:
    """A grid from 0 to 360 degrees shows western longitudes."""
    values = np.random.default_rng(0).normal(size=(180, 360)).astype(np.float32)
    world = GridGeometry(Affine(1, 0, 0, 0, -1, 90), 180, 360, LONLAT)
    found, moved = (
        sample(values, world, panel((west, west + 100, 0, 70), (40, 28)), LONLAT, "cubic").values
        for west in (-150, 210)
    )
    np.testing.assert_array_equal(found, moved)


@pytest.mark.usefixtures("no_warp")
@pytest.mark.parametrize("resampling", METHODS)
@pytest.mark.parametrize("value", [0.1, 273.15, -9999.9])
def test_equal_cells_give_their_value(value: float, resampling: str) -> None:
    values = np.full(SHAPE, value, np.float32)
    found = sample(values, grid(), panel(), ALBERS, resampling).values
    assert (found == np.float32(value)).all()


EAST, SOUTH, WEST, NORTH = (40, 380.7, 30, 200), (30, 300, -55.5, 180), (-40.2, 280, 30, 200), (30, 300, 20, 300.1)


@pytest.mark.usefixtures("no_warp")
@pytest.mark.parametrize("resampling", METHODS)
@pytest.mark.parametrize(
    ("limits", "crs"),
    [(EAST, ALBERS), (SOUTH, ALBERS), ((9, 330, -9, 230), ALBERS), (EAST, LONLAT), (SOUTH, LONLAT), (WEST, LONLAT)],
)
def test_panels_can_extend_beyond_the_grid(limits: tuple[float, ...], crs: pyproj.CRS, resampling: str) -> None:
    size = 0.1 if crs is LONLAT else 1.0
    place = Affine(size, 0, -20, 0, -size, 20 + SHAPE[0] * size)
    geometry = GridGeometry(place, *SHAPE, crs)
    west, east, south, north = limits
    shown = panel((-20 + west * size, -20 + east * size, 20 + south * size, 20 + north * size))
    found = sample(noise(), geometry, shown, crs, resampling)
    expected = np.where(found.inside, warp_to_panel(noise(), geometry, shown, crs, resampling), np.nan)
    np.testing.assert_array_equal(np.isnan(found.values), ~np.broadcast_to(found.inside, expected.shape))
    np.testing.assert_allclose(found.values, expected, rtol=0, atol=_ROUNDING * 5000)


@pytest.mark.parametrize(
    ("values", "limits"),
    [
        (np.where(np.arange(SHAPE[1]) == 99, np.inf, noise()), (40, 280, 30, 200)),
        (noise(), WEST),
        (noise(), NORTH),
    ],
    ids=["infinite", "west", "north"],
)
def test_gdal_warps_other_panels(
    values: NDArray[np.float32], limits: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    warped = []
    monkeypatch.setattr(sampling, "warp_to_panel", lambda *all: warped.append(1) or warp_to_panel(*all))
    sample(values, grid(), panel(limits), ALBERS, "bilinear")
    assert warped


def test_gdal_warps_panels_around_the_earth(monkeypatch: pytest.MonkeyPatch) -> None:
    warped = []
    monkeypatch.setattr(sampling, "warp_to_panel", lambda *all: warped.append(1) or warp_to_panel(*all))
    world = GridGeometry(Affine(1, 0, -180, 0, -1, 90), 180, 360, LONLAT)
    sample(np.ones((180, 360), np.float32), world, panel((150, 230, 0, 50), (40, 25)), LONLAT, "cubic")
    assert warped
