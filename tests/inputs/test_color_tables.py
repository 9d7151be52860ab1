"""What a raster's file says of its colours, and what of it is wanted."""

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
from regionplot.inputs.color_tables import RgbBands, class_names
from regionplot.inputs.describe import inspect_raster
from regionplot.inputs.source import read_window
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


def drawn(path: Path, colors: dict[str, Any] | None = None, **raster: Any) -> DrawnRaster:
    return DrawnRaster.of(read_config({"raster": {"path": path, **raster}, "colors": colors or {}}))


def coloring(path: Path, colors: dict[str, Any] | None = None, **raster: Any) -> Coloring:
    return drawn(path, colors, **raster).coloring


def pixels_of(path: Path, **raster: Any) -> np.ndarray:
    """Red, green, blue and opacity of each cell."""
    found = drawn(path, **raster)
    cells, _ = read_window(found.source, found.info.geometry.whole)
    assert cells.dtype == found.info.dtype == np.uint32
    return cells.view(np.uint8).reshape(*cells.shape, 4)


@pytest.fixture
def paletted(write_raster) -> Path:
    """Land cover without names; in a GeoTIFF, nothing but nodata is transparent."""
    return write_raster(CODES, colormap=TABLE, nodata=9)


@pytest.fixture
def imagine(write_raster) -> Path:
    """The same in Erdas Imagine, which keeps opacity."""
    return write_raster(CODES, colormap=TABLE, nodata=9, driver="HFA", name="cover.img")


@pytest.fixture
def named(paletted, tmp_path) -> Path:
    """The same in Erdas Imagine, which keeps names in the file itself."""
    source, path = tmp_path / "names.vrt", tmp_path / "named.img"
    rasterio.shutil.copy(paletted, source, driver="VRT")
    text = source.read_text()
    source.write_text(text.replace("</ColorInterp>", f"</ColorInterp>{NAMED}"))
    rasterio.shutil.copy(source, path, driver="HFA")
    return path


# classes


def test_a_color_table_makes_classes(imagine) -> None:
    found = coloring(imagine)
    assert isinstance(found, Classes)
    assert {item.value: item.color for item in found.drawn[:4]} == {
        0: "#00000000", 1: "#466ba0ff", 2: "#aa0000ff", 3: "#68aa63ff",
    }  # fmt: skip


def test_what_is_transparent_nodata_or_fills_the_table_up_is_in_no_legend(paletted, imagine) -> None:
    for path, entries in ((paletted, 256), (imagine, 4)):
        found = coloring(path)
        assert isinstance(found, Classes)
        assert [item.label for item in found.shown] == ["1", "2", "3"]
        assert len(found.drawn) == entries


def test_a_picture_in_a_few_hundred_colours_has_no_legend(write_raster) -> None:
    found = coloring(write_raster(CODES, colormap={value: (value, 9, 90, 255) for value in range(256)}))
    assert isinstance(found, Classes)
    assert found.shown == ()


def test_names_in_the_file_are_those_of_the_legend(named) -> None:
    found = coloring(named)
    assert isinstance(found, Classes)
    assert [(item.value, item.label) for item in found.shown] == [(1, "Open water"), (2, "Towns & roads")]
    assert found.drawn[3].color == "#68aa63ff"  # it has no name, but a colour all the same


def test_names_that_cannot_be_read_are_numbers(paletted, monkeypatch, caplog) -> None:
    monkeypatch.setattr(rasterio.shutil, "copy", lambda _dataset, name, **_: Path(name))
    with rasterio.open(paletted) as dataset:
        assert class_names(dataset, 1) == {}
    assert "the names of its classes cannot be read" in caplog.text


def test_a_config_names_and_colours_the_classes_of_any_raster(write_raster) -> None:
    classes = [{"value": 2, "color": "navy", "name": "Sea"}, {"value": 1, "color": "green"}]
    found = coloring(write_raster(CODES), {"classes": classes})
    assert isinstance(found, Classes)
    assert [item.label for item in found.shown] == ["Sea", "1"]
    assert [(item.value, item.color) for item in found.drawn] == [(1, "green"), (2, "navy")]


def test_a_config_may_name_a_class_and_leave_its_colour_to_the_file(paletted) -> None:
    classes = [{"value": 3, "name": "Wood"}, {"value": 1, "name": "Water", "color": "blue"}]
    found = coloring(paletted, {"classes": classes})
    assert isinstance(found, Classes)
    assert [(item.label, item.color) for item in found.shown] == [("Wood", "#68aa63ff"), ("Water", "blue")]
    assert found.drawn[2].color == "#aa0000ff"


def test_a_class_without_any_colour_is_refused(write_raster) -> None:
    path = write_raster(CODES)
    with pytest.raises(ConfigError, match=r"\[colors\] classes #2 color: is needed, .* no color of its own for 7"):
        coloring(path, {"classes": [{"value": 1, "color": "red"}, {"value": 7, "name": "Ice"}]})


@pytest.mark.parametrize("resampling", ["bilinear", "cubic", "average"])
def test_classes_are_not_mixed(paletted, resampling: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"\[raster\] resampling: '{resampling}' makes values between .*nearest, mode"
    ):
        coloring(paletted, resampling=resampling)


def test_they_may_be_outvoted(paletted) -> None:
    assert isinstance(coloring(paletted, resampling="mode"), Classes)


@pytest.mark.parametrize(
    "colors", [{"levels": [0, 1]}, {"vmin": 0}, {"vmax": 3.0}, {"norm": "linear"}, {"colormap": "viridis"}]
)
def test_who_asks_for_a_scale_of_numbers_gets_numbers(paletted, write_raster, colors: dict[str, Any]) -> None:
    assert coloring(paletted, colors, resampling="bilinear") is None
    assert coloring(write_raster(RGB, photometric="RGB", name="rgb.tif"), colors) is None


def test_scaled_values_are_no_classes(write_raster) -> None:
    assert coloring(write_raster(CODES, colormap=TABLE, scales=(0.5,), offsets=(0.0,))) is None


def test_who_reads_values_is_not_concerned(paletted) -> None:
    assert inspect_raster(read_config({"raster": {"path": paletted}}).raster).dtype == np.float32


# true colour


def test_red_green_and_blue_are_read_as_packed_colours(write_raster) -> None:
    pixels = pixels_of(write_raster(RGB, photometric="RGB"))
    np.testing.assert_array_equal(pixels[..., :3], np.moveaxis(RGB, 0, -1))
    assert (pixels[..., 3] == 255).all()


def test_bands_are_found_by_what_they_say_they_are(write_raster) -> None:
    path = write_raster(RGB, photometric="RGB")
    with rasterio.open(path, "r+") as file:
        file.colorinterp = [rasterio.enums.ColorInterp[name] for name in ("blue", "green", "red")]
    np.testing.assert_array_equal(pixels_of(path)[..., :3], np.moveaxis(RGB[::-1], 0, -1))


@pytest.mark.parametrize("band", [1, 3])
def test_a_band_that_is_asked_for_is_numbers(write_raster, band: int) -> None:
    path = write_raster(RGB, photometric="RGB")
    found = drawn(path, band=band)
    assert found.coloring is None
    np.testing.assert_array_equal(read_window(found.source, found.info.geometry.whole)[0], RGB[band - 1])


@pytest.mark.parametrize(
    ("bands", "options"),
    [(RGB, {"photometric": "MINISBLACK"}), (RGB.astype(np.float32), {"photometric": "RGB"}), (RGB[:1], {})],
    ids=["no colours", "no whole numbers", "one band"],
)
def test_other_bands_are_numbers(write_raster, bands: np.ndarray, options: dict[str, Any]) -> None:
    assert coloring(write_raster(bands, **options)) is None


def test_missing_is_what_is_nodata_in_all_three_bands(write_raster) -> None:
    bands = RGB.copy()
    bands[:, 0, 0] = bands[:2, 1, 1] = 77
    path = write_raster(bands, photometric="RGB", nodata=77)
    missing = (pixels_of(path) == 0).all(axis=-1)
    assert missing[0, 0]
    assert missing.sum() == 1
    with rasterio.open(path) as file:
        np.testing.assert_array_equal(file.dataset_mask() == 0, missing)
    assert not (pixels_of(path, mask_and_scale=False) == 0).all(axis=-1).any()


def test_opacity_stays_and_what_has_none_is_missing(write_raster) -> None:
    alpha = np.array([[[0, 1, 128, 255], [255, 255, 255, 0]]], np.uint8)
    pixels = pixels_of(write_raster(np.concatenate([RGB, alpha]), photometric="RGB", alpha="yes"))
    np.testing.assert_array_equal(pixels[..., 3], alpha[0])
    assert not pixels[alpha[0] == 0].any()


def test_a_mask_says_what_is_missing(write_raster) -> None:
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        path = write_raster(RGB + 1, photometric="RGB")
        with rasterio.open(path, "r+") as file:
            file.write_mask(CODES != 2)
    np.testing.assert_array_equal((pixels_of(path) == 0).all(axis=-1), CODES == 2)


@pytest.mark.parametrize(("options", "largest"), [({}, 65535), ({"nbits": 12}, 4095)])
def test_sixteen_bits_become_eight_by_the_largest_value_there_can_be(write_raster, options, largest: int) -> None:
    bands = np.linspace(0, largest, 24).astype(np.uint16).reshape(3, 2, 4)
    path = write_raster(bands, photometric="RGB", **options)
    expected = np.rint(np.moveaxis(bands, 0, -1) / largest * 255)
    np.testing.assert_array_equal(pixels_of(path)[..., :3], expected)
    assert isinstance(found := coloring(path), RgbBands)
    assert found.largest == largest


def test_a_part_of_a_real_image_is_thinned_like_the_image(shared_data_folder) -> None:
    path = shared_data_folder / "rgb_webmercator_jpeg_overviews.tif"
    found = drawn(path)
    cells, geometry = read_window(found.source, found.info.geometry.whole, 4, "average")
    with rasterio.open(path) as file:
        expected = file.read(out_shape=(3, 256, 256), resampling=rasterio.enums.Resampling.average)
    assert (geometry.height, geometry.width) == (256, 256)
    np.testing.assert_array_equal(cells.view(np.uint8).reshape(256, 256, 4)[..., :3], np.moveaxis(expected, 0, -1))


def test_a_legend_for_which_there_is_no_room_is_told_once(write_raster, load, caplog) -> None:
    table = {value: (value, 9, 90, 255) for value in range(256)}
    with caplog.at_level(logging.WARNING):
        shared = load(raster={"path": write_raster(CODES, colormap=table)})
        assert isinstance(shared.coloring, Classes)
        load(raster={"path": shared.info.path}, colors={"colorbar": False})
    assert [record.message.partition(": ")[2] for record in caplog.records] == [
        "no legend: its classes are too many for the sheet; name those that matter in [colors] classes, or set "
        "colorbar = false"
    ]
