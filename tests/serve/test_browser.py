"""The page in Chromium."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from service_client import TIMES, columns, write_raster, write_series
from service_process import ServiceProcess, running_service

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

SETTINGS = """
[serve]
title = "Test <maps>"
workers = 1
[raster]
path = "series.nc"
time = "all"
[colors]
levels = [0, 10, 20, 30, 40]
[map]
size = [200, 150]
projection = "+proj=lcc +lat_0=42 +lon_0=-98 +lat_1=41 +lat_2=43 +R=6371229"
[run]
cache = false
"""
TABLE = "name,west,east,south,north,title\nnorth,-100,-97,42,44,North\nsouth,-100,-97,40,42,South <b>\n"
SETTLE = 15_000
PATIENCE = 30


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    folder = tmp_path_factory.mktemp("page")
    write_series(folder)
    (folder / "regionplot.toml").write_text(SETTINGS)
    (folder / "regions.csv").write_text(TABLE)
    with running_service(folder, "regions.csv") as started:
        started.wait_until_ready()
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser, service: ServiceProcess, request: pytest.FixtureRequest) -> Iterator[object]:
    """A page whose errors fail the test, and whose requests stay on this machine."""
    width, height = getattr(request, "param", (1100, 700))
    faults: list[str] = []
    opened = browser.new_page(viewport={"width": width, "height": height})
    opened.on("console", lambda message: message.type in ("error", "warning") and faults.append(message.text))
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("request", lambda sent: urlsplit(sent.url).hostname in ("127.0.0.1", None) or faults.append(sent.url))
    opened.goto(f"http://127.0.0.1:{service.port}/")
    until(opened, "document.querySelectorAll('#regions li').length === 2")
    yield opened
    opened.close()
    assert [fault for fault in faults if "410" not in fault] == []


def until(page, expression: str) -> None:
    """Wait until an expression is true. Playwright's own function needs a page that allows `eval`."""
    deadline = time.monotonic() + PATIENCE
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(50)


def query(page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def test_regions_are_listed_and_the_address_holds_the_state(page) -> None:
    assert page.locator("#regions li").all_inner_texts() == ["North\n⤢", "South <b>\n⤢"]
    assert page.title() == "Test <maps>"
    page.locator("button.region", has_text="South").click()
    until(page, "new URLSearchParams(location.search).get('lat') < 41.5")
    assert query(page)["region"] == "south"
    page.reload()
    page.wait_for_selector("#regions [aria-current=true]", timeout=SETTLE)
    assert page.locator("#regions [aria-current=true]").inner_text() == "South <b>"


def test_the_data_fill_the_map_at_first(page) -> None:
    """At zoom level 7, the data have 373 x 490 pixels. They fit into the map, but not above the legend."""
    until(page, "new URLSearchParams(location.search).has('zoom')")
    box = page.locator("#map").bounding_box()
    assert 490 < box["height"] < 2 * 490
    assert query(page)["zoom"] == "7"


def test_the_map_is_panned_and_a_click_shows_the_value_and_its_series(page) -> None:
    box = page.locator("#map").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    before = query(page)["lon"]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y, steps=4)
    page.wait_for_timeout(200)
    page.mouse.up()
    until(page, f"new URLSearchParams(location.search).get('lon') !== '{before}'")
    page.mouse.click(x, y)
    page.wait_for_selector("#series-chart circle", timeout=SETTLE)
    assert page.locator("#series-chart circle").count() == len(TIMES)
    assert page.locator("#readout b").inner_text() in ("0 m", "10 m", "20 m")
    page.keyboard.press("Escape")
    assert page.locator("#series").is_hidden()


def test_keys_choose_times_and_regions_and_open_the_whole_map(page) -> None:
    page.keyboard.press("j")
    assert query(page)["region"] == "north"
    page.locator("#map-frame").focus()
    page.keyboard.press("[")
    assert query(page)["time"] in TIMES
    page.keyboard.press("Enter")
    until(page, "document.getElementById('sheet-image').naturalWidth === 200")
    assert page.locator("#sheet-links a").first.get_attribute("href").startswith("v/")
    page.keyboard.press("Escape")
    assert page.locator("#sheet").is_hidden()


def test_a_new_raster_appears_by_itself(page, service: ServiceProcess) -> None:
    old = page.locator("#legend-image").get_attribute("src")
    write_series(service.errors.parent, add=5)
    until(page, f"document.getElementById('legend-image').getAttribute('src') !== '{old}'")
    page.locator("#map-frame").focus()
    page.keyboard.press("v")
    until(page, "/^(5|15|25) m$/.test(document.querySelector('#readout b')?.textContent)")


def test_images_that_a_busy_service_refuses_are_asked_for_again(browser, service: ServiceProcess) -> None:
    refused: list[str] = []

    def refuse_once(route) -> None:
        address = route.request.url
        if address in refused:
            route.continue_()
        else:
            refused.append(address)
            route.fulfill(status=503, headers={"Retry-After": "1"}, json={"error": "busy"})

    opened = browser.new_page(viewport={"width": 800, "height": 600})
    for pattern in ("**/tiles/**", "**/legend/**", "**/v/*/map?**"):
        opened.route(pattern, refuse_once)
    opened.goto(f"http://127.0.0.1:{service.port}/")
    until(opened, "document.getElementById('late').textContent.includes('late')")
    until(opened, "document.getElementById('late').textContent === ''")
    until(opened, "[...document.querySelectorAll('.region img, #legend-image')].every(each => each.naturalWidth > 0)")
    assert any("/tiles/" in address for address in refused)
    opened.close()


def test_the_map_can_have_the_projection_of_the_whole_maps_without_a_code(page) -> None:
    with page.expect_response(lambda found: "CRS=LOCAL%3AMAP" in found.url) as image:
        page.locator("#projection").select_option("own")
    assert image.value.status == 200
    assert query(page)["projection"] == "own"
    page.keyboard.press("Tab")
    page.locator("#skip").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("v")
    until(page, "/m$/.test(document.querySelector('#readout b')?.textContent)")


@pytest.mark.parametrize("page", [(1100, 700), (390, 760)], indirect=True, ids=["desktop", "phone"])
def test_the_page_is_accessible_and_fits(page) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe.Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("#map").bounding_box()["height"] > 250


def test_a_photo_without_regions_has_the_whole_window_and_no_empty_legend(browser, tmp_path: Path) -> None:
    profile = {"driver": "GTiff", "width": 40, "height": 40, "count": 3, "dtype": "uint8", "photometric": "RGB"}
    with rasterio.open(
        tmp_path / "a.tif", "w", crs="EPSG:4326", transform=from_origin(8, 48, 0.1, 0.1), **profile
    ) as file:
        file.write(np.full((3, 40, 40), 99, dtype="uint8"))
    write_raster(tmp_path / "b.tif", columns())
    write_raster(tmp_path / "world.tif", columns(20, 40), west=-180, north=90, cell=9)
    with running_service(tmp_path, str(tmp_path)) as started:
        started.wait_until_ready()
        for width, zoom in ((1100, 2), (400, 1)):
            opened = browser.new_page(viewport={"width": width, "height": 700})
            opened.goto(f"http://127.0.0.1:{started.port}/")
            until(opened, "document.querySelector('#legend-image').naturalWidth === 1")
            until(opened, "document.querySelector('#legend').hidden")
            assert opened.locator("#map").bounding_box()["width"] == width
            opened.locator("#product").select_option("b")
            until(opened, "!document.querySelector('#legend').hidden")
            opened.goto(f"http://127.0.0.1:{started.port}/?product=world")
            until(opened, "new URLSearchParams(location.search).has('zoom')")
            assert float(query(opened)["zoom"]) == zoom, "the map shows as many longitudes as it can"
            opened.close()
