"""The Web Map Tile Service."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from owslib.wmts import WebMapTileService
from service_client import TIMES, Client, write_series

TILE = "/wmts?service=WMTS&request=GetTile&version=1.0.0&layer=raster&style=default&format=image/png"
PLACE = "&tilematrixset=WebMercatorQuad&tilematrix=6&tilerow=23&tilecol=14"


def capabilities(client: Client) -> WebMapTileService:
    content = client.get("/wmts?service=WMTS&request=GetCapabilities").content
    return WebMapTileService("http://maps.test/wmts", xml=content)


def test_owslib_reads_the_capabilities(client: Client) -> None:
    found = capabilities(client)
    assert list(found.contents) == ["raster"]
    assert np.allclose(found.contents["raster"].boundingBoxWGS84, (-100, 40, -96, 44))
    assert found.tilematrixsets["WebMercatorQuad"].crs == "urn:ogc:def:crs:EPSG::3857"
    corner = found.tilematrixsets["WGS1984Quad"].tilematrix["0"].topleftcorner
    assert corner == (90.0, -180.0), "EPSG:4326 begins with the latitude"


def test_a_tile_is_that_of_the_template_in_the_capabilities(client: Client) -> None:
    [template] = [
        each["template"] for each in capabilities(client).contents["raster"].resourceURLs if "png" in each["format"]
    ]
    places = {"TileMatrixSet": "WebMercatorQuad", "TileMatrix": "6", "TileRow": "23", "TileCol": "14"}
    for name, value in places.items():
        template = template.replace(f"{{{name}}}", value)
    assert np.array_equal(client.pixels(TILE + PLACE), client.pixels(template))
    assert client.pixels(TILE + PLACE)[..., 3].any(), "the tile shows the raster"


def test_times_are_a_dimension(new_client: Callable[..., Client], tmp_path: Path) -> None:
    client = new_client(raster={"path": write_series(tmp_path), "time": "all"})
    [layer] = capabilities(client).contents.values()
    assert layer.dimensions["Time"]["values"] == TIMES
    answer = client.get(TILE.replace("raster", layer.id) + PLACE + f"&time={TIMES[1]}")
    assert answer.headers["data-time"] == TIMES[1]


@pytest.mark.parametrize(
    "query",
    [
        "request=GetTile", "request=Other", "service=WMS&request=GetTile", f"request=GetTile&layer=none{PLACE}",
        f"request=GetTile&layer=raster&style=x{PLACE}", f"request=GetTile&layer=raster&format=text/html{PLACE}",
        "request=GetTile&layer=raster&tilematrixset=Web<>&tilematrix=0&tilerow=0&tilecol=0",
        "request=GetTile&layer=raster&tilematrixset=WebMercatorQuad&tilematrix=0&tilerow=1&tilecol=0",
    ],
)  # fmt: skip
def test_faults_are_exception_reports(client: Client, query: str) -> None:
    answer = client.get(f"/wmts?{query}")
    report = ElementTree.parse(io.BytesIO(answer.content)).getroot()
    assert answer.status_code == 400
    assert report[0].attrib["exceptionCode"]
