"""Colors of the user: lists, stops, a center, quantiles, units, and the range of values for an automatic scale."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regionplot.errors import ConfigError
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.render.renderer import MapRenderer
from regionplot.settings.loading import read_config
from regionplot.shared.data import SharedData

WHITE = {"map": {"background": "white"}}


def rgb(*colors: str) -> list[list[int]]:
    return [list(bytes.fromhex(color[1:])) for color in colors]


@pytest.fixture
def drawn(write_raster: Callable[..., Path]) -> Callable[..., Any]:
    """Return a function that draws values in a row. It returns their colors, shape (n, 3)."""

    def draw(values: Any, stated: str = "", tags: Any = None, dtype: Any = np.float32, **colors: Any) -> Any:
        raster = write_raster(np.array([values], dtype), tags={"units": stated, **(tags or {})})
        shared = SharedData.load(read_config({"raster": {"path": raster}, "colors": colors, **WHITE}))
        return shared.scale.rgba(shared.scale.codes(shared.cells))[0, :, :3].tolist()

    return draw


def test_a_list_has_a_color_for_each_class(drawn) -> None:
    found = drawn([-5, 0, 9, 10, 25], levels=[0, 10, 20], colors=["#102030", "#405060"])
    assert found == rgb("#102030", "#102030", "#102030", "#405060", "#405060")


def test_a_list_can_begin_and_end_with_the_colors_beyond_the_levels(drawn) -> None:
    found = drawn([-5, 5, 15, 25], levels=[0, 10, 20], colors=["#000000", "#102030", "#405060", "#ffffff"])
    assert found == rgb("#000000", "#102030", "#405060", "#ffffff")


def test_a_list_without_levels_is_a_gradual_transition(drawn) -> None:
    found = drawn([0, 50, 100], colors=["black", "white"], vmin=0, vmax=100)
    assert found[0] == [0] * 3
    assert found[2] == [255] * 3
    assert abs(found[1][0] - 128) <= 1


def test_stops_give_each_value_its_exact_color(drawn) -> None:
    stops = [[-10, "#000000"], [0, "#0000ff"], [0, "#00ff00"], [1000, "#00ff64"]]
    found = drawn([-20, -10, -5, -0.001, 0, 500, 1000, 2000], stops=stops)
    assert found == rgb(
        "#000000", "#000000", "#000080", "#0000ff", "#00ff00", "#00ff32", "#00ff64", "#00ff64"
    )  # fmt: skip


def test_stops_can_have_colors_beyond_their_ends(drawn) -> None:
    found = drawn([-1, 5, 11], stops=[[0, "#000000"], [10, "#0a0a0a"]], under="#ff0000", over="none")
    assert found == rgb("#ff0000", "#050505", "#ffffff")


def test_classes_take_the_colors_of_stops_at_their_middles(drawn) -> None:
    found = drawn([1, 11], levels=[0, 10, 20], stops=[[0, "#000000"], [20, "#646464"]])
    assert found == rgb("#191919", "#4b4b4b")


def test_a_center_has_the_middle_color_and_equal_distances(drawn) -> None:
    found = drawn([-30, 10, 50, 200], diverging=10, vmax=50, colors=["#0000ff", "#ffffff", "#ff0000"])
    assert found[0] == [0, 0, 255]
    assert min(found[1]) >= 253
    assert found[2] == found[3] == [255, 0, 0]


def test_a_center_can_have_unequal_limits(drawn) -> None:
    found = drawn([-10, 0, 100], diverging=0, vmin=-10, vmax=100, colors=["#0000ff", "#ffffff", "#ff0000"])
    assert found[0] == [0, 0, 255]
    assert min(found[1]) >= 253
    assert found[2] == [255, 0, 0]


def test_the_limits_around_a_center_come_from_the_data(drawn) -> None:
    found = drawn([-1, 0, 37], diverging=0, colors=["#0000ff", "#ffffff", "#ff0000"])
    assert found[0][2] == 255
    assert found[0][0] > 220
    assert found[2][0] > 220
    assert found[2][2] < 40


def test_quantiles_use_all_colors_for_skewed_values(drawn) -> None:
    values = np.exp(np.linspace(0, 12, 400))
    found = np.array(drawn(values, norm="quantile", colors=["#000000", "#ffffff"]))[:, 0]
    assert (np.diff(found) >= 0).all()
    assert abs(int(found[200]) - 128) <= 2


def test_the_color_bar_of_quantiles_has_all_deciles_of_skewed_values(write_raster) -> None:
    """Deciles were rounded to the same number of digits, so that small ones were equal."""
    path = write_raster(np.exp(np.linspace(-6, 9, 400)).reshape(20, 20))
    shared = SharedData.load(read_config({"raster": {"path": path}, "colors": {"norm": "quantile"}}))
    ticks = np.array(shared.scale.key().ticks)
    deciles = np.exp(np.linspace(-6, 9, 11))[1:-1]
    assert all(abs(ticks - decile).min() < decile * 0.1 for decile in deciles)


@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.float64])
@pytest.mark.parametrize("values", [[0] * 9 + [5], [0, 5], [1] * 3 + [2] * 9, [0] * 5 + [1] * 5 + [7] * 5])
def test_quantiles_show_values_that_many_cells_share_in_different_colors(values: list[int], dtype: Any, drawn) -> None:
    """The last interval contained both the largest value and the value before it."""
    for units in ({}, {"stated": "K", "units": "degC"}):
        found = np.array(drawn(values, norm="quantile", colors=["#000000", "#ffffff"], dtype=dtype, **units))[:, 0]
        assert len(set(found.tolist())) == len(set(values))
        assert (np.diff(found) >= 0).all()


@pytest.mark.parametrize(
    "values",
    [[3, 3, 3], [0, 0, 0, 0, 5], [np.nan, np.nan], [-1.7e308, 0, 1.7e308], [0, 1e-310], [np.inf, 1, 2], [1e300, 1e300]],
)
def test_quantiles_of_few_different_or_extreme_values_are_drawn(values: list[float], write_raster) -> None:
    path = write_raster(np.array([values] * 3, np.float64))
    config = read_config({"raster": {"path": path}, "colors": {"norm": "quantile"}, "map": {"size": [200, 150]}})
    renderer = MapRenderer(SharedData.load(config))
    assert renderer.render(Region("a", Extent(-100, -100 + len(values), 47, 50))).pixels.shape == (150, 200, 3)


@pytest.mark.parametrize("stops", [[[0, "red"], [1e-310, "blue"]], [[-1e300, "red"], [1e300, "blue"]]])
def test_a_map_is_drawn_with_extreme_stops(stops: list[Any], write_raster) -> None:
    path = write_raster(np.array([[-1e308, -1, 0], [5e-311, 1, 1e308]]))
    config = read_config({"raster": {"path": path}, "colors": {"stops": stops}, "map": {"size": [200, 150]}})
    renderer = MapRenderer(SharedData.load(config))
    assert renderer.render(Region("a", Extent(-100, -97, 48, 50))).pixels.shape == (150, 200, 3)


@pytest.mark.parametrize(
    ("units", "shown", "stored", "limits"),
    [
        ("K", "degF", [273.15, 290.0], [32, 50]),
        ("Pa", "hPa", [100_000, 101_300], [1000, 1010]),
        ("m", "mm", [0.001, 0.02], [1, 10]),
        ("kg m-2 s-1", "mm/h", [1 / 3600, 20 / 3600], [1, 10]),
        ("m s-1", "kt", [0.5144445, 10], [1, 10]),
    ],
)
def test_levels_are_in_the_units_of_the_scale(units: str, shown: str, stored: Any, limits: Any, drawn) -> None:
    below, above = (value * 0.9999 - 0.001 * (units == "K") for value in stored)
    colors = {"levels": [-1000, *limits, 5000], "colors": ["#000000", "#101010", "#202020"], "units": shown}
    found = drawn([below, stored[0] * 1.00001, above], units, dtype=np.float64, **colors)
    assert found[:2] == rgb("#000000", "#101010")


def test_a_gradual_scale_is_in_its_units(drawn) -> None:
    found = drawn([273.15, 373.15], "K", vmin=0, vmax=100, units="degC", colors=["#000000", "#ffffff"])
    assert found == rgb("#000000", "#ffffff")


@pytest.mark.parametrize(
    ("units", "wanted", "message"),
    [
        ("K", "hPa", "cannot be converted to 'hPa'; use one of K, degC, degF"),
        ("", "degC", "the raster states no units"),
        ("furlong", "m", "'furlong' cannot be converted here; convert the raster"),
    ],
)
def test_units_that_cannot_be_converted_are_reported(units: str, wanted: str, message: str, drawn) -> None:
    with pytest.raises(ConfigError, match=message):
        drawn([1, 2], units, units=wanted)


@pytest.mark.parametrize(
    ("colors", "message"),
    [
        ({"colors": ["red"]}, "colors without levels must be two or more"),
        ({"colors": ["red"], "levels": [0, 1, 2]}, "colors has 1 colors, but 3 levels need 2, or 4 with the colors"),
        ({"colors": ["red"] * 4, "levels": [0, 1, 2], "under": "blue"}, "give either under and over, or 4 colors"),
        ({"colors": ["red", "blu"], "vmin": 0}, "colors #2: 'blu' is not a color"),
        ({"colors": ["red", "blue"], "colormap": "viridis"}, "give only one of colormap and colors"),
        ({"stops": [[0, "red"]]}, "must have at least 2 values"),
        ({"stops": [[0, "red"], [0, "blue"]]}, "the first and the last value must occur once"),
        ({"stops": [[1, "red"], [0, "blue"]]}, "the values of stops must increase, but 0 follows 1"),
        ({"stops": [[0, "red"], [1, "a"], [1, "b"], [1, "c"], [2, "d"]]}, "more than two stops have the value 1"),
        ({"stops": [[0, "red"], [1, "blu"]]}, "stops #2: 'blu' is not a color"),
        ({"diverging": 5, "levels": [0, 1]}, "give either levels, or vmin, vmax, norm and diverging"),
        ({"diverging": 5, "vmin": 6}, "vmin 6 must be less than diverging, 5"),
        ({"diverging": 5, "vmax": 5}, "vmax 5 must be greater than diverging, 5"),
        ({"diverging": 0, "norm": "log"}, "diverging cannot be combined with norm = 'log'"),
        ({"norm": "quantile", "vmin": 0}, "remove vmin and vmax"),
        ({"file": "missing.cpt"}, "there is no file"),
        ({"colormap": "nws:wind"}, "nws:temperature"),
    ],
)
def test_faults_are_reported_with_their_cure(colors: dict[str, Any], message: str, grid_file: Path) -> None:
    from regionplot.runs.checks import check_config

    with pytest.raises(Exception, match=message):
        check_config(read_config({"raster": {"path": grid_file}, "colors": colors}), ())


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_the_color_of_each_value_is_that_of_its_interval(dtype: Any, write_raster) -> None:
    stops = [[-300, "#000000"], [-299.99, "#ff0000"], [0, "#00ff00"], [0, "#0000ff"], [30_000, "#ffffff"]]
    config = read_config({"raster": {"path": write_raster(np.zeros((2, 2), dtype))}, "colors": {"stops": stops}})
    scale: Any = SharedData.load(config).scale
    around = (np.nextafter(scale.edges, limit) for limit in (-np.inf, np.inf))
    generator = np.random.default_rng(3)
    values = np.concatenate([scale.edges, *around, generator.uniform(-32_000, 32_000, 5000)]).astype(dtype)
    extremes = [np.inf, -np.inf, 1e300, -1e300] if dtype == np.float64 else []
    values = np.concatenate([values, np.array(extremes, dtype)])[None]
    np.testing.assert_array_equal(scale.rows_of(values), np.searchsorted(scale.edges, values, side="right"))


def region(name: str, west: float, east: float) -> Region:
    return Region(name, Extent(west, east, 45, 49))


@pytest.fixture
def ramped(write_raster: Callable[..., Path]) -> Path:
    """A raster whose values grow from west to east."""
    return write_raster(np.tile(np.linspace(0, 100, 40, dtype=np.float32), (10, 1)))


def test_the_scale_is_the_same_for_each_choice_of_regions(ramped: Path) -> None:
    config = read_config({"raster": {"path": ramped}})
    choices = ([region("a", -98, -94)], [region("b", -70, -64)], None)
    scales = [SharedData.load(config, chosen).scale.digest_items() for chosen in choices]
    assert scales[0] == scales[1] == scales[2]
    preview = SharedData.load(read_config({"raster": {"path": ramped}, "run": {"memory": 1}}), choices[0])
    assert preview.scale.digest_items() == scales[0]


def test_a_scale_for_each_region_uses_its_whole_range(ramped: Path) -> None:
    pictures = {}
    for scale in ("series", "region"):
        config = read_config(
            {"raster": {"path": ramped}, "colors": {"scale": scale}, "map": {"size": [300, 200], "fit": "exact"}}
        )
        chosen = [region("a", -98, -88)]
        renderer = MapRenderer(SharedData.load(config, chosen))
        pictures[scale] = renderer.render(chosen[0]).pixels
    greens = [int(pixels[60, :, 1].max(initial=0, where=pixels[60, :, 1] < 255)) for pixels in pictures.values()]
    assert greens[0] < 145
    assert greens[1] > 165


@pytest.mark.parametrize("overviews", [(), (2, 4, 8)])
def test_a_large_raster_is_sampled(overviews: tuple[int, ...], write_raster, monkeypatch) -> None:
    import rasterio

    from regionplot.inputs import overview

    monkeypatch.setattr(overview, "_SMALL", 100)
    monkeypatch.setattr(overview, "_SAMPLE", 1000)
    monkeypatch.setattr(overview, "_DECODED", 4000)
    values = np.add.outer(np.arange(200, dtype=np.float32), np.linspace(0, 1, 100, dtype=np.float32))
    path = write_raster(
        values, tiled=True, blockxsize=16, blockysize=16, affine=rasterio.Affine(0.1, 0, -100, 0, -0.1, 50)
    )
    if overviews:
        with rasterio.open(path, "r+") as file:
            file.build_overviews(overviews, rasterio.enums.Resampling.average)
    config = read_config({"raster": {"path": path}})
    whole = SharedData.load(config)
    part = SharedData.load(config, [Region("a", Extent(-99, -98, 48, 49))])
    assert part.loaded.series is not None
    assert part.loaded.series.size < 4000
    np.testing.assert_array_equal(part.loaded.series, whole.loaded.series)
    assert part.scale.digest_items() == whole.scale.digest_items()
    assert 0 <= part.loaded.series.min() < 20
    assert 180 < part.loaded.series.max() <= 200


def test_levels_need_no_sample(ramped: Path) -> None:
    shared = SharedData.load(read_config({"raster": {"path": ramped}, "colors": {"levels": [0, 50, 100]}}))
    assert shared.loaded.series is None
