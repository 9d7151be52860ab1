"""Which scale a raster is drawn on."""

from __future__ import annotations

from regionplot.coloring import Classes, TrueColor
from regionplot.drawing.categories import ClassScale
from regionplot.drawing.colors import ColorScale, Scale
from regionplot.drawing.truecolor import TrueColorScale
from regionplot.shared import SharedData


def scale_of(shared: SharedData) -> Scale:
    """The scale that suits a raster and its config."""
    match shared.info.coloring:
        case Classes() as classes:
            return ClassScale.of(classes, shared.config)
        case TrueColor() as coloring:
            return TrueColorScale(coloring, shared.config.map.background)
        case _:
            return ColorScale.of(shared.config, shared.cells_drawn)
