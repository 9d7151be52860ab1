"""Test sampling: each pixel of a panel gets the grid cell at its center, for all CRSs, orientations and longitudes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyproj
import pytest
from affine import Affine
from hypothesis import given, reject
from hypothesis import strategies as st

from regionplot.errors import RegionError
from regionplot.geo import windows
from regionplot.geo.crs import parse_crs, transformer
from regionplot.geo.extent import Extent, PanelGrid
from regionplot.geo.grid import GridGeometry
from regionplot.geo.kernels import KERNELS
from regionplot.geo.positions import MAX_POSITION_ERROR, Locator, find_positions
from regionplot.geo.project import project_extent
from regionplot.geo.sampling import pixel_centers, sample
from regionplot.geo.windows import needed_window

LONLAT = parse_crs("EPSG:4326")
ALBERS = parse_crs("EPSG:5070")
MERCATOR = parse_crs("EPSG:3857")
POLAR = parse_crs("+proj=stere +lat_0=90 +lat_ts=60 +lon_0=-150 +R=6371229")
LAMBERT = parse_crs("+proj=lcc +lat_0=25 +lat_1=25 +lat_2=25 +lon_0=-95 +R=6371200")

GRIDS = {
    "world": GridGeometry(Affine(2, 0, -180, 0, -2, 90), 90, 180, LONLAT),
    "world 0..360": GridGeometry(Affine(2, 0, 0, 0, -2, 90), 90, 180, LONLAT),
    "world on nodes": GridGeometry(Affine(2, 0, -1, 0, -2, 91), 91, 180, LONLAT),
    "part, 0..360": GridGeometry(Affine(0.5, 0, 150, 0, -0.5, 75), 100, 200, LONLAT),
    "south up": GridGeometry(Affine(2, 0, -180, 0, 2, -90), 90, 180, LONLAT),
    "flat cells": GridGeometry(Affine(0.05, 0, -130, 0, -1, 80), 70, 1600, LONLAT),
    "Lambert": GridGeometry(Affine(25e3, 0, -2.7e6, 0, -25e3, 1.5e6), 137, 214, LAMBERT),
    "polar": GridGeometry(Affine(25e3, 0, -5e6, 0, -25e3, 5e6), 400, 400, POLAR),
    "rotated": GridGeometry(Affine(20e3, 9e3, -2.5e6, 8e3, -21e3, 2.5e6), 120, 200, LAMBERT),
}
EXTENTS = {
    "conus": Extent(-125, -66, 24, 50), "carolina": Extent(-84, -75, 33, 37), "aleutians": Extent(165, 200, 48, 66),
    "arctic": Extent(-170, -50, 55, 85),
}  # fmt: skip


def panel_of(extent: Extent, crs: pyproj.CRS, width: int = 210, height: int = 130) -> PanelGrid:
    limits = project_extent(extent, LONLAT, crs)
    scale = max(limits.width / width, limits.height / height)
    return PanelGrid(limits.resized(scale * width, scale * height), width, height)


def cells(geometry: GridGeometry) -> np.ndarray[Any, Any]:
    """Return values for a grid. No two cells are equal."""
    return np.arange(geometry.height * geometry.width, dtype=np.float64).reshape(geometry.height, geometry.width)


def exact(geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS) -> tuple[np.ndarray[Any, Any], ...]:
    """Return the grid (column, row) at each pixel center by exact transformations, without code of the package."""
    x, y = np.meshgrid(*pixel_centers(panel))
    x, y = pyproj.Transformer.from_crs(crs, geometry.crs, always_xy=True).transform(x, y)
    x, y = (np.where(np.isfinite(x), axis, np.nan) for axis in (x, y))
    if geometry.crs.is_geographic:
        x = np.mod(x - geometry.transform.c, 360) + geometry.transform.c
    a, b, c, d, e, f = geometry.transform[:6]
    determinant = a * e - b * d
    return (e * (x - c) - b * (y - f)) / determinant, (a * (y - f) - d * (x - c)) / determinant


def check_against_exact(geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS) -> float:
    """Compare all pixels, except pixels nearer to a cell's edge than the tolerance.

    Return the share of the pixels that were compared and are in the grid.
    """
    values = cells(geometry)
    with np.errstate(invalid="ignore"):
        column, row = exact(geometry, panel, crs)
        slope = [np.fmax(*(abs(np.diff(p, axis=axis))[-p.shape[0] + 1 :, -p.shape[1] + 1 :] for axis in (0, 1)))
                 for p in (column, row)]  # fmt: skip
    column, row = column[1:, 1:], row[1:, 1:]
    sure = np.isfinite(column) & np.isfinite(row)
    for position, cells_per_pixel in zip((column, row), slope, strict=True):
        sure &= abs(position - np.round(position)) > 1.1 * MAX_POSITION_ERROR * np.sqrt(2) * cells_per_pixel + 1e-6
    inside = sure & (column >= 0) & (column < geometry.width) & (row >= 0) & (row < geometry.height)
    expected = np.full(column.shape, np.nan)
    expected[inside] = values[row[inside].astype(int), column[inside].astype(int)]
    result = sample(values, geometry, panel, crs)
    np.testing.assert_array_equal(result.values[1:, 1:][sure], expected[sure])
    np.testing.assert_array_equal(np.broadcast_to(result.inside, result.values.shape)[1:, 1:][sure], inside[sure])
    return float(inside.mean())


@pytest.mark.parametrize(
    "crs", [LONLAT, ALBERS, POLAR, LAMBERT, MERCATOR], ids=["lonlat", "5070", "polar", "lcc", "merc"]
)
@pytest.mark.parametrize("grid", GRIDS)
def test_each_pixel_has_the_value_of_the_cell_at_its_center(grid: str, crs: pyproj.CRS) -> None:
    compared = [check_against_exact(GRIDS[grid], panel_of(extent, crs), crs) for extent in EXTENTS.values()]
    assert max(compared) > 0.1


@given(
    st.sampled_from(sorted(GRIDS)), st.sampled_from([LONLAT, ALBERS, POLAR, LAMBERT]),
    st.floats(-360, 340), st.floats(-60, 75), st.floats(0.01, 100), st.floats(0.01, 14),
)  # fmt: skip
def test_the_pixels_of_random_panels_have_the_values_of_their_cells(
    grid: str, crs: pyproj.CRS, west: float, south: float, width: float, height: float
) -> None:
    try:
        panel = panel_of(Extent(west, west + width, south, south + height), crs, 70, 50)
    except RegionError:  # far from a polar projection's center, the scale is too large to draw
        reject()
    check_against_exact(GRIDS[grid], panel, crs)


@pytest.mark.parametrize("resampling", ["nearest", "bilinear"])
@pytest.mark.parametrize("crs", [LONLAT, ALBERS], ids=["axes", "other CRS"])
@pytest.mark.parametrize("grid", ["world", "part, 0..360"])
def test_values_changed_in_strips_equal_values_changed_at_once(grid: str, crs: pyproj.CRS, resampling: str) -> None:
    geometry, panel = GRIDS[grid], panel_of(Extent(-160, -100, 30, 60), crs, 620, 410)
    values, strips = np.sin(cells(geometry)).astype(np.float32), []

    def change(strip: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        strips.append(strip.shape)
        return (np.nan_to_num(strip, nan=2) * 100).astype(np.int16)

    found = sample(values, geometry, panel, crs, resampling, change=change)
    usual = sample(values, geometry, panel, crs, resampling)
    assert len(strips) > 1 or resampling != "nearest"
    np.testing.assert_array_equal(found.values, change(usual.values))
    np.testing.assert_array_equal(found.inside, usual.inside)
    assert found.values.dtype == np.int16


def largest_error(geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS) -> float:
    """Return the largest distance between interpolated and exact positions, in panel pixels.

    Every third row and column of pixels is compared.
    """
    with np.errstate(invalid="ignore"):
        strips = find_positions(geometry, panel, crs).strips()
        positions = np.stack([np.concatenate(parts) for parts in zip(*strips, strict=True)])[:, ::3, ::3]
        x, y = (np.arange(0, length, 3) + 0.5 for length in (panel.width, panel.height))
        right = np.stack(Locator(geometry, crs, panel)(x, y))
        jacobian = np.stack([np.gradient(right, 3, axis=2), np.gradient(right, 3, axis=1)], axis=-1)
        off = np.linalg.solve(np.moveaxis(jacobian, 0, 2), np.moveaxis(positions - right, 0, 2)[..., None])
    return float(np.nanmax(np.hypot(off[..., 0, 0], off[..., 1, 0])))


@pytest.mark.parametrize("crs", [ALBERS, LAMBERT, MERCATOR], ids=["5070", "lcc", "merc"])
@pytest.mark.parametrize("grid", ["world", "flat cells", "Lambert", "polar", "rotated"])
@pytest.mark.parametrize("extent", ["conus", "carolina"])
def test_interpolated_positions_have_errors_of_at_most_an_eighth_of_a_pixel(
    grid: str, crs: pyproj.CRS, extent: str
) -> None:
    """Pairs of conformal projections matter most: there, the center of a mesh cell shows no error."""
    assert largest_error(GRIDS[grid], panel_of(EXTENTS[extent], crs, 700, 450), crs) <= MAX_POSITION_ERROR * 1.02


@pytest.mark.parametrize("crs", [LONLAT, ALBERS])
@pytest.mark.parametrize("resampling", ["nearest", "bilinear"])
def test_a_south_up_grid_equals_its_flip(crs: pyproj.CRS, resampling: str) -> None:
    panel, values = panel_of(EXTENTS["conus"], crs), cells(GRIDS["world"])
    north = sample(values, GRIDS["world"], panel, crs, resampling)
    south = sample(np.ascontiguousarray(values[::-1]), GRIDS["south up"], panel, crs, resampling)
    np.testing.assert_allclose(north.values, south.values, rtol=1e-9)
    assert np.isfinite(north.values).all()


@pytest.mark.parametrize("grid", ["world", "world 0..360", "world on nodes"])
@pytest.mark.parametrize("crs", [LONLAT, POLAR])
@pytest.mark.parametrize("resampling", ["nearest", "bilinear", "cubic", "average", "mode", "max"])
def test_no_pixel_is_missing_at_the_antimeridian(grid: str, crs: pyproj.CRS, resampling: str) -> None:
    panel = panel_of(EXTENTS["aleutians"], crs)
    assert np.isfinite(sample(cells(GRIDS[grid]), GRIDS[grid], panel, crs, resampling).values).all()


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
@pytest.mark.parametrize("resampling", ["nearest", "bilinear", "mode"])
def test_every_data_type_is_sampled_without_loss(dtype: str, resampling: str) -> None:
    """Values go up to 2**24, because GDAL computes the mode in single precision."""
    values = np.full((90, 180), min(np.iinfo(dtype).max, 16_777_215) if dtype[0] in "ui" else 1e7, dtype)
    result = sample(values, GRIDS["world"], panel_of(EXTENTS["conus"], ALBERS, 40, 30), ALBERS, resampling).values
    assert result.dtype.kind == "f"
    np.testing.assert_allclose(result, float(values[0, 0]), rtol=1e-15 if result.dtype == np.float64 else 1e-7)


def test_pixels_outside_the_grid_are_nan() -> None:
    geometry = GRIDS["Lambert"]
    result = sample(cells(geometry), geometry, panel_of(Extent(10, 20, 40, 50), ALBERS), ALBERS)
    assert not result.inside.any()
    assert np.isnan(result.values).all()
    assert np.isnan(
        sample(cells(geometry), geometry, panel_of(Extent(10, 20, 40, 50), ALBERS), ALBERS, "max").values
    ).all()


def test_pixels_outside_the_projection_are_nan() -> None:
    disk = parse_crs("+proj=ortho +lon_0=-90 +lat_0=40")
    panel = PanelGrid(Extent(-7e6, 7e6, -7e6, 7e6), 80, 80)
    for resampling in ("nearest", "bilinear"):
        result = sample(cells(GRIDS["world"]), GRIDS["world"], panel, disk, resampling)
        assert np.isnan(result.values[0, 0])
        assert not result.inside[0, 0]
        assert np.isfinite(result.values[40, 40])


def field(x: Any, y: Any) -> Any:
    """Return a smooth field on the whole earth, without a seam, and smooth at the poles, too."""
    longitude, latitude = np.radians(x), np.radians(y)
    return 20 * (
        np.cos(longitude) * np.cos(latitude) + np.sin(2 * longitude) * np.cos(latitude) ** 2 + np.sin(latitude)
    )


@pytest.mark.parametrize("grid", ["world", "world 0..360", "part, 0..360", "Lambert", "polar", "rotated"])
@pytest.mark.parametrize("crs", [LONLAT, ALBERS, POLAR, LAMBERT], ids=["lonlat", "5070", "polar", "lcc"])
@pytest.mark.parametrize("resampling", ["bilinear", "cubic"])
def test_a_smooth_field_is_reproduced(grid: str, crs: pyproj.CRS, resampling: str) -> None:
    geometry = GRIDS[grid]
    centers = geometry.coordinates(*np.meshgrid(np.arange(geometry.width) + 0.5, np.arange(geometry.height) + 0.5))
    values = field(*transformer(geometry.crs, LONLAT).transform(*centers))
    seen = 0.0
    for extent in (EXTENTS["conus"], EXTENTS["aleutians"]):
        panel = panel_of(extent, crs)
        shown = sample(values, geometry, panel, crs, resampling).values
        with np.errstate(invalid="ignore"):
            expected = field(*transformer(crs, LONLAT).transform(*np.meshgrid(*pixel_centers(panel))))
        inner = np.isfinite(shown)
        margin = 3 * np.ceil(0.5 * abs(geometry.transform.e) / (111e3 if not geometry.crs.is_geographic else 1) + 0.1)
        column, row = exact(geometry, panel, crs)
        inner &= (row > margin) & (row < geometry.height - margin)
        if not geometry.columns_per_turn or geometry.width < 180 or grid.startswith("part"):
            inner &= (column > margin) & (column < geometry.width - margin)
        np.testing.assert_allclose(shown[inner], expected[inner], atol=0.1)
        seen = max(seen, inner.mean())
    assert seen > 0.15


def test_a_linear_field_is_reproduced_by_bilinear() -> None:
    x, y = np.meshgrid(np.arange(-180, 180, 2) + 1, np.arange(90, -90, -2) - 1)
    panel = panel_of(EXTENTS["conus"], LONLAT)
    shown = sample(3.0 * x + y, GRIDS["world"], panel, LONLAT, "bilinear").values
    px, py = pixel_centers(panel)
    np.testing.assert_allclose(shown, 3 * px + py[:, None], atol=1e-6)


@pytest.mark.parametrize("resampling", ["bilinear", "cubic", "average", "mode", "max"])
@pytest.mark.parametrize("grid", ["Lambert", "rotated", "world"])
def test_a_window_resamples_like_the_whole_grid(warp_exactly: Any, grid: str, resampling: str) -> None:
    """`reproject` allows errors of an eighth of a cell. This is too much to compare interpolated values."""
    from rasterio.enums import Resampling
    from rasterio.warp import reproject

    geometry, panel = GRIDS[grid], panel_of(EXTENTS["carolina"], ALBERS, 60, 40)
    if resampling in ("average", "mode", "max"):
        panel = panel_of(EXTENTS["conus"], ALBERS, 30, 20)
    values = np.round(np.random.default_rng(0).normal(size=(geometry.height, geometry.width)), 1)
    values[::7, ::5] = np.nan
    extent, expected = panel.extent, np.full((panel.height, panel.width), np.nan)
    transform = Affine(panel.pixel_width, 0, extent.xmin, 0, -panel.pixel_height, extent.ymax)
    reproject(
        values, expected, src_transform=geometry.transform, src_crs=geometry.crs.to_wkt(), src_nodata=np.nan,
        dst_transform=transform, dst_crs=ALBERS.to_wkt(), dst_nodata=np.nan, resampling=Resampling[resampling],
    )  # fmt: skip
    if resampling in KERNELS:
        expected = warp_exactly(values, geometry, panel, ALBERS, resampling)
    shown = sample(values, geometry, panel, ALBERS, resampling).values
    assert np.isfinite(expected).mean() > 0.3
    different = ~np.isclose(shown, expected, atol=0.02, equal_nan=True)
    assert different.mean() < 0.01, "more pixels differ than GDAL's approximation of positions explains"


@pytest.mark.parametrize(
    ("size", "extent"),
    [
        ((276, 130), Extent(-4.1e5, 3.7e5, -1.9e5, 2.3e5)),
        ((300, 200), Extent(-4.1e5, 3.7e5, -1.9e5, 2.3e5)),
        ((640, 400), Extent(-4.1e5, 3.7e5, -1.9e5, 2.3e5)),
        ((100, 100), Extent(-4e6, 4e6, -4e6, 4e6)),  # the pole is centered between four nodes, outside their margin
    ],
)
@pytest.mark.parametrize(("crs", "latitude"), [("EPSG:3995", 90.0), ("EPSG:3031", -90.0)])
def test_the_window_of_a_panel_contains_the_pole(size, extent, crs, latitude) -> None:
    """The window is computed from mesh nodes of the panel, and the pole is between nodes."""
    grid = GridGeometry(Affine(0.02, 0, -180, 0, -0.02, 90), 9000, 18000, pyproj.CRS.from_epsg(4326))
    panel = PanelGrid(extent, *size)
    window = needed_window(grid, panel, pyproj.CRS(crs))
    assert window is not None
    assert (window.col_off, window.width) == (0, 18000)
    assert (window.row_off == 0) if latitude > 0 else (window.row_off + window.height == 9000)


@pytest.mark.parametrize("name", [name for name, grid in GRIDS.items() if grid.is_axis_aligned])
def test_corners_of_a_panel_in_the_crs_of_the_grid_give_the_window_of_its_mesh(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid, random = GRIDS[name], np.random.default_rng(3)
    whole = grid.extent
    panels = []
    for _ in range(20):
        x, y = whole.xmin + whole.width * random.random(), whole.ymin + whole.height * random.random()
        width, height = whole.width * random.random() ** 2, whole.height * random.random() ** 2
        panels.append(PanelGrid(Extent(x - width, x + width, y - height, y + height), 210, 130))
    found = [needed_window(grid, panel, grid.crs) for panel in panels]
    monkeypatch.setattr(windows, "same_crs", lambda *_: False)
    assert found == [needed_window(grid, panel, grid.crs) for panel in panels]
    assert any(found)
