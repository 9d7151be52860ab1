"""The 2-D coordinates of a grid are found in its file, or refused with an error that names the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from regionplot.errors import RasterError
from regionplot.geo.grid import Window
from regionplot.inputs.curvilinear import CurvilinearSource, NativeCells
from regionplot.inputs.describe import inspect_raster, open_source
from regionplot.inputs.geolocation import kind_of, read_coordinates
from regionplot.inputs.source import read_window
from regionplot.settings.raster import RasterSettings

WriteNetcdf = Callable[..., Path]

ROW, COLUMN = np.mgrid[:20, :30]
LATITUDES = (50 - 0.1 * ROW + 0.02 * COLUMN).astype(np.float32)
LONGITUDES = (5 + 0.1 * COLUMN + 0.03 * ROW).astype(np.float32)
NORTH, EAST = {"units": "degrees_north"}, {"units": "degrees_east"}
RAIN = np.arange(600, dtype=np.float32).reshape(20, 30)


def curvilinear(path: Path, **settings: Any) -> CurvilinearSource:
    source = open_source(RasterSettings(path=path, **settings))
    assert isinstance(source, CurvilinearSource)
    return source


def cells(path: Path, **settings: Any) -> NativeCells:
    return curvilinear(path, **settings).read_native()


def load(path: Path, **settings: Any) -> NDArray[Any]:
    source = curvilinear(path, **settings)
    return read_window(source, source.describe().geometry.full_window)[0]


CONVENTIONS: dict[str, dict[str, Any]] = {
    "CF": {"lat": (LATITUDES, NORTH), "lon": (LONGITUDES, EAST), "rain": (RAIN, {"coordinates": "lat lon"})},
    "CF, not named": {"lat": (LATITUDES, NORTH), "lon": (LONGITUDES, EAST), "rain": RAIN},
    "names alone": {"nav_lat": LATITUDES, "nav_lon": LONGITUDES, "rain": RAIN},
    "standard names": {
        "gphi_lat": (LATITUDES, {"standard_name": "latitude"}),
        "glam_lon": (LONGITUDES, {"standard_name": "longitude"}),
        "rain": RAIN,
    },
    "plain degrees": {
        "Latitude": (LATITUDES, {"units": "degrees"}),
        "Longitude": (LONGITUDES, {"units": "degrees"}),
        "rain": RAIN,
    },
    "packed": {
        "lat": (np.rint(LATITUDES * 1000).astype("i4"), NORTH | {"scale_factor": 0.001}),
        "lon": (np.rint(LONGITUDES * 1000).astype("i4"), EAST | {"scale_factor": 0.001}),
        "rain": RAIN,
    },
}


@pytest.mark.parametrize("variables", CONVENTIONS.values(), ids=CONVENTIONS)
def test_coordinates_are_found_by_convention_and_keep_the_order_of_the_file(
    write_netcdf: WriteNetcdf, variables: dict[str, Any]
) -> None:
    found = cells(write_netcdf(**variables))
    np.testing.assert_array_equal(found.values, RAIN)
    np.testing.assert_allclose(found.longitudes, LONGITUDES, atol=6e-4)
    np.testing.assert_allclose(found.latitudes, LATITUDES, atol=6e-4)


def test_coordinates_of_wrf_output_can_change_with_time(write_netcdf: WriteNetcdf) -> None:
    """XLAT and XLONG vary with time. The bands of a variable can also be levels. Other coordinates are staggered."""
    time = np.arange(2)[:, None, None]
    wind = np.arange(2 * 3 * 600, dtype=np.float32).reshape(2, 3, 20, 30)
    path = write_netcdf(
        XLAT=(LATITUDES + time, {"units": "degree_north"}),
        XLONG=(LONGITUDES + time, {"units": "degree_east"}),
        XLAT_U=(np.zeros((2, 20, 31), "f4"), {"units": "degree_north"}),
        XLONG_U=(np.zeros((2, 20, 31), "f4"), {"units": "degree_east"}),
        T2=(RAIN + time, {"units": "K", "coordinates": "XLONG XLAT XTIME"}),
        V=(wind, {"coordinates": "XLONG XLAT XTIME"}),
    )
    for variable, band, hour, values in (("T2", 1, 0, RAIN), ("T2", 2, 1, RAIN + 1), ("V", 5, 1, wind[1, 1])):
        found = cells(path, variable=variable, band=band)
        np.testing.assert_array_equal(found.values, values)
        np.testing.assert_array_equal(found.longitudes, (LONGITUDES + time)[hour])
        np.testing.assert_array_equal(found.latitudes, (LATITUDES + time)[hour])
    with pytest.raises(RasterError, match=r"choose one with variable = NAME in \[raster\]: T2, V"):
        inspect_raster(RasterSettings(path=path))


@pytest.mark.parametrize("named", [True, False])
def test_roms_output_has_one_grid_per_kind_of_point(write_netcdf: WriteNetcdf, named: bool) -> None:
    points: dict[str, Any] = {}
    for suffix, shape in (("rho", (20, 30)), ("u", (20, 29)), ("v", (19, 30))):
        points[f"lat_{suffix}"] = LATITUDES[: shape[0], : shape[1]] + len(suffix), NORTH
        points[f"lon_{suffix}"] = LONGITUDES[: shape[0], : shape[1]], EAST
        places = {"coordinates": f"lon_{suffix} lat_{suffix}"} if named else {}
        points[f"field_{suffix}"] = np.full(shape, len(suffix), np.float32), places
    path = write_netcdf(**points)
    for suffix, shape in (("rho", (20, 30)), ("u", (20, 29)), ("v", (19, 30))):
        found = cells(path, variable=f"field_{suffix}")
        assert found.values.shape == shape
        np.testing.assert_array_equal(found.latitudes, LATITUDES[: shape[0], : shape[1]] + len(suffix))


@pytest.mark.parametrize("missing", [np.nan, -999.0, 1e30, 9.96921e36])
def test_numbers_that_cannot_be_coordinates_are_missing(write_netcdf: WriteNetcdf, missing: float) -> None:
    latitudes, longitudes = LATITUDES.copy(), LONGITUDES.copy()
    latitudes[:, 0] = longitudes[:, -1] = missing
    found = cells(write_netcdf(lat=(latitudes, NORTH), lon=(longitudes, EAST), rain=RAIN))
    expected = np.isin(COLUMN, [0, 29])
    np.testing.assert_array_equal(np.isnan(found.latitudes), expected)
    np.testing.assert_array_equal(np.isnan(found.longitudes), expected)


def test_integers_become_floating_point_even_if_mask_and_scale_is_off(write_netcdf: WriteNetcdf) -> None:
    """Places without a cell are NaN in the regular grid."""
    path = write_netcdf(lat=(LATITUDES, NORTH), lon=(LONGITUDES, EAST), kind=RAIN.astype("i2"))
    regular = load(path, mask_and_scale=False)
    assert regular.dtype.kind == "f"
    assert np.isnan(regular[0, 0])
    assert set(np.unique(regular[np.isfinite(regular)])) == set(range(600))


NONE = np.full((20, 30), -999.0, np.float32)
FAULTS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "all missing": ({"lat": (NONE, NORTH), "lon": (NONE, EAST)}, {}, "coordinates lon and lat have no valid cell"),
    "same place": (
        {"lat": (NONE * 0, NORTH), "lon": (NONE * 0, EAST)},
        {},
        "all cells of the curvilinear grid have the same",
    ),
    "another shape": (
        {"lat": (LATITUDES[:10, :15], NORTH), "lon": (LONGITUDES[:10, :15], EAST)},
        {},
        "rain has 20 x 30 cells, but its coordinates lon have 10 x 15",
    ),
    "no longitude": ({"lat": (LATITUDES, NORTH)}, {}, "the raster has no CRS"),
    "a projected CRS": (
        {"lat": (LATITUDES, NORTH), "lon": (LONGITUDES, EAST)},
        {"crs": "EPSG:5070"},
        "its cells have longitudes and latitudes, but 'NAD83 / Conus Albers' is a projected CRS; remove crs",
    ),
}


@pytest.mark.parametrize(("variables", "settings", "message"), FAULTS.values(), ids=FAULTS)
def test_unusable_coordinates_are_refused(
    write_netcdf: WriteNetcdf, variables: dict[str, Any], settings: dict[str, Any], message: str
) -> None:
    path = write_netcdf(**variables, rain=(RAIN, {"coordinates": "lat lon"}))
    with pytest.raises(RasterError, match=message) as caught:
        load(path, **settings)
    assert str(path) in str(caught.value)


def test_longitudes_keep_their_stored_range(write_netcdf: WriteNetcdf) -> None:
    path = write_netcdf(lat=(LATITUDES, NORTH), lon=(LONGITUDES + 173.5, EAST), rain=RAIN)
    np.testing.assert_array_equal(cells(path).longitudes, LONGITUDES + 173.5)
    assert inspect_raster(RasterSettings(path=path)).geometry.extent.width < 4


def test_a_file_that_changed_after_it_was_described_is_not_read(write_netcdf: WriteNetcdf) -> None:
    path = write_netcdf(lat=(LATITUDES, NORTH), lon=(LONGITUDES, EAST), rain=RAIN)
    source = curvilinear(path)
    write_netcdf(lat=(LATITUDES, NORTH), lon=(LONGITUDES + 1, EAST), rain=RAIN, more=RAIN)
    with pytest.raises(RasterError, match="input changed"):
        source.read_native()


def test_no_file_stays_open(write_netcdf: WriteNetcdf) -> None:
    """A forked worker that inherits a descriptor would read wrong cells."""
    path = write_netcdf(lat=(LATITUDES, NORTH), lon=(LONGITUDES, EAST), rain=RAIN, snow=RAIN)
    load(path, variable="rain")
    with pytest.raises(RasterError, match="choose one"):
        load(path)
    assert str(path) not in [file.path for file in psutil.Process().open_files()]


def test_more_cells_than_memory_are_refused_before_they_are_read(write_netcdf: WriteNetcdf) -> None:
    path = write_netcdf(lat=(LATITUDES, NORTH), lon=(LONGITUDES, EAST), rain=RAIN)
    geolocation = curvilinear(path).geolocation
    with pytest.raises(
        RasterError, match="20 x 30 cells with 2-D coordinates need 0 MB of memory, more than is available"
    ):
        read_coordinates(path, geolocation, memory=10_000)


@pytest.mark.parametrize(
    ("name", "attributes", "kind"),
    [
        ("XLAT", {"units": "degree_north"}, "latitude"),
        ("x", {"units": "degrees_east"}, "longitude"),
        ("/geo/Longitude", {"units": "deg"}, "longitude"),
        ("nav_lat", {}, "latitude"),
        ("lat_rho", {}, "latitude"),
        ("latent_heat", {}, None),
        ("plate", {"units": "degrees"}, None),
        ("lat_error", {"units": "m"}, None),
        ("solar_zenith", {"units": "degrees"}, None),
        ("sst", {"units": "degree_C"}, None),
    ],
)
def test_coordinates_are_distinguished_from_other_variables(
    name: str, attributes: dict[str, Any], kind: str | None
) -> None:
    assert kind_of(name, attributes) == kind


def test_a_thinned_window_has_the_nearest_cells_of_the_full_one(write_netcdf: WriteNetcdf) -> None:
    source = curvilinear(write_netcdf(lat=(LATITUDES, NORTH), lon=(LONGITUDES, EAST), rain=RAIN))
    grid = source.describe().geometry
    window = Window(grid.height // 2, grid.width // 2, 30, 60)
    full = source.read(window, (30, 60))
    assert np.isfinite(full).any()
    np.testing.assert_array_equal(source.read(window, (10, 20)), full[::3, ::3])
