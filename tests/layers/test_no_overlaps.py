"""On 500 maps, no two labels overlap and no label is cut at the edge of the map. Nothing is drawn."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine
from matplotlib.textpath import TextPath

from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.render.drawn_marks import DrawnMarks
from regionplot.render.fonts import label_font
from regionplot.render.sheets import Style, make_sheet
from regionplot.shared.data import SharedData
from regionplot.sheet.marks import Label
from regionplot.sheet.sheet import Sheet

SIZES = {"small": (300, 200), "wide": (480, 200), "tall": (220, 360), "atlas": (460, 300)}
MAPS = 125
"""Number of maps of each size."""
_BEFORE = {"left": 0.0, "center": 0.5}


@cache
def ink(text: str, points: float, weight: str, font: str, dpi: float) -> tuple[float, float, float, float]:
    """Return the box of the outlines of the letters around the start of their baseline, in pixels."""
    path = TextPath((0, 0), text, size=points, prop=label_font(text, points, weight, font))
    return (*(path.vertices.min(axis=0) * dpi / 72), *(path.vertices.max(axis=0) * dpi / 72))


def box_of(label: Label, dpi: float) -> shapely.Polygon:
    """Return the box of the letters of a label on the sheet."""
    left, bottom, right, top = ink(label.text, label.points, label.weight, label.font, dpi)
    dx = 0.0 if label.align == "left" else (left + right) / 2
    dy = {"baseline": 0.0, "center_baseline": max(top, 0.0) / 2, "center": (bottom + top) / 2}[label.vertical_align]
    box = shapely.affinity.translate(shapely.box(left, bottom, right, top), -dx, -dy)
    turned = shapely.affinity.rotate(box, label.rotation, origin=(0, 0))
    return shapely.affinity.translate(turned, label.x, label.y)


@pytest.fixture
def load_size(load, write_raster, write_vector):
    """Return a function that loads maps of some size with contours, cities, values, names of areas and a graticule."""
    random = np.random.default_rng(7)
    x, y = np.meshgrid(np.arange(120) / 9, np.arange(80) / 7)
    field = 1013 + 14 * np.sin(x) * np.cos(y) + 6 * np.sin(2.1 * x + y) + random.normal(size=x.shape, scale=0.4)
    raster = write_raster(field, Affine(0.5, 0, -120, 0, -0.5, 55))
    places = random.uniform((-119, 16), (-61, 54), size=(160, 2))
    cities = write_vector([shapely.Point(*place) for place in places], name="cities.geojson")
    squares = [shapely.box(-118 + 8 * i, 17 + 7 * j, -111 + 8 * i, 23 + 7 * j) for i in range(7) for j in range(5)]
    areas = write_vector(squares, name="areas.geojson")

    def loaded(name: str) -> SharedData:
        labels: list[dict[str, Any]] = [{"path": cities, "name": "id", "rank": "id"}, {"path": areas, "name": "id"}]
        labels.insert(name == "wide", {"path": cities, "name": "id", "rank": "id", "values": True, "format": "{:.1f}"})
        return load(
            raster={"path": raster},
            map={"size": SIZES[name], "style": "atlas" if name == "atlas" else "plain"},
            contours=[{"interval": 5, "highs_lows": True}],
            graticule={},
            labels=labels,
        )

    return loaded


def labels_of(shared: SharedData, style: Style, region: Region) -> tuple[Sheet, list[Label]]:
    sheet = make_sheet(region, style)
    return sheet, [mark for mark in DrawnMarks.of(shared.layers, sheet).in_panel if isinstance(mark, Label)]


@pytest.mark.usefixtures("read_in_process")
@pytest.mark.parametrize("name", SIZES)
def test_no_two_labels_overlap_and_none_is_cut(load_size, name: str) -> None:
    shared = load_size(name)
    style, random, count = Style.of(shared), np.random.default_rng(3), 0
    for number in range(MAPS):
        width, height = random.uniform(3, 25, 2)
        west, south = random.uniform(-119, -61 - width), random.uniform(16, 54 - height)
        region = Region(str(number), Extent(west, west + width, south, south + height))
        sheet, labels = labels_of(shared, style, region)
        boxes = np.array([box_of(label, sheet.layout.dpi) for label in labels], object)
        first, second = shapely.STRtree(boxes).query(boxes, "intersects")
        overlaps = [(labels[a].text, labels[b].text) for a, b in zip(first, second, strict=True) if a < b]
        assert not overlaps, region
        panel = sheet.view.box
        inside = shapely.box(panel.left, panel.bottom, panel.right, panel.top)
        whole = shapely.box(0, 0, *sheet.layout.size)
        beside = boxes[~shapely.intersects(inside, boxes)]  # numbers of the graticule in the margin
        assert shapely.contains(whole, beside).all(), region
        assert name == "atlas" or not beside.size, region
        is_cut = shapely.intersects(inside, boxes) & ~shapely.contains(inside.buffer(0.5), boxes)
        assert not [label.text for label, found in zip(labels, is_cut, strict=True) if found], region
        count += len(labels)
    assert count > 5 * MAPS
