"""Test outputs as cloud-optimized GeoTIFFs (COGs)."""

from __future__ import annotations

import struct
from pathlib import Path

import block_functions as functions
import numpy as np
import pytest
import rasterio

from regionplot.blocks.process import process_blocks

pytestmark = [
    pytest.mark.timeout(120, method="signal"),
    pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"),
]

_OFFSETS, _BYTE_COUNTS, _WIDTH = 324, 325, 256
_SIZES = {3: 2, 4: 4, 16: 8}


def directories(path: Path) -> list[tuple[int, dict[int, list[int]]]]:
    """Return the positions of the image directories of a classic TIFF, and some of their integer tags."""
    content = path.read_bytes()
    assert content[:4] == b"II*\0"
    (place,) = struct.unpack_from("<I", content, 4)
    found = []
    while place:
        (count,) = struct.unpack_from("<H", content, place)
        tags = {}
        for entry in range(place + 2, place + 2 + 12 * count, 12):
            tag, kind, number = struct.unpack_from("<HHI", content, entry)
            if tag in (_OFFSETS, _BYTE_COUNTS, _WIDTH):
                size = _SIZES[kind] * number
                start = entry + 8 if size <= 4 else struct.unpack_from("<I", content, entry + 8)[0]
                tags[tag] = list(struct.unpack_from(f"<{number}{ {3: 'H', 4: 'I', 16: 'Q'}[kind] }", content, start))
        found.append((place, tags))
        (place,) = struct.unpack_from("<I", content, place + 2 + 12 * count)
    return found


@pytest.fixture
def large(write_raster):
    values = np.add.outer(np.arange(1500, dtype=np.float32), np.arange(1300, dtype=np.float32))[None].repeat(2, 0)
    values[:, :100, :100] = -1
    return values, write_raster(
        values, nodata=-1, crs="EPSG:5070", descriptions=("snow", "water"), scales=(0.5, 1.0), offsets=(1.0, 0.0)
    )


def test_a_cog_has_the_layout_for_partial_reads(large, tmp_path, read_raster):
    values, source = large
    target = tmp_path / "cog.tif"
    process_blocks(functions.core_only, source, target, profile={"driver": "COG"}, executor="fork", workers=2)
    np.testing.assert_array_equal(read_raster(target), values * 2)
    found = directories(target)
    widths = [tags[_WIDTH][0] for _, tags in found]
    assert widths == [1300, 650, 325]
    places = [place for place, _ in found]
    assert places == sorted(places), "directories are not in order, with the full image first"
    first_data = [min(offset for offset in tags[_OFFSETS] if offset) for _, tags in found]
    assert max(places) < min(first_data), "a directory is after a tile"
    assert first_data == sorted(first_data, reverse=True), "the tiles of the smallest overview are not first"
    assert b"LAYOUT=IFDS_BEFORE_DATA" in target.read_bytes()[:500]


def test_a_cog_keeps_the_labels_of_bands_and_has_statistics(large, tmp_path):
    values, source = large
    target = tmp_path / "cog.tif"
    process_blocks(functions.core_only, source, target, profile={"driver": "COG"})
    valid = values[values >= 0] * 2
    with rasterio.open(target) as dataset, rasterio.open(source) as first:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.profile["tiled"]
        assert dataset.overviews(1) == [2, 4]
        assert (dataset.crs, dataset.transform, dataset.nodata) == (first.crs, first.transform, first.nodata)
        for name in ("descriptions", "units", "scales", "offsets"):
            assert getattr(dataset, name) == getattr(first, name)
        statistics = {key: float(value) for key, value in dataset.tags(1).items() if key.startswith("STATISTICS")}
    assert statistics["STATISTICS_MAXIMUM"] == valid.max()
    assert statistics["STATISTICS_MEAN"] == pytest.approx(valid.mean(dtype=float), rel=0.02)
    assert {path.name for path in tmp_path.iterdir()} == {"grid.tif", "cog.tif"}


def test_options_of_a_cog_are_passed_on(large, tmp_path):
    _, source = large
    target = tmp_path / "cog.tif"
    profile = {"driver": "COG", "compress": "lzw", "blocksize": 128, "overviews": "none", "dtype": "float64"}
    process_blocks(functions.core_only, source, target, profile=profile)
    with rasterio.open(target) as dataset:
        assert dataset.profile["compress"] == "lzw"
        assert (dataset.block_shapes[0], dataset.overviews(1), dataset.dtypes[0]) == ((128, 128), [], "float64")


def test_overviews_of_integers_are_not_averaged(write_raster, tmp_path):
    classes = np.random.default_rng(0).choice([1, 5, 20], (1200, 1200)).astype("uint8")
    path = write_raster(classes, nodata=0)
    process_blocks(functions.core_only, path, tmp_path / "out.tif", profile={"driver": "COG"})
    with rasterio.open(tmp_path / "out.tif", overview_level=0) as overview:
        assert set(np.unique(overview.read())) == {2, 10, 40}
