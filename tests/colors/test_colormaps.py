"""A colormap that the host program registers works in workers that do not know it."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import LinearSegmentedColormap

from regionplot.colors.colormaps import ColormapColors
from regionplot.colors.numbers import ColorScale
from regionplot.errors import ConfigError
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.render.renderer import MapRenderer
from regionplot.settings.config import Config
from regionplot.shared.data import SharedData
from regionplot.shared.load import check_inputs

GRID = np.linspace(0, 10, 100).reshape(10, 10)
NAME = "regionplot_test"


@pytest.fixture
def registered() -> Iterator[LinearSegmentedColormap]:
    """Register a colormap whose definition cannot be pickled."""
    segments = {color: (lambda x, power=power: x**power) for power, color in enumerate(("red", "green", "blue"), 1)}
    colormap = LinearSegmentedColormap(NAME, segments).with_extremes(under="cyan", over="magenta")
    matplotlib.colormaps.register(colormap)
    yield colormap
    if NAME in matplotlib.colormaps:
        matplotlib.colormaps.unregister(NAME)


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("colors", [{}, {"levels": [1, 2, 5, 8]}, {"under": "black", "nodata": "grey"}], ids=str)
@pytest.mark.parametrize("name", [NAME, "viridis", "tab20", "terrain"])
def test_resolved_colors_are_those_of_the_colormap(
    colors: dict[str, object], name: str, make_config: Callable[..., Config]
) -> None:
    config = make_config(colors={"colormap": name, **colors})
    resolved = pickle.loads(pickle.dumps(ColormapColors.of(config.colors)))
    expected = matplotlib.colormaps[name].resampled(3 if "levels" in colors else 256)
    matplotlib.colormaps.unregister(NAME)
    scale = ColorScale.of(config, GRID, resolved)
    count = expected.N
    np.testing.assert_array_equal(scale.palette[1 : count + 1, :3], np.rint(expected(np.arange(count))[:, :3] * 255))
    under = "black" if "under" in colors else expected.get_under()
    np.testing.assert_array_equal(scale.palette[0, :3], np.rint(np.multiply(matplotlib.colors.to_rgb(under), 255)))


@pytest.mark.usefixtures("registered")
def test_a_worker_draws_without_knowing_the_colormap(make_config: Callable[..., Config]) -> None:
    config = make_config(colors={"colormap": NAME}, map={"size": [200, 150]}, features=[])
    region = Region("west", Extent(-120, -100, 30, 45))
    plan = check_inputs(config, [region])
    known = MapRenderer(SharedData.load(config, plan=plan)).render(region)
    matplotlib.colormaps.unregister(NAME)
    shared = SharedData.load(pickle.loads(pickle.dumps(config)), plan=pickle.loads(pickle.dumps(plan)))
    np.testing.assert_array_equal(MapRenderer(shared).render(region).pixels, known.pixels)


def test_an_unknown_colormap_is_an_error_of_the_settings(make_config: Callable[..., Config]) -> None:
    with pytest.raises(ConfigError, match="colormap: matplotlib has no 'nothing'"):
        SharedData.load(make_config(colors={"colormap": "nothing"}))
