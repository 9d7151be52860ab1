"""World files lie beside the maps, place them on the earth, and belong to them in every respect."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
import shapely

import regionplot
from regionplot.errors import ConfigError, RegionsError
from regionplot.runs.leftovers import remove_leftovers
from regionplot.runs.manifest import read_entries
from regionplot.runs.sidecars import sidecars_of

pytestmark = pytest.mark.usefixtures("read_in_process", "draw_in_process")
CRSS = {
    "EPSG:4326": (-109.0, -101.0, 36.0, 41.0),
    "EPSG:5070": (-109.0, -101.0, 36.0, 41.0),
    "EPSG:3857": (-100.0, -90.0, 30.0, 36.0),
    "EPSG:3995": (-150.0, -140.0, 66.0, 70.0),
    "EPSG:32613": (-107.0, -103.0, 37.0, 40.0),
    "auto": (-71.0, -67.0, 43.0, 47.0),
}
COLORS = {"levels": [-9000, 9000], "colors": ["#ffffff"], "colorbar": False}


def red_area(limits: tuple[float, ...]) -> shapely.Polygon:
    """Return the area that is red on the maps, in degrees."""
    west, east, south, north = limits
    width, height = east - west, north - south
    box = shapely.box(west + 0.6 * width, south + 0.5 * height, west + 0.8 * width, south + 0.8 * height)
    return shapely.segmentize(box, 0.05)


def draw(folder: Path, names: str = "a", draws: int | None = None, only: Sequence[str] = (), **sections: Any) -> Path:
    """Draw maps with a red area at a known place. Return the output folder."""
    limits = sections.pop("limits", CRSS["EPSG:5070"])
    table = folder / "regions.csv"
    rows = [",".join([name, *map(str, limits)]) for name in names]
    table.write_text("\n".join(["name,west,east,south,north", *rows]))
    area = folder / "area.geojson"
    area.write_text(shapely.to_geojson(red_area(limits)))
    output = {"directory": str(folder / "output"), "world_file": True, **sections.pop("output", {})}
    config = {
        "raster": {"path": "sample:relief"},
        "colors": COLORS,
        "features": [{"path": str(area), "facecolor": "#ff0000", "linewidth": 0}],
        "run": {"workers": 1, "start_method": "serial", "cache": False},
        "output": output,
        **sections,
    }
    report = regionplot.render_regions(table, regionplot.read_config(config), only=only)
    assert not report.failed
    if draws is not None:
        assert len(report.drawn) == draws
    return folder / "output"


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def center_of_red(file: rasterio.DatasetReader) -> tuple[float, float]:
    """Return x and y of the center of the red pixels, as GDAL sees the image."""
    bands = file.read()
    if file.count == 1:
        colors = np.array([file.colormap(1).get(row, (0, 0, 0, 0))[:3] for row in range(256)])
        bands = np.moveaxis(colors[bands[0]], 2, 0)
    red = np.clip((255.0 - bands[1]) / 255, 0, 1) * (bands[0] > 200)
    rows, columns = np.mgrid[0 : red.shape[0], 0 : red.shape[1]]
    column, row = (float((red * (each + 0.5)).sum() / red.sum()) for each in (columns, rows))
    to_map = file.transform
    return to_map.c + column * to_map.a, to_map.f + row * to_map.e


@pytest.mark.parametrize(("crs", "suffix"), [*((crs, "png") for crs in CRSS), ("EPSG:3995", "tif"), ("auto", "webp")])
def test_gdal_places_the_map_to_half_a_pixel(tmp_path: Path, crs: str, suffix: str) -> None:
    limits = CRSS[crs]
    setting = {"projection": crs, "size": [300, 220], "dpi": 50}
    folder = draw(tmp_path, map=setting, limits=limits, output={"filename": f"{{name}}.{suffix}"})
    entry = read_entries(folder)[f"a.{suffix}"]
    left, _, right, _ = entry["georeference"]["pixels"]
    with rasterio.open(folder / f"a.{suffix}") as file:
        found = center_of_red(file)
        to_map = pyproj.Transformer.from_crs("EPSG:4326", file.crs.to_wkt(), always_xy=True)
        area = shapely.transform(red_area(limits), lambda points: np.column_stack(to_map.transform(*points.T)))
        assert abs(found[0] - area.centroid.x) < 0.5 * file.transform.a
        assert abs(found[1] - area.centroid.y) < 0.5 * abs(file.transform.e)
    xmin, _, xmax, _ = entry["georeference"]["bounds"]
    assert file.transform.a == pytest.approx((xmax - xmin) / (right - left))


def test_the_names_follow_the_format(tmp_path: Path) -> None:
    for suffix, others in {"png": ["pgw", "prj", "png.aux.xml"], "tif": ["tfw", "prj"]}.items():
        folder = draw(tmp_path, map={"size": [200, 150]}, output={"filename": f"{suffix}/{{name}}.{suffix}"})
        assert names_in(folder / suffix) == sorted(f"a.{each}" for each in (suffix, *others))


def test_a_changed_or_missing_world_file_is_written_again(tmp_path: Path) -> None:
    small = {"size": [200, 150]}
    folder = draw(tmp_path, map=small, draws=1)
    before = {path.name: path.read_bytes() for path in folder.glob("a.*")}
    draw(tmp_path, map=small, draws=0)
    (folder / "a.pgw").write_text("1\n0\n0\n-1\n0\n0\n")
    draw(tmp_path, map=small, draws=1)
    (folder / "a.prj").unlink()
    draw(tmp_path, map=small, draws=1)
    assert {path.name: path.read_bytes() for path in folder.glob("a.*")} == before
    georeference = read_entries(folder)["a.png"]["georeference"]
    draw(tmp_path, map=small, draws=0)
    assert read_entries(folder)["a.png"]["georeference"] == georeference


def test_world_files_go_when_they_are_turned_off_or_the_region_goes(tmp_path: Path) -> None:
    small = {"size": [200, 150]}
    folder = draw(tmp_path, "ab", map=small)
    draw(tmp_path, "ab", map=small, output={"world_file": False}, draws=2)
    assert names_in(folder) == ["a.png", "b.png", "manifest.json"]
    draw(tmp_path, "ab", map=small, draws=2)
    (folder / "b.prj").write_text("mine")
    assert remove_leftovers(folder, read_entries(folder), ["b.png"]) == ["b.png"]
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith("b")) == ["b.prj"]


def test_runs_hold_the_world_files_of_kept_maps(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"map": {"size": [200, 150]}, "output": {"publish": "runs"}}
    folder = draw(tmp_path, "ab", **settings)
    draw(tmp_path, "ab", draws=0, **settings)
    names = ["a.pgw", "a.png", "a.png.aux.xml", "a.prj", "b.pgw", "b.png", "b.png.aux.xml", "b.prj"]
    assert sorted(path.name for path in (folder / "latest").glob("[ab].*")) == names
    draw(tmp_path, "abc", draws=1, only=["c"], **settings)
    assert {path.name for path in (folder / "latest").glob("[ab].*")} == set(names)


def test_forged_names_of_files_are_ignored() -> None:
    names = ["a.pgw", "a.png.aux.xml", "../a.pgw", "b.pgw", "a.png", "a", "a.p/w", "a.png.aux.xml/x", ".pgw", 3]
    entry = {"sidecars": [{"name": name, "bytes": 1, "sha256": "0"} for name in names] + [None, {"name": "a.prj"}]}
    assert [each.name for each in sidecars_of(entry, "folder/a.png")] == ["a.pgw", "a.png.aux.xml"]
    assert sidecars_of({"sidecars": "a.pgw"}, "a.png") == ()


def test_maps_without_pixels_have_no_world_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="world_file: pdf files have no pixels"):
        draw(tmp_path, output={"filename": "{name}.pdf"})


def test_maps_of_own_functions_have_no_world_file() -> None:
    config = regionplot.read_config({"raster": {"path": "sample:relief"}, "output": {"world_file": True}})
    region = regionplot.Region("a", regionplot.Extent(-105, -100, 35, 40))
    with pytest.raises(ConfigError, match="world_file: maps that your own function draws have no place"):
        regionplot.render_regions([region], config, draw=lambda _shared, _region: b"")


def test_two_products_cannot_share_a_world_file(tmp_path: Path) -> None:
    products = {"one": {"output": {"filename": "{name}.png"}}, "two": {"output": {"filename": "{name}.webp"}}}
    with pytest.raises(RegionsError, match=r"would both be written to a\.prj"):
        draw(tmp_path, products=products)
