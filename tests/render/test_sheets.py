"""Test what the sheets of all maps share."""

from __future__ import annotations

import pyproj
import pytest

from regionplot.render.sheets import crs_text

LAMBERT = "+proj=lcc +lat_0=39 +lon_0=-96 +lat_1=33 +lat_2=45 +datum=WGS84 +units=m +no_defs"
STEREOGRAPHIC = pyproj.CRS("+proj=stere +lat_0=90 +lat_ts=70 +lon_0=-45 +datum=WGS84").to_wkt()
NAMED = pyproj.CRS("EPSG:3857").to_wkt()


@pytest.mark.parametrize(
    "definition", ["EPSG:5070", "+proj=longlat +datum=WGS84 +no_defs", LAMBERT, STEREOGRAPHIC, NAMED]
)
def test_the_text_of_a_crs_is_its_code_or_its_definition(definition: str) -> None:
    crs = pyproj.CRS(definition)
    assert crs_text(crs) == crs.to_string()
