"""Paths that a CRS in a raster names are found in all tags of a TIFF, and at the start and the end of other files."""

from __future__ import annotations

import struct

import pytest

from regionplot.inputs.crs_texts import path_in_raster

WKT = b'EXTENSION["PROJ4_GRIDS","/tmp/a.gsb"]'
BLOCK, PART = 2**17, 4 * 2**20


@pytest.mark.parametrize("size", [len(WKT), 3 * BLOCK, PART, PART + 9, 3 * PART])
@pytest.mark.parametrize("keyword", [b"PROJ4_GRIDS", b"Proj4_Grids"])
def test_a_path_is_found_wherever_it_is_in_the_parts(size, keyword, tmp_path):
    places = {0, BLOCK - 17, BLOCK - 16, BLOCK - 1, BLOCK, 2 * BLOCK + 5, size - len(WKT), size - BLOCK - 20}
    for place in places:
        if 0 <= place <= size - len(WKT):
            content = bytearray(b"x" * size)
            content[place : place + len(WKT)] = WKT.replace(b"PROJ4_GRIDS", keyword)
            path = tmp_path / f"{place}.tif"
            path.write_bytes(content)
            assert path_in_raster(path) is not None, place


def test_the_middle_of_a_large_file_is_not_searched(tmp_path):
    path = tmp_path / "large.tif"
    path.write_bytes(b"x" * (PART + 10) + WKT + b"x" * (PART + 10))
    assert path_in_raster(path) is None


def test_a_file_without_paths_has_none(tmp_path):
    for name, content in {"a": b"", "b": b"x", "c": b'PARAMETERFILE["Latitude file","names_only"]'}.items():
        (tmp_path / name).write_bytes(content)
        assert path_in_raster(tmp_path / name) is None


def tiff(*texts):
    """Return a TIFF file with one page for each text, in the private tag 42112."""
    content = bytearray(b"II*\0" + struct.pack("<I", 8))
    for number, text in enumerate(texts, 1):
        start = len(content)
        entry = struct.pack("<HHII", 42112, 2, len(text), start + 18)
        following = start + 18 + len(text) if number < len(texts) else 0
        content += struct.pack("<H", 1) + entry + struct.pack("<I", following) + text
    return bytes(content)


@pytest.mark.parametrize("texts", [(WKT,), (b"x" * (PART + 10) + WKT + b"x" * PART,), (b"x", b"y", WKT)])
def test_a_path_is_found_in_the_tags_of_a_tiff(texts, tmp_path):
    path = tmp_path / "grid.tif"
    path.write_bytes(tiff(*texts) + b"x" * (2 * PART))
    assert path_in_raster(path) == "/tmp/a.gsb"


def test_cells_of_a_tiff_are_not_searched(tmp_path):
    path = tmp_path / "grid.tif"
    path.write_bytes(tiff(b"x") + WKT)
    assert path_in_raster(path) is None


def test_a_tiff_with_very_long_texts_is_refused(tmp_path):
    path = tmp_path / "grid.tif"
    text = b"x" * 2**20
    content = bytearray(tiff(text))
    entry = content[10:22]
    content[8:10] = struct.pack("<H", 100)  # a hundred tags with the same text
    path.write_bytes(content[:10] + entry * 100 + bytes(4) + text)
    with pytest.raises(OSError, match="its tags hold more than 64 MB of text"):
        path_in_raster(path)
