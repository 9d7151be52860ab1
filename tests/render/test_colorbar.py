"""The labels of a color bar are right, distinct, apart from each other, and completely on the sheet."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from regionplot.colors.numbers import ColorScale
from regionplot.colors.shipped import scale_settings
from regionplot.layers.colorbar import ColorBarLayer
from regionplot.layers.stack import lay_out
from regionplot.render.colorbar import add_colorbar
from regionplot.settings.loading import read_config
from regionplot.text import number_labels

RANGES: dict[str, dict[str, Any]] = {
    "within a decade": {"norm": "log", "vmin": 2, "vmax": 9},
    "over a decade": {"norm": "log", "vmin": 3, "vmax": 40},
    "half a decade": {"norm": "log", "vmin": 1, "vmax": 1.5},
    "narrow log": {"norm": "log", "vmin": 1.1e6, "vmax": 1.2e6},
    "many decades": {"norm": "log", "vmin": 1e-12, "vmax": 1e12},
    "all decades": {"norm": "log", "vmin": 1e-299, "vmax": 1e299},
    "far decades": {"norm": "log", "vmin": 3e-150, "vmax": 1e-20},
    "symmetric, all decades": {"norm": "symlog", "vmin": -1e299, "vmax": 1e299},
    "symmetric": {"norm": "symlog", "vmin": -50, "vmax": 50},
    "symlog from zero": {"norm": "symlog", "vmin": 0, "vmax": 1000},
    "symlog without a decade": {"norm": "symlog", "vmin": 5, "vmax": 7},
    "symlog, uneven": {"norm": "symlog", "vmin": -1e6, "vmax": 10},
    "root": {"norm": "sqrt", "vmin": 0, "vmax": 1e7},
    "offset": {"vmin": 1_000_000, "vmax": 1_000_001},
    "negative offset": {"vmin": -100_000, "vmax": -99_990},
    "large": {"vmin": -1e30, "vmax": 1e30},
    "small": {"vmin": 0, "vmax": 1.3e-7},
}
LEVELS: dict[str, list[float]] = {
    "pressure": [1_000_000, 1_005_000, 1_010_000, 1_012_500, 1_013_250, 1_020_000],
    "people": [0, 1000, 100_000, 1_234_567, 1_234_568, 2_000_000],
    "dates": [20240101, 20240401, 20240701, 20241001],
    "thirds": [0, 1 / 3, 2 / 3, 1],
    "signs": [-1234567.25, -1234567, 0, 1234567],
    "tiny and huge": [1e-9, 1.5e-9, 2e-6, 1e20, 1.0000001e20],
    "many": (np.arange(250) / 100).tolist(),
    "nearly equal": [0.1, 0.1 + 1e-15, 0.1 + 1e-14, 0.2],
}
SIZES = [(1400, 900), (700, 450), (240, 200)]


def labels_of(size: tuple[int, int], style: str = "plain", **colors: Any) -> tuple[Figure, list[Text]]:
    """Draw a color bar. Return the figure, and the visible labels from left to right."""
    map_settings = {"size": size, "style": style}
    config = read_config({"raster": {"path": "sample:relief"}, "map": map_settings, "colors": colors})
    scale = ColorScale.of(config, np.array([[3.0, 6.0]]))
    layout = lay_out(config, scale.key())
    (mark,) = ColorBarLayer("Label", key="Label").frame(layout)
    figure = Figure(figsize=(size[0] / layout.dpi, size[1] / layout.dpi), dpi=layout.dpi)
    FigureCanvasAgg(figure)
    add_colorbar(figure, layout, mark)
    figure.canvas.draw()
    (axes,) = figure.axes
    assert not axes.xaxis.get_offset_text().get_text()
    width = figure.bbox.width
    found = [*axes.get_xticklabels(), *axes.get_xticklabels(minor=True)]
    shown = [label for label in found if label.get_visible() and label.get_text()]
    inside = [label for label in shown if axes.bbox.x0 - 1 < _tick_pixel(axes, label) < axes.bbox.x1 + 1]
    assert all(label.get_fontsize() == mark.points for label in inside)
    assert all(box.x0 >= -0.01 and box.x1 <= width + 0.01 for box in (label.get_window_extent() for label in inside))
    return figure, sorted(inside, key=lambda label: label.get_window_extent().x0)


def _tick_pixel(axes: Any, label: Text) -> float:
    return float(axes.transData.transform((label.get_position()[0], 0))[0])


def number_in(text: str) -> float:
    return float(text.replace("\N{MINUS SIGN}", "-"))


def check_apart(labels: list[Text]) -> None:
    texts = [label.get_text() for label in labels]
    assert len(set(texts)) == len(texts)
    boxes = [label.get_window_extent() for label in labels]
    assert all(left.x1 <= right.x0 for left, right in pairwise(boxes))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("limits", RANGES.values(), ids=list(RANGES))
def test_labels_of_a_range_are_distinct_and_apart(limits: dict[str, Any], size: tuple[int, int]) -> None:
    _, labels = labels_of(size, **limits)
    check_apart(labels)
    assert len(labels) >= (3 if size[0] > 300 else 1)
    for label in labels:
        if "$" not in label.get_text():  # powers of ten are set by matplotlib
            assert number_in(label.get_text()) == pytest.approx(label.get_position()[0], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("levels", LEVELS.values(), ids=list(LEVELS))
def test_labels_of_levels_are_distinct_and_apart(levels: list[float], size: tuple[int, int]) -> None:
    _, labels = labels_of(size, levels=levels)
    check_apart(labels)
    assert labels
    for label in labels:
        assert number_in(label.get_text()) == pytest.approx(label.get_position()[0], rel=1e-9, abs=1e-300)
    texts = number_labels(levels)
    assert len(set(texts)) == len(levels)
    assert {label.get_text() for label in labels} <= set(texts)


def test_labels_that_fit_are_centered_below_their_levels() -> None:
    figure, labels = labels_of((1400, 900), levels=[0, 10, 20, 30])
    for label in labels:
        box = label.get_window_extent()
        assert (box.x0 + box.x1) / 2 == pytest.approx(_tick_pixel(figure.axes[0], label), abs=1.5)


@pytest.mark.parametrize("step", [0.1, 2.5, 1000])
@pytest.mark.parametrize("first", [-7, 3])
@pytest.mark.parametrize("count", [5, 19, 41])
def test_levels_with_equal_steps_have_labels_with_equal_steps(first: int, count: int, step: float) -> None:
    levels = [(first + number) * step for number in range(count)]
    _, labels = labels_of((700, 450), "atlas", levels=levels)
    check_apart(labels)
    values = [number_in(label.get_text()) for label in labels]
    assert len(values) > 2
    assert np.ptp(np.diff(values)) < 1e-6 * step
    assert 0 in values or 0 not in levels


def test_round_levels_with_unequal_steps_have_a_label_first() -> None:
    _, labels = labels_of((700, 450), "atlas", levels=[0, 90, 97, 100, 103, 110, 200, 390, 400])
    assert {number_in(label.get_text()) for label in labels} >= {0, 100, 200, 400}


@pytest.mark.parametrize("name", ["snow", "nws:precipitation", "waves"])
def test_short_bars_of_unequal_classes_have_a_number_at_each_limit(name: str) -> None:
    levels = next(iter(scale_settings(name).values()))["levels"]
    _, labels = labels_of((1400, 900), "atlas", levels=levels, over="#000000")
    check_apart(labels)
    assert [number_in(label.get_text()) for label in labels] == levels
