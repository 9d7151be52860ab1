"""Statistics of regions in tables, in the manifest and as alternative text."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from manifest_schema import check_manifest

from regionplot.errors import ConfigError, RasterError
from regionplot.executors.choose import executor_class
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.regions.table import read_regions
from regionplot.runs.run import render_regions
from regionplot.settings.regions import RegionSettings
from regionplot.shared.data import SharedData
from regionplot.shared.numbers import region_numbers

pytestmark = pytest.mark.usefixtures("read_in_process", "draw_in_process")
CELLS = np.random.default_rng(3).uniform(-5, 30, (20, 20)).astype(np.float32)
WEST = Region("west", Extent(-99, -91, 35, 45), title="West")
EAST = Region("east", Extent(-89, -81, 35, 45), title="East")
TAGS = {"units": "degC", "long_name": "surface temperature", "VALID_TIME": "2026-03-10T06:00:00"}


@pytest.fixture
def config(make_config, write_raster, tmp_path):
    """Return a function that makes settings with a table, for a raster of 20 × 20 cells of one degree."""

    def make(cells=CELLS, table: str | None = "stats.csv", **sections):
        path = write_raster(cells, nodata=-9999, tags=TAGS)
        statistics = {} if table is None else {"table": table}
        output = {"directory": tmp_path / "maps", **sections.pop("output", {})}
        run = {"start_method": "serial", "cache": False, **sections.pop("run", {})}
        return make_config(
            **{
                "raster": {"path": path},
                "map": {"size": [300, 200]},
                "colors": {"levels": [0, 10, 20]},
                "statistics": {**statistics, **sections.pop("statistics", {})},
                "output": output,
                "run": run,
                **sections,
            }
        )

    return make


def _rows(config) -> list[dict[str, str]]:
    with (config.output.directory / "stats.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def _manifest(config) -> dict:
    found = json.loads((config.output.directory / "manifest.json").read_text())
    check_manifest(found)
    return found


def test_the_table_holds_the_numbers_of_numpy(config) -> None:
    cells = CELLS.copy()
    cells[6:9, 2:5] = -9999
    settings = config(cells, statistics={"percentiles": [10, 90], "above": 20})
    assert render_regions([WEST, EAST], settings).exit_code == 0
    west, east = _rows(settings)
    own = cells[5:15, 1:9]
    valid = own[own > -9999].astype(float)
    row, column = np.argwhere(own == valid.max())[0]
    expected = {
        "count": valid.size, "cells": own.size, "valid": valid.size / own.size, "min": valid.min(),
        "max": valid.max(), "mean": valid.mean(), "p10": np.percentile(valid, 10), "p90": np.percentile(valid, 90),
        "above": (valid > 20).mean(), "max_lon": -98.5 + column, "max_lat": 44.5 - row,
    }  # fmt: skip
    assert {key: float(west[key]) for key in expected} == pytest.approx(expected, rel=1e-6)
    assert (west["name"], west["title"], west["state"], west["file"]) == ("west", "West", "rendered", "west.png")
    assert (west["units"], west["weights"], west["valid_time"]) == ("degC", "cells", "2026-03-10T06:00:00Z")
    assert [float(west[key]) for key in ("west", "south", "east", "north")] == [-99, 35, -91, 45]
    assert float(east["max"]) == pytest.approx(float(cells[5:15, 11:19].max()))


@pytest.mark.parametrize("method", ["serial", "fork", "threads", "spawn"])
@pytest.mark.usefixtures("spawn_from_server")
def test_the_table_is_complete_if_maps_are_unchanged(method: str, config) -> None:
    if executor_class(method).unavailable():
        pytest.skip("not here")
    render_regions([WEST], config())
    settings = config(run={"start_method": method, "workers": 1})
    render_regions([WEST, EAST], settings)
    rows = _rows(settings)
    assert [row["state"] for row in rows] == ["unchanged", "rendered"]
    assert [float(row["max"]) for row in rows] == pytest.approx([CELLS[5:15, 1:9].max(), CELLS[5:15, 11:19].max()])


def test_regions_of_other_runs_and_failed_maps_stay_in_the_table(config) -> None:
    settings = config()
    render_regions([WEST, EAST], settings)
    outside = Region("outside", Extent(0, 5, 0, 5))
    assert render_regions([WEST, EAST, outside], settings, only=["west", "outside"]).exit_code == 1
    rows = {row["name"]: row for row in _rows(settings)}
    assert float(rows["east"]["max"]) == pytest.approx(float(CELLS[5:15, 11:19].max()))
    assert (rows["outside"]["state"], rows["outside"]["max"]) == ("failed", "")


def test_only_cells_within_the_extent_count_on_a_map_in_another_projection(config) -> None:
    settings = config(map={"size": [300, 200], "projection": "EPSG:5070"})
    assert render_regions([WEST], settings).exit_code == 0
    row = _rows(settings)[0]
    own = CELLS[5:15, 1:9]
    assert (float(row["count"]), float(row["max"])) == (own.size, pytest.approx(float(own.max())))


def test_products_and_classes_have_rows_of_their_own(config, write_raster) -> None:
    table = {1: (200, 0, 0, 255), 2: (0, 0, 200, 255)}
    path = write_raster(
        np.tile([1, 1, 1, 2], (20, 5)).astype(np.uint8), colormap=table, photometric="palette", name="c.tif"
    )
    settings = config(products={"warm": {}, "cover": {"raster": {"path": path}}}, colors={})
    assert render_regions([WEST], settings).exit_code == 0
    rows = {row["product"]: row for row in _rows(settings)}
    assert rows["warm"]["max"] == f"{float(f'{CELLS[5:15, 1:9].max():.9g}')}"
    assert (rows["cover"]["majority"], rows["cover"]["majority_share"], rows["cover"]["max"]) == ("1", "0.75", "")


@pytest.mark.parametrize("suffix", ["geojson", "parquet"])
def test_the_suffix_sets_the_format(suffix: str, config) -> None:
    settings = config(table=f"stats.{suffix}")
    across = Region("across", Extent(175, 190, 35, 45))
    render_regions([WEST, across], settings)
    path = settings.output.directory / f"stats.{suffix}"
    assert [each.name for each in path.parent.iterdir() if "tmp" in each.name] == []
    maximum = pytest.approx(float(CELLS[5:15, 1:9].max()))
    if suffix == "parquet":
        import pyarrow.parquet

        rows = pyarrow.parquet.read_table(path).to_pylist()
        assert (rows[0]["name"], rows[0]["max"], rows[1]["max"]) == ("west", maximum, None)
        return
    first, second = json.loads(path.read_text())["features"]
    assert (first["properties"]["name"], first["properties"]["max"]) == ("west", maximum)
    assert shapely.from_geojson(json.dumps(first["geometry"])).equals(shapely.box(-99, 35, -91, 45))
    assert second["properties"]["state"] == "failed"


def test_polygons_are_weighted_by_the_covered_part(config, write_vector) -> None:
    triangle = shapely.Polygon([(-98.3, 36.2), (-90.4, 37.1), (-94.6, 44.7)])
    regions = read_regions(
        write_vector([triangle], name="triangle.gpkg"), RegionSettings(name_field="id", margin="10%")
    )
    settings = config(table="stats.geojson", statistics={"percentiles": [50]})
    assert render_regions(regions, settings).exit_code == 0
    found = json.loads((settings.output.directory / "stats.geojson").read_text())["features"][0]
    rows, columns = np.mgrid[:20, :20]
    boxes = shapely.box(-100 + columns, 49 - rows, -99 + columns, 50 - rows)
    weights = shapely.area(shapely.intersection(boxes, triangle))
    numbers = found["properties"]
    assert numbers["weights"] == "polygon"
    assert numbers["count"] == pytest.approx(triangle.area, rel=1e-6)
    assert numbers["mean"] == pytest.approx(float((CELLS * weights).sum() / weights.sum()), rel=1e-5)
    assert numbers["max"] == pytest.approx(float(CELLS[weights > 0].max()))
    assert shapely.from_geojson(json.dumps(found["geometry"])).equals_exact(triangle, 1e-9, normalize=True)


def test_jobs_hold_no_geometry_without_statistics(config, write_vector, monkeypatch) -> None:
    from regionplot.runs.task import RenderTask

    shapes = []
    draw = RenderTask.__call__
    monkeypatch.setattr(RenderTask, "__call__", lambda task, job: shapes.append(job.region.shape) or draw(task, job))
    regions = read_regions(
        write_vector([shapely.box(-98, 36, -90, 44)], name="box.gpkg"), RegionSettings(name_field="id")
    )
    for table in (None, "stats.csv"):
        render_regions(regions, config(table=table), force=True)
    assert (shapes[0], shapes[1]) == (b"", regions[0].shape)


def test_alternative_text_is_in_the_map_and_in_the_manifest(config) -> None:
    from PIL import Image

    settings = config(table=None, statistics={"alt_text": True, "above": 20})
    render_regions([WEST], settings)
    own = CELLS[5:15, 1:9].astype(float)
    row, column = np.unravel_index(own.argmax(), own.shape)
    low_row, low_column = np.unravel_index(own.argmin(), own.shape)
    expected = (
        f"Surface temperature, West, valid 2026-03-10 06:00 UTC: highest {own.max():.3g} °C near {44.5 - row:.1f} N "
        f"{98.5 - column:.1f} W, lowest {own.min():.3g} °C near {44.5 - low_row:.1f} N {98.5 - low_column:.1f} W, mean "
        f"{own.mean():.3g} °C; {100 * (own > 20).mean():.0f} % above 20 °C."
    )
    entry = _manifest(settings)["regions"][0]
    assert entry["alt"] == expected
    with Image.open(settings.output.directory / "west.png") as image:
        assert image.text["Description"] == expected
    assert entry["statistics"]["max"] == pytest.approx(own.max())


@pytest.mark.parametrize("suffix", ["webp", "pdf", "svg"])
def test_each_format_holds_the_alternative_text(suffix: str, config) -> None:
    settings = config(table=None, statistics={"alt_text": True}, output={"filename": f"{{name}}.{suffix}"})
    render_regions([WEST], settings)
    content = (settings.output.directory / f"west.{suffix}").read_bytes()
    assert b"highest" in content or "highest".encode("utf-16-be") in content


def test_equal_inputs_give_equal_bytes_and_a_new_time_gives_a_new_text(config, write_raster) -> None:
    settings = config(table=None, statistics={"alt_text": True})
    target = settings.output.directory / "west.png"
    render_regions([WEST], settings)
    first = target.read_bytes()
    assert render_regions([WEST], settings).unchanged
    render_regions([WEST], settings, force=True)
    assert target.read_bytes() == first
    write_raster(CELLS, nodata=-9999, tags={**TAGS, "VALID_TIME": "2026-03-10T07:00:00"})
    assert render_regions([WEST], settings).drawn
    assert "07:00 UTC" in _manifest(settings)["regions"][0]["alt"]


def test_a_table_does_not_change_the_pixels(config) -> None:
    from PIL import Image

    pixels = []
    for table in (None, "stats.csv"):
        settings = config(table=table)
        render_regions([WEST], settings, force=True)
        with Image.open(settings.output.directory / "west.png") as image:
            pixels.append(np.asarray(image.convert("RGB")))
    np.testing.assert_array_equal(*pixels)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"table": "stats.xlsx"}, r"\[statistics\] table: the name must end in .csv, .parquet or .geojson"),
        ({"table": "a/stats.csv"}, r"\[statistics\] table: write the name of a file without folders"),
        ({"percentiles": [101]}, r"\[statistics\] percentiles"),
    ],
)
def test_wrong_settings_are_named(table, message: str, make_config) -> None:
    with pytest.raises(ConfigError, match=message):
        make_config(statistics=table)


def test_parquet_needs_pyarrow(config, monkeypatch) -> None:
    monkeypatch.setattr("regionplot.runs.checks.find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r"\[statistics\] table: Parquet files need the package pyarrow"):
        render_regions([WEST], config(table="stats.parquet"))


def test_a_table_that_cannot_be_written_is_reported_and_affects_no_map(config) -> None:
    settings = config()
    folder = settings.output.directory / "stats.csv"
    folder.mkdir(parents=True)
    report = render_regions([WEST], settings)
    assert (report.exit_code, len(report.drawn)) == (1, 1)
    assert "stats.csv: cannot be written" in report.problems[0]


def test_a_repeated_command_writes_the_table_again(run_command, tmp_path: Path, write_raster) -> None:
    path = write_raster(CELLS, nodata=-9999)
    (tmp_path / "regions.csv").write_text("name,west,east,south,north\nwest,-99,-91,35,45\n")
    settings = f'[raster]\npath = "{path}"\n[map]\nsize = [300, 200]\n[colors]\nlevels = [0, 10]\n'
    (tmp_path / "regionplot.toml").write_text(f'{settings}[statistics]\ntable = "stats.csv"\n')
    table = tmp_path / "output" / "stats.csv"
    contents = []
    for _ in range(3):
        assert run_command(tmp_path, "regions.csv", "--start-method", "serial").returncode == 0
        contents.append(table.read_text().replace("rendered", "unchanged"))
        table.unlink()
    assert contents[0] == contents[1] == contents[2]
    assert ",unchanged,west.png," in contents[2]


@pytest.mark.parametrize("publish", ["replace", "runs"])
def test_regions_outside_a_run_keep_their_title_and_their_polygon(publish: str, config) -> None:
    triangle = shapely.Polygon([(-99, 35), (-91, 35), (-91, 45)])
    regions = [replace(WEST, shape=shapely.to_wkb(triangle), crs="OGC:CRS84"), EAST]
    settings = config(table="stats.geojson", output={"publish": publish})
    folder = settings.output.directory / ("latest" if publish == "runs" else "")
    render_regions(regions, settings)
    before = _features(folder)
    assert before["west"]["geometry"]["type"] == "Polygon"
    assert shapely.geometry.shape(before["west"]["geometry"]).equals(triangle)
    render_regions(regions, settings, only=["east"])
    assert _features(folder)["west"] == before["west"]


def _features(folder: Path) -> dict[str, dict]:
    features = json.loads((folder / "stats.geojson").read_text())["features"]
    return {feature["properties"]["name"]: feature for feature in features}


def test_each_percentile_has_its_own_column(config) -> None:
    settings = config(statistics={"percentiles": [-0.0, 99.999999, 100]})
    render_regions([WEST], settings)
    row = _rows(settings)[0]
    assert {"p0", "p99.999999", "p100"} <= set(row)
    assert float(row["p99.999999"]) < float(row["p100"]) == float(row["max"])


@pytest.mark.parametrize(
    ("crs", "extent", "limits"),
    [
        ("EPSG:3413", Extent(-1e6, 1.3e6, -1.1e6, 1.2e6), (-180, 180, 60, 90)),
        ("EPSG:3976", Extent(-1e6, 1.3e6, -1.1e6, 1.2e6), (-180, 180, -90, -60)),
        ("EPSG:32662", Extent(-1e6, 1e6, 8e6, 1.1e7), (-9, 9, 70, 90)),  # the pole is a line
    ],
)
def test_the_limits_of_a_region_around_a_pole_contain_all_longitudes(crs, extent, limits, config) -> None:
    data = SharedData.load(config(map={"size": [300, 200], "projection": crs}))
    west, south, east, north = region_numbers(data, Region("pole", extent, crs)).bounds
    assert (west, east) == pytest.approx(limits[:2], abs=0.1)
    assert limits[2] <= south < north <= limits[3]
    assert 90 in (-south, north), "the limits reach the pole"


def test_a_map_without_statistics_is_not_written(config, monkeypatch) -> None:
    """The map in the folder is always the one that the manifest describes."""
    settings = config()
    render_regions([WEST], settings)
    before = (settings.output.directory / "west.png").read_bytes()

    def fail(*_) -> None:
        raise RasterError("cannot be read")

    monkeypatch.setattr("regionplot.runs.description.region_numbers", fail)
    report = render_regions([WEST], config(CELLS + 1))
    assert report.failed[0].failure.cause == "RasterError"
    assert (settings.output.directory / "west.png").read_bytes() == before
