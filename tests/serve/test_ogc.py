"""OGC API - Maps, Tiles and EDR."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import morecantile
import numpy as np
import pytest
from service_client import TIMES, Client, write_series

MAP = "/ogc/collections/raster/map"
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"


def links_of(document: dict[str, Any]) -> dict[str, str]:
    return {link["rel"]: link["href"] for link in document["links"]}


def test_all_links_of_the_landing_page_and_of_a_collection_lead_to_answers(client: Client) -> None:
    landing = client.get("/ogc/").json()
    collections = client.get(links_of(landing)["data"]).json()["collections"]
    for document in (landing, *collections):
        for link in document["links"]:
            answer = client.get(link["href"])
            needs_point = link["href"].endswith("/position")
            assert answer.status_code == (400 if needs_point else 200), link
            if not needs_point:
                assert answer.headers["content-type"].split(";")[0] == link["type"].split(";")[0]


def test_a_map_without_a_box_shows_the_whole_raster(client: Client) -> None:
    pixels = client.pixels(f"{MAP}?width=40&f=png")
    assert np.array_equal(pixels, client.pixels("/map?bbox=-100,40,-96,44&width=40&height=40&dpi=90.714286"))


@pytest.mark.parametrize(
    ("query", "own"),
    [
        ("bbox=-100,40,-96,44", "bbox=-100,40,-96,44"),
        ("bbox=40,-100,44,-96&bbox-crs=[EPSG:4326]", "bbox=-100,40,-96,44&crs=EPSG:4326"),
        ("bbox=40,-100,44,-96&bbox-crs=http://www.opengis.net/def/crs/EPSG/0/4326", "bbox=-100,40,-96,44"),
        ("bbox=-11e6,5e6,-10.8e6,5.2e6&bbox-crs=EPSG:3857", "bbox=-11e6,5e6,-10.8e6,5.2e6&crs=EPSG:3857"),
    ],
)  # fmt: skip
def test_the_axes_of_a_box_are_those_of_its_crs(client: Client, query: str, own: str) -> None:
    size = "&width=50&height=50"
    assert np.array_equal(client.pixels(f"{MAP}?{query}{size}"), client.pixels(f"/map?{own}{size}&dpi=90.714286"))


def test_a_box_in_degrees_is_projected_to_the_crs_of_the_map(client: Client) -> None:
    west, south, east, north = (-11131949.079327, 4865942.279503, -10686671.116154, 5465442.183323)
    found = client.pixels(f"{MAP}?bbox=-100,40,-96,44&crs=EPSG:3857&width=60&height=60")
    own = client.pixels(f"/map?bbox={west},{south},{east},{north}&crs=EPSG:3857&width=60&height=60&dpi=90.714286")
    assert (found == own).all(axis=2).mean() > 0.99


@pytest.mark.parametrize(
    ("name", "zoom"), [("WebMercatorQuad", 6), ("WorldCRS84Quad", 5), ("EuropeanETRS89_LAEAQuad", 3)]
)
def test_tiles_show_the_box_that_morecantile_gives(client: Client, name: str, zoom: int) -> None:
    tiles = morecantile.tms.get(name)
    tile = tiles.tile(-98, 42, zoom) if name != "EuropeanETRS89_LAEAQuad" else tiles.tile(10, 50, zoom)
    box = ",".join(f"{edge:.6f}" for edge in tiles.xy_bounds(tile))
    crs = {"WorldCRS84Quad": "OGC:CRS84", "EuropeanETRS89_LAEAQuad": "EPSG:3035"}.get(name, "EPSG:3857")
    found = client.pixels(f"{MAP}/tiles/{name}/{zoom}/{tile.y}/{tile.x}")
    own = client.pixels(f"/map?bbox={box}&crs={crs}&width=256&height=256&dpi=90.714286")
    assert (found == own).all(axis=2).mean() > 0.99


def test_tiles_outside_of_a_matrix_do_not_exist(client: Client) -> None:
    for place in ("2/4/0", "2/0/4", "99/0/0", "2/-1/0", "x/0/0"):
        assert client.get(f"{MAP}/tiles/WebMercatorQuad/{place}").status_code == 404
    assert client.get(f"{MAP}/tiles/Unknown/0/0/0").status_code == 404


def test_values_at_a_point_are_a_coverage(client: Client) -> None:
    answer = client.get("/ogc/collections/raster/position?coords=POINT(-98.95 42.05)")
    assert answer.headers["content-type"] == "application/prs.coverage+json"
    coverage = answer.json()
    assert coverage["ranges"]["raster"]["values"] == [10.0]
    assert coverage["domain"]["axes"] == {"x": {"values": [-98.95]}, "y": {"values": [42.05]}}
    swapped = client.get("/ogc/collections/raster/position?coords=POINT(42.05 -98.95)&crs=EPSG:4326").json()
    assert swapped["ranges"] == coverage["ranges"]


def test_times_and_ranges_of_times_select_values(new_client: Callable[..., Client], tmp_path: Path) -> None:
    client = new_client(raster={"path": write_series(tmp_path), "time": "all"})
    name = client.get("/ogc/collections").json()["collections"][0]["id"]
    start = f"/ogc/collections/{name}/position?coords=POINT(-99.5 43.5)"
    everything = client.get(start).json()
    times = everything["domain"]["axes"]["t"]["values"]
    assert times == TIMES
    assert everything["ranges"][name]["values"] == [0.0, 10.0, 20.0]
    for text, values in (
        ("2026-03-10T06:00:00Z", [10.0]),
        ("2026-03-10T06:00Z/..", [10.0, 20.0]),
        ("2026-03-10T07:00:00.000%2B01:00", [10.0]),
        ("2026-03-10T07:00:00+0100", [10.0]),
        ("2026-03-09T19:00:00-05:00/2026-03-10T01:00-05:00", [0.0, 10.0]),
        ("0001-01-01T00:00:00%2B23:00/2026-03-10T00:00:00%2B99:99", None),
        ("../2026-03-10T06", None),
        ("../2026-03-10T06:00:00Z", [0.0, 10.0]),
        ("2026-03-10/2026-03-10", [0.0, 10.0, 20.0]),
    ):
        answer = client.get(f"{start}&datetime={text}")
        if values is None:
            assert answer.status_code == 400
        else:
            assert answer.json()["ranges"][name]["values"] == values, text
    assert client.get(f"{start}&datetime=2027-01-01/..").status_code == 404
    assert client.get(f"/ogc/collections/{name}/map?datetime=../..&width=20").headers["data-time"] == times[-1]


@pytest.mark.parametrize(
    "query",
    [
        "bbox=1,2,3", "bbox=a,b,c,d", "bbox=4,0,1,1", "bbox-crs=/etc/passwd&bbox=0,0,1,1", "crs=EPSG:999999",
        "crs=http://example.org/def/crs/EPSG/0/4326", "width=0", "width=99999", "width=4096&height=4096", "f=exe",
        "datetime=now/then/ever", "datetime=' OR 1=1", "bgcolor=red;", "mm-per-pixel=nan",
    ],
)  # fmt: skip
def test_faults_are_refused_with_a_reason(client: Client, query: str) -> None:
    answer = client.get(f"{MAP}?{query}")
    assert answer.status_code in (400, 404)
    assert answer.json()["error"]


@pytest.mark.parametrize(
    "point", ["", "POINT(1)", "POINT(1 2 3 4)", "POLYGON((0 0,1 1,1 0,0 0))", "POINT(nan 1)", "POINT(1 1e99)"]
)
def test_faulty_points_are_refused(client: Client, point: str) -> None:
    assert client.get(f"/ogc/collections/raster/position?coords={point}").status_code == 400


def test_a_long_series_takes_one_place_in_the_queue(new_client: Callable[..., Client], tmp_path: Path) -> None:
    client = new_client(raster={"path": write_series(tmp_path), "time": "all"})
    snapshot, drawings = client.backend.current, []
    assert snapshot is not None
    draw = snapshot.draw

    async def count(drawing: Any) -> Any:
        drawings.append(drawing)
        return await draw(drawing)

    snapshot.draw = count  # type: ignore[method-assign]
    name = snapshot.catalog.default_product.name
    values = client.get(f"/ogc/collections/{name}/position?coords=POINT(-99.5 43.5)").json()["ranges"][name]["values"]
    assert (len(values), len(drawings)) == (3, 1)


def test_coordinates_of_a_coverage_are_x_and_y_in_each_crs(client: Client) -> None:
    """EPSG:3035 begins with the northing."""
    start = "/ogc/collections/raster/position?coords=POINT"
    axes = client.get(f"{start}(3000000 4000000)&crs=EPSG:3035").json()["domain"]["axes"]
    assert axes == {"x": {"values": [4000000.0]}, "y": {"values": [3000000.0]}}


@pytest.mark.parametrize(
    ("query", "shape"),
    [
        ("width=60", (60, 60)),
        ("height=30", (30, 30)),
        ("bbox=40,-100,42,-96&bbox-crs=EPSG:4326&width=60", (30, 60)),
        ("bbox=2e6,2e6,4e6,3e6&bbox-crs=EPSG:3857&width=60", (30, 60)),
        ("bbox=2e6,2e6,4e6,3e6&bbox-crs=EPSG:3035&width=30", (60, 30)),
        ("crs=EPSG:3857&width=60", (81, 60)),
    ],
)
def test_pixels_have_equal_sides_if_one_side_of_the_image_is_not_given(client: Client, query: str, shape) -> None:
    """A box in EPSG:3035 begins with the northing."""
    assert client.pixels(f"{MAP}?{query}").shape[:2] == shape
