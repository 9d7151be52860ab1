"""Odd, broken and hostile requests get a reason, never an error of the service."""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import netcdf_file
from service_client import PLAIN_TABLES, Client, make_client
from test_levels import INFO, write_levels

from regionplot.serve.parameters import Parameters, RequestError, parse_box, parse_crs, parse_number
from regionplot.settings.loading import read_config

EXAMPLES = int(os.environ.get("REGIONPLOT_EXAMPLES", "40"))
"""Number of random requests of each test. Set it to 10,000 for a long search."""
REASONED = {200, 304, 400, 404, 405, 410, 414, 422}
NUMBERS = [
    "0",
    "-1",
    "1",
    "256",
    "1e9",
    "1e-300",
    "1e400",
    "nan",
    "inf",
    "-inf",
    "1_0",
    "１２",
    "0x10",
    "",
    " 1",
    "1,2",
    "9" * 400,
]
TEXTS = [
    "raster", "../../etc/passwd", "/etc/passwd", "file:///etc/passwd", "http://127.0.0.1/", "<script>alert(1)</script>",
    "'; DROP TABLE maps; --", "{x.__class__}", "%00", "\u202e", "\ud83d\ude00", "EPSG:3857", "epsg:4326", "EPSG:0",
    "EPSG:4979", "EPSG:5773", "+proj=merc +nadgrids=/etc/passwd", "urn:ogc:def:crs:EPSG::4326", "OGC:CRS84", "CRS:84",
    "ESRI:54009", "IAU_2015:30100", "png", "jpeg", "image/png; mode=8bit", "default", "a" * 3000, "2026-01-01",
    "2026-01-01/2026-02-01/PT1S", "latest",
]  # fmt: skip
VALUES = st.one_of(st.sampled_from(NUMBERS), st.sampled_from(TEXTS), st.text(max_size=20))
BOXES = st.one_of(
    VALUES,
    st.lists(st.sampled_from([*NUMBERS, "-100", "40", "-96", "44", "180", "90"]), min_size=3, max_size=5).map(",".join),
    st.just("-100,40,-96,44"),
)  # fmt: skip
OWN = ["bbox", "width", "height", "crs", "format", "layers", "product", "time", "transparent", "background", "dpi",
       "lon", "lat", "size", "scale", "request", "service", "version", "styles", "srs", "query_layers", "i", "j", "x",
       "y", "info_format", "layer", "exceptions", "bgcolor"]  # fmt: skip
GOOD = {
    "bbox": "-100,40,-96,44", "width": "20", "height": "20", "crs": "EPSG:4326", "srs": "EPSG:4326", "layers": "raster",
    "layer": "raster", "query_layers": "raster", "request": "GetMap", "lon": "-99", "lat": "42", "i": "1", "j": "1",
}  # fmt: skip
PATHS = [
    "/map",
    "/value",
    "/wms",
    "/regions/north.png",
    "/tiles/raster/3/1/2.png",
    "/legend/raster.png",
    "/tiles/raster.json",
]


@given(
    path=st.sampled_from(PATHS),
    good=st.sets(st.sampled_from(sorted(GOOD))),
    odd=st.dictionaries(st.sampled_from(OWN), VALUES, max_size=4),
    box=BOXES,
    kind=st.sampled_from(["GetMap", "GetFeatureInfo", "GetLegendGraphic", "GetCapabilities"]),
)
@settings(max_examples=EXAMPLES)
def test_any_parameters_get_a_reasoned_answer(client: Client, path, good, odd, box, kind) -> None:
    chosen = {key: GOOD[key] for key in good} | {"request": kind, "bbox": box} | odd
    response = client.get(f"{path}?{urlencode(chosen, errors='surrogatepass')}")
    assert response.status_code in REASONED, response.text
    check_says_nothing(response.text if response.headers["content-type"].startswith(("text", "application")) else "")


@given(
    parts=st.lists(
        st.one_of(st.sampled_from([*TEXTS, "map", "tiles", "v", "wms", "regions", "..", "."]), st.text(max_size=8)),
        max_size=5,
    )
)
@settings(max_examples=EXAMPLES)
def test_any_path_gets_a_reasoned_answer(client: Client, parts: list[str]) -> None:
    path = "/" + "/".join(quote(part, safe="", errors="replace") for part in parts)
    response = client.get(path)
    assert response.status_code in REASONED
    check_says_nothing(response.text if response.status_code >= 400 else "")


def check_says_nothing(text: str) -> None:
    """Check that an answer tells nothing of the machine."""
    for part in ("Traceback", "site-packages", "/tmp/", "/work/", "root:", "columns.tif", 'File "'):
        assert part not in text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "CONNECT"])
def test_only_get_and_head_are_answered(client: Client, method: str) -> None:
    response = client.get("/wms?service=WMS&request=GetCapabilities", method)
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD"


def test_head_has_the_headers_of_get(client: Client) -> None:
    address = "/map?bbox=-100,40,-96,44&width=40&height=40"
    head, get = client.get(address, "HEAD"), client.get(address)
    assert head.content == b""
    assert head.headers["etag"] == get.headers["etag"]


@pytest.mark.parametrize(
    "text", [number for number in NUMBERS if number not in ("0", "-1", "1", "256", "1e9", "1e-300", " 1")]
)
def test_only_plain_decimal_numbers_are_numbers(text: str) -> None:
    with pytest.raises(RequestError):
        parse_number(text, "x", -1e9, 1e9)


@pytest.mark.parametrize("text", [
    "1,2,3", "1,2,3,4,5", "1,2,1,4", "3,2,1,4", "nan,0,1,1", "0,0,1e-320,1", "0,0,inf,1", "1e8,0,100000000.0000001,1",
])  # fmt: skip
def test_a_box_has_four_numbers_and_an_area(text: str) -> None:
    with pytest.raises(RequestError):
        parse_box(text, 256, 256)


@pytest.mark.parametrize("text", [
    "/etc/passwd", "epsg:3857", "+proj=longlat", "EPSG:3857+5773", "EPSG:3857 ", "urn:ogc:def:crs:EPSG::3857", "WKT[1]",
    "http://www.opengis.net/def/crs/EPSG/0/3857", "EPSG:", ":3857", "EPSG:٣٨٥٧",
])  # fmt: skip
def test_a_crs_is_a_code(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_crs(text)
    assert caught.value.code == "InvalidCRS"


def test_a_parameter_occurs_once() -> None:
    with pytest.raises(RequestError, match="twice"):
        Parameters.of([("bbox", "1"), ("BBOX", "2")])
    assert Parameters.of([("service", "WMS"), ("SERVICE", "wms")]).values == {"service": "WMS"}
    with pytest.raises(RequestError, match="more than"):
        Parameters.of([(f"p{number}", "") for number in range(100)])


@pytest.mark.parametrize("address", [
    "/map?bbox=0,0,1,1&width=5000&height=1", "/map?bbox=0,0,1,1&width=4000&height=4000",
    "/regions/north.png?size=4096x4096", "/map?bbox=0,0,1,1&width=10&height=10&layers=" + ",".join(["raster"] * 17),
    "/map?bbox=0,0,1,1&width=10&height=10&dpi=1000000", "/tiles/raster/25/0/0.png", "/tiles/raster/3/8/0.png",
])  # fmt: skip
def test_images_are_bounded(client: Client, address: str) -> None:
    assert client.get(address).status_code in (400, 404)


def test_a_long_address_is_refused(client: Client) -> None:
    assert client.get(f"/map?layers={'a' * 5000}").status_code == 414


def test_echoed_values_are_escaped(client: Client) -> None:
    evil = quote("<script>alert(1)</script>")
    xml = client.get(f"/wms?service=WMS&request={evil}").text
    assert "<script" not in xml
    assert "&lt;script" in xml
    assert json.loads(client.get(f"/map?product={evil}&bbox=1,2,3,4&width=1&height=1").text)["code"] == "NotFound"


@pytest.mark.parametrize(
    "host", ["", "a b", 'x"><script>', "[::1", "a" * 5000, "evil.example/path", "user@evil.example"]
)
def test_an_odd_host_is_not_repeated(client: Client, host: str) -> None:
    response = client.get("/wms?service=WMS&request=GetCapabilities", Host=host)
    assert response.status_code == 200
    assert 'xlink:href="http://localhost/wms?"' in response.text
    assert client.get("/map/?bbox=1,2,3,4", Host="evil.example").status_code == 404


def test_the_host_of_a_request_is_no_part_of_a_key(client: Client) -> None:
    address = "/map?bbox=-100,40,-96,43.5&width=44&height=40"
    first = client.get(address, Host="one.example")
    second = client.get(address, Host="two.example")
    assert second.headers["server-timing"] == "cache"
    assert (second.content, second.headers["etag"]) == (first.content, first.headers["etag"])
    for address in ("/tiles/raster.json", "/ogc/", "/wms?request=GetCapabilities", "/wmts?request=GetCapabilities"):
        answer = client.get(address, Host="one.example")
        assert "http://one.example/" in answer.text
        assert answer.headers["vary"] == "Host"


def test_texts_of_data_files_are_escaped(tmp_path: Path) -> None:
    evil = "</a><script>alert('1')</script>\"&"
    with netcdf_file(write_levels(tmp_path, units=evil), "a") as file:
        file.variables["t"].units = file.variables["t"].long_name = evil
    raster = {"path": tmp_path / "levels.nc", "levels": "all", "time": "all"}
    client = make_client(read_config({**PLAIN_TABLES, "raster": raster}), [])
    for version in ("1.3.0", "1.1.1"):
        ElementTree.fromstring(client.get(f"/wms?request=GetCapabilities&version={version}").text)
    ElementTree.fromstring(client.get("/wmts?request=GetCapabilities").text)
    info = f"{INFO}text/html"
    for address in ("/wms?request=GetCapabilities", "/wmts?request=GetCapabilities", info, f"{info}&time=../.."):
        answer = client.get(address)
        assert answer.status_code == 200
        assert "<script" not in answer.text
    assert client.get("/catalog").headers["content-type"] == "application/json"


def test_all_answers_have_the_headers_of_security(client: Client) -> None:
    for address in ("/map?bbox=-100,40,-96,44&width=4&height=4", "/nowhere", "/wms", "/catalog"):
        headers = client.get(address).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers


def test_other_origins_are_allowed_only_if_the_settings_say_so(new_client) -> None:
    client = new_client(serve={"cors": ["https://maps.example"]})
    allowed = client.get("/ready", Origin="https://maps.example").headers
    assert allowed["access-control-allow-origin"] == "https://maps.example"
    assert "access-control-allow-origin" not in client.get("/ready", Origin="https://evil.example").headers
