"""Keys beside a short color bar explain contour lines and barbs. They touch nothing else in the foot of the sheet."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine

from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.layers.contour_settings import ContourSettings
from regionplot.layers.symbol_keys import contour_label
from regionplot.render.measure import text_measure
from regionplot.render.renderer import MapRenderer
from regionplot.render.sheets import make_sheet
from regionplot.settings.loading import read_config
from regionplot.shared.data import SharedData
from regionplot.sheet.marks import ColorBar, Rectangle, Strokes, Text

REGION = Region("a", Extent(-124, -93, 36, 63), crs="EPSG:4326")
"""Reaches beyond the grid."""
BARBS = {"u": {"band": 1}, "v": {"band": 1}, "units": "m/s"}


@pytest.fixture
def shared_of(load: Callable[..., SharedData], write_raster: Callable[..., Path]) -> Callable[..., SharedData]:
    """Return a function that loads a grid of 1-degree cells in the atlas style, with some missing cells."""
    values = np.add.outer(np.arange(40, dtype=np.float32), np.arange(60, dtype=np.float32)) + 980
    values[3, 3] = -1

    def loaded(**sections: Any) -> SharedData:
        path = write_raster(values, Affine(1, 0, -120, 0, -1, 60), nodata=-1.0, crs="EPSG:4326")
        place = {"style": "atlas", "projection": "raster", **sections.pop("map", {})}
        return load(raster={"path": path}, map=place, **sections)

    return loaded


def foot(shared: SharedData) -> tuple[list[str], list[tuple[float, float, float, float]], int]:
    """Return the texts of keys, the boxes of everything below the panel and its numbers, and the number of symbols."""
    style = MapRenderer(shared).style
    sheet = make_sheet(REGION, style)
    marks = [mark for layer in style.layers for mark in layer.frame(style.layout)]
    marks += [
        mark for layer in style.layers if {Text, Rectangle} <= set(layer.mark_types) for mark in layer.draw(sheet)
    ]
    top = style.layout.panel.bottom
    measure, texts, boxes = text_measure(style.layout.dpi, style.layout.page.font), [], []
    for mark in marks:
        if isinstance(mark, Text) and mark.y < top:
            size = measure(mark.text, mark.points, mark.weight)
            width = min(size.width, mark.max_width or size.width)
            left = mark.x - width * {"left": 0, "center": 0.5, "right": 1}[mark.align]
            texts.append(mark.text)
            boxes.append((left, mark.y, left + width, mark.y + 0.7 * size.ascent))
        elif isinstance(mark, Rectangle | ColorBar) and mark.box.top < top and mark.box.width > 2:
            boxes.append((mark.box.left, mark.box.bottom, mark.box.right, mark.box.top))
    strokes = [np.concatenate([np.array(line) for line in mark.lines]) for mark in marks if isinstance(mark, Strokes)]
    boxes += [(*each.min(axis=0), *each.max(axis=0)) for each in strokes]
    return texts, boxes, len(strokes)


def overlapping(boxes: list[tuple[float, float, float, float]]) -> list[Any]:
    """Return the pairs of boxes that overlap, but do not contain one another: a scale bar has two parts."""

    def inside(a: Any, b: Any) -> bool:
        return a[0] >= b[0] and a[1] >= b[1] and a[2] <= b[2] and a[3] <= b[3]

    return [
        (a, b)
        for a, b in combinations(boxes, 2)
        if a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3] and not (inside(a, b) or inside(b, a))
    ]


@pytest.mark.parametrize("has_bar", [True, False])
def test_keys_explain_lines_and_barbs(shared_of: Callable[..., SharedData], has_bar: bool) -> None:
    lines = {"interval": 4, "name": "Pressure", "raster": {"band": 1}}
    shared = shared_of(
        colors={"colorbar": has_bar}, contours=[lines], barbs=[BARBS], credit={"lines": ["Data: a", "b"]}
    )
    texts, boxes, symbols = foot(shared)
    assert {"Pressure", "every 4", "every 20", "Wind (knots)", "calm", "5", "10", "50", "no data"} <= set(texts)
    assert symbols == 6
    assert not overlapping(boxes)
    assert min(box[0] for box in boxes) >= 0
    assert max(box[2] for box in boxes) <= 1400
    assert MapRenderer(shared).render(REGION).pixels.shape == (900, 1400, 3)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ({"interval": 2.5, "bold": 0}, ["every 2.5"]),
        ({"interval": 3, "bold": 1}, ["every 3"]),
        ({"levels": [0]}, ["0"]),
        ({"levels": [-10, 0, 10]}, ["−10, 0, 10"]),
        ({"levels": [5, 1, 2, 3, 4]}, ["1 to 5"]),
        ({"interval": 4, "key_label": ""}, []),
        ({"interval": 4, "show": False}, []),
        ({"levels": [990], "linewidth": 0, "hatch": ["none", "/"]}, []),
    ],
)
def test_the_key_follows_the_settings(
    shared_of: Callable[..., SharedData], lines: dict[str, Any], expected: list[str]
) -> None:
    texts, _, symbols = foot(shared_of(contours=[{"key_label": "Lines", **lines}], scale_bar={"show": False}))
    assert [each for each in texts if each in expected] == expected
    assert symbols == len(expected)
    assert ("Lines" in texts) == bool(expected)


@pytest.mark.parametrize(
    ("place", "count"), [({"style": "plain"}, 0), ({"size": [600, 400]}, 0), ({"size": [2800, 1800], "dpi": 200}, 6)]
)
def test_only_wide_sheets_with_a_short_color_bar_have_keys(
    shared_of: Callable[..., SharedData], place: dict[str, Any], count: int
) -> None:
    shared = shared_of(map=place, contours=[{"interval": 4}], barbs=[BARBS])
    marks = [mark for layer in shared.layers for mark in layer.frame(MapRenderer(shared).style.layout)]
    found = [np.concatenate([np.array(line) for line in mark.lines]) for mark in marks if isinstance(mark, Strokes)]
    assert len(found) == count
    assert all(first[:, 0].max() < second[:, 0].min() for first, second in pairwise(found))


def test_keys_without_space_are_left_out(shared_of: Callable[..., SharedData]) -> None:
    _, boxes, symbols = foot(shared_of(contours=[{"interval": step} for step in range(4, 12)], barbs=[BARBS]))
    assert 0 < symbols < 20
    assert not overlapping(boxes)


@pytest.mark.parametrize(
    "place",
    [
        {"size": [300, 200]},
        {"size": [200, 600]},
        {"size": [600, 400]},
        {"size": [1400, 900], "dpi": 200},
        {"size": [950, 500]},
        {"size": [2400, 500]},
    ],
)
@pytest.mark.parametrize("levels", [[985, 990], list(range(980, 1060, 2))])
def test_nothing_overlaps_in_the_foot(
    shared_of: Callable[..., SharedData], place: dict[str, Any], levels: list[int]
) -> None:
    colors = {
        "levels": levels,
        "colormap": "viridis",
        "under": "none",
        "label": "Pressure at the level of the sea " * 4,
    }
    lines = ["Data: a long name of a source, and of a second source.", "Boundaries: US Census Bureau, Natural Earth."]
    shared = shared_of(map=place, colors=colors, contours=[{"interval": 4}], credit={"lines": lines})
    texts, boxes, _ = foot(shared)
    assert set(lines) <= set(texts)
    assert not overlapping(boxes)
    assert max(box[2] for box in boxes) <= place["size"][0]


@pytest.mark.parametrize(
    ("units", "scale", "label"),
    [
        ("m^2/s^2", 0.0101972, "500 hPa geopotential height (dam)"),
        ("m^2/s^2", 0.101972, "500 hPa geopotential height (m)"),
        ("m^2/s^2", 1.0, "500 hPa geopotential (m²/s²)"),
        ("m^2/s^2", 3.0, "500 hPa geopotential"),
        ("MB", 1.0, "500 hPa geopotential (hPa)"),
    ],
)
def test_the_label_of_contours_has_the_units_of_the_scaled_values(units: str, scale: float, label: str) -> None:
    config = read_config({"raster": {"path": "sample:relief"}})
    description = {"long_name": "Geopotential, mean of 10 members", "level": "500 hPa", "units": units}
    assert contour_label(ContourSettings(interval=6, scale=scale), description, config) == label
