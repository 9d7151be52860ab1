"""Requests as bytes: usual, odd, broken and hostile ones."""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import quote_from_bytes

from hypothesis import strategies as st

REASONED = {200, 304, 400, 404, 405, 410, 414, 422, 431}
PATHS = [
    "/map", "/value", "/wms", "/wmts", "/catalog", "/regions", "/regions/north.png", "/tiles/raster/3/1/2.png",
    "/legend/raster.png", "/tiles/raster.json", "/ogc/", "/ogc/collections/raster/map", "/v/0123456789abcdef/map",
    "/ogc/collections/raster/position", "/ogc/collections/raster/map/tiles/WebMercatorQuad/3/2/1", "/ready", "/", "*",
    "/ogc/collections/raster", "/ogc/tileMatrixSets/WebMercatorQuad", "//", "/..", "http://evil.example/map", "",
]  # fmt: skip
NAMES = [
    "bbox", "width", "height", "crs", "format", "layers", "product", "time", "transparent", "background", "dpi", "lon",
    "lat", "size", "scale", "request", "service", "version", "styles", "srs", "query_layers", "i", "j", "x", "y", "f",
    "info_format", "layer", "exceptions", "bgcolor", "coords", "datetime", "bbox-crs", "parameter-name", "elevation",
    "colorscalerange", "numcolorbands", "logscale", "abovemaxcolor", "tilematrixset", "tilematrix", "tilerow", "z",
    "tilecol", "style", "map_resolution", "format_options", "dim_reference_time", "subset", "mm-per-pixel", "wmtver",
]  # fmt: skip
VALUES = st.one_of(
    st.sampled_from([
        b"0", b"1", b"20", b"-1", b"1e9", b"1e-300", b"1e400", b"nan", b"inf", b"1_0", b"0x10", b"", b"9" * 400,
        b"raster", b"raster,raster", b"../../etc/passwd", b"file:///etc/passwd", b"<script>alert(1)</script>",
        b"{x.__class__}", b"%s%n", b"\0", b"\r\nSet-Cookie: a=b", b"\xff\xfe", b"\xe2\x80\xae", b"EPSG:3857", b"png",
        b"EPSG:4326", b"EPSG:0", b"EPSG:4979", b"CRS:84", b"OGC:CRS84", b"+proj=merc", b"urn:ogc:def:crs:EPSG::4326",
        b"default", b"plasma", b"jpeg", b"image/png; mode=8bit", b"2026-01-01", b"2026-01-01/2026-02-01/PT1S", b"auto",
        b"latest", b"GetMap", b"GetFeatureInfo", b"GetCapabilities", b"GetLegendGraphic", b"GetTile", b"WMS", b"WMTS",
        b"1.1.1", b"1.3.0", b"POINT(-99 42)", b"POINT(nan 1)", b"-100,40,-96,44", b"-1e9,-1e9,1e9,1e9", b"0,0,0,0",
        b"-100,40,-100.00000000001,44", b"WebMercatorQuad", b"a" * 3000, b"1,2,3", b"INIMAGE", b"BLANK", b"true",
    ]),
    st.binary(max_size=12),
)  # fmt: skip
GOOD = {
    "bbox": b"-100,40,-96,44", "width": b"20", "height": b"20", "crs": b"EPSG:4326", "srs": b"EPSG:4326", "i": b"1",
    "j": b"1", "x": b"1", "y": b"1", "layers": b"raster", "layer": b"raster", "query_layers": b"raster",
    "request": b"GetMap", "lon": b"-99", "lat": b"42", "coords": b"POINT(-99 42)", "format": b"image/png",
    "service": b"WMS", "tilematrixset": b"WebMercatorQuad", "tilematrix": b"3", "tilerow": b"2", "tilecol": b"1",
}  # fmt: skip
HEADERS = [
    b"Host: a", b"Host: \xff", b"Host:", b"Host: a\r\nHost: b", b"Connection: close", b"Connection: upgrade",
    b"Upgrade: websocket", b"Upgrade: h2c", b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 1e3",
    b"Content-Length: 99999999999999999999", b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked, identity",
    b"Content-Length: 3\r\nTransfer-Encoding: chunked", b"Expect: 100-continue", b"Expect: nothing", b"no colon",
    b": no name", b"A: \0", b"A: \x01", b"A: b\r\n folded", b"A : space", b"If-None-Match: *", b'If-None-Match: "\xff',
    b"Range: bytes=0-1,2-3,5-", b"X-Forwarded-Host: evil.example", b"X-Forwarded-Proto: \xff", b"A: " + b"a" * 70_000,
    b"Accept-Encoding: \xff;q=nan", b"Origin: null", b"Cookie: " + b"a=b; " * 900, b"Content-Type: text/xml",
]  # fmt: skip
BODIES = [b"", b"", b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"zz\r\nhello", b"FFFFFFFFFFFFFFFFF\r\n", b"\0" * 1000,
          b"-1\r\n", b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>", b"5;" + b"a" * 9000]  # fmt: skip
BROKEN = [
    b"", b"\r\n\r\n", b"GET", b"GET /map", b"GET /map\r\n", b"GET /map\r\n\r\n", b"GET /map HTTP/1.1\r\nHost: a\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0" * 500,
    b"GET /\xff\xfe HTTP/1.1\r\n\r\n", b"GET /map\0 HTTP/1.1\r\n\r\n", b"GET  /map HTTP/1.1\r\n\r\n", b"\xff" * 3000,
    b"GET /map HTTP/9.9\r\n\r\n", b"GET /map HTTP/1.1 extra\r\n\r\n", b"get /map HTTP/1.1\r\n\r\n", b"A" * 100_000,
    b"GET /map HTTP/1.1\nHost: a\n\n", b"GET /" + b"a" * 90_000 + b" HTTP/1.1\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\n\r\n",
    b"GET /map HTTP/1.1\r\n" + b"A: b\r\n" * 9000 + b"\r\n", b"OPTIONS * HTTP/1.1\r\n\r\n", b"GET ?a HTTP/1.1\r\n\r\n",
    b"GET http:// HTTP/1.1\r\n\r\n", b"GET http://[::1/map HTTP/1.1\r\n\r\n", b"GET :80 HTTP/1.1\r\n\r\n", b"\r\n" * 99,
    b"GET /%zz%2 HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /map?%%%=%zz HTTP/1.1\r\nHost: a\r\n\r\n", b"<xml/>\r\n\r\n",
    b"POST /wms HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n" + b"a" * 70_000, b"SOURCE / ICE/1.0\r\n\r\n",
]  # fmt: skip


@dataclass(frozen=True)
class OddRequest:
    """Bytes for one connection."""

    content: bytes
    is_http: bool
    """True if at least one answer is needed. Otherwise, the service may also close the connection."""

    def __repr__(self) -> str:
        return f"<{self.content[:1000]!r}, {len(self.content)} bytes>"


def _request(method: str, target: bytes, version: str, headers: list[bytes], body: bytes) -> bytes:
    lines = [f"{method} ".encode() + target + f" HTTP/{version}".encode(), *headers]
    return b"\r\n".join([*lines, b"", body])


_quoted = VALUES.map(lambda value: quote_from_bytes(value).encode())
_query = st.fixed_dictionaries(
    {}, optional={name: st.one_of(st.just(quote_from_bytes(GOOD[name]).encode()), _quoted) for name in GOOD}
).map(lambda found: b"&".join(name.encode() + b"=" + value for name, value in found.items()))
_more = st.lists(st.tuples(st.sampled_from(NAMES), _quoted), max_size=4).map(
    lambda pairs: b"&".join(name.encode() + b"=" + value for name, value in pairs)
)
_steps = st.lists(st.one_of(_quoted, st.sampled_from([b"map", b"tiles", b"v", b"ogc", b"..", b"%2e%2e"])), max_size=5)
_path = st.one_of(st.sampled_from(PATHS[:16]).map(str.encode), _steps.map(lambda steps: b"/" + b"/".join(steps)))
_target = st.tuples(_path, _query, _more).map(lambda parts: parts[0] + b"?" + parts[1] + b"&" + parts[2])
_usual = _target.map(
    lambda target: OddRequest(_request("GET", target, "1.1", [b"Host: a", b"Connection: close"], b""), is_http=True)
)
_odd_headers = st.builds(
    _request,
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "BREW", "G\0T", ""]),
    st.one_of(_target, st.sampled_from(PATHS).map(str.encode), st.binary(max_size=30)),
    st.sampled_from(["1.1", "1.1", "1.0", "0.9", "2.0", "1.10", "x"]),
    st.lists(st.sampled_from(HEADERS), max_size=3),
    st.sampled_from(BODIES),
)
_odd = st.one_of(_odd_headers, st.lists(_odd_headers, min_size=2, max_size=5).map(b"".join), st.sampled_from(BROKEN))
_cut = st.tuples(_odd, st.integers(0, 200)).map(lambda pair: pair[0][: pair[1]])
odd_requests = st.one_of(_usual, _usual, st.one_of(_odd, _cut).map(lambda content: OddRequest(content, is_http=False)))


def answer_to(request: OddRequest, port: int) -> bytes:
    """Send a request over a connection of its own, and return what comes back until the service closes it."""
    found = []
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection, suppress(ConnectionError):
        connection.sendall(request.content)
        if not request.is_http:
            with suppress(OSError):  # the service may have closed the connection before
                connection.shutdown(socket.SHUT_WR)
        while part := connection.recv(65_536):
            found.append(part)
    return b"".join(found)


def check_answer(request: OddRequest, port: int) -> int:
    """Check that the answer has a usual status and a reason. Return the status, or 0 if there is no answer."""
    found = answer_to(request, port)
    if not found and not request.is_http:
        return 0
    head, _, body = found.partition(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 100 "):
        head, _, body = body.partition(b"\r\n\r\n")
        if not head:
            return 100
    status = int(head.split(b" ", 2)[1])
    assert status in REASONED, found[:500]
    assert status < 400 or body or status == 431 or request.content.startswith(b"HEAD"), found
    assert b"\r\nset-cookie" not in head.lower(), found[:500]
    for part in (b"Traceback", b"site-packages", b"/tmp/", b"root:", b"columns.tif"):
        assert part not in body, found[:500]
    return status
