"""Sheets with several panels: products or times side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
import shapely
from affine import Affine
from matplotlib.backends.backend_agg import FigureCanvasAgg

from regionplot.errors import ConfigError
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.render.choose import make_renderer
from regionplot.render.figure import plot_region
from regionplot.render.sheet_of_panels import PanelsRenderer
from regionplot.runs.manifest import read_entries
from regionplot.runs.run import render_regions
from regionplot.settings.config import Config
from regionplot.settings.loading import read_config
from regionplot.shared.data import SharedData
from regionplot.shared.fields import find_fields

pytestmark = pytest.mark.usefixtures("read_in_process", "draw_in_process")
TRANSFORM = Affine(0.5, 0, -100, 0, -0.5, 50)
REGION = Region("a", Extent(-95, -75, 33, 47), title="A region")
HOURS = ("00", "06")


def write_series(write_raster, name: str, offset: float) -> None:
    row, column = np.mgrid[0:40, 0:60]
    for number, hour in enumerate(HOURS):
        values = np.sin(row / 9) * 10 + column / 4 + offset + number
        write_raster(values, TRANSFORM, name=f"{name}_20260310{hour}.tif", tags={"long_name": "Snow", "units": "mm"})


@pytest.fixture
def make(tmp_path, write_raster):
    """Return a function that returns settings with the products `new`, `old` and `change` on a sheet."""
    for name, offset in (("new", 3.0), ("old", 0.0)):
        write_series(write_raster, name, offset)

    def made(panels: Any, *, time: Any = "all", colors: Any = None, **sections: Any) -> Config:
        scale = {"levels": [0, 5, 10, 20, 30]} if colors is None else colors
        products: dict[str, Any] = {
            name: {"raster": {"path": str(tmp_path / f"{name}_{{time:%Y%m%d%H}}.tif")}, "colors": scale}
            for name in ("new", "old")
        }
        products["change"] = {"difference": ["new", "old"]}
        base = {"raster": {"time": time}, "map": {"size": [620, 240]}, "sheet": {"panels": panels}}
        return read_config(
            {
                **base,
                "products": products,
                "output": {"directory": tmp_path / "out"},
                "run": {"cache": False},
                **sections,
            }
        )

    return made


def pixels_of(figure) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def test_titles_of_panels_are_equally_high(make, write_raster, tmp_path) -> None:
    """One raster states a time, which is written at the right of its title."""
    write_raster(np.zeros((40, 60), np.float32), TRANSFORM, name="still.tif", tags={"long_name": "Height"})
    config = make(
        [["old", "still"]],
        products={
            "old": {"raster": {"path": str(tmp_path / "old_2026031000.tif"), "valid_time": "2026-03-10"}},
            "still": {"raster": {"path": str(tmp_path / "still.tif")}},
        },
        time=None,
        map={"size": [900, 500], "style": "atlas"},
    )
    texts = plot_region(SharedData.load(config), REGION).findobj(lambda each: hasattr(each, "get_text"))
    shown = [text.get_text() for text in texts]
    assert any(words.startswith("Valid") for words in shown)
    (one,), (other,) = (
        [text.get_position()[1] for text in texts if text.get_text().startswith(name)] for name in ("old", "still")
    )
    assert one == other


@pytest.mark.parametrize("style", ["plain", "atlas"])
def test_the_sheet_and_its_figure_are_equal_and_show_each_panel(make, style: str) -> None:
    config = make([["new", "old"], ["change"]], time=0, map={"size": [621, 463], "style": style})
    shared = SharedData.load(config)
    renderer = make_renderer(shared)
    assert isinstance(renderer, PanelsRenderer)
    found = renderer.render(REGION)
    assert found.pixels.shape == (463, 621, 3)
    assert found.title == "A region"
    figure = plot_region(shared, REGION)
    assert len([axes for axes in figure.axes if hasattr(axes, "projection")]) == 3
    np.testing.assert_array_equal(found.pixels, pixels_of(figure))
    np.testing.assert_array_equal(found.pixels, pixels_of(renderer.figure(REGION)))


def test_panels_with_equal_scales_share_a_color_bar(make) -> None:
    renderer = make_renderer(SharedData.load(make([["new", "old", "change"]], time=0)))
    figure = renderer.figure(REGION)
    bars = [axes for axes in figure.axes if not hasattr(axes, "projection")]
    assert len(bars) == 2
    boxes = [axes.get_position().bounds[1:] for axes in figure.axes if hasattr(axes, "projection")]
    np.testing.assert_allclose(boxes, boxes[:1] * 3, atol=1e-9)


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.usefixtures("spawn_from_server")
def test_each_time_has_a_sheet_and_all_start_methods_draw_the_same(make, tmp_path, method: str) -> None:
    config = make([["new", "old"]], run={"start_method": method, "workers": 1, "cache": False})
    report = render_regions([REGION], config)
    assert report.exit_code == 0, [outcome.message for outcome in report.failed]
    names = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.png"))
    assert names == ["20260310T0000/a.png", "20260310T0600/a.png"]
    shared = SharedData.load(config)
    for number, data in enumerate(shared.products.values()):
        picture = make_renderer(data).render(REGION)
        written = np.asarray(_read(tmp_path / "out" / names[number]))
        np.testing.assert_array_equal(written, picture.pixels)


def _read(path: Path) -> Any:
    from PIL import Image

    return Image.open(path).convert("RGB")


def test_a_sheet_is_drawn_again_only_if_a_panel_has_changed(make, write_raster) -> None:
    config = make([["new", "old"]])
    for expected in ((2, 0), (0, 2)):
        report = render_regions([REGION], config)
        assert (len(report.drawn), len(report.unchanged)) == expected
    row, column = np.mgrid[0:40, 0:60]
    tags = {"long_name": "Snow", "units": "mm"}
    write_raster(row * 0.5 + column, TRANSFORM, name=f"old_20260310{HOURS[1]}.tif", tags=tags)
    report = render_regions([REGION], config)
    assert [outcome.job.target.parent.name for outcome in report.drawn] == ["20260310T0600"]
    other = make([["new", "old"]], sheet={"panels": [["new", "old"]], "panel_title": "{product}"})
    assert len(render_regions([REGION], other).drawn) == 2


def test_panels_can_be_times(tmp_path, write_raster) -> None:
    write_series(write_raster, "new", 0.0)
    raster = {"path": str(tmp_path / "new_{time:%Y%m%d%H}.tif"), "time": "all"}
    for panels in ([["2026-03-10T00:00"], ["2026-03-10T06:00"]], [["0"], ["1"]]):
        config = read_config({"raster": raster, "sheet": {"panels": panels}, "colors": {"vmin": 0}})
        (sheet,) = find_fields(config)
        hours = [each.time.hour for row in sheet.members for each in row if each.time is not None]
        assert hours == [0, 6]


def test_an_automatic_scale_is_that_of_all_times(make) -> None:
    shared = SharedData.load(make([["new"]], colors={"colormap": "viridis"}))
    scales = {repr(data.panels[0][0].scale.digest_items()) for data in shared.products.values()}
    assert len(shared.products) == 2
    assert len(scales) == 1


@pytest.mark.parametrize(
    ("panels", "message"),
    [
        ([["new", "nothing"]], r"\[sheet\] panels: there is no product or time 'nothing'; use one of new, old, change"),
        ([[]], "panels"), ([], "a sheet has 1 to 36 panels"), ([["new"] * 40], "a sheet has 1 to 36 panels"),
    ],
)  # fmt: skip
def test_faulty_panels_are_reported(make, panels: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        find_fields(make(panels))


def test_a_raster_that_is_missing_costs_only_its_sheets(make, tmp_path) -> None:
    (tmp_path / f"old_20260310{HOURS[1]}.tif").write_bytes(b"nonsense")
    report = render_regions([REGION], make([["new", "old"]]))
    assert report.exit_code == 1
    assert [outcome.job.target.parent.name for outcome in report.drawn] == ["20260310T0000"]


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("style", ["plain", "atlas"])
def test_gdal_places_the_first_panel_to_half_a_pixel(make, tmp_path, style: str, suffix: str) -> None:
    """All maps have a red square at a known place."""
    square = shapely.box(-88, 38, -84, 42)
    (tmp_path / "square.geojson").write_text(shapely.to_geojson(square))
    output = {"directory": tmp_path / "out", "filename": f"a.{suffix}", "world_file": True}
    config = make(
        [["change", "new"], ["old", "new"]],
        time="2026-03-10T06:00",
        map={"size": [800, 500], "style": style, "projection": "auto"},
        features=[{"path": str(tmp_path / "square.geojson"), "facecolor": "#ff0000", "linewidth": 0, "kind": ""}],
        output={**output, "geotiff": {"area": "sheet"}},
    )
    assert not render_regions([REGION], config).failed
    place = next(iter(read_entries(tmp_path / "out").values()))["georeference"]
    left, top, right, bottom = place["pixels"]
    assert right < 400
    assert bottom < 280
    with rasterio.open(tmp_path / "out" / f"a.{suffix}") as file:
        colors = file.read()[:, top:bottom, left:right].astype(int)
        row, column = np.nonzero((colors[0] == 255) & (colors[1] == 0) & (colors[2] == 0))
        found = file.xy(top + row.mean(), left + column.mean())
        to_map = pyproj.Transformer.from_crs("EPSG:4326", file.crs.to_wkt(), always_xy=True)
        expected = shapely.transform(shapely.segmentize(square, 0.1), lambda p: np.column_stack(to_map.transform(*p.T)))
        assert abs(np.subtract(found, expected.centroid.coords[0])).max() < 0.5 * file.transform.a


def test_a_geotiff_of_one_panel_is_refused(make, tmp_path) -> None:
    with pytest.raises(ConfigError, match=r'cannot be cut to one panel; set area = "sheet" in \[output.geotiff\]'):
        find_fields(make([["new", "old"]], output={"directory": tmp_path / "out", "filename": "{name}.tif"}))
