"""The routes of maps: regions, maps of any box, tiles, values."""

from __future__ import annotations

import json

import numpy as np
import pytest
from service_client import REGIONS, Client, columns, write_raster

from regionplot.runs.run import render_regions

WHOLE = "/map?bbox=-100,40,-96,44&width=40&height=40"


def test_a_pixel_of_a_map_is_a_cell_of_the_raster(client: Client) -> None:
    pixels = client.pixels(WHOLE)
    assert (pixels[0, :, 3] == 0).all(), "the first row is missing, so it is transparent"
    assert (pixels[1:, :, 3] == 255).all()
    classes = np.unique(pixels[1].reshape(-1, 4), axis=0)
    assert len(classes) == 4
    for first in (0, 10, 20, 30):
        assert (pixels[1:, first : first + 10] == pixels[1, first]).all()


def test_pixels_outside_the_raster_are_transparent_or_have_the_background(client: Client) -> None:
    box = "/map?bbox=-104,40,-96,44&width=80&height=40"
    assert (client.pixels(box)[:, :40, 3] == 0).all()
    opaque = client.pixels(f"{box}&transparent=false&background=0x102030")
    assert (opaque[:, :40] == (0x10, 0x20, 0x30, 255)).all()
    assert (client.pixels(f"{box}&transparent=false")[:, :40] == 255).all()


@pytest.mark.parametrize("name", ["png", "webp", "jpeg"])
def test_each_format_shows_the_same_map(client: Client, name: str) -> None:
    response = client.get(f"{WHOLE}&format={name}")
    assert response.headers["content-type"] == f"image/{name}"
    shown, expected = client.pixels(f"{WHOLE}&format={name}"), client.pixels(f"{WHOLE}&transparent=false")
    if name != "jpeg":
        expected = client.pixels(WHOLE)
    inner = np.s_[8:32, 13:18, :3]  # away from edges, at which JPEG is not exact
    assert np.abs(shown[inner].astype(int) - expected[inner]).max() <= (10 if name == "jpeg" else 0)


def test_a_map_in_another_crs_shows_the_same_cells(client: Client) -> None:
    box = "-11131949.08,4865942.28,-10686671.12,5465442.18"  # the same box in EPSG:3857
    pixels = client.pixels(f"/map?bbox={box}&crs=EPSG:3857&width=40&height=40")
    assert (pixels[2:] == client.pixels(WHOLE)[2:]).all()


def test_the_tiles_of_a_zoom_level_show_the_map(client: Client) -> None:
    """West and east of a column of tiles, at zoom 6: -101.25 and -95.625 degrees."""
    tile = client.pixels("/tiles/raster/6/14/23.png")
    assert tile.shape == (256, 256, 4)
    assert tile[..., 3].any()
    assert not tile[:, : int(256 * 1.2 / 5.625), 3].any(), "west of the raster"
    assert client.pixels("/tiles/raster/6/14/23.png?scale=2").shape == (512, 512, 4)
    assert not client.pixels("/tiles/raster/6/0/0.png")[..., 3].any()


def test_tile_json_names_tiles_that_exist(client: Client) -> None:
    found = client.get("/tiles/raster.json").json()
    address = found["tiles"][0].format(z=0, x=0, y=0)
    assert address.startswith(f"/v/{client.run}/")
    response = client.get(address)
    assert response.status_code == 200
    assert "immutable" in response.headers["cache-control"]


def test_a_region_has_the_bytes_of_a_run(client: Client, columns_config) -> None:
    report = render_regions(REGIONS[:2], columns_config)
    assert not report.failed
    for region in REGIONS[:2]:
        written = next((columns_config.output.directory).glob(f"{region.name.replace(' ', '*')}.png"))
        response = client.get(f"/regions/{region.name}.png")
        assert response.content == written.read_bytes()


def test_a_region_in_another_size_and_format(client: Client) -> None:
    assert client.pixels("/regions/north.png?size=200x150").shape == (150, 200, 4)
    assert client.get("/regions/north.svg").headers["content-type"].startswith("image/svg+xml")


def test_a_region_outside_the_raster_is_not_found(client: Client) -> None:
    response = client.get("/regions/elsewhere.png")
    assert response.status_code == 404
    assert "outside" in response.json()["error"]


@pytest.mark.parametrize(("lon", "lat", "value"), [(-99.95, 43.85, 0.0), (-96.55, 40.05, 34.0), (-99.95, 43.95, None)])
def test_the_value_of_a_cell(client: Client, lon: float, lat: float, value: float | None) -> None:
    found = client.get(f"/value?lon={lon}&lat={lat}").json()
    assert found["value"] == value
    assert found["run"] == client.run


def test_no_value_outside_the_raster(client: Client) -> None:
    assert client.get("/value?lon=20&lat=10").json()["value"] is None


def test_the_catalog_lists_what_can_be_named(client: Client) -> None:
    found = client.get("/catalog").json()
    assert [product["name"] for product in found["products"]] == ["raster"]
    assert [region["name"] for region in found["regions"]] == [region.name for region in REGIONS]
    assert np.allclose(found["products"][0]["bounds"], [-100, 40, -96, 44])


def test_the_legend_is_an_image(client: Client) -> None:
    pixels = client.pixels("/legend/raster.png?width=300")
    assert 250 < pixels.shape[1] <= 300, "white margins are cut away"
    assert len(np.unique(pixels.reshape(-1, 4), axis=0)) > 4


def test_a_repeated_request_is_answered_without_drawing(client: Client) -> None:
    first = client.get(WHOLE)
    again = client.get(WHOLE, **{"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert client.get(WHOLE).headers["server-timing"] == "cache"


def test_new_data_change_run_etag_and_pixels(new_client) -> None:
    client = new_client()
    config = client.backend.current.catalog  # of the first data
    first = client.get(WHOLE)
    folder = next(iter(client.backend.current._drawer._generation.fields.values())).data.info.path.parent
    write_raster(folder / "columns.tif", columns()[:, ::-1])
    from regionplot.serve.generation import load_generation

    loaded = next(iter(client.backend.current._drawer._generation.fields.values())).data.config
    client.backend.replace(load_generation(loaded, REGIONS))
    second = client.get(WHOLE, **{"If-None-Match": first.headers["etag"]})
    assert second.status_code == 200
    assert second.headers["data-run"] != config.run == first.headers["data-run"]
    assert client.get(f"/v/{config.run}{WHOLE}").status_code == 410


def test_create_app_makes_an_application_for_other_programs(columns_config) -> None:
    """`create_app` loads the data when the application starts."""
    import asyncio

    from regionplot.serve import create_app

    app = create_app(columns_config, REGIONS)
    sent: list[dict] = []

    async def lifespan() -> None:
        started = asyncio.Event()
        inbox = asyncio.Queue()
        await inbox.put({"type": "lifespan.startup"})

        async def send(message: dict) -> None:
            sent.append(message)
            started.set()

        task = asyncio.ensure_future(app({"type": "lifespan"}, inbox.get, send))
        await started.wait()
        messages: list[dict] = []

        async def answer(message: dict) -> None:
            messages.append(message)

        scope = {
            "type": "http", "method": "GET", "path": "/ready", "raw_path": b"/ready", "query_string": b"",
            "headers": [],
        }  # fmt: skip
        await app(scope, inbox.get, answer)
        assert json.loads(messages[1]["body"])["status"] == "ready"
        await inbox.put({"type": "lifespan.shutdown"})
        await task

    asyncio.run(lifespan())
    assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
