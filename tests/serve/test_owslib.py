"""OWSLib as a client of the Web Map Service, versions 1.1.1 and 1.3.0."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import owslib.map.wms111
import owslib.map.wms130
import pytest
from owslib.util import ServiceException
from owslib.wms import WebMapService
from PIL import Image
from pyproj import Transformer
from service_client import LEVELS, REGIONS, TIMES, Client, columns, make_client, write_raster, write_series

from regionplot.runs.run import render_regions
from regionplot.settings.config import Config
from regionplot.settings.loading import read_config_before_arrival

VERSIONS = ["1.1.1", "1.3.0"]
MODULES = {"1.1.1": owslib.map.wms111, "1.3.0": owslib.map.wms130}
WHOLE = (-100.0, 40.0, -96.0, 44.0)  # west, south, east, north
SIZE = (40, 40)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    folder = tmp_path_factory.mktemp("owslib")
    (folder / "lake.geojson").write_text('{"type": "LineString", "coordinates": [[-98, 41], [-97, 43]]}')
    products = {
        "depth": {"raster": {"path": write_series(folder), "time": "all"}},
        "columns": {"raster": {"path": write_raster(folder / "columns.tif", columns())}},
    }
    tables = {
        "raster": {"path": folder / "columns.tif"},
        "colors": {"levels": LEVELS, "colormap": "viridis"},
        "map": {"style": "plain", "projection": "EPSG:5070", "size": [300, 200]},
        "output": {"directory": folder / "output"},
        "features": [{"path": folder / "lake.geojson"}],
        "run": {"cache": False, "start_method": "serial"},
        "serve": {"title": "Lake <maps>"},
    }
    return read_config_before_arrival({**tables, "products": products})


@pytest.fixture(scope="module")
def served(config: Config) -> Client:
    return make_client(config)


@pytest.fixture(params=VERSIONS)
def wms(request: pytest.FixtureRequest, served: Client, monkeypatch: pytest.MonkeyPatch) -> Any:
    """OWSLib, whose requests go to the application in this process."""
    version = request.param
    monkeypatch.setattr(MODULES[version], "openURL", lambda url, data="", *_, **__: _Opened(served, f"{url}{data}"))
    address = f"/wms?service=WMS&request=GetCapabilities&version={version}"
    return WebMapService("http://maps.test/wms?", version=version, xml=served.get(address).content)


class _Opened(io.BytesIO):
    """An answer, as `owslib.util.openURL` returns it."""

    def __init__(self, client: Client, address: str) -> None:
        self.answer = client.get(address)
        super().__init__(self.answer.content)

    def info(self) -> dict[str, str]:
        return {"Content-Type": self.answer.headers["content-type"]}

    def geturl(self) -> str:
        return str(self.answer.url)


def image(answer: Any) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(answer.read())).convert("RGBA"))


def test_capabilities_describe_the_layers(wms: Any) -> None:
    assert wms.identification.title == "Lake <maps>"
    assert list(wms.contents) == ["depth", "columns", "lake"]
    depth = wms["depth"]
    assert depth.timepositions == TIMES
    assert depth.defaulttimeposition == TIMES[-1]
    assert np.allclose(depth.boundingBoxWGS84, (-100.05, 40.05, -95.95, 44.05))
    assert {"EPSG:3857", "EPSG:4326", "EPSG:5070"} <= set(depth.crsOptions)
    assert depth.queryable == 1
    assert not wms["lake"].queryable
    assert {"image/png", "image/jpeg", "image/webp"} <= set(wms.getOperationByName("GetMap").formatOptions)


def test_the_legends_of_the_styles_are_images(wms: Any, served: Client) -> None:
    for name in ("depth", "columns"):
        assert served.pixels(wms[name].styles["default"]["legend"]).any()


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:5070"])
def test_a_map_has_the_pixels_of_the_route_map(wms: Any, served: Client, crs: str) -> None:
    box = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform_bounds(*WHOLE)
    answer = wms.getmap(layers=["columns"], srs=crs, bbox=box, size=SIZE, format="image/png", transparent=True)
    found = image(answer)
    place = f"bbox={','.join(map(str, box))}&crs={crs}&width=40&height=40"
    assert found[..., 3].any()
    assert np.array_equal(found, served.pixels(f"/map?{place}&product=columns&layers=raster"))


@pytest.fixture(scope="module")
def batch(config: Config) -> tuple[dict[str, Any], np.ndarray]:
    """Place and pixels of the panel of a map that a run has drawn."""
    report = render_regions(REGIONS[:1], config)
    assert not report.failed
    manifest = json.loads((config.output.directory / "manifest.json").read_text())
    [entry] = [each for each in manifest["regions"] if each.get("product") == "columns"]
    place = entry["georeference"]
    left, top, right, bottom = place["pixels"]
    sheet = Image.open(config.output.directory / entry["file"]).convert("RGBA")
    return place, np.asarray(sheet)[top:bottom, left:right]


def test_a_map_has_the_pixels_of_the_map_of_a_run(wms: Any, batch: tuple[dict[str, Any], np.ndarray]) -> None:
    place, panel = batch
    height, width = panel.shape[:2]
    answer = wms.getmap(layers=["columns", "lake"], srs=place["crs"], bbox=place["bounds"], size=(width, height),
                        format="image/png", dpi=100)  # fmt: skip
    inner = (slice(2, -2), slice(2, -2))  # without the neatline
    assert np.array_equal(image(answer)[inner], panel[inner])


def test_a_map_shows_the_time_that_is_asked_for(wms: Any, served: Client) -> None:
    for time in TIMES[:2]:
        answer = wms.getmap(layers=["depth", "lake"], srs="EPSG:4326", bbox=WHOLE, size=SIZE,
                            format="image/png", time=time)  # fmt: skip
        own = served.pixels(f"/map?bbox=-100,40,-96,44&width=40&height=40&time={time}&transparent=false")
        assert np.array_equal(image(answer), own)


def test_the_value_under_a_pixel(wms: Any) -> None:
    answer = wms.getfeatureinfo(
        layers=["columns"], query_layers=["columns"], srs="EPSG:4326", bbox=WHOLE, size=SIZE,
        format="image/png", info_format="application/json", xy=(34, 20),
    )  # fmt: skip
    assert json.loads(answer.read())["value"] == 34.0


def test_a_fault_is_an_exception_of_the_client(wms: Any) -> None:
    with pytest.raises(ServiceException, match="width"):
        wms.getmap(layers=["columns"], srs="EPSG:4326", bbox=WHOLE, size=(0, 40), format="image/png")
