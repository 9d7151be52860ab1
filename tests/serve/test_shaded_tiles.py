"""The light on relief does not show where a tile, a metatile or an image ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from service_client import Client, make_client, make_config, write_raster

from regionplot.geo.extent import PanelGrid
from regionplot.render.panels import PanelPainter

MERCATOR = 20_037_508.342789244
TOLERANCE = 2
"""Maximum difference of a channel, of 255."""


def hills(latitudes: np.ndarray, longitudes: np.ndarray) -> np.ndarray:
    """Return heights in meters: hills of 1 degree and of 4 degrees, above and below the sea."""
    east, north = np.meshgrid(longitudes, latitudes)
    broad, narrow = (np.sin(2 * np.pi * east / size) * np.cos(2 * np.pi * north / size) for size in (4.0, 1.0))
    return 1500 * broad + 500 * narrow + 300


@pytest.fixture(scope="module")
def shaded(tmp_path_factory: pytest.TempPathFactory) -> Client:
    """A service with shaded heights of one color, so that only light changes the pixels."""
    folder = tmp_path_factory.mktemp("shaded")
    heights = hills(64 - 0.1 * (np.arange(400) + 0.5), -120 + 0.1 * (np.arange(400) + 0.5))
    sections: dict[str, Any] = {
        "raster": {"path": write_raster(folder / "hills.tif", heights, west=-120, north=64), "resampling": "bilinear"},
        "colors": {"levels": [-1e5, 1e5], "colors": ["#808080"]},
        "map": {"size": [300, 200], "style": "atlas"},
        "shading": {},
    }
    return make_client(make_config(folder, **sections))


def image(client: Client, box: tuple[float, float, float, float], size: tuple[int, int], crs: str) -> np.ndarray:
    text = ",".join(map(repr, box))
    found = client.pixels(f"/map?bbox={text}&crs={crs}&width={size[0]}&height={size[1]}&layers=raster,shading")
    return found[..., :3].astype(int)


@pytest.mark.parametrize("zoom", [5, 6, 8, 10])
def test_shaded_tiles_fit_together(shaded: Client, zoom: int) -> None:
    """Tiles on both sides of the corner of four metatiles have the pixels of one image."""
    side = 2 * MERCATOR / 2**zoom
    x, y = (round(place * 2**zoom / 4) * 4 for place in ((180 - 101.25) / 360, 0.36))
    x, y = (x, y) if zoom > 5 else (8, 12)
    west, north = x * side - MERCATOR, MERCATOR - y * side
    whole = image(shaded, (west - side, north - side, west + side, north + side), (512, 512), "EPSG:3857")
    rows = [
        [shaded.pixels(f"/tiles/raster/{zoom}/{x + i}/{y + j}.png?layers=raster,shading") for i in (-1, 0)]
        for j in (-1, 0)
    ]
    tiles = np.vstack([np.hstack(row) for row in rows])[..., :3].astype(int)
    assert np.ptp(whole[192:320, 192:320]) > 5, "the corner is shaded"
    assert np.abs(tiles - whole).max() <= TOLERANCE


@pytest.mark.parametrize(
    ("crs", "box"),
    [
        ("EPSG:4326", (-110.0, 35.0, -90.0, 55.0)),
        ("EPSG:3857", (-12_000_000.0, 5_000_000.0, -10_000_000.0, 7_000_000.0)),
        ("EPSG:5070", (-600_000.0, 1_900_000.0, 600_000.0, 3_100_000.0)),
        ("EPSG:3413", (-3_600_000.0, -4_100_000.0, -2_400_000.0, -2_900_000.0)),
    ],
)
def test_a_shaded_image_is_a_part_of_any_larger_image(shaded: Client, crs: str, box: tuple[float, ...]) -> None:
    """Sides of 77 and 250 pixels are no multiples of a block."""
    west, south, east, north = box
    pixel = (east - west) / 400
    whole = image(shaded, (west, south, east, north), (400, 400), crs)
    part = image(
        shaded, (west + 77 * pixel, north - 250 * pixel, west + 277 * pixel, north - 77 * pixel), (200, 173), crs
    )
    assert np.ptp(part) > 20
    assert np.abs(part - whole[77:250, 77:277]).max() <= TOLERANCE


def test_maps_without_light_are_not_sampled_again(shaded: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    sampled: list[PanelGrid] = []
    usual = PanelPainter._values

    def values(painter: PanelPainter, panel: PanelGrid, crs: Any) -> Any:
        sampled.append(panel)
        return usual(painter, panel, crs)

    monkeypatch.setattr(PanelPainter, "_values", values)
    address = "/map?bbox=-110,35,-90,55&crs=EPSG:4326&width=64&height=64&layers=raster"
    shaded.pixels(address)
    assert not sampled
    shaded.pixels(f"{address},shading")
    assert sampled
