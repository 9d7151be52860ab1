"""The documents of the service state bounds that other programs can use."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from service_client import PLAIN_TABLES, Client, make_client, write_raster

from regionplot.settings.loading import read_config

WORLD = [-180.0, -90.0, 180.0, 90.0]
MERCATOR = 20037508.34


def write_polar(path: Path) -> Path:
    """Write a raster around the South Pole."""
    profile = {"driver": "GTiff", "width": 83, "height": 80, "count": 1, "dtype": "float32"}
    with rasterio.open(path, "w", crs="EPSG:3031", transform=from_origin(-4e6, 4e6, 1e5, 1e5), **profile) as target:
        target.write(np.ones((1, 80, 83), dtype="float32"))
    return path


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Client:
    folder = tmp_path_factory.mktemp("bounds")
    paths = {
        "small": write_raster(folder / "small.tif", np.ones((40, 40))),
        "far": write_raster(folder / "far.tif", np.ones((10, 20)), west=260, north=50, cell=1),
        "shifted": write_raster(folder / "shifted.tif", np.ones((91, 180)), west=-1, north=91, cell=2),
        "crossing": write_raster(folder / "crossing.tif", np.ones((10, 40)), west=170, north=50, cell=1),
        "polar": write_polar(folder / "polar.tif"),
    }
    (folder / "lake.geojson").write_text(
        '{"type": "Polygon", "coordinates": [[[-99, 41], [-97, 41], [-97, 43], [-99, 41]]]}'
    )
    tables = {
        "products": {name: {"raster": {"path": str(path)}} for name, path in paths.items()},
        "features": [{"path": str(folder / "lake.geojson")}],
    }
    return make_client(read_config({**PLAIN_TABLES, **tables}), [])


EXPECTED: Mapping[str, list[float]] = {
    "small": [-100, 40, -96, 44],
    "far": [-100, 40, -80, 50],
    "shifted": WORLD,
    "crossing": [-180, 40, 180, 50],
    "lake": WORLD,
}


def boxes(client: Client, address: str, layer: str, name: str) -> list[ElementTree.Element]:
    """Return the elements `layer` of a document that have the given name, or identifier."""
    root = ElementTree.fromstring(client.get(address).text)
    return [
        each
        for each in root.iter()
        if each.tag.endswith(layer)
        and [own.text for own in each if own.tag.endswith(("}Name", "}Identifier"))][:1] == [name]
    ]


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_all_documents_state_bounds_in_the_usual_range(client: Client, name: str) -> None:
    """MapLibre shows no tiles beyond the bounds of TileJSON, and GDAL reads nothing beyond those of WMTS."""
    (layer,) = boxes(client, "/wms?request=GetCapabilities&version=1.3.0", "Layer", name)
    (box,) = [each for each in layer if each.tag.endswith("EX_GeographicBoundingBox")]
    west, east, south, north = (float(each.text or "") for each in box)
    assert np.allclose([west, south, east, north], EXPECTED[name])
    if name == "lake":
        return
    (layer,) = boxes(client, "/wmts?service=WMTS&request=GetCapabilities", "Layer", name)
    (box,) = [each for each in layer if each.tag.endswith("WGS84BoundingBox")]
    corners = [float(number) for each in box for number in (each.text or "").split()]
    collection = client.get(f"/ogc/collections/{name}").json()
    tiles = client.get(f"/ogc/collections/{name}/map/tiles/WebMercatorQuad").json()["boundingBox"]
    stated = [
        corners,
        collection["extent"]["spatial"]["bbox"][0],
        tiles["lowerLeft"] + tiles["upperRight"],
        client.get(f"/tiles/{name}.json").json()["bounds"],
    ]
    assert np.allclose(stated, EXPECTED[name])


def test_a_raster_around_a_pole_has_all_longitudes(client: Client) -> None:
    west, south, east, north = client.get("/tiles/polar.json").json()["bounds"]
    assert (west, south, east) == (-180, -90, 180)
    assert -60 < north < -30


def test_boxes_in_web_mercator_reach_the_edge_of_the_map(client: Client) -> None:
    """A layer contains the boxes of all products that have the layer."""
    for name in ("shifted", "polar", "lake"):
        (layer,) = boxes(client, "/wms?request=GetCapabilities&version=1.3.0", "Layer", name)
        (box,) = [each for each in layer if each.get("CRS") == "EPSG:3857"]
        limits = [float(box.get(edge, "")) for edge in ("minx", "miny", "maxx", "maxy")]
        tiled = boxes(client, "/wmts?service=WMTS&request=GetCapabilities", "Layer", name)
        for each in [part for layer in tiled for part in layer if str(part.get("crs")).endswith(":3857")]:
            corners = [float(number) for corner in each for number in (corner.text or "").split()]
            assert np.allclose(corners, limits)
        assert len(tiled) == (name != "lake")
        assert np.isclose(limits[1], -MERCATOR)
        assert np.isclose(limits[3], MERCATOR) == (name != "polar")
        assert limits[0] <= -MERCATOR + 1
        assert limits[2] >= MERCATOR - 1
