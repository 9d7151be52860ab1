"""The Web Map Service."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from service_client import TIMES, Client, make_client, make_config, write_series

V13 = "/wms?service=WMS&version=1.3.0&request=GetMap&layers=raster&styles=&format=image/png&transparent=true"
V11 = V13.replace("1.3.0", "1.1.1")
SIZE = "&width=40&height=40"
OWN = "/map?bbox=-100,40,-96,44&width=40&height=40"


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Client:
    """A service with three times."""
    folder = tmp_path_factory.mktemp("series")
    return make_client(make_config(folder, raster={"path": write_series(folder), "time": "all"}))


@pytest.mark.parametrize("address", [
    f"{V13}&crs=CRS:84&bbox=-100,40,-96,44{SIZE}",
    f"{V13}&crs=EPSG:4326&bbox=40,-100,44,-96{SIZE}",
    f"{V11}&srs=EPSG:4326&bbox=-100,40,-96,44{SIZE}",
    f"{V11}&srs=EPSG:4326&bbox=-100,40,-96,44{SIZE}".replace("layers", "LAYERS").replace("bbox", "BBox"),
])  # fmt: skip
def test_a_map_equals_that_of_the_route_map_in_each_order_of_axes(client: Client, address: str) -> None:
    assert (client.pixels(address) == client.pixels(OWN)).all()


def test_an_opaque_map_has_the_background(client: Client) -> None:
    pixels = client.pixels(f"{V13}&crs=CRS:84&bbox=-100,44,-96,48{SIZE}&bgcolor=0x0000FF".replace("=true", "=FALSE"))
    assert (pixels == (0, 0, 255, 255)).all()


@pytest.mark.parametrize("version", ["1.3.0", "1.1.1"])
def test_capabilities_are_xml_and_name_the_layers(client: Client, version: str) -> None:
    response = client.get(f"/wms?service=WMS&request=GetCapabilities&version={version}")
    names = [
        element.text for element in ET.fromstring(response.text).iter() if element.tag.rpartition("}")[2] == "Name"
    ]
    assert "raster" in names
    assert response.status_code == 200


@pytest.mark.parametrize(("address", "code"), [
    (f"{V13}&crs=CRS:84&bbox=1,2,3{SIZE}", "InvalidParameterValue"),
    (f"{V13}&crs=EPSG:99999&bbox=1,2,3,4{SIZE}", "InvalidCRS"),
    (f"{V13}&crs=/etc/passwd&bbox=1,2,3,4{SIZE}", "InvalidCRS"),
    (f"{V13}&crs=CRS:84&bbox=1,2,3,4{SIZE}".replace("layers=raster", "layers=%3Cb%3E"), "LayerNotDefined"),
    (f"{V13}&crs=CRS:84&bbox=1,2,3,4{SIZE}".replace("image/png", "image/gif"), "InvalidFormat"),
    (f"{V13}&crs=CRS:84&bbox=1,2,3,4{SIZE}".replace("styles=", "styles=red"), "StyleNotDefined"),
    (f"{V13}&crs=CRS:84&bbox=1,2,3,4{SIZE}&time=2001", "InvalidDimensionValue"),
    ("/wms?service=WMS", "MissingParameterValue"),
    ("/wms?service=WMS&request=DropTables", "OperationNotSupported"),
])  # fmt: skip
def test_a_fault_is_an_xml_report(client: Client, address: str, code: str) -> None:
    response = client.get(address)
    assert response.status_code == 400
    found = ET.fromstring(response.text).find("{*}ServiceException")
    assert found is not None
    assert found.get("code") == code


@pytest.mark.parametrize(("kind", "shown"), [
    ("application/json", '"value":34.0'), ("text/plain", "value: 34.0"), ("text/html", "<td>34.0</td>"),
])  # fmt: skip
def test_the_value_under_a_pixel(client: Client, kind: str, shown: str) -> None:
    address = f"{V13}&crs=EPSG:4326&bbox=40,-100,44,-96{SIZE}&query_layers=raster&i=34&j=39&info_format={kind}"
    response = client.get(address.replace("GetMap", "GetFeatureInfo"))
    assert response.headers["content-type"].startswith(kind)
    assert shown in response.text


def test_the_legend(client: Client) -> None:
    pixels = client.pixels("/wms?service=WMS&request=GetLegendGraphic&layer=raster&format=image/png&width=250")
    assert 200 < pixels.shape[1] <= 250
    assert len(np.unique(pixels.reshape(-1, 4), axis=0)) > 4


@pytest.mark.parametrize(("kind", "has_text"), [
    ("INIMAGE", True), ("BLANK", False),
    ("application/vnd.ogc.se_inimage", True), ("application/vnd.ogc.se_blank", False),
])  # fmt: skip
def test_a_fault_is_an_image_if_the_request_asks_for_it(client: Client, kind: str, has_text: bool) -> None:
    address = f"{V13}&crs=EPSG:99999&bbox=1,2,3,4&width=300&height=80&exceptions={kind}"
    pixels = client.pixels(address)
    assert pixels.shape == (80, 300, 4)
    assert pixels[..., 3].any() == has_text
    assert client.pixels(address.replace("width=300", "width=wide")).shape == (80, 256, 4)


def test_a_range_of_times_shows_its_newest_time_before_its_end(series: Client) -> None:
    """QGIS asks for the range of each frame of an animation."""
    place = f"{V13}&crs=CRS:84&bbox=-100,40,-96,44{SIZE}".replace("raster", series.product)
    for range_, time in (
        (f"{TIMES[0]}/{TIMES[1]}", TIMES[0]), (f"{TIMES[1]}/2026-03-10T07:00:00Z", TIMES[1]),
        (f"{TIMES[1]}/{TIMES[1]}", TIMES[1]), ("2026-03-10T01:00:00Z/2026-03-10T06:00:00Z", TIMES[1]),
        (f"{TIMES[0]}/{TIMES[2]}/PT6H", TIMES[1]), ("2026-03-10/2026-03-10", TIMES[2]),
        ("2026-03-10T07:00-01:00", None), ("2026-03-10T07:00%2B01:00", TIMES[1]),
        ("2026-03-10T01:00%2B01:00/2026-03-10T07:00%2B01:00", TIMES[0]),
    ):  # fmt: skip
        assert series.get(f"{place}&time={range_}").headers.get("data-time") == time, range_
    missing = series.get(f"{place}&time=2026-03-10T01:00:00Z/2026-03-10T02:00:00Z")
    assert (missing.status_code, "InvalidDimensionValue" in missing.text) == (400, True)


def test_requests_of_godiva_and_terriajs(series: Client) -> None:
    """Their parameters: styles of ncWMS, ranges of colors, several times, and tiles with exceptions as XML."""
    place = f"BBOX=-11131949,4865942,-10686671,5465442&WIDTH=256&HEIGHT=256&LAYERS={series.product}"
    godiva = (
        f"/wms?SERVICE=WMS&REQUEST=GetMap&VERSION=1.1.1&SRS=EPSG:3857&FORMAT=image/png&STYLES=plasma&{place}"
        "&COLORSCALERANGE=auto&NUMCOLORBANDS=20&LOGSCALE=false&ABOVEMAXCOLOR=extend&BELOWMINCOLOR=transparent"
        f"&TRANSPARENT=true&TIME={TIMES[1]}"
    )
    terria = (
        "/wms?transparent=true&format=image%2Fpng&exceptions=application%2Fvnd.ogc.se_xml&styles=&tiled=true"
        f"&feature_count=101&service=WMS&version=1.1.1&request=GetMap&srs=EPSG%3A3857&time={TIMES[2]}&{place}"
    )
    for request, time in ((godiva, TIMES[1]), (terria, TIMES[2])):
        answer = series.get(request)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png"), answer.text
        assert answer.headers["data-time"] == time
    query = f"&query_layers={series.product}&x=128&y=128&info_format=text/html"
    picked = series.get(terria.replace("GetMap", "GetFeatureInfo") + query)
    assert "<td>20.0</td>" in picked.text


def test_the_resolution_of_other_servers_is_understood(client: Client) -> None:
    whole = f"{V13}&crs=CRS:84&bbox=-100,40,-96,44{SIZE}"
    tags = [client.get(f"{whole}&{option}").headers["etag"] for option in ("dpi=180", "format_options=dpi:180")]
    assert tags[0] == tags[1] == client.get(f"{whole}&map_resolution=180").headers["etag"]
    assert client.get(f"{whole}&format_options=antialias:on").status_code == 200
    assert client.get(f"{whole}&format_options=dpi:1e9").status_code == 400
    assert client.get(f"{whole}&dim_reference_time=2001-01-01T00:00:00Z").status_code == 400


@pytest.mark.parametrize("code", ["EPSG:4326", "EPSG:3035", "EPSG:4258", "EPSG:2180", "EPSG:3857", "EPSG:5070"])
def test_boxes_of_capabilities_can_be_used_in_requests(new_client: Callable[..., Client], code: str) -> None:
    """The raster fills the box that the capabilities state, in the axis order of the authority."""
    client = new_client(serve={"projections": [code]})
    for version, key in (("1.3.0", "CRS"), ("1.1.1", "SRS")):
        root = ET.fromstring(client.get(f"/wms?request=GetCapabilities&version={version}").text)
        (box, *_) = [each for each in root.iter() if each.tag.endswith("BoundingBox") and each.get(key) == code]
        limits = ",".join(box.get(name, "") for name in ("minx", "miny", "maxx", "maxy"))
        address = f"/wms?request=GetMap&version={version}&{key}={code}&bbox={limits}&layers=raster&transparent=true"
        pixels = client.pixels(f"{address}&width=40&height=40&format=image/png")
        assert (pixels[..., 3] > 0).mean() > 0.4, "the axes are swapped"
