"""Maps with inks of several colors, and shaded maps, have palettes whose colors differ little from RGB maps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.render import ink_drawing
from regionplot.render.adaptive import LARGEST_ERROR, adapted, required_colors
from regionplot.render.mixed_palette import MixedPalette, farthest
from regionplot.render.nearest import NearestColors
from regionplot.render.renderer import MapRenderer
from regionplot.shared.data import SharedData
from regionplot.writers.base import Picture

pytestmark = pytest.mark.usefixtures("read_in_process", "draw_in_process")
REGION = Region("southeast", Extent(-95, -75, 25, 36.5), title="Southeast")
LEVELS = {"colors": {"colormap": "turbo", "levels": [-4000, -2000, -1000, 0, 50, 100, 200, 300, 500, 1000]}}
LAYERS: dict[str, Any] = {
    "features": [{"path": "sample:counties"}, {"path": "sample:states"}, {"path": "sample:countries", "kind": "coast"}],
    "labels": [{"path": "sample:cities", "rank": "rank", "order": "population"}, {"path": "sample:states"}],
}
SHADED: dict[str, Any] = {"colors": {"colormap": "relief"}, "shading": {}, "raster": {"resampling": "bilinear"}}
Load = Callable[..., SharedData]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def sections(style: str = "atlas", **more: Any) -> dict[str, Any]:
    raster = {"path": "sample:relief", **more.pop("raster", {})}
    return {"map": {"style": style, "size": (700, 450)}, **LAYERS, **more, "raster": raster}


def drawn(load: Load, **more: Any) -> Picture:
    return MapRenderer(load(**sections(**more))).render(REGION)


def difference(one: Picture, other: Picture) -> np.ndarray[Any, Any]:
    return np.abs(one.pixels.astype(int) - other.pixels.astype(int)).max(axis=2)


@pytest.mark.parametrize(("look", "limit"), [(LEVELS, 32), (SHADED, LARGEST_ERROR)], ids=["classes", "relief"])
def test_colors_differ_little_from_the_rgb_map(load: Load, look: dict[str, Any], limit: int) -> None:
    found = drawn(load, **look)
    expected = drawn(load, **look, output={"png": {"mode": "rgb"}})
    assert found.palette is not None
    assert len(found.palette) <= 256
    assert expected.palette is None
    errors = difference(found, expected)
    assert errors.max() <= limit
    assert np.percentile(errors, 99) <= 18


def test_colors_of_classes_and_the_paper_are_exact(load: Load) -> None:
    renderer = MapRenderer(load(**sections(**LEVELS, features=[], labels=[], graticule={"show": False})))
    found = renderer.render(REGION)
    expected = drawn(load, **LEVELS, features=[], labels=[], graticule={"show": False}, output={"png": {"mode": "rgb"}})
    rows, columns = renderer.style.layout.panel.bottom, renderer.style.layout.panel.left
    inside = np.s_[60:-rows, columns + 2 : -columns - 2]
    assert difference(found, expected)[inside].max() == 0
    assert (found.pixels[0, 0] == 255).all()


def test_the_plain_style_keeps_rgb_images_unless_the_settings_ask_for_a_palette(load: Load) -> None:
    assert drawn(load, style="plain", **LEVELS).palette is None
    assert drawn(load, style="plain", **SHADED).palette is None
    assert drawn(load, style="plain", **LEVELS, output={"png": {"mode": "palette"}}).palette is not None


def test_other_formats_keep_all_colors_of_shaded_maps(load: Load) -> None:
    for name in ("{name}.webp", "{name}.tif"):
        assert drawn(load, **SHADED, output={"filename": name}).palette is None


def test_ink_of_several_colors_is_kept(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    first = drawn(load, **LEVELS)
    monkeypatch.setattr(ink_drawing.InkDrawing, "ink_in_panel", lambda *_: pytest.fail("ink is drawn again"))
    monkeypatch.setattr(ink_drawing.InkDrawing, "ink_on_sheet", lambda *_: pytest.fail("ink is drawn again"))
    second = drawn(load, **LEVELS)
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.palette, second.palette)


def test_kept_labels_are_white_where_a_new_raster_is_dark(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    def colors(*names: str) -> dict[str, Any]:
        return {"colors": {"levels": [0, 100, 1000], "colors": names}, "graticule": {"show": False}}

    def with_rgb(**look: Any) -> tuple[Picture, Picture]:
        return drawn(load, **look), drawn(load, **look, output={"png": {"mode": "rgb"}})

    for look in (colors("#102030", "#f0f0e0"), colors("#f0f0e0", "#102030")):
        found, expected = with_rgb(**look)
        assert difference(found, expected).max() <= 32
    monkeypatch.setattr(ink_drawing.InkDrawing, "ink_in_panel", lambda *_: pytest.fail("ink is drawn again"))
    again = drawn(load, **look)
    np.testing.assert_array_equal(again.image, found.image)


def test_an_image_with_too_many_colors_has_no_palette() -> None:
    noise = np.random.default_rng(3).integers(0, 256, (300, 300, 4), np.uint8)
    assert adapted(noise, required_colors("black")) is None


def test_required_colors_are_exact_and_few_colors_stay_few() -> None:
    pixels = np.full((20, 30, 4), 255, np.uint8)
    pixels[3:5, :, :3] = 31, 36, 41
    found = adapted(pixels, required_colors("#1f2429"))
    assert found is not None
    assert len(found.colors) == 2
    np.testing.assert_array_equal(found.colors[found.rows], pixels[..., :3])


def test_each_color_is_close_to_a_chosen_color() -> None:
    candidates = np.random.default_rng(1).uniform(0, 255, (2000, 3))
    chosen = farthest(candidates, np.zeros((1, 3)), 100)
    nearest = np.linalg.norm(candidates[:, None] - chosen[None], axis=2).min(axis=1)
    assert len(chosen) == 100
    assert nearest.max() < 60


def test_nearest_colors_do_not_depend_on_the_order_of_the_maps() -> None:
    generator = np.random.default_rng(2)
    colors = generator.integers(0, 256, (200, 3), np.uint8)
    wanted = generator.integers(0, 256, (5000, 3), np.uint8).astype(np.uint32)
    one, other = NearestColors(colors), NearestColors(colors)
    other.rows(*wanted[::-7].T)
    np.testing.assert_array_equal(one.rows(*wanted.T), other.rows(*wanted.T))
    distances = np.linalg.norm(wanted[:, None].astype(float) - colors[None], axis=2)
    found = distances[np.arange(len(wanted)), one.rows(*wanted.T)]
    assert (found - distances.min(axis=1)).max() <= 2 * 2 * 3**0.5


def test_a_scale_with_many_classes_has_no_mixed_palette(load: Load) -> None:
    shared = load(**sections(colors={"levels": [float(level) for level in range(100)]}, labels=[]))
    renderer = MapRenderer(shared)
    assert MixedPalette.of(renderer.style.scale, renderer.style.layers, "black") is None
