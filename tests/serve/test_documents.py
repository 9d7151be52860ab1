"""The documents of the service against the schemas and models of other packages."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import morecantile
import pytest
from lxml import etree
from service_client import LEVELS, Client, columns, make_client, write_raster, write_series

from regionplot.settings.loading import read_config_before_arrival

Check = Callable[[bytes], object]
_MAPPROXY = find_spec("mapproxy")
WMS, WMTS = "/wms?service=WMS&version={}&request={}", "/wmts?service=WMTS&request={}"


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> Client:
    """A service with odd names, several times, a projection, and layers."""
    folder = tmp_path_factory.mktemp("documents")
    (folder / "lake.geojson").write_text('{"type": "Point", "coordinates": [-98, 42]}')
    tables = {
        "raster": {"path": write_raster(folder / "plain.tif", columns())},
        "colors": {"levels": LEVELS, "colormap": "viridis", "label": 'Depth <m> & "more"'},
        "map": {"style": "plain", "projection": "EPSG:5070"},
        "features": [{"path": folder / "lake.geojson"}],
        "run": {"cache": False},
        "serve": {"title": 'Maps <of> & "all"', "attribution": "Us & them"},
        "products": {
            "depth": {"raster": {"path": write_series(folder), "time": "all"}},
            "plain + 深さ": {"raster": {"path": folder / "plain.tif"}},
        },
    }
    return make_client(read_config_before_arrival(tables))


def schema(name: str) -> Check:
    """Return a function that checks a document against a schema or DTD of OGC, which MapProxy ships."""
    if _MAPPROXY is None or _MAPPROXY.origin is None:
        pytest.skip("MapProxy is not installed")
    path = Path(_MAPPROXY.origin).parent / "test" / "schemas" / name
    found = etree.DTD(str(path)) if path.suffix == ".dtd" else etree.XMLSchema(etree.parse(path))
    return lambda content: found.assertValid(etree.fromstring(content))


@pytest.mark.parametrize(("address", "name"), [
    (WMS.format("1.3.0", "GetCapabilities"), "wms/1.3.0/capabilities_1_3_0.xsd"),
    (WMS.format("1.1.1", "GetCapabilities"), "wms/1.1.1/capabilities_1_1_1.dtd"),
    (WMTS.format("GetCapabilities"), "wmts/1.0/wmtsGetCapabilities_response.xsd"),
    (WMS.format("1.3.0", "GetMap"), "wms/1.3.0/exceptions_1_3_0.xsd"),
    (WMS.format("1.1.1", "GetMap"), "wms/1.1.1/exception_1_1_1.dtd"),
    (WMTS.format("GetTile"), "ows/1.1.0/owsExceptionReport.xsd"),
])  # fmt: skip
def test_xml_is_valid(documented: Client, address: str, name: str) -> None:
    schema(name)(documented.get(address).content)


def test_documents_of_edr_are_valid(documented: Client) -> None:
    pytest.importorskip("edr_pydantic")
    from edr_pydantic.capabilities import ConformanceModel, LandingPageModel
    from edr_pydantic.collections import Collections

    landing = documented.get("/ogc/").json()
    del landing["attribution"]  # of OGC API - Common
    LandingPageModel.model_validate(landing)
    ConformanceModel.model_validate(documented.get("/ogc/conformance").json())
    found = documented.get("/ogc/collections").json()
    for collection in found["collections"]:
        del collection["storageCrs"]  # of OGC API - Maps
    Collections.model_validate_json(json.dumps(found))


@pytest.mark.parametrize("name", ["depth", "plain + 深さ"])
def test_values_at_a_point_are_valid_coverages(documented: Client, name: str) -> None:
    coverage = pytest.importorskip("covjson_pydantic.coverage").Coverage
    content = documented.get(f"/ogc/collections/{name}/position?coords=POINT(-98.95 42.05)").content
    assert list(coverage.model_validate_json(content).ranges) == [name]


def test_the_description_is_valid_openapi(documented: Client) -> None:
    validate = pytest.importorskip("openapi_spec_validator").validate
    validate(documented.get("/ogc/api").json())


def test_tile_matrix_sets_are_valid_and_those_of_morecantile(documented: Client) -> None:
    for each in documented.get("/ogc/tileMatrixSets").json()["tileMatrixSets"]:
        document = documented.get(f"/ogc/tileMatrixSets/{each['id']}").json()
        found, known = morecantile.TileMatrixSet.model_validate(document), morecantile.tms.get(each["id"])
        assert [one.cellSize for one in found] == [one.cellSize for one in known]


def test_addresses_in_documents_need_no_more_quoting(documented: Client) -> None:
    """Names of products can contain spaces and letters of any language."""
    [_, second] = documented.get("/ogc/collections").json()["collections"]
    hrefs = [link["href"] for link in second["links"] if not link["href"].endswith("position")]
    capabilities = documented.get(WMS.format("1.3.0", "GetCapabilities")).content
    hrefs += etree.fromstring(capabilities).xpath("//*[local-name() = 'LegendURL']//@*[local-name() = 'href']")
    hrefs += [documented.get("/tiles/plain + 深さ.json").json()["tiles"][0].format(x=0, y=0, z=0)]
    for href in hrefs:
        assert href.isascii()
        assert " " not in href
        assert documented.get(href).status_code == 200, href


def test_addresses_of_a_run_name_the_run(documented: Client) -> None:
    start = f"/v/{documented.run}"
    for address in (WMS.format("1.1.1", "GetCapabilities"), WMTS.format("GetCapabilities")):
        tree = etree.fromstring(documented.get(f"{start}{address}").content)
        hrefs = tree.xpath("//@*[local-name() = 'href' or local-name() = 'template']")
        assert hrefs
        assert all(href.startswith(f"http://maps.test{start}/") for href in hrefs)
    [href] = {link["href"] for link in documented.get(f"{start}/ogc/").json()["links"] if link["rel"] == "data"}
    assert href == f"http://maps.test{start}/ogc/collections"
    place = "&layers=depth&crs=CRS:84&bbox=-100,40,-96,44&width=9&height=9"
    image = documented.get(start + WMS.format("1.3.0", "GetMap") + place)
    assert "immutable" in image.headers["cache-control"]
