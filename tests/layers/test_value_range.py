"""The range of the values on a map stands beside the label of the color bar, which keeps its units."""

from __future__ import annotations

import pytest

from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.render.figure import plot_region

REGION = Region("a", Extent(-109, -102, 37, 41))
pytestmark = pytest.mark.usefixtures("read_in_process", "draw_in_process")


@pytest.mark.parametrize("numbers", ["{:.0f}", "{:.4f}"])
@pytest.mark.parametrize("size", [(420, 300), (500, 400), (800, 600), (1400, 900)], ids=str)
def test_the_label_and_the_range_do_not_overlap(load, size: tuple[int, int], numbers: str) -> None:
    colors = {"label": "Height of the surface of the earth above the sea (m)"}
    shared = load(map={"size": size, "style": "atlas"}, colors=colors, value_range={"format": numbers})
    figure = plot_region(shared, REGION)
    figure.canvas.draw()
    texts = {
        text.get_text(): text.get_window_extent() for text in figure.findobj(lambda each: hasattr(each, "get_text"))
    }
    (values,) = [place for words, place in texts.items() if words.startswith("this map")]
    ((label, place),) = [(words, place) for words, place in texts.items() if words.startswith("Height")]
    assert place.x1 < values.x0
    assert label.endswith("(m)")
