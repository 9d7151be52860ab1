"""`MapRenderer` and `open_maps` draw maps without files."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image
from shapely.geometry import LineString, Point

import regionplot
from regionplot.errors import ConfigError, RegionError
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region

pytestmark = pytest.mark.usefixtures("read_in_process", "draw_in_process")
CAROLINA = Region("nc", Extent(-84.5, -75.3, 33.8, 36.7), title="North Carolina")
SETTINGS = {
    "raster": {"path": "sample:relief"},
    "map": {"size": [320, 220]},
    "colors": {"levels": [-100, 0, 500, 1500]},
    "features": [{"path": "sample:states"}],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_maps_opened_from_settings_or_from_loaded_data_are_equal(folder: Path) -> None:
    config = regionplot.read_config(SETTINGS)
    expected = regionplot.MapRenderer(regionplot.SharedData.load(config)).render(CAROLINA)
    for source in (SETTINGS, config, regionplot.SharedData.load(config)):
        with regionplot.open_maps(source, [CAROLINA]) as maps:
            np.testing.assert_array_equal(maps.render(CAROLINA).pixels, expected.pixels)
    assert list(folder.iterdir()) == [], "no file is written"


def test_maps_are_opened_from_a_settings_file(folder: Path) -> None:
    path = folder / "maps.toml"
    path.write_text('[raster]\npath = "sample:relief"\n[map]\nsize = [320, 220]\n')
    with regionplot.open_maps(path) as maps:
        assert maps.render(CAROLINA).pixels.shape == (220, 320, 3)


def test_steps_are_applied_before_the_maps_are_drawn(tmp_path: Path) -> None:
    relief, target = {"path": "sample:relief", "prepared": tmp_path / "scaled.tif"}, {"levels": [0, 1, 2]}
    with regionplot.open_maps(
        {**SETTINGS, "raster": relief, "colors": target, "prepare": [{"step": "scale", "scale": 1e-3}]}
    ) as maps:
        colors = np.unique(maps.render(CAROLINA).pixels.reshape(-1, 3), axis=0)
    assert len(colors) > 3


@pytest.mark.parametrize("png", ["rgb", "palette"])
def test_an_encoded_picture_has_its_pixels_and_its_metadata(png: str) -> None:
    with regionplot.open_maps({**SETTINGS, "output": {"png": png}}) as maps:
        picture = maps.render(CAROLINA)
        content = maps.encode(picture, metadata={"Title": picture.title})
    with Image.open(io.BytesIO(content)) as image:
        assert image.mode == {"rgb": "RGB", "palette": "P"}[png]
        assert image.info["Title"] == "North Carolina"
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), picture.pixels)


def test_an_unknown_format_is_rejected() -> None:
    with regionplot.open_maps(SETTINGS) as maps, pytest.raises(ConfigError, match="no image format 'bmp'"):
        maps.encode(maps.render(CAROLINA), "bmp")


def test_a_figure_has_the_pixels_of_the_picture() -> None:
    with regionplot.open_maps({**SETTINGS, "output": {"png": "rgb"}}) as maps:
        file = io.BytesIO()
        maps.figure(CAROLINA).savefig(file, format="png")
        np.testing.assert_array_equal(np.asarray(Image.open(file).convert("RGB")), maps.render(CAROLINA).pixels)


def test_renderers_do_not_disturb_each_other() -> None:
    with regionplot.open_maps(SETTINGS) as one, regionplot.open_maps({**SETTINGS, "map": {"size": [200, 300]}}) as two:
        first = one.render(CAROLINA).pixels
        assert two.render(CAROLINA).pixels.shape == (300, 200, 3)
        np.testing.assert_array_equal(one.render(CAROLINA).pixels, first)


def test_threads_can_share_renderers() -> None:
    other = {**SETTINGS, "map": {"size": [200, 300]}, "output": {"png": "rgb"}, "graticule": {}}
    regions = [Region(f"r{number}", Extent(-90 + number, -80 + number, 30, 36)) for number in range(6)]
    with regionplot.open_maps(SETTINGS) as one, regionplot.open_maps(other) as two:
        jobs = [(maps, region) for region in regions for maps in (one, two)]
        expected = [maps.render(region).pixels for maps, region in jobs]
        before = dict(matplotlib.rcParams)
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda job: job[0].render(job[1]).pixels, jobs))
    for pixels, same in zip(found, expected, strict=True):
        np.testing.assert_array_equal(pixels, same)
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("dpi", [72, 150])
@pytest.mark.parametrize("kind", ["line", "point"])
def test_thick_lines_and_large_symbols_beside_the_panel_reach_into_it(write_vector, dpi: int, kind: str) -> None:
    """A line and a symbol lie 9 pixels above the upper edge of the panel."""
    thickness = 40 / dpi * 72  # points; 40 pixels
    west, east, south, north = -84.5, -75.3, 33.8, 36.7
    with regionplot.open_maps({**SETTINGS, "map": {"size": [600, 450], "dpi": dpi, "fit": "exact"}}) as maps:
        shown = maps.render(CAROLINA).pixels
    frame = np.flatnonzero((abs(shown.astype(int) - 0x22) < 4).all(axis=2).mean(axis=1) > 0.5)
    top, bottom = frame.min(), frame.max()
    above = north + 9 * (north - south) / (bottom - top)
    geometry = {"line": LineString([(west - 1, above), (east + 1, above)]), "point": Point(-80, above)}[kind]
    width = thickness if kind == "line" else (thickness - 2) / 3
    path = write_vector([geometry], name="beside.gpkg")
    layer = {"path": path, "edgecolor": "#ff00ff", "linewidth": width}
    settings = {**SETTINGS, "map": {"size": [600, 450], "dpi": dpi, "fit": "exact"}, "features": [layer]}
    with regionplot.open_maps({**settings, "output": {"png": "rgb"}}) as maps:
        pixels = maps.render(CAROLINA).pixels
    magenta = (pixels == (255, 0, 255)).all(axis=2)[top + 3 : bottom]
    assert 5 <= np.flatnonzero(magenta.any(axis=1)).max() <= 13


@pytest.mark.parametrize("wrong", [None, "nc", Extent(-84, -75, 33, 37)])
def test_another_object_than_a_region_is_refused(wrong: object, make_config) -> None:
    renderer = regionplot.MapRenderer(regionplot.SharedData.load(make_config()))
    with pytest.raises(RegionError, match=r"the region is of type \w+; pass a regionplot.Region"):
        renderer.render(wrong)  # type: ignore[arg-type]
