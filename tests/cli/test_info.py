"""`regionplot info` lists the contents of files, and prints settings that work."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine

pytestmark = pytest.mark.usefixtures("read_in_process")
FLOATS = np.random.default_rng(1).uniform(-10, 30, (12, 20)).astype(np.float32)


@pytest.fixture
def info(run_command, tmp_path: Path):
    """Return a function that describes a file: it returns what `--json` prints."""

    def describe(path: Path, *options: str) -> Any:
        done = run_command(tmp_path, "info", path, "--json", *options)
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout)

    return describe


@pytest.fixture
def draw(run_command, tmp_path: Path):
    """Return a function that writes the suggested files and draws with them. It returns the names of the maps."""

    def run(path: Path, *options: str) -> list[str]:
        folder = tmp_path / "start"
        done = run_command(tmp_path, "info", path, "--write", "start", *options)
        assert (done.returncode, done.stderr) == (0, "")
        command = done.stdout.splitlines()[-1].removeprefix("Now: regionplot ")
        settings = folder / "regionplot.toml"
        text = re.sub(r"^size = .*\n", "", settings.read_text(), flags=re.MULTILINE)
        settings.write_text(text.replace("[map]\n", "[map]\nsize = [300, 200]\n"))  # small maps take less time
        drawn = run_command(tmp_path, *shlex.split(command), "--start-method", "serial", "--no-cache")
        assert (drawn.returncode, drawn.stderr) == (0, "")
        return sorted(map.name for map in (folder / "output").glob("*.png"))

    return run


def _geotiff(write_raster, _) -> Path:
    return write_raster(FLOATS, tags={"units": "K"}, nodata=-9999)


def _several_bands(write_raster, _) -> Path:
    return write_raster(np.stack([FLOATS, FLOATS * 9]), descriptions=("snow", "rain"), crs="EPSG:5070")


def _colors(write_raster, _) -> Path:
    return write_raster(np.full((3, 12, 20), 90, np.uint8), photometric="RGB")


def _color_table(write_raster, _) -> Path:
    table = {1: (200, 0, 0, 255), 2: (0, 0, 200, 255)}
    return write_raster(np.tile([1, 2], (12, 10)).astype(np.uint8), colormap=table, photometric="palette")


def _constant(write_raster, _) -> Path:
    return write_raster(np.full((12, 20), 7, np.int16))


def _empty(write_raster, _) -> Path:
    return write_raster(np.full((12, 20), np.nan, np.float32))


def _polar(write_raster, _) -> Path:
    from affine import Affine

    return write_raster(FLOATS, Affine(4e5, 0, -4e6, 0, -6e5, 3.6e6), "EPSG:3413")


def _global_0_to_360(write_raster, _) -> Path:
    from affine import Affine

    return write_raster(FLOATS, Affine(18, 0, 0, 0, -15, 90))


def _tiny(write_raster, _) -> Path:
    from affine import Affine

    return write_raster(FLOATS, Affine(0.01, 0, 5e5, 0, -0.01, 4e6), "EPSG:32613")


def _add_variables(group: Any, times: int, *names: str) -> None:
    """Add variables on a grid in degrees to a group of a NetCDF file."""
    axes = {"time": np.arange(times), "lat": np.arange(40.0, 52), "lon": np.arange(20.0)}
    units = {"time": "hours since 2026-03-10", "lat": "degrees_north", "lon": "degrees_east"}
    for axis, values in axes.items():
        group.createDimension(axis, values.size)
        group.createVariable(axis, "f8", [axis])[:] = values
        group[axis].units = units[axis]
    for name in names:
        group.createVariable(name, "f4", list(axes))[:] = np.stack([FLOATS] * times)


def _several_variables(_, write_netcdf) -> Path:
    import netCDF4

    path = write_netcdf(x=np.arange(2.0))
    with netCDF4.Dataset(path, "w") as file:
        _add_variables(file, 3, "snow", "rain")
    return path


def _curvilinear(_, write_netcdf) -> Path:
    rows, columns = np.mgrid[:12, :20].astype(float)
    latitudes = (40 + rows + columns / 9, {"units": "degrees_north"})
    longitudes = (columns - rows / 9, {"units": "degrees_east"})
    return write_netcdf(lat=latitudes, lon=longitudes, snow=(FLOATS, {"coordinates": "lat lon"}))


@pytest.mark.parametrize(
    "make",
    [
        _geotiff, _several_bands, _colors, _color_table, _constant, _empty, _polar, _tiny, _global_0_to_360,
        _several_variables, _curvilinear,
    ],
    ids=lambda make: make.__name__.strip("_"),
)  # fmt: skip
def test_the_suggested_settings_draw_the_file(make, write_raster, write_netcdf, draw) -> None:
    assert draw(make(write_raster, write_netcdf)) == ["all.png"]


def test_the_suggested_region_fits_the_grid(draw, write_raster, tmp_path: Path) -> None:
    draw(_polar(write_raster, None))
    header, row = (tmp_path / "start" / "regions.csv").read_text().splitlines()
    assert header == "name,xmin,xmax,ymin,ymax,title"
    name, *limits, title = row.split(",")
    assert (name, title) == ("all", "Whole grid")
    assert [float(limit) for limit in limits] == [-4e6, 4e6, -3.6e6, 3.6e6]


@pytest.mark.parametrize(
    ("rows", "columns", "size"),
    [(17, 31, None), (20, 20, [1050, 1160]), (40, 20, [900, 1260]), (10, 60, [1750, 660])],
    ids=["standard", "square", "high", "wide"],
)
def test_the_suggested_sheet_suits_the_shape_of_the_grid(
    rows: int, columns: int, size: list[int] | None, run_command, write_raster, tmp_path: Path
) -> None:
    path = write_raster(np.ones((rows, columns), "float32"), transform=Affine(0.1, 0, -100, 0, -0.1, 45))
    run_command(tmp_path, "info", path, "--write", "start")
    settings = tomllib.loads((tmp_path / "start" / "regionplot.toml").read_text())
    assert settings["map"].get("size") == size


def test_a_band_is_described_with_grid_range_and_colors(info, write_raster) -> None:
    cells = FLOATS.copy()
    cells[0] = -9999
    found = info(write_raster(cells, nodata=-9999, tags={"units": "degC", "long_name": "Air temperature"}))
    band = found["quantities"][0]
    assert (found["format"], band["units"], band["type"], band["nodata"]) == ("GTiff", "degC", "float32", -9999)
    assert band["grid"]["degrees"] == {"west": -100, "east": -80, "south": 38, "north": 50}
    assert (band["grid"]["cell_width"], band["grid"]["crs"]) == (1, "EPSG:4326")
    assert band["sample"]["max"] == pytest.approx(float(FLOATS[1:].max()))
    assert band["sample"]["valid"] == pytest.approx(11 / 12)
    assert band["colors"]["keys"] == {"colormap": "nws:temperature"}


def test_levels_have_arrows_where_values_lie_beyond_them(info, draw, write_raster) -> None:
    cells = np.linspace(1, 9, 12 * 20, dtype=np.float32).reshape(12, 20)
    within = info(write_raster(cells))["quantities"][0]["colors"]["keys"]
    cells[0, :2] = 300
    path = write_raster(cells)
    beyond = info(path)["quantities"][0]["colors"]["keys"]
    assert set(within) == {"levels", "colormap"}
    assert beyond == {**within, "levels": beyond["levels"], "over": beyond["over"]}
    assert beyond["levels"][-1] < 300
    assert beyond["over"].startswith("#")
    assert draw(path) == ["all.png"]


def test_variables_are_listed_with_their_times_and_the_named_one_is_drawn(info, draw, write_netcdf) -> None:
    path = _several_variables(None, write_netcdf)
    found = info(path, "--variable", "rain")
    assert [each["name"] for each in found["quantities"]] == ["snow", "rain"]
    assert found["quantities"][0]["times"] == [f"2026-03-10T0{hour}:00:00Z" for hour in range(3)]
    assert 'variable = "rain"\ntime = "latest"' in found["settings"]
    assert draw(path, "--variable", "rain") == ["all.png"]


def test_a_grib_is_grouped_by_variable_level_member_and_time(info, shared_data_folder: Path) -> None:
    quantities = info(shared_data_folder / "era5_levels_members_times.grib")["quantities"]
    assert [each["name"] for each in quantities] == ["Z", "T"]
    for each in quantities:
        assert (each["bands"], each["levels"]) == (80, ["500 hPa", "850 hPa"])
        assert (each["members"], len(each["times"])) == (list(range(10)), 4)
        assert each["select"] == {"band": each["name"], "level": "500 hPa", "member": 0, "time": "latest"}


def test_a_grid_with_2d_coordinates_has_its_own_size(info, write_netcdf) -> None:
    assert info(_curvilinear(None, write_netcdf))["quantities"][0]["grid"]["curvilinear"] == [12, 20]


def test_variables_of_groups_have_paths(info, draw, tmp_path: Path) -> None:
    import netCDF4

    with netCDF4.Dataset(tmp_path / "groups.nc", "w") as file:
        for name in ("day", "night"):
            _add_variables(file.createGroup(name), 1, "snow")
    found = info(tmp_path / "groups.nc")
    assert [each["select"] for each in found["quantities"]] == [{"variable": "/day/snow"}, {"variable": "/night/snow"}]
    assert draw(tmp_path / "groups.nc") == ["all.png"]


def test_a_raster_without_a_crs_is_listed_with_the_cure(info, write_raster, run_command, tmp_path: Path) -> None:
    path = write_raster(FLOATS, crs=None)
    found = info(path)
    assert "has no CRS; set crs" in found["quantities"][0]["problem"]
    assert (found["settings"], found["regions"]) == ("", "")
    assert run_command(tmp_path, "info", path, "--write", "start").returncode == 3
    assert info(path, "--crs", "EPSG:4326")["quantities"][0]["problem"] == ""


def test_layers_are_listed_with_fields_and_extent(info, draw, write_vector) -> None:
    path = write_vector([shapely.box(-84, 34, -80, 37), shapely.box(-80, 34, -76, 37)], name="two.gpkg")
    found = info(path)["layers"][0]
    assert (found["geometry"], found["features"], found["crs"]) == ("Polygon", 2, "EPSG:4326")
    assert found["degrees"] == [-84, 34, -76, 37]
    assert found["fields"] == [{"name": "id", "type": "integer", "is_unique": True, "example": "0"}]
    assert draw(path) == ["0.png", "1.png"]


@pytest.mark.parametrize("shape", [shapely.Point(-84, 34), shapely.LineString([(-84, 34), (-84, 35)])], ids=str)
def test_the_suggested_region_has_an_area(shape, draw, write_vector) -> None:
    assert draw(write_vector([shape], name="shape.geojson")) == ["all.png"]


def test_points_and_layers_without_a_crs_are_listed(info, draw, write_vector) -> None:
    assert draw(write_vector([shapely.Point(-84, 34), shapely.Point(-80, 37)], name="points.geojson")) == ["all.png"]
    with pytest.warns(UserWarning, match="crs"):
        path = write_vector([shapely.Point(-84, 34)], crs=None)
    found = info(path)
    assert "has no CRS" in found["layers"][0]["problem"]
    assert found["layers"][0]["features"] == 1


def test_lines_fit_a_terminal_of_80_columns(run_command, tmp_path: Path, write_raster) -> None:
    long = {"descriptions": tuple(f"a band with a very long name that does not fit, {n}, " + "x" * 80 for n in "ab")}
    path = write_raster(np.stack([FLOATS, FLOATS]), **long)
    done = run_command(tmp_path, "info", path.name)
    lines = done.stdout.partition("Settings to start from")[0].splitlines()
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in done.stdout
    assert "  extent    -100° to -80° east, 38° to 50° north" in lines
    assert any(line.startswith("  range     -9.") for line in lines)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("nothing.tif", None, "nothing.tif: there is no such file"),
        ("empty.tif", b"", "empty.tif: the file is empty"),
        ("text.tif", b"hello", "text.tif: cannot be read as a raster: its format is not one of GeoTIFF"),
        ("grid.vrt", b"<VRTDataset/>", "grid.vrt: an XML file (a VRT?) is not a grid"),
        ("damaged.tif", b"II*\0\x08\0\0\0", "damaged.tif: cannot be read as a raster"),
        ("damaged.nc", b"CDF\x01nothing", "damaged.nc: the file has no variable with rows"),
        ("damaged.gpkg", b"SQLite format 3\0" + b"\0" * 90, "damaged.gpkg: cannot be read as"),
        ("damaged.json", b"{", "damaged.json: cannot be read as vector data"),
        ("regions.csv", b"name,west\n", "use `regionplot check regions.csv`"),
    ],
)
def test_a_wrong_file_is_one_line(name: str, content: bytes | None, message: str, run_command, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = run_command(tmp_path, "info", name)
    assert (done.returncode, done.stdout) == (3, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_reader_that_exits_early_causes_no_traceback(run_command, tmp_path: Path, write_raster, monkeypatch) -> None:
    import errno

    import click

    def write(*_: object, **__: object) -> None:
        raise BrokenPipeError(errno.EPIPE, "the reader has exited")

    monkeypatch.setattr(click, "echo", write)
    done = run_command(tmp_path, "info", write_raster(FLOATS))
    assert (done.returncode, done.stderr) == (1, "")


def test_names_with_special_characters_work(draw, write_raster) -> None:
    assert draw(write_raster(FLOATS, name='a [1] "{x}*.tif')) == ["all.png"]


def test_existing_files_and_unknown_variables_are_refused(run_command, tmp_path: Path, write_raster) -> None:
    path = write_raster(FLOATS)
    (tmp_path / "regions.csv").write_text("mine")
    done = run_command(tmp_path, "info", path, "--write", ".")
    assert (done.returncode, (tmp_path / "regions.csv").read_text()) == (2, "mine")
    assert "existing files are not overwritten" in done.stderr
    assert "no variable 'rain'" in run_command(tmp_path, "info", path, "--variable", "rain").stderr
