"""The files of the page, without a browser."""

from __future__ import annotations

import re

import pytest
from service_client import Client

from regionplot.serve.routes_page import page_files

SOURCES = sorted(name for name in page_files() if name.endswith(".js") and name != "openlayers.js")


def test_the_page_and_its_files_are_served(client: Client) -> None:
    index = client.get("/")
    assert (index.status_code, index.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for address in re.findall(r'(?:href|src)="(page/[^"]+)"', index.text):
        assert client.get(f"/{address}").status_code == 200


def test_a_file_that_has_not_changed_is_not_sent_again(client: Client) -> None:
    first = client.get("/page/page.js")
    again = client.get("/page/page.js", **{"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("address", ["/page/openlayers.js", "/catalog", "/regions"])
def test_long_files_are_compressed_if_the_browser_understands_it(client: Client, address: str) -> None:
    for encodings, expected in (
        ("gzip, deflate, br", "gzip"), ("br, gzip;q=0.5", "gzip"), ("identity", None), ("gzip;q=0", None),
        ("gzip; q=0.0", None), ("xgzip", None), ("", None),
    ):  # fmt: skip
        answer = client.get(address, **{"Accept-Encoding": encodings})
        assert answer.headers.get("content-encoding") == expected, encodings
        assert "Accept-Encoding" in answer.headers["vary"]
        assert answer.content == client.get(address, **{"Accept-Encoding": "identity"}).content
    assert int(client.get("/page/openlayers.js").headers["content-length"]) < 200_000


@pytest.mark.parametrize("name", ["none.js", "..%2Fapp.py", "%2e%2e/app.py", "openlayers/package.json", "", "Page.js"])
def test_other_files_are_not_served(client: Client, name: str) -> None:
    assert client.get(f"/page/{name}").status_code in (307, 400, 404)


def test_the_policy_allows_only_files_of_the_service(client: Client) -> None:
    index = client.get("/")
    policy = index.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert {"default-src 'none'", "script-src 'self'"} <= {each.strip() for each in policy.split(";")}
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=", index.text)


@pytest.mark.parametrize("name", SOURCES)
def test_all_imported_names_exist(name: str) -> None:
    """Browsers load the modules as they are, so a wrong name would only show in a browser."""
    files = {each: page.content.decode() for each, page in page_files().items() if each.endswith(".js")}
    for names, module in re.findall(r'import \{([^}]+)\} from "\./([\w.]+)"', files[name]):
        source = files[module]
        exported = set(re.findall(r"export (?:async )?(?:function|class|const) (\w+)", source))
        for group in re.findall(r"export\s*\{([^}]+)\}", source):
            exported |= {part.split(" as ")[-1].strip() for part in group.split(",")}
        assert {each.strip() for each in names.split(",") if each.strip()} <= exported


def test_the_page_names_no_other_host() -> None:
    """The licenses, and the namespace of SVG, are no requests."""
    for name, page in page_files().items():
        hosts = set(re.findall(rb"https?://[^\s\"'`)<>]+", page.content)) - {b"http://www.w3.org/2000/svg"}
        if name not in ("openlayers.js", "openlayers-licenses.txt"):
            assert not hosts, name
