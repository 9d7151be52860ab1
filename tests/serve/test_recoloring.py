"""Colors that requests choose."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from service_client import Client

MAP = (
    "/wms?service=WMS&version=1.1.1&request=GetMap&layers=raster&srs=EPSG:4326&bbox=-100,40,-96,44&width=40&height=40"
    "&format=image/png"
)
LEGEND = "/wms?service=WMS&request=GetLegendGraphic&layer=raster&width=300"


def colors_of(pixels: np.ndarray) -> list[tuple[int, ...]]:
    """Return the colors of the columns of a map, without the first row, which has no data."""
    assert (pixels[1:] == pixels[1]).all()
    return [tuple(color[:3]) for color in pixels[5].tolist()]


def test_limits_and_a_colormap_give_the_colors_of_matplotlib(client: Client) -> None:
    from matplotlib import colormaps

    found = colors_of(client.pixels(f"{MAP}&styles=plasma&colorscalerange=0,39"))
    expected = [tuple(colormaps["plasma"](column / 39, bytes=True)[:3]) for column in range(40)]
    assert np.abs(np.subtract(found, expected)).max() <= 1


def test_bands_are_classes_of_equal_width(client: Client) -> None:
    found = colors_of(client.pixels(f"{MAP}&styles=gray&colorscalerange=0,40&numcolorbands=4"))
    assert [len(set(found[start : start + 10])) for start in range(0, 40, 10)] == [1, 1, 1, 1]
    assert len(set(found)) == 4


def test_colors_beyond_the_limits(client: Client) -> None:
    query = f"{MAP}&styles=gray&colorscalerange=10,20&belowmincolor=0xff0000&abovemaxcolor=transparent&transparent=true"
    pixels = client.pixels(query)
    assert colors_of(pixels)[5] == (255, 0, 0)
    assert (pixels[5, 25:, 3] == 0).all()
    assert (pixels[5, 10:20, 3] == 255).all()


def test_an_automatic_range_is_that_of_the_cells_on_the_map(client: Client) -> None:
    west = MAP.replace("-100,40,-96,44", "-100,40,-99,43.9").replace("width=40", "width=10")
    automatic = colors_of(client.pixels(f"{west}&styles=gray&colorscalerange=auto"))
    assert automatic[0] == (0, 0, 0)
    assert automatic[-1] > (150, 150, 150), "a few cells around the map count, too"


def test_bands_of_an_automatic_range(client: Client) -> None:
    """Godiva sends both parameters."""
    found = colors_of(client.pixels(f"{MAP}&styles=gray&colorscalerange=auto&numcolorbands=4"))
    assert len(set(found)) == 4
    assert (found[0], found[-1]) == ((0, 0, 0), (255, 255, 255))
    for bands in (249, 250, 254):
        address = f"{MAP}&styles=gray&colorscalerange=0,39&numcolorbands={bands}"
        assert len(set(colors_of(client.pixels(address)))) == 40


def test_the_legend_has_the_same_colors(client: Client) -> None:
    usual = client.pixels(LEGEND)
    red = client.pixels(f"{LEGEND}&style=Reds&colorscalerange=0,5")
    assert usual.shape != red.shape or (usual != red).any()


def test_a_reversed_and_a_logarithmic_scale(client: Client) -> None:
    forward = colors_of(client.pixels(f"{MAP}&styles=gray&colorscalerange=1,39"))
    assert colors_of(client.pixels(f"{MAP}&styles=gray_r&colorscalerange=1,39"))[20] != forward[20]
    assert colors_of(client.pixels(f"{MAP}&styles=gray&colorscalerange=1,39&logscale=true"))[20] > forward[20]


@pytest.mark.parametrize(
    "query",
    [
        "styles=jet;rm", "styles=../x", "colorscalerange=5", "colorscalerange=5,5", "colorscalerange=9,1",
        "colorscalerange=nan,1", "colorscalerange=0,1e99", "colorscalerange=1,2,3",
        "numcolorbands=1&colorscalerange=0,1",
        "numcolorbands=9999&colorscalerange=0,1", "numcolorbands=5", "abovemaxcolor=url(x)", "logscale=maybe",
        "logscale=true&colorscalerange=-1,5", "styles=gray,gray",
    ],
)  # fmt: skip
def test_other_values_are_refused(client: Client, query: str) -> None:
    answer = client.get(f"{MAP}&{query}")
    assert answer.status_code == 400, answer.text
    assert b"ServiceException " in answer.content


def test_classes_keep_their_colors(new_client: Callable[..., Client]) -> None:
    classes = [{"value": value, "color": "red", "name": "x"} for value in range(40)]
    client = new_client(colors={"classes": classes})
    assert client.get(f"{MAP}&styles=gray").status_code == 400
