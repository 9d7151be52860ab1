"""The service under a path of a proxy or of another program."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from lxml import etree
from service_client import Client
from starlette.applications import Starlette
from starlette.routing import Mount

DOCUMENTS = ["/wms?service=WMS&request=GetCapabilities", "/wms?service=WMS&version=1.1.1&request=GetCapabilities",
             "/wmts?service=WMTS&request=GetCapabilities"]  # fmt: skip


def addresses(client: Client, start: str) -> list[str]:
    """Return all addresses of the service in its documents."""
    found = []
    for document in DOCUMENTS:
        tree = etree.fromstring(client.get(start + document).content)
        found += tree.xpath("//@*[local-name() = 'href' or local-name() = 'template']")
    landing = client.get(f"{start}/ogc/").json()
    collections = client.get(f"{start}/ogc/collections").json()["collections"]
    found += [link["href"] for one in (landing, *collections) for link in one["links"]]
    return [*found, *client.get(f"{start}/tiles/raster.json").json()["tiles"]]


@pytest.mark.parametrize("start", ["", "/maps"])
def test_addresses_name_the_path_of_the_proxy(new_client: Callable[..., Client], start: str) -> None:
    """Some proxies remove the path, others keep it."""
    client = new_client(serve={"root_path": "/maps"})
    found = addresses(client, start)
    assert len(found) > 20
    assert all(address.startswith("http://maps.test/maps/") for address in found)
    [tile] = client.get(f"{start}/tiles/raster.json").json()["tiles"]
    assert client.get(tile.format(z=0, x=0, y=0)).status_code == 200
    for path in ("/", "/page/page.js", "/ready", f"/v/{client.run}/catalog"):
        assert client.get(start + path).status_code == 200, path
    assert client.get("/mapsready").status_code == 404


def test_addresses_name_the_path_at_which_another_program_mounts_the_application(client: Client) -> None:
    mounted = Client(Starlette(routes=[Mount("/inner", client.app)]), client.backend)
    assert all(address.startswith("http://maps.test/inner/") for address in addresses(mounted, "/inner"))
    assert mounted.get("/inner/").status_code == 200


def test_the_host_of_a_request_is_never_kept(client: Client) -> None:
    """A shared cache must ask again for documents with addresses."""
    for document in [*DOCUMENTS, "/ogc/", "/ogc/collections", "/tiles/raster.json"]:
        answer = client.get(document, Host="other.test")
        assert "http://other.test/" in answer.text
        assert answer.headers["cache-control"] == "no-cache"
        assert "Host" in answer.headers["vary"]
        assert "<evil>" not in client.get(document, Host="<evil>").text
