"""The routes of maps: regions, maps of any box, tiles, values."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from service_client import REGIONS, Client, columns, write_raster

from regionplot.runs.run import render_regions
from regionplot.serve.metatiles import Metatile, TileMatrix
from regionplot.serve.request import MapRequest, tile_box

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


def test_the_crs_of_the_maps_needs_no_code(new_client) -> None:
    """The page uses it for projections that only a PROJ string describes."""
    plain = "+proj=laea +lat_0=42 +lon_0=-98 +R=6371000"
    client = new_client(map={"style": "plain", "projection": plain})
    product = client.get("/catalog").json()["products"][0]
    assert product["crs"] == ""
    place = f"bbox={','.join(map(str, product['own_bounds']))}&width=40&height=40"
    found = client.pixels(f"/map?{place}&crs=LOCAL:MAP")
    wms = "/wms?service=WMS&version=1.3.0&request=GetMap&layers=raster&transparent=true&crs=LOCAL:MAP"
    assert np.array_equal(found, client.pixels(f"{wms}&{place}"))
    colors = {tuple(color) for color in found.reshape(-1, 4)}
    assert any(alpha == 0 for *_, alpha in colors), "the corners lie outside the raster"
    assert len(colors) == 5


def test_the_tiles_of_a_zoom_level_show_the_map(client: Client) -> None:
    """West and east of a column of tiles, at zoom 6: -101.25 and -95.625 degrees."""
    tile = client.pixels("/tiles/raster/6/14/23.png")
    assert tile.shape == (256, 256, 4)
    assert tile[..., 3].any()
    assert not tile[:, : int(256 * 1.2 / 5.625), 3].any(), "west of the raster"
    assert client.pixels("/tiles/raster/6/14/23.png?scale=2").shape == (512, 512, 4)
    assert not client.pixels("/tiles/raster/6/0/0.png")[..., 3].any()


@pytest.mark.parametrize("is_pinned", [True, False])
def test_tile_json_names_tiles_of_the_run_or_of_the_newest_data(client: Client, is_pinned: bool) -> None:
    start = f"/v/{client.run}" if is_pinned else ""
    found = client.get(f"{start}/tiles/raster.json").json()
    address = found["tiles"][0].format(z=0, x=0, y=0)
    assert address == f"http://maps.test{start}/tiles/raster/0/0/0.png"
    response = client.get(address)
    assert response.status_code == 200
    assert ("immutable" in response.headers["cache-control"]) == is_pinned


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
    assert client.get(f"/v/{config.run}{WHOLE}").content == first.content
    client.backend.forget()
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


@pytest.mark.parametrize("colors", [
    {"levels": [10, 20, 30, 40], "colormap": "viridis", "under": "none"},
    {"vmin": 10, "vmax": 40, "colormap": "viridis", "under": "none"},
    {"classes": [{"value": value, "color": "red"} for value in range(10, 40)]},
])  # fmt: skip
@pytest.mark.parametrize("layers", ["", "&layers=raster"])
def test_values_without_a_color_are_transparent(new_client, colors: dict, layers: str) -> None:
    pixels = new_client(colors=colors).pixels(WHOLE + layers)
    assert (pixels[1:, :10, 3] == 0).all()
    assert (pixels[1:, 10:, 3] == 255).all()


def write_line(path: Path, *points: tuple[float, float]) -> Path:
    """Write a GeoJSON file with one line."""
    geometry = {"type": "LineString", "coordinates": points}
    path.write_text(json.dumps({"type": "Feature", "properties": {}, "geometry": geometry}))
    return path


@pytest.fixture
def lined(new_client, tmp_path: Path) -> Callable[..., Client]:
    """A function that makes a client with a horizontal line in the south, and a vertical line in the west."""
    across = write_line(tmp_path / "across.geojson", (-104, 41), (-90, 41))
    down = write_line(tmp_path / "down.geojson", (-99, 30), (-99, 50))

    def make(first: str, second: str) -> Client:
        layers = [
            {"path": across, "linewidth": 3, "edgecolor": first}, {"path": down, "linewidth": 3, "edgecolor": second},
        ]  # fmt: skip
        return new_client(features=layers)

    return make


@pytest.mark.parametrize("colors", [("black", "black"), ("#0000ff", "#ff0000")])
def test_lines_lie_over_data_and_over_nothing(lined, colors: tuple[str, str]) -> None:
    """One dark ink gives a palette image, and two inks give an RGBA image."""
    client = lined(*colors)
    pixels = client.pixels("/map?bbox=-104,40,-96,44&width=320&height=160")
    row, column = 120, 200
    for ink, place in zip(colors, ((row, 10), (60, column)), strict=True):
        shown = tuple(pixels[place].tolist())
        assert shown == (*bytes.fromhex({"black": "000000"}.get(ink, ink[1:])), 255)
    assert pixels[row, 300, 3] == 255
    assert pixels[row - 8, 10, 3] == pixels[row + 8, 10, 3] == 0


def test_layers_are_drawn_in_the_order_of_the_request(lined) -> None:
    client = lined("#0000ff", "#ff0000")
    box = "/map?bbox=-100,40,-96,44&width=160&height=160&layers="
    crossing = 120, 40
    assert tuple(client.pixels(f"{box}raster,across,down")[crossing]) == (255, 0, 0, 255)
    assert tuple(client.pixels(f"{box}raster,down,across")[crossing]) == (0, 0, 255, 255)
    below = client.pixels(f"{box}across,raster,down")
    assert tuple(below[120, 100]) == tuple(below[100, 100]), "the raster hides the line"
    alone = client.pixels(f"{box}down")
    assert (alone[:, :30, 3] == 0).all()
    assert alone[80, 40, 3] == 255


def test_a_line_is_not_cut_at_the_edge_of_a_tile(lined) -> None:
    """The pixels of tiles side by side are those of one image."""
    client = lined("black", "black")
    zoom, x, y = 8, 57, 95
    size = 2 * 20_037_508.342789244 / 2**zoom
    xmin, ymax = x * size - 20_037_508.342789244, 20_037_508.342789244 - y * size
    box = f"{xmin},{ymax - 2 * size},{xmin + 2 * size},{ymax}"
    whole = client.pixels(f"/map?bbox={box}&crs=EPSG:3857&width=512&height=512")
    rows = [[client.pixels(f"/tiles/raster/{zoom}/{x + i}/{y + j}.png") for i in (0, 1)] for j in (0, 1)]
    tiles = np.vstack([np.hstack(row) for row in rows])
    assert np.abs(tiles.astype(int) - whole).max() <= 24
    assert (whole[..., :3].sum(axis=2) < 60).any()


def test_labels_are_not_cut_at_the_edges_of_tiles(new_client, tmp_path: Path) -> None:
    """The tiles of a metatile are the pieces of one image with all labels."""
    points = [
        {"type": "Feature", "properties": {"name": "LONG NAME"}, "geometry": {"type": "Point", "coordinates": place}}
        for place in [(-98.5, 42.0), (-97.1, 41.3), (-99.9, 43.1)]
    ]
    (tmp_path / "places.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": points}))
    client = new_client(labels=[{"path": tmp_path / "places.geojson", "name": "name"}])
    zoom, x, y = 8, 56, 92
    size = 2 * 20_037_508.342789244 / 2**zoom
    xmin, ymax = x * size - 20_037_508.342789244, 20_037_508.342789244 - y * size
    box = f"{xmin},{ymax - 4 * size},{xmin + 4 * size},{ymax}"
    whole = client.pixels(f"/map?bbox={box}&crs=EPSG:3857&width=1024&height=1024")
    plain = client.pixels(f"/map?bbox={box}&crs=EPSG:3857&width=1024&height=1024&layers=raster")
    labels = (whole != plain).any(axis=2)
    assert labels[:, 255:257].any() or labels[255:257].any() or labels[:, 511:513].any() or labels[511:513].any()
    rows = [[client.pixels(f"/tiles/raster/{zoom}/{x + i}/{y + j}.png") for i in range(4)] for j in range(4)]
    assert (np.vstack([np.hstack(row) for row in rows]) == whole).all()


@pytest.mark.parametrize(("zoom", "column", "row", "shape"), [(0, 0, 0, (1, 1)), (1, 1, 0, (2, 2)), (5, 7, 30, (4, 4))])
def test_a_metatile_holds_its_tile(zoom: int, column: int, row: int, shape: tuple[int, int]) -> None:
    tile = MapRequest("raster", ("raster",), tile_box(zoom, column, row), "EPSG:3857", 256, 256)
    found = Metatile.around(tile, column, row, TileMatrix(2**zoom, 2**zoom, partial(tile_box, zoom)))
    assert found.tiles[found.position] == tile
    assert (found.request.rows, found.request.columns) == shape
    assert found.request.whole.box[0] == found.tiles[0].box[0]
    assert found.request.whole.box[1] == found.tiles[-1].box[1]
