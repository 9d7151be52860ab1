"""A raster is drawn by its color table, its class names or its RGB bands, unless the settings ask for numbers."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil

from regionplot.colors.choose import Coloring
from regionplot.colors.classes import Classes
from regionplot.errors import ConfigError
from regionplot.inputs.describe import inspect_raster
from regionplot.settings.loading import read_config
from regionplot.shared.load import DrawnRaster

CODES = np.array([[1, 2, 3, 9], [1, 2, 3, 0]], np.uint8)
TABLE = {0: (0, 0, 0, 0), 1: (70, 107, 160, 255), 2: (170, 0, 0, 255), 3: (104, 170, 99, 255)}
RGB = np.arange(3 * 2 * 4, dtype=np.uint8).reshape(3, 2, 4) * 10
NAMED = """<GDALRasterAttributeTable tableType="thematic">
<FieldDefn index="0"><Name>Count</Name><Type>1</Type><Usage>1</Usage></FieldDefn>
<FieldDefn index="1"><Name>Class_Names</Name><Type>2</Type><Usage>2</Usage></FieldDefn>
<Row index="0"><F>7</F><F></F></Row><Row index="1"><F>8</F><F>Open water</F></Row>
<Row index="2"><F>9</F><F>Towns &amp; roads</F></Row></GDALRasterAttributeTable>"""


def coloring(path: Path, colors: dict[str, Any] | None = None, **raster: Any) -> Coloring:
    return DrawnRaster.of(read_config({"raster": {"path": path, **raster}, "colors": colors or {}})).coloring


@pytest.fixture
def paletted(write_raster) -> Path:
    """Land cover without names; in a GeoTIFF, nothing but nodata is transparent."""
    return write_raster(CODES, colormap=TABLE, nodata=9)


@pytest.fixture
def imagine(write_raster) -> Path:
    """Land cover in Erdas Imagine, which keeps opacity."""
    return write_raster(CODES, colormap=TABLE, nodata=9, driver="HFA", name="cover.img")


@pytest.fixture
def named(paletted, tmp_path) -> Path:
    """Land cover in Erdas Imagine, which keeps names in the file itself."""
    source, path = tmp_path / "names.vrt", tmp_path / "named.img"
    rasterio.shutil.copy(paletted, source, driver="VRT")
    text = source.read_text()
    source.write_text(text.replace("</ColorInterp>", f"</ColorInterp>{NAMED}"))
    rasterio.shutil.copy(source, path, driver="HFA")
    return path


def test_a_color_table_makes_classes(imagine) -> None:
    found = coloring(imagine)
    assert isinstance(found, Classes)
    assert {item.value: item.color for item in found.drawn[:4]} == {
        0: "#00000000", 1: "#466ba0ff", 2: "#aa0000ff", 3: "#68aa63ff",
    }  # fmt: skip


def test_transparent_entries_nodata_and_filler_are_not_in_the_legend(paletted, imagine) -> None:
    for path, entries in ((paletted, 256), (imagine, 4)):
        found = coloring(path)
        assert isinstance(found, Classes)
        assert [item.label for item in found.shown] == ["1", "2", "3"]
        assert len(found.drawn) == entries


def test_a_picture_in_a_few_hundred_colors_has_no_legend(write_raster) -> None:
    found = coloring(write_raster(CODES, colormap={value: (value, 9, 90, 255) for value in range(256)}))
    assert isinstance(found, Classes)
    assert found.shown == ()


def test_the_legend_has_the_names_in_the_file(named) -> None:
    found = coloring(named)
    assert isinstance(found, Classes)
    assert [(item.value, item.label) for item in found.shown] == [(1, "Open water"), (2, "Towns & roads")]
    assert found.drawn[3].color == "#68aa63ff"  # it has a color and no name


def test_a_config_can_name_and_color_the_classes_of_any_raster(write_raster) -> None:
    classes = [{"value": 2, "color": "navy", "name": "Sea"}, {"value": 1, "color": "green"}]
    found = coloring(write_raster(CODES), {"classes": classes})
    assert isinstance(found, Classes)
    assert [item.label for item in found.shown] == ["Sea", "1"]
    assert [(item.value, item.color) for item in found.drawn] == [(1, "green"), (2, "navy")]


def test_a_config_can_name_a_class_and_leave_its_color_to_the_file(paletted) -> None:
    classes = [{"value": 3, "name": "Wood"}, {"value": 1, "name": "Water", "color": "blue"}]
    found = coloring(paletted, {"classes": classes})
    assert isinstance(found, Classes)
    assert [(item.label, item.color) for item in found.shown] == [("Wood", "#68aa63ff"), ("Water", "blue")]
    assert found.drawn[2].color == "#aa0000ff"


def test_a_class_without_any_color_is_refused(write_raster) -> None:
    path = write_raster(CODES)
    with pytest.raises(
        ConfigError, match=r"\[colors\] classes #2 color is missing, and the raster has no color for 7; add a color"
    ):
        coloring(path, {"classes": [{"value": 1, "color": "red"}, {"value": 7, "name": "Ice"}]})


@pytest.mark.parametrize("resampling", ["bilinear", "cubic", "average"])
def test_resampling_that_mixes_classes_is_refused(paletted, resampling: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"\[raster\] resampling: '{resampling}' produces values between .*nearest, mode"
    ):
        coloring(paletted, resampling=resampling)


def test_classes_can_be_resampled_by_majority(paletted) -> None:
    assert isinstance(coloring(paletted, resampling="mode"), Classes)


@pytest.mark.parametrize(
    "colors", [{"levels": [0, 1]}, {"vmin": 0}, {"vmax": 3.0}, {"norm": "linear"}, {"colormap": "viridis"}]
)
def test_settings_of_a_scale_for_numbers_make_numbers(paletted, write_raster, colors: dict[str, Any]) -> None:
    assert coloring(paletted, colors, resampling="bilinear") is None
    assert coloring(write_raster(RGB, photometric="RGB", name="rgb.tif"), colors) is None


def test_scaled_values_are_not_classes(write_raster) -> None:
    assert coloring(write_raster(CODES, colormap=TABLE, scales=(0.5,), offsets=(0.0,))) is None


def test_without_settings_of_colors_a_paletted_raster_is_read_as_numbers(paletted) -> None:
    assert inspect_raster(read_config({"raster": {"path": paletted}}).raster).dtype == np.float32


def test_a_missing_legend_is_reported_once(write_raster, load, caplog) -> None:
    table = {value: (value, 9, 90, 255) for value in range(256)}
    with caplog.at_level(logging.WARNING):
        shared = load(raster={"path": write_raster(CODES, colormap=table)})
        assert isinstance(shared.coloring, Classes)
        load(raster={"path": shared.info.path}, colors={"colorbar": False})
    assert [record.message.partition(": ")[2] for record in caplog.records] == [
        "no legend: it has more classes than fit on the sheet; list the important classes in [colors] classes, or set "
        "colorbar = false"
    ]
