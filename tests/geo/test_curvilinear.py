"""Test resampling from curvilinear grids of many shapes: each regular cell shows the source cell that contains it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyproj
import pytest
from numpy.typing import NDArray

from regionplot.geo.curvilinear.fit import COARSEST, FINEST, fit_grid
from regionplot.geo.curvilinear.locator import CellLocator, Resampling
from regionplot.geo.extent import LONLAT
from regionplot.geo.grid import Window

CRS = pyproj.CRS(LONLAT)
Coordinates = tuple[NDArray[np.floating], NDArray[np.floating]]


def swath(
    rows: int = 36, columns: int = 30, latitude: float = 40, longitude: float = 10, km: float = 5.0
) -> Coordinates:
    """Return a tilted swath. Its cells grow toward its sides."""
    row, column = np.mgrid[:rows, :columns]
    across, along = (column - columns / 2) * km * 1000, (rows / 2 - row) * km * 1000
    across = across * (1 + 0.5 * (across / abs(across).max()) ** 2)
    tilt = np.radians(15)
    x, y = across * np.cos(tilt) - along * np.sin(tilt), across * np.sin(tilt) + along * np.cos(tilt)
    plane = f"+proj=aeqd +lat_0={latitude} +lon_0={longitude} +datum=WGS84"
    longitudes, latitudes = pyproj.Transformer.from_crs(plane, CRS, always_xy=True).transform(x, y)
    return longitudes.astype(np.float32), latitudes.astype(np.float32)


def scans() -> Coordinates:
    """Return scans of ten rows that overlap toward the sides, as in MODIS."""
    row, column = np.mgrid[:60, :50]
    stretch = 1 + (abs(column - 25) / 25) ** 2
    return 10 + column * 0.012, 40 - (row // 10 * 10 + 4.5 + (row % 10 - 4.5) * stretch) * 0.009


def telescope() -> Coordinates:
    """Return the grid of a coastal model, ten times finer in the middle."""
    axis = np.cumsum(np.r_[np.linspace(10, 1, 13), np.linspace(1, 8, 13)]) * 0.02
    x, y = np.meshgrid(axis, axis)
    return -90 + x + 0.1 * y, 28 + y - 0.1 * x


def cube_face() -> Coordinates:
    """Return one face of a cubed-sphere grid, with the north pole at its center."""
    x, y = np.meshgrid(*[np.tan(np.radians(np.linspace(-44, 44, 31)))] * 2)
    return np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(1, np.hypot(x, y)))


def around_the_earth() -> Coordinates:
    """Return the grid of an ocean model. Its columns start at 73° and go once around the earth."""
    row, column = np.mgrid[:24, :36]
    return 73.0 + 10 * column, -78.0 + 6.5 * row + 0 * column


GRIDS: dict[str, Callable[[], Coordinates]] = {
    "swath": swath,
    "longitudes beyond 180": lambda: swath(latitude=0, longitude=180),
    "longitudes of 0 to 360": lambda: (np.mod(swath(latitude=20, longitude=0)[0], 360), swath(latitude=20)[1]),
    "over the north pole": lambda: swath(latitude=89, longitude=50, km=20),
    "near the south pole": lambda: swath(latitude=-79, longitude=170, km=10),
    "flipped": lambda: tuple(axis[::-1] for axis in swath()),
    "transposed": lambda: tuple(axis.T for axis in swath()),
    "overlapping scans": scans,
    "telescope": telescope,
    "cube face": cube_face,
    "around the earth": around_the_earth,
}


def unit_vectors(longitudes: NDArray[np.floating], latitudes: NDArray[np.floating]) -> NDArray[np.floating]:
    x, y = np.radians(np.asarray(longitudes, float)), np.radians(np.asarray(latitudes, float))
    return np.stack([np.cos(y) * np.cos(x), np.cos(y) * np.sin(x), np.sin(y)], axis=-1)


def sample_cells(coordinates: Coordinates, count: int = 1000) -> tuple[NDArray[np.int32], NDArray[np.floating]]:
    """Return the source cell at random cells of the regular grid, and their distances from all source cells."""
    grid = fit_grid(*coordinates, CRS)
    assert grid is not None
    shown = CellLocator(*coordinates, grid, CRS).nearest(grid.geometry.full_window)
    random = np.random.default_rng(3)
    row, column = (random.integers(0, length, count) for length in shown.shape)
    x, y = grid.geometry.coordinates(column + 0.5, row + 0.5)
    points = unit_vectors(*pyproj.Transformer.from_crs(grid.geometry.crs, CRS, always_xy=True).transform(x, y))
    source = unit_vectors(*coordinates).reshape(-1, 3)
    return shown[row, column], np.linalg.norm(points[:, None] - source[None], axis=-1)


def spacing(coordinates: Coordinates) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return the longer and the shorter step from each cell to its neighbors."""
    source = unit_vectors(*coordinates)
    down = np.linalg.norm(np.diff(source, axis=0, append=source[-2:-1]), axis=-1)
    across = np.linalg.norm(np.diff(source, axis=1, append=source[:, -2:-1]), axis=-1)
    return np.fmax(down, across).ravel(), np.fmin(down, across).ravel()


@pytest.mark.parametrize("make", GRIDS.values(), ids=GRIDS)
def test_each_regular_cell_shows_the_nearest_source_cell_or_one_hardly_farther(make: Callable[[], Coordinates]) -> None:
    coordinates = make()
    shown, distances = sample_cells(coordinates)
    longer, shorter = spacing(coordinates)
    nearest, rows = distances.argmin(axis=1), np.arange(len(distances))
    is_shown = shown >= 0
    excess = (distances[rows, shown] - distances.min(axis=1))[is_shown] / longer[nearest[is_shown]]
    assert excess.max() < 0.5
    assert (excess < 0.02).mean() > (0.7 if make is scans else 0.9)
    assert is_shown[distances.min(axis=1) < 0.45 * shorter[nearest]].all(), "a point in a source cell shows no cell"
    assert (distances.min(axis=1)[is_shown] < 1.3 * longer[nearest[is_shown]]).all(), (
        "a source cell is shown far away from its place"
    )


def test_cells_without_coordinates_leave_a_hole_with_sharp_edges() -> None:
    longitudes, latitudes = (axis.copy() for axis in swath())
    longitudes[12:20, 12:20] = latitudes[12:20, 12:20] = np.nan
    longitudes[:, :3] = latitudes[:, :3] = np.nan
    shown, distances = sample_cells((longitudes, latitudes))
    is_shown = shown >= 0
    assert np.nanmin(distances[is_shown], axis=1).max() < spacing(swath())[0].max()
    assert np.isfinite(longitudes.ravel()[shown[is_shown]]).all()


@pytest.mark.parametrize("lone", [np.s_[19, :], np.s_[:, 19], np.s_[:, 10], np.s_[19, ::2]], ids=str)
def test_cells_without_neighbors_leave_no_hole_in_the_cells_beside_them(lone: tuple[int | slice, int | slice]) -> None:
    """A cell has no size along an axis if both neighbors are missing. The search must not end there."""
    whole = swath()
    grid = fit_grid(*whole, CRS)
    assert grid is not None
    kept = np.ones(whole[0].shape, bool)
    at = tuple(slice(index - 1, None) if isinstance(index, int) else slice(None) for index in lone)
    kept[at] = False
    found = []
    for is_there in (False, True):
        kept[lone] = is_there
        longitudes, latitudes = (np.where(kept, axis, np.nan) for axis in whole)
        found.append(CellLocator(longitudes, latitudes, grid, CRS).nearest(grid.geometry.full_window))
    without, shown = found
    np.testing.assert_array_equal(shown[without >= 0], without[without >= 0])
    assert (without >= 0).sum() > 50_000


def test_scattered_cells_are_shown() -> None:
    """Many cells are missing. A cell without neighbors along an axis gets the size of the cells around it."""
    whole = swath()
    missing = np.random.default_rng(1).random(whole[0].shape) < 0.4
    grid = fit_grid(*whole, CRS)
    assert grid is not None
    expected = CellLocator(*whole, grid, CRS).nearest(grid.geometry.full_window)
    longitudes, latitudes = (np.where(missing, np.nan, axis) for axis in whole)
    shown = CellLocator(longitudes, latitudes, grid, CRS).nearest(grid.geometry.full_window)
    is_known = (expected >= 0) & ~missing.ravel()[expected]
    assert (shown == expected)[is_known].mean() > 0.9
    assert (shown >= 0).sum() < 1.5 * is_known.sum()


@pytest.mark.parametrize("name", ["swath", "over the north pole", "around the earth", "overlapping scans"])
def test_a_window_equals_the_same_cells_of_the_whole_grid(name: str) -> None:
    coordinates = GRIDS[name]()
    grid = fit_grid(*coordinates, CRS)
    assert grid is not None
    locator, values = CellLocator(*coordinates, grid, CRS), np.sin(coordinates[0]) + coordinates[1]
    for method in Resampling:
        whole = locator.resample(values, grid.geometry.full_window, method)
        for window in (Window(101, 37, 150, 211), Window(0, 0, 1, 1), Window(*np.subtract(whole.shape, 7), 7, 7)):
            part = locator.resample(values, window, method)
            expected = whole[window.row_off :, window.col_off :][: window.height, : window.width]
            np.testing.assert_array_equal(part, expected)


def test_interpolation_reproduces_a_linear_field() -> None:
    longitudes, latitudes = swath()
    grid = fit_grid(longitudes, latitudes, CRS)
    assert grid is not None
    locator = CellLocator(longitudes, latitudes, grid, CRS)
    field = 2.0 * longitudes + latitudes
    rows, columns = np.mgrid[: grid.geometry.height, : grid.geometry.width] + 0.5
    x, y = grid.geometry.coordinates(columns, rows)
    nearest, interpolated = (locator.resample(field, grid.geometry.full_window, method) for method in Resampling)
    inside = (abs(x - 10) < 0.4) & (abs(y - 40) < 0.4)
    assert abs(interpolated - 2 * x - y)[inside].max() < 0.01 < abs(nearest - 2 * x - y)[inside].max()


def test_interpolation_keeps_exactly_the_missing_cells_of_nearest() -> None:
    longitudes, latitudes = swath()
    grid = fit_grid(longitudes, latitudes, CRS)
    assert grid is not None
    locator, field = CellLocator(longitudes, latitudes, grid, CRS), latitudes.copy()
    field[18, 15] = np.nan
    nearest, interpolated = (locator.resample(field, grid.geometry.full_window, method) for method in Resampling)
    np.testing.assert_array_equal(np.isnan(interpolated), np.isnan(nearest))


@pytest.mark.parametrize("name", ["over the north pole", "cube face"])
def test_a_grid_over_a_pole_gets_a_stereographic_grid(name: str) -> None:
    grid = fit_grid(*GRIDS[name](), CRS)
    assert grid is not None
    assert "Stereographic" in grid.geometry.crs.coordinate_operation.method_name


@pytest.mark.parametrize("name", ["swath", "longitudes beyond 180", "telescope", "around the earth"])
def test_other_grids_get_a_grid_in_degrees(name: str) -> None:
    longitudes, latitudes = GRIDS[name]()
    grid = fit_grid(longitudes, latitudes, CRS)
    assert grid is not None
    assert grid.geometry.crs == CRS
    assert COARSEST <= grid.oversampling <= FINEST
    limits = grid.geometry.extent
    assert limits.ymin < latitudes.min() < latitudes.max() < limits.ymax
    assert limits.width <= 360 if name == "around the earth" else limits.width < 12


def test_one_distant_cell_does_not_make_the_grid_too_large() -> None:
    longitudes, latitudes = (axis.astype(float) for axis in swath(km=0.1))
    longitudes[0, 0], latitudes[0, 0] = -170, -60
    grid = fit_grid(longitudes, latitudes, CRS)
    assert grid is not None
    assert grid.geometry.full_window.cells < 2**24


def test_cells_at_one_place_or_without_coordinates_give_no_grid() -> None:
    assert fit_grid(np.full((20, 30), 5.0), np.full((20, 30), 50.0), CRS) is None
    assert fit_grid(np.full((20, 30), np.nan), np.full((20, 30), np.nan), CRS) is None
