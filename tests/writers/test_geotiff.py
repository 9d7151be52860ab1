"""GeoTIFF files have the pixels of the map, and lie in the right place on the earth."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image
from rasterio.io import MemoryFile
from rasterio.warp import transform

from regionplot import render_regions
from regionplot.errors import RegionError
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.render.renderer import MapRenderer
from regionplot.writers.base import TITLE, Picture

CRSS: dict[str, Any] = {
    "degrees": "EPSG:4326",
    "Web Mercator": "EPSG:3857",
    "Albers": "EPSG:5070",
    "Lambert": {"name": "LambertConformal", "central_longitude": -96, "standard_parallels": [33, 45]},
    "polar": "EPSG:3413",
    "feet": "EPSG:2232",
    "sphere": "+proj=lcc +lat_0=38.5 +lon_0=-97.5 +lat_1=38.5 +lat_2=38.5 +R=6371229",
}
COLORADO = Region("co", Extent(-109, -102, 37, 41), title="Colorado")


@pytest.fixture
def renderer(load, write_raster):
    """Return a function that makes a renderer for a raster of 1-degree cells: the value is 100 x row + column."""

    def make(**sections: Any) -> MapRenderer:
        rows, columns = np.mgrid[:30, :70]
        path = write_raster((100 * rows + columns).astype(np.float32), Affine(1, 0, -130, 0, -1, 55))
        own = {"size": [300, 200], **sections.pop("map", {})}
        levels = [100 * row + 5 * step - 0.5 for row in range(14, 18) for step in range(5)]
        return MapRenderer(load(raster={"path": path}, map=own, colors={"levels": levels}, **sections))

    return make


@pytest.mark.parametrize("mode", ["auto", "rgb"])
@pytest.mark.parametrize("projection", CRSS.values(), ids=CRSS)
def test_each_pixel_lies_where_its_color_says(renderer, projection: Any, mode: str) -> None:
    maps = renderer(map={"projection": projection}, output={"png": {"mode": mode}})
    picture = maps.render(COLORADO)
    assert (picture.palette is not None) == (mode == "auto")
    with MemoryFile(maps.encode(picture, "geotiff", {TITLE: "Colorado"})) as memory, memory.open() as file:
        assert file.tags()["TIFFTAG_IMAGEDESCRIPTION"] == "Colorado"
        found = file.read()
        if file.count == 1:
            table = file.colormap(1)
            found = np.array([table[n][:3] for n in range(256)], np.uint8)[found[0]].transpose(2, 0, 1)
        place = picture.georeference
        assert place is not None
        np.testing.assert_array_equal(found.transpose(1, 2, 0), picture.pixels[place.rows, place.columns])
        rows, columns = np.mgrid[20 : file.height - 20 : 7, 20 : file.width - 20 : 7].reshape(2, -1)
        width, _, left, _, height, top = file.transform[:6]
        x, y = left + (columns + 0.5) * width, top + (rows + 0.5) * height
        longitudes, latitudes = (np.array(each) for each in transform(file.crs, "EPSG:4326", x, y))
        values = 100 * np.floor(55 - latitudes) + np.floor(longitudes + 130)
        near_edge = [abs(each - np.round(each)) < 0.06 for each in (longitudes, latitudes)]
        sure = ~(near_edge[0] | near_edge[1])
        scale = maps.style.scale
        expected = scale.rgba(scale.codes(values[None].astype(np.float32)))[0, :, :3]
        assert sure.sum() > 100
        np.testing.assert_array_equal(found[:, rows, columns].T[sure], expected[sure])


def test_a_sheet_has_the_same_place_as_its_panel(renderer) -> None:
    panel, sheet = (renderer(output={"geotiff": {"area": area}}) for area in ("panel", "sheet"))
    files = [maps.encode(maps.render(COLORADO), "geotiff") for maps in (panel, sheet)]
    with MemoryFile(files[0]) as one, MemoryFile(files[1]) as two, one.open() as inner, two.open() as outer:
        assert (outer.width, outer.height) == (300, 200)
        assert inner.width < outer.width
        row, column = outer.index(inner.bounds.left, inner.bounds.top, op=round)
        window = rasterio.windows.Window(column, row, inner.width, inner.height)
        np.testing.assert_array_equal(outer.read(window=window), inner.read())


def test_equal_maps_give_equal_files(renderer) -> None:
    assert len({renderer().encode(renderer().render(COLORADO), "geotiff") for _ in range(2)}) == 1


def test_a_picture_without_a_place_is_refused(renderer) -> None:
    picture = Picture(np.zeros((20, 30, 3), np.uint8), None, "", no_data=False)
    with pytest.raises(RegionError, match="the map has no CRS, so it cannot be written as a GeoTIFF"):
        renderer().encode(picture, "geotiff")


def test_a_crs_that_a_geotiff_cannot_store_is_refused(renderer) -> None:
    """GDAL would write a file without a CRS."""
    rotated = "+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39.25 +lon_0=-97 +R=6371229"
    maps = renderer(map={"projection": rotated})
    with pytest.raises(RegionError, match=r"the CRS of the map cannot be stored in a GeoTIFF; set another projection"):
        maps.encode(maps.render(COLORADO), "geotiff", {})


def test_png_files_of_a_run_state_where_the_map_lies(tmp_path, make_config) -> None:
    config = make_config(map={"size": [300, 200], "projection": "EPSG:5070"}, output={"directory": tmp_path})
    render_regions([COLORADO], config)
    with Image.open(tmp_path / "co.png") as file:
        place = json.loads(file.text["Georeference"])
        image = np.asarray(file.convert("RGB"))
    left, top, right, bottom = place["pixels"]
    assert place["crs"] == "EPSG:5070"
    assert (image[top, left:right] == image[top, left]).all(), "the line around the panel"
    assert (image[top - 2 : top, :10] == 255).all()
    xmin, ymin, xmax, ymax = place["bounds"]
    assert (xmax - xmin) / (right - left) == pytest.approx((ymax - ymin) / (bottom - top))
    x, y = (values[0] for values in transform("EPSG:4326", "EPSG:5070", [-105.5], [39]))
    assert xmin < x < xmax
    assert ymin < y < ymax
