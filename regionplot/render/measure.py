"""Measure texts with matplotlib's fonts, without drawing them."""

from __future__ import annotations

from functools import lru_cache

from matplotlib.backends.backend_agg import RendererAgg

from regionplot.render.fonts import FALLBACKS, label_font
from regionplot.sheet.placing import Measure, TextSize

_MAX_KEPT = 10_000
"""Maximum number of texts whose size is kept for each resolution."""


@lru_cache(maxsize=8)
def text_measure(dpi: float, family: str) -> Measure:
    """Return a function that measures texts at a resolution in a font family. It keeps the sizes of texts."""
    renderer = RendererAgg(1, 1, dpi)

    @lru_cache(maxsize=_MAX_KEPT)
    def measure(text: str, points: float, weight: str) -> TextSize:
        FALLBACKS.report([text])
        font = label_font(text, points, weight, family)
        width, height, descent = renderer.get_text_width_height_descent(text, font, ismath=False)
        return TextSize(width, height - descent, descent)

    return measure
