"""Save figures in vector formats: lines and text as vectors, the raster as an image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Affine2DBase, IdentityTransform
from numpy.typing import NDArray

from regionplot.render.figure import draw_figure
from regionplot.render.sheets import Style, place_on_earth
from regionplot.render.style import plain_style
from regionplot.render.text import HaloText
from regionplot.sheet.sheet import Sheet
from regionplot.writers.base import FigurePicture

_SALT = "regionplot"
"""Text from which matplotlib derives the ids of SVG elements. Without this text, the ids are random."""


class SheetPixels(Affine2DBase):
    """Transform from pixels of the sheet to pixels of the output.

    PDF and SVG files always have 72 pixels per inch. The resolution of the figure does not matter.

    Parameters
    ----------
    figure : Figure
        The figure. matplotlib changes its resolution while the figure is saved.
    dpi : float
        Resolution of the sheet.
    """

    def __init__(self, figure: Figure, dpi: float) -> None:
        super().__init__()
        self._figure, self._dpi = figure, dpi

    def get_matrix(self) -> NDArray[np.float64]:
        """Return the matrix, shape (3, 3)."""
        factor = self._figure.dpi / self._dpi
        return np.diag([factor, factor, 1.0])


@dataclass(frozen=True)
class SaveSheet:
    """Save a figure with matplotlib's default style, so that equal figures give equal bytes."""

    figure: Figure

    def __call__(self, file: BinaryIO, format: str, metadata: Mapping[str, str | None]) -> None:
        """Write the figure."""
        with plain_style(), matplotlib.rc_context({"svg.hashsalt": _SALT}):
            self.figure.savefig(file, format=format, metadata=dict(metadata))


def draw_vectors(sheet: Sheet, style: Style) -> FigurePicture:
    """Return a picture of a map for a writer that needs a figure. The caller must be inside `plain_style()`."""
    return vectors_of(draw_figure(sheet, style), sheet, style)


def vectors_of(figure: Figure, sheet: Sheet, style: Style) -> FigurePicture:
    """Return a picture of a map whose figure is already drawn."""
    pixels = SheetPixels(figure, style.layout.dpi)
    children = (child for axes in figure.axes for child in axes.get_children())
    labels = [child for child in children if isinstance(child, Text | HaloText) and _is_in_pixels(child)]
    for artist in [*figure.artists, *labels]:
        artist.set_transform(pixels)
    place = place_on_earth(sheet.view, style, sheet.crs)
    return FigurePicture(SaveSheet(figure), sheet.title, sheet.no_data, place)


def _is_in_pixels(artist: Artist) -> bool:
    return isinstance(artist.get_transform(), IdentityTransform)
