"""Several rasters on one map of WMS."""

from __future__ import annotations

import json

import numpy as np
import pytest
from service_client import PLAIN_TABLES, Client, columns, make_client, write_raster, write_series

from regionplot.settings.loading import read_config_before_arrival

MAP = (
    "/wms?service=WMS&version=1.3.0&request=GetMap&styles=&format=image/png&crs=CRS:84&bbox=-100,40,-96,44"
    "&width=40&height=40"
)
LINES = {"a": [(-98.95, 40), (-98.95, 44)], "b": [(-96.95, 40), (-96.95, 44)]}
RED = [255, 0, 0, 255]
OPAQUE = "&transparent=false&bgcolor=0x112233"


@pytest.fixture(scope="module")
def stacked(tmp_path_factory: pytest.TempPathFactory) -> Client:
    """Return a client of a raster with a hole on the left, one with a hole in its upper half, and a series."""
    folder = tmp_path_factory.mktemp("stacked")
    lower, upper = np.full((40, 40), 5.0), columns()
    lower[:, :10] = np.nan
    upper[:20] = np.nan
    products: dict = {"series": {"raster": {"path": write_series(folder), "time": "all"}}}
    for name, values in (("lower", lower), ("upper", upper)):
        products[name] = {"raster": {"path": write_raster(folder / f"{name}.tif", values)}}
    for name, points in LINES.items():
        path = folder / f"{name}.geojson"
        line = {"type": "Feature", "properties": {}, "geometry": {"type": "LineString", "coordinates": points}}
        path.write_text(json.dumps(line))
        products["lower" if name == "a" else "upper"]["features"] = [
            {"path": path, "edgecolor": "#ff0000", "linewidth": 3}
        ]
    raster = products["lower"]["raster"]
    return make_client(read_config_before_arrival({**PLAIN_TABLES, "raster": raster, "products": products}), [])


def clear(client: Client, layers: str, more: str = "") -> np.ndarray:
    return client.pixels(f"{MAP}&transparent=true&layers={layers}{more}")


@pytest.mark.parametrize("order", [("lower", "upper"), ("upper", "lower")])
def test_the_lower_raster_shows_through_the_holes_of_the_upper_one(stacked: Client, order: tuple[str, str]) -> None:
    below, above = (clear(stacked, name) for name in order)
    both = clear(stacked, ",".join(order))
    expected = np.where(above[..., 3:] > 0, above, below)
    has_ink = (expected[..., 3] > 0) | (both[..., 3] > 0)
    assert (both[has_ink] == expected[has_ink]).all()
    opaque = stacked.pixels(f"{MAP}{OPAQUE}&layers={','.join(order)}")
    assert (opaque[~has_ink] == [0x11, 0x22, 0x33, 255]).all()
    assert (opaque[has_ink] == expected[has_ink]).all()
    assert (~has_ink).sum() == 200
    jpeg = stacked.get(f"{MAP.replace('png', 'jpeg')}&layers={','.join(order)}")
    assert jpeg.headers["content-type"] == "image/jpeg"


def test_overlays_lie_at_their_place_between_rasters(stacked: Client) -> None:
    """Each overlay belongs to one product only."""
    above, between = clear(stacked, "lower,upper,a,b"), clear(stacked, "lower,a,upper,b")
    alone = clear(stacked, "a,b")
    assert all((image[10, 10] == RED).all() and (image[10, 30] == RED).all() for image in (above, between, alone))
    assert (above[30, 10] == RED).all()
    assert (between[30, 10] != RED).any(), "the upper raster covers the line"
    assert stacked.get(f"{MAP}&layers=upper,a").status_code == 200, "an overlay of another product"


def test_a_style_and_a_time_belong_to_their_rasters(stacked: Client) -> None:
    styled = MAP.replace("styles=", "styles=,,plasma")
    time = "&time=2026-03-10T06:00:00Z"
    image = stacked.pixels(f"{styled}&transparent=true&layers=series,a,lower{time}")
    assert (image[20, 0] == clear(stacked, "series", time)[20, 0]).all(), "the other raster has no time"
    plasma = stacked.pixels(f"{MAP.replace('styles=', 'styles=plasma')}&transparent=true&layers=lower")
    assert (image[20, 20] == plasma[20, 20]).all()
    assert (image[20, 20] != clear(stacked, "lower")[20, 20]).any()


def test_the_value_of_one_of_the_rasters_can_be_asked_for(stacked: Client) -> None:
    start = MAP.replace("GetMap", "GetFeatureInfo") + "&layers=lower,upper&i=20&j=30&info_format=application/json"
    for name, value in (("lower", 5.0), ("upper", 20.0)):
        assert stacked.get(f"{start}&query_layers={name}").json()["value"] == value
    for names in ("series", "lower,upper", "nothing", ""):
        assert stacked.get(f"{start}&query_layers={names}").status_code == 400


@pytest.mark.parametrize("layers", [",".join(["lower"] * 9), "lower,nothing", "lower,", ",", ",".join(["a"] * 17)])
def test_the_number_of_layers_is_bounded(stacked: Client, layers: str) -> None:
    answer = stacked.get(f"{MAP}&layers={layers}")
    assert answer.status_code == 400
    assert 'code="LayerNotDefined"' in answer.text


def test_a_stack_has_the_time_of_its_topmost_raster(stacked: Client) -> None:
    found = stacked.get(f"{MAP}&layers=lower,series")
    assert found.headers["data-time"] == "2026-03-10T12:00:00Z"
    assert found.headers["etag"] != stacked.get(f"{MAP}&layers=series,lower").headers["etag"]
