"""Maps of classes and maps of the nearest cells show cells of the raster, not averages from overviews."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.enums import Resampling

from regionplot.geo.extent import Extent, PanelGrid
from regionplot.geo.region import Region
from regionplot.inputs.describe import open_source
from regionplot.inputs.reading import FileSource, Overviews
from regionplot.inputs.rgb import RgbSource
from regionplot.inputs.source import read_window
from regionplot.render.renderer import MapRenderer
from regionplot.settings.config import Config
from regionplot.settings.raster import RasterSettings
from regionplot.shared.data import SharedData

CLASSES = np.where(np.random.default_rng(3).random((512, 512)) < 0.5, 10, 30).astype(np.uint8)


@pytest.fixture
def write(write_raster: Callable[..., Path], tmp_path: Path) -> Callable[[str, str], Path]:
    """Return a function that writes the classes as a GeoTIFF, a COG or an Erdas Imagine file with overviews."""

    def write_with_overviews(form: str, method: str) -> Path:
        options = {"driver": "HFA"} if form == "HFA" else {"tiled": True, "blockxsize": 64, "blockysize": 64}
        path = write_raster(CLASSES, name="classes.img" if form == "HFA" else "classes.tif", **options)
        if form == "COG":
            cog = tmp_path / "cog.tif"
            rasterio.shutil.copy(path, cog, driver="COG", BLOCKSIZE=128, OVERVIEW_RESAMPLING=method.upper())
            return cog
        with rasterio.open(path, "r+") as file:
            file.build_overviews([2, 4, 8], Resampling[method])
        return path

    return write_with_overviews


@pytest.mark.parametrize("form", ["GTiff", "COG", "HFA"])
@pytest.mark.parametrize("method", ["average", "nearest", "bilinear", "mode"])
@pytest.mark.parametrize("resampling", ["nearest", "mode"])
def test_a_thinned_read_makes_no_new_class(form: str, method: str, resampling: str, write: Any) -> None:
    source = open_source(RasterSettings(path=write(form, method)))
    for step in (2, 4, 7):
        values, _ = read_window(source, source.describe().geometry.full_window, step, resampling)
        assert set(np.unique(values)) == {10, 30}


def test_overviews_of_nearest_cells_are_used(write: Any) -> None:
    path = write("GTiff", "nearest")
    with rasterio.open(path, "r+", overview_level=2) as overview:
        overview.write(np.full((64, 64), 77, np.uint8), 1)  # shows which cells are read
    source = open_source(RasterSettings(path=path))
    values, _ = read_window(source, source.describe().geometry.full_window, 8)
    assert set(np.unique(values)) == {77}


def test_other_methods_and_previews_use_all_overviews(write: Any) -> None:
    source = open_source(RasterSettings(path=write("GTiff", "average")))
    window = source.describe().geometry.full_window
    assert isinstance(source, FileSource)
    preview = FileSource(source.info, overviews=Overviews.ANY)
    for values in (read_window(source, window, 4, "average")[0], read_window(preview, window, 4)[0]):
        assert set(np.unique(values)) - {10, 30}


def test_classes_beyond_the_memory_budget_are_not_averaged(
    write: Any, make_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regionplot.shared.budget.MEGABYTE", 2**15)
    classes = [{"value": value, "color": color} for value, color in ((10, "red"), (20, "lime"), (30, "blue"))]
    config = make_config(
        raster={"path": write("COG", "average")}, map={"size": [150, 120]},
        colors={"classes": classes, "colorbar": False},
        run={"memory": 1}, features=[],
    )  # fmt: skip
    shared = SharedData.load(config)
    assert shared.plan.reads_per_map
    figure = MapRenderer(shared).render(Region("all", Extent(-100, 412, -462, 50)))
    colors = {tuple(color) for color in np.asarray(figure.pixels)[..., :3].reshape(-1, 3).tolist()}
    assert {(255, 0, 0), (0, 0, 255)} <= colors
    assert (0, 255, 0) not in colors


def test_colors_of_an_image_are_not_averaged(write_raster: Any) -> None:
    bands = np.stack([CLASSES, CLASSES, CLASSES])
    path = write_raster(bands, photometric="RGB", tiled=True, blockxsize=64, blockysize=64)
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4], Resampling.average)
    info = open_source(RasterSettings(path=path)).describe()
    assert info.rgb is not None
    source = RgbSource.of(info, info.rgb)
    window = info.geometry.full_window
    assert len(np.unique(read_window(source, window, 4)[0])) == 2
    assert len(np.unique(read_window(source, window, 4, "average")[0])) > 2


@pytest.mark.parametrize("bands", [1, 3])
def test_max_finds_the_largest_cells_beyond_the_memory_budget(
    bands: int, write_raster: Callable[..., Path], make_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regionplot.shared.budget.MEGABYTE", 2**15)
    path = write_raster(np.stack([CLASSES] * bands), photometric="rgb" if bands > 1 else "minisblack")
    shared = SharedData.load(make_config(raster={"path": path, "resampling": "max"}, run={"memory": 1}))
    assert shared.plan.reads_per_map
    found = shared.read_panel(PanelGrid(shared.geometry.extent, 32, 32))
    assert found is not None
    assert found[0].shape == CLASSES.shape
