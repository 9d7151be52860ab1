"""Paths that a CRS in a raster names are found at the start and at the end of the file, wherever blocks end."""

from __future__ import annotations

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
