"""Contour labels depend on cells beyond the panel: these cells are loaded, and a map is drawn anew if they change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from affine import Affine

from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.render.drawn_marks import DrawnMarks
from regionplot.render.sheets import Style, make_sheet
from regionplot.runs.digests import MapDigests
from regionplot.shared.data import SharedData
from regionplot.sheet.marks import Label

CELL = 0.25
REGION = Region("a", Extent(-84, -72, 36, 44))


def waves() -> np.ndarray:
    """Return a smooth field from 110° W to 50° W and from 55° N to 25° N."""
    x, y = np.meshgrid(CELL * np.arange(240), CELL * np.arange(120))
    return 1013 + 9 * np.sin(x / 2.3 + 0.4 * np.sin(y / 3)) * np.cos(y / 2.1) + 0.2 * y


@pytest.fixture
def shared(make_config, write_raster):
    """Return a function that loads the part of a raster that the region needs."""

    def load(field: np.ndarray, *regions: Region, **settings: Any) -> SharedData:
        path = write_raster(field, Affine(CELL, 0, -110, 0, -CELL, 55))
        contours = [{"interval": 2, "smooth": 4, **settings}]
        return SharedData.load(
            make_config(raster={"path": path}, map={"size": [900, 600]}, contours=contours), regions or None
        )

    return load


@pytest.mark.parametrize("highs_lows", [True, False])
def test_labels_are_the_same_if_only_the_part_of_the_region_is_loaded(shared, highs_lows: bool) -> None:
    found = []
    for regions in ((), (REGION,)):
        data = shared(waves(), *regions, highs_lows=highs_lows)
        sheet = make_sheet(REGION, Style.of(data))
        found.append([mark for mark in DrawnMarks.of(data.layers, sheet).in_panel if isinstance(mark, Label)])
        rows = data.plan.window.height
    assert rows < 120, "the second run loads a part"
    assert len(found[0]) > 8
    assert [label.text for label in found[0]] == [label.text for label in found[1]]
    places = [[(label.x, label.y) for label in each] for each in found]
    np.testing.assert_allclose(places[0], places[1], atol=0.01)


@pytest.mark.parametrize(("settings", "depends"), [({}, True), ({"labels": False}, False)])
def test_a_map_is_drawn_anew_if_a_cell_near_its_labels_changes(shared, settings: dict[str, Any], depends: bool) -> None:
    """The cell is 3.5 degrees, or 240 pixels, beyond the panel."""
    digests = []
    for added in (0.0, 5.0):
        field = waves()
        panel = make_sheet(REGION, Style.of(shared(field, **settings))).view.panel.extent
        field[60, round((panel.xmax + 3.5 + 110) / CELL)] += added
        digests.append(MapDigests(shared(field, REGION, **settings)).of(REGION))
    assert (digests[0] != digests[1]) is depends
