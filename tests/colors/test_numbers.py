"""Values have the colors that matplotlib gives them."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from regionplot.colors.check import color_problems
from regionplot.colors.numbers import ColorScale, Linear
from regionplot.colors.rounding import rounded_limits
from regionplot.settings.loading import read_config

RELIEF = {"raster": {"path": "sample:relief"}}
LEVELS = [-10.0, 0.0, 0.25, 1.0, 5.0, 64.0]
GRID = np.linspace(0.5, 99.5, 400, dtype=np.float32).reshape(20, 20)
floats = st.one_of(
    st.floats(-200, 200, width=32), st.sampled_from([*LEVELS, np.nan, np.inf, -np.inf, 100.0, np.float32(1e-30)])
)
values32 = hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=floats)


def scale_of(grid: np.ndarray = GRID, background: str = "white", **colors: object) -> ColorScale:
    return ColorScale.of(read_config({**RELIEF, "colors": colors, "map": {"background": background}}), grid)


def matplotlib_rgba(scale: ColorScale, values: np.ndarray) -> np.ndarray:
    """Return the colors that matplotlib gives to values, with NaN masked, on white."""
    rgba = scale.cmap(scale.norm(np.ma.masked_invalid(np.where(np.isinf(values), np.sign(values) * 1e30, values))))
    opaque = rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:]
    return np.rint(opaque * 255).astype(np.uint8)


@pytest.mark.parametrize("ends", [{}, {"under": "black", "over": "#ff00ff"}, {"under": "none", "nodata": "grey"}])
@given(values=values32)
def test_classes_are_equal_to_those_of_a_boundary_norm(values: np.ndarray, ends: dict[str, str]) -> None:
    scale = scale_of(levels=LEVELS, **ends)
    np.testing.assert_array_equal(scale.rgba(scale.codes(values))[..., :3], matplotlib_rgba(scale, values))
    assert (scale.rgba(scale.codes(values))[..., 3] == 255).all()


SCALES = [
    {"vmin": 0, "vmax": 64},
    {"vmin": -10, "vmax": 100, "under": "black", "over": "red"},
    {"vmin": 0.25, "vmax": 64, "norm": "log", "nodata": "#123456"},
    {"vmin": -50, "vmax": 50, "norm": "symlog"},
    {"vmin": 0, "vmax": 100, "norm": "sqrt", "under": "none"},
]


@pytest.mark.parametrize("colors", SCALES)
@given(values=values32)
def test_a_continuous_scale_is_equal_to_the_norm(values: np.ndarray, colors: dict[str, object]) -> None:
    scale = scale_of(colormap="turbo", **colors)
    inside = (values >= scale.norm.vmin) & (values <= scale.norm.vmax)
    index = scale.codes(values).astype(int)
    np.testing.assert_array_equal(index[np.isnan(values)], 258)
    np.testing.assert_array_equal(index[values < scale.norm.vmin], 0)
    np.testing.assert_array_equal(index[values > scale.norm.vmax], 257)
    with np.errstate(invalid="ignore"):
        scaled = np.ma.filled(scale.norm(np.where(inside, values, scale.norm.vmax)), 0)
    expected = np.clip(np.floor(np.asarray(scaled) * 256), 0, 255)[inside] + 1
    np.testing.assert_array_equal(index[inside], expected)
    if colors.get("norm") == "log":  # values without a logarithm are below the scale; matplotlib gives them no color
        np.testing.assert_array_equal(index[values <= 0], 0)
        values = np.where(values <= 0, np.float32(1e-30), values)
    differs = abs(scale.rgba(scale.codes(values))[..., :3].astype(int) - matplotlib_rgba(scale, values)) > 0
    assert not differs[~np.isclose(values, scale.norm.vmin) & ~np.isclose(values, scale.norm.vmax)].any()


@pytest.mark.parametrize("name", ["viridis", "terrain", "tab20", "RdBu_r"])
def test_the_palette_has_the_colors_of_the_colormap(name: str) -> None:
    scale = scale_of(colormap=name, levels=LEVELS)
    expected = matplotlib.colormaps[name].resampled(5)(np.arange(5))
    np.testing.assert_array_equal(scale.palette[1:6], np.rint(expected * 255))
    np.testing.assert_array_equal(scale.palette[[0, 6]], scale.palette[[1, 5]])


def test_transparent_colors_show_the_background() -> None:
    scale = scale_of(background="#204060", levels=LEVELS, nodata="none", over="#ffffff80")
    assert scale.palette[-1].tolist() == [0x20, 0x40, 0x60, 255]
    alpha = to_rgba("#ffffff80")[3]
    assert scale.palette[-2].tolist()[0] == round(255 * alpha + 0x20 * (1 - alpha))
    assert scale_of(background="none", levels=LEVELS).palette[-1].tolist() == [255, 255, 255, 255]


@pytest.mark.parametrize(
    ("colors", "extend"),
    [
        ({"levels": LEVELS}, "neither"),
        ({"levels": LEVELS, "under": "black"}, "min"),
        ({"levels": LEVELS, "under": "black", "over": "red"}, "both"),
        ({"vmin": 0, "vmax": 100}, "neither"),
        ({"vmin": 1, "vmax": 100}, "min"),
        ({"vmin": 0, "vmax": 50}, "max"),
    ],
)
def test_the_color_bar_is_open_at_ends_that_values_exceed(colors: dict[str, object], extend: str) -> None:
    assert scale_of(**colors).extend == extend


@pytest.mark.parametrize("norm", ["linear", "log", "symlog", "sqrt"])
@pytest.mark.parametrize(
    "grid",
    [GRID, GRID * 0, GRID * np.nan, -GRID, np.full((3, 3), 7.0), np.where(GRID > 50, np.inf, GRID), GRID * 1e-9],
    ids=["usual", "zeros", "nothing", "negative", "constant", "infinite", "tiny"],
)
def test_any_grid_has_a_scale(norm: str, grid: np.ndarray) -> None:
    scale = scale_of(grid, norm=norm)
    assert scale.norm.vmin < scale.norm.vmax
    assert scale.rgba(scale.codes(grid)).shape == (*grid.shape, 4)


@pytest.mark.parametrize("value", [7.0, -3.2e-9, 1e6, 273.15])
def test_a_single_value_is_in_the_middle_of_a_scale_with_short_labels(value: float) -> None:
    norm = scale_of(np.full((3, 3), value)).norm
    assert (norm.vmin + norm.vmax) / 2 == pytest.approx(value, rel=0.02)
    assert norm.vmax - norm.vmin > abs(value) / 10


def test_default_limits_are_round_and_enclose_most_values() -> None:
    scale = scale_of()
    assert (scale.norm.vmin, scale.norm.vmax) == (0, 100)


def test_unknown_colors_are_reported_with_their_place() -> None:
    sections = {
        **RELIEF,
        "map": {"background": "paper"},
        "colors": {"colormap": "Viridis", "under": "blak", "over": "none", "nodata": "grey"},
        "features": [{"path": "sample:states", "edgecolor": "#12345", "facecolor": "none"}],
    }
    problems = [str(problem) for problem in color_problems(read_config(sections))]
    assert [problem.split(":")[0] for problem in problems] == [
        "[colors] colormap", "[colors] under", "[map] background", "[[features]] #1 edgecolor",
    ]  # fmt: skip
    assert not list(color_problems(read_config(RELIEF)))


@pytest.mark.parametrize("norm", ["linear", "log", "sqrt", "symlog"])
@pytest.mark.parametrize("limits", [{}, {"vmin": 1e-300}, {"vmax": 4e-300}, {"vmin": 1e-300, "vmax": 4e-300}], ids=str)
def test_limits_beside_zero_leave_a_scale_that_matplotlib_can_draw(norm: str, limits: dict[str, float]) -> None:
    scale = scale_of(GRID.astype(np.float64) * 1e-305, norm=norm, **limits)
    before = scale.norm.vmin, scale.norm.vmax
    figure = Figure()
    figure.colorbar(ScalarMappable(scale.norm, scale.cmap), cax=figure.add_axes((0, 0, 1, 1)))
    assert (scale.norm.vmin, scale.norm.vmax) == before


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "uint8"])
def test_a_linear_norm_has_the_values_of_matplotlib(dtype: str) -> None:
    values = np.random.default_rng(2).uniform(0, 100, 5000).astype(dtype)
    for limits in [(0.1, 64.3), (-30.0, 7e5)]:
        expected = Normalize(*limits)(values)
        found = Linear(*limits)(values)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected.data)


numbers = st.one_of(st.floats(-1e9, 1e9), st.integers(-400, 400).map(lambda number: number / 8))


@given(low=numbers, width=st.one_of(st.floats(1e-9, 1e9), st.integers(1, 400).map(lambda number: number / 8)))
def test_rounded_limits_are_ticks_of_matplotlib(low: float, width: float) -> None:
    high = low + width
    assume(high - low > 1e-12 * max(abs(low), abs(high)))
    ticks = MaxNLocator(nbins=10, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    assert rounded_limits(low, high) == (ticks[0], ticks[-1])


def test_values_that_differ_in_the_last_digits_are_a_single_value() -> None:
    grid = np.full((20, 20), 300.0)
    grid[3, 4] += 1e-12
    scale = scale_of(grid)
    assert (scale.norm.vmin, scale.norm.vmax) == (270, 330)
