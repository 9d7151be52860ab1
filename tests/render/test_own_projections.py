"""Each map can have a projection of its own: centered on its region, or named in the table."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from PIL import Image

import regionplot
from regionplot.errors import RegionError
from regionplot.geo.auto_projection import auto_projection
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.render.renderer import MapRenderer
from regionplot.shared.data import SharedData

pytestmark = pytest.mark.usefixtures("read_in_process", "draw_in_process")
COLORADO = Region("co", Extent(-109, -102, 37, 41))
MAINE = Region("me", Extent(-71, -67, 43, 47.5))
SMALL = {"size": [300, 200], "dpi": 50}
LEVELS = {"colors": {"levels": [-5000, 0, 500, 1000, 2000, 3000]}}
LAYERS = [{"path": "sample:counties", "linewidth": 0.3}, {"path": "sample:states", "facecolor": "#ff880060"}]
OVERLAYS: dict[str, Any] = {
    "features": LAYERS,
    "graticule": {},
    "labels": [{"path": "sample:cities", "rank": "rank"}, {"path": "sample:states"}],
    "points": [{"path": "sample:cities"}],
    "focus": {},
    "scale_bar": {},
}


def pixels(shared: SharedData, region: Region) -> Any:
    return MapRenderer(shared).render(region).pixels.astype(int)


@pytest.mark.parametrize(("overlays", "resampling"), [({}, "nearest"), (OVERLAYS, "bilinear")])
def test_a_map_is_that_of_the_same_projection_in_the_settings(
    make_config: Any, overlays: dict[str, Any], resampling: str
) -> None:
    """Vectors are simplified and cut in another order, so a few pixels along their lines differ."""
    shape = shapely.to_wkb(shapely.Polygon([(-108.5, 37.5), (-103, 37.2), (-104, 40.5)]))
    region = replace(COLORADO, shape=shape)
    crs = auto_projection(region.extent).srs
    one, other = (
        pixels(
            SharedData.load(
                make_config(
                    raster={"path": "sample:relief", "resampling": resampling},
                    map={**SMALL, "projection": projection},
                    **LEVELS,
                    **overlays,
                )
            ),
            region,
        )
        for projection in ("auto", crs)
    )
    differs = (abs(one - other) > 40).any(axis=2).mean()
    assert differs < (0.02 if overlays else 0.002)


def test_each_map_states_its_own_projection(load: Any) -> None:
    shared = load(raster={"path": "sample:relief"}, map={**SMALL, "projection": "auto"})
    renderer = MapRenderer(shared)
    places = [renderer.render(region).georeference for region in (COLORADO, MAINE, COLORADO)]
    texts = [place.crs for place in places if place is not None]
    assert "+lon_0=-105.5 " in texts[0]
    assert "+lon_0=-69 " in texts[1]
    assert texts[0] == texts[2]


def test_the_plain_renderer_draws_the_same_pixels(load: Any) -> None:
    shared = load(raster={"path": "sample:relief"}, map={**SMALL, "projection": "auto"}, features=LAYERS, **LEVELS)
    figure = regionplot.plot_region(shared, COLORADO)
    figure.canvas.draw()
    found = np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(int)  # type: ignore[attr-defined]
    assert (abs(found - pixels(shared, COLORADO)) <= 16).all()


def run(folder: Path, rows: list[dict[str, object]], **sections: Any) -> Any:
    """Draw a table. Return the report."""
    table = folder / "regions.csv"
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    tables = {
        "raster": {"path": "sample:relief"},
        "output": {"directory": str(folder / "output")},
        **LEVELS,
        **sections,
    }
    return regionplot.render_regions(table, regionplot.read_config(tables))


def crs_of(folder: Path, name: str) -> str:
    with Image.open(folder / f"output/{name}.png") as image:
        return str(json.loads(image.info["Georeference"])["crs"])


ROW = {"west": -109, "east": -102, "south": 37, "north": 41}


def test_a_column_of_the_table_names_the_projection(tmp_path: Path) -> None:
    rows = [
        {"name": "own", **ROW, "projection": "Auto"},
        {"name": "code", **ROW, "projection": "EPSG:5070"},
        {"name": "raster", **ROW, "projection": "raster"},
        {"name": "usual", **ROW, "projection": ""},
        {"name": "wrong", **ROW, "projection": "EPSG:0"},
    ]
    setting = {**SMALL, "projection": "EPSG:3857"}
    report = run(tmp_path, rows, map=setting, features=LAYERS, run={"workers": 1})
    assert [outcome.job.name for outcome in report.failed] == ["wrong"]
    assert "column 'projection'" in report.failed[0].message
    found = {name: crs_of(tmp_path, name) for name in ("own", "code", "raster", "usual")}
    assert found["own"].startswith("+proj=lcc ")
    assert [found["code"], found["raster"], found["usual"]] == ["EPSG:5070", "EPSG:4326", "EPSG:3857"]


def test_workers_that_load_the_data_draw_the_same_maps(tmp_path: Path, draw_in_process: pytest.MonkeyPatch) -> None:
    draw_in_process.undo()
    rows = [{"name": "co", **ROW}, {"name": "me", "west": -71, "east": -67, "south": 43, "north": 47}]
    images = []
    for number, each in enumerate(("fork", "forkserver")):
        folder = tmp_path / str(number)
        folder.mkdir()
        settings = {"map": {**SMALL, "projection": "auto"}, "features": LAYERS}
        report = run(folder, rows, run={"workers": 2, "start_method": each, "cache": False}, **settings)
        assert not report.failed
        images.append([(folder / f"output/{name}.png").read_bytes() for name in ("co", "me")])
    assert images[0] == images[1]


def test_unchanged_maps_are_kept_and_ink_is_not_mixed_up(tmp_path: Path) -> None:
    """A map whose projection changes is drawn again, also if its limits in map units stay the same."""
    rows = [{"name": "a", **ROW, "projection": "auto"}]
    sections = {"map": SMALL, "features": LAYERS}
    assert [outcome.value.state for outcome in run(tmp_path, rows, **sections).outcomes] == ["rendered"]
    assert [outcome.value.state for outcome in run(tmp_path, rows, **sections).outcomes] == ["unchanged"]
    before = (tmp_path / "output/a.png").read_bytes()
    other = [{**rows[0], "projection": "raster"}]
    assert [outcome.value.state for outcome in run(tmp_path, other, **sections).outcomes] == ["rendered"]
    assert (tmp_path / "output/a.png").read_bytes() != before
    run(tmp_path, rows, **sections)
    assert (tmp_path / "output/a.png").read_bytes() == before


def test_limits_in_map_units_need_a_crs(load: Any) -> None:
    shared = load(raster={"path": "sample:relief"}, map={**SMALL, "projection": "auto"})
    with pytest.raises(RegionError, match="limits in map units need a CRS; name it in the column crs"):
        pixels(shared, Region("a", Extent(0, 1, 0, 1), None))
    albers = Region("a", Extent(-500_000, 500_000, 1_500_000, 2_000_000), "EPSG:5070")
    assert "+proj=lcc" in shared.crs_of(albers).srs


@pytest.mark.parametrize(("code", "y"), [("EPSG:3995", (-4e6, 3e6)), ("EPSG:3031", (-3e6, 4e6))])
def test_a_region_around_a_pole_keeps_its_orientation(load: Any, code: str, y: tuple[float, float]) -> None:
    shared = load(raster={"path": "sample:relief"}, map={**SMALL, "projection": "auto"})
    crs = shared.crs_of(Region("pole", Extent(-3e6, 3e6, *y), code))
    assert "+proj=stere" in crs.srs
    assert "+lon_0=0 " in crs.srs


def test_curvilinear_grids_are_drawn(write_netcdf: Any, make_config: Any) -> None:
    rows, columns = np.mgrid[0:40, 0:60]
    longitudes, latitudes = -110 + 0.2 * columns + 0.05 * rows, 35 + 0.2 * rows - 0.03 * columns
    path = write_netcdf(
        lat=(latitudes, {"units": "degrees_north"}),
        lon=(longitudes, {"units": "degrees_east"}),
        field=(np.float32(rows), {"coordinates": "lat lon"}),
    )
    config = make_config(raster={"path": path, "variable": "field"}, map={**SMALL, "projection": "auto"})
    picture = MapRenderer(SharedData.load(config)).render(Region("a", Extent(-107, -101, 36.5, 40.5)))
    assert not picture.no_data
    assert picture.georeference is not None
    assert "+proj=lcc" in picture.georeference.crs


def test_functions_of_the_user_get_axes_and_lines_in_the_projection_of_the_map(load: Any) -> None:
    shared = load(raster={"path": "sample:relief"}, map={**SMALL, "projection": "auto"}, features=LAYERS[:1])
    axes = shared.axes(COLORADO)
    lines = shared.lines("counties", COLORADO)
    xmin, ymin, xmax, ymax = shapely.total_bounds(lines.geometries)
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert xmin < left + 0.2 * (right - left)
    assert xmax > right - 0.2 * (right - left)
    assert abs((ymin + ymax) - (bottom + top)) < 0.2 * (top - bottom)
    assert "+lon_0=-105.5" in axes.projection.srs or "-105.5" in axes.projection.to_wkt()
    assert shared.lines("counties", axes).geometries.size
