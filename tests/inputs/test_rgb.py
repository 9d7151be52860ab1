"""RGB bands are read as packed colors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from regionplot.inputs.color_tables import RgbBands
from regionplot.inputs.source import read_window
from regionplot.settings.loading import read_config
from regionplot.shared.load import DrawnRaster

MASKED = np.array([[1, 2, 3, 9], [1, 2, 3, 0]], np.uint8)
RGB = np.arange(3 * 2 * 4, dtype=np.uint8).reshape(3, 2, 4) * 10


def drawn(path: Path, **raster: Any) -> DrawnRaster:
    return DrawnRaster.of(read_config({"raster": {"path": path, **raster}}))


def pixels_of(path: Path, **raster: Any) -> np.ndarray:
    """Return red, green, blue and opacity of each cell."""
    found = drawn(path, **raster)
    cells, _ = read_window(found.source, found.info.geometry.full_window)
    assert cells.dtype == found.info.dtype == np.uint32
    return cells.view(np.uint8).reshape(*cells.shape, 4)


def test_red_green_and_blue_are_read_as_packed_colors(write_raster) -> None:
    pixels = pixels_of(write_raster(RGB, photometric="RGB"))
    np.testing.assert_array_equal(pixels[..., :3], np.moveaxis(RGB, 0, -1))
    assert (pixels[..., 3] == 255).all()


def test_bands_are_found_by_their_color_interpretation(write_raster) -> None:
    path = write_raster(RGB, photometric="RGB")
    with rasterio.open(path, "r+") as file:
        file.colorinterp = [rasterio.enums.ColorInterp[name] for name in ("blue", "green", "red")]
    np.testing.assert_array_equal(pixels_of(path)[..., :3], np.moveaxis(RGB[::-1], 0, -1))


@pytest.mark.parametrize("band", [1, 3])
def test_a_band_that_the_settings_name_is_read_as_numbers(write_raster, band: int) -> None:
    path = write_raster(RGB, photometric="RGB")
    found = drawn(path, band=band)
    assert found.coloring is None
    np.testing.assert_array_equal(read_window(found.source, found.info.geometry.full_window)[0], RGB[band - 1])


@pytest.mark.parametrize(
    ("bands", "options"),
    [(RGB, {"photometric": "MINISBLACK"}), (RGB.astype(np.float32), {"photometric": "RGB"}), (RGB[:1], {})],
    ids=["no colors", "no whole numbers", "one band"],
)
def test_other_bands_are_read_as_numbers(write_raster, bands: np.ndarray, options: dict[str, Any]) -> None:
    assert drawn(write_raster(bands, **options)).coloring is None


def test_a_cell_is_missing_if_all_three_bands_are_nodata(write_raster) -> None:
    bands = RGB.copy()
    bands[:, 0, 0] = bands[:2, 1, 1] = 77
    path = write_raster(bands, photometric="RGB", nodata=77)
    missing = (pixels_of(path) == 0).all(axis=-1)
    assert missing[0, 0]
    assert missing.sum() == 1
    with rasterio.open(path) as file:
        np.testing.assert_array_equal(file.dataset_mask() == 0, missing)
    assert not (pixels_of(path, mask_and_scale=False) == 0).all(axis=-1).any()


def test_opacity_is_kept_and_fully_transparent_cells_are_missing(write_raster) -> None:
    alpha = np.array([[[0, 1, 128, 255], [255, 255, 255, 0]]], np.uint8)
    pixels = pixels_of(write_raster(np.concatenate([RGB, alpha]), photometric="RGB", alpha="yes"))
    np.testing.assert_array_equal(pixels[..., 3], alpha[0])
    assert not pixels[alpha[0] == 0].any()


def test_a_mask_marks_missing_cells(write_raster) -> None:
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        path = write_raster(RGB + 1, photometric="RGB")
        with rasterio.open(path, "r+") as file:
            file.write_mask(MASKED != 2)
    np.testing.assert_array_equal((pixels_of(path) == 0).all(axis=-1), MASKED == 2)


@pytest.mark.parametrize(("options", "largest"), [({}, 65535), ({"nbits": 12}, 4095)])
def test_sixteen_bits_are_scaled_to_eight_by_the_largest_possible_value(write_raster, options, largest: int) -> None:
    bands = np.linspace(0, largest, 24).astype(np.uint16).reshape(3, 2, 4)
    path = write_raster(bands, photometric="RGB", **options)
    expected = np.rint(np.moveaxis(bands, 0, -1) / largest * 255)
    np.testing.assert_array_equal(pixels_of(path)[..., :3], expected)
    assert isinstance(found := drawn(path).coloring, RgbBands)
    assert found.largest == largest


def test_a_part_of_a_real_image_is_thinned_like_the_image(shared_data_folder) -> None:
    path = shared_data_folder / "rgb_webmercator_jpeg_overviews.tif"
    found = drawn(path)
    cells, geometry = read_window(found.source, found.info.geometry.full_window, 4, "average")
    with rasterio.open(path) as file:
        expected = file.read(out_shape=(3, 256, 256), resampling=rasterio.enums.Resampling.average)
    assert (geometry.height, geometry.width) == (256, 256)
    np.testing.assert_array_equal(cells.view(np.uint8).reshape(256, 256, 4)[..., :3], np.moveaxis(expected, 0, -1))
