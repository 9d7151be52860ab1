"""Collect the marks of a map, in the order in which they are drawn."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from regionplot.layers.base import Layer
from regionplot.sheet.marks import AxesCall, Label, Markers, Path, Rectangle, ScaleImage, SheetMark, Text
from regionplot.sheet.sheet import Sheet

PanelArtists = Path | Markers | Label | AxesCall
"""Marks in the panel that become artists."""
NEEDS_AXES = (AxesCall, Label)
"""Types of marks in the panel whose artists need axes of a figure."""


@dataclass(frozen=True)
class DrawnMarks:
    """The marks of one map, in two groups: in the panel and on the sheet."""

    in_panel: tuple[PanelArtists, ...]
    """Marks over the raster, clipped to the panel, from the bottom to the top."""
    on_sheet: tuple[SheetMark, ...]
    """Marks above everything in the panel, from the bottom to the top."""

    @classmethod
    def of(cls, layers: Iterable[Layer], sheet: Sheet) -> DrawnMarks:
        """Return the marks of layers on a map, except the raster: its image is in `Sheet.codes`."""
        marks = [mark for layer in layers for mark in layer.draw(sheet)]
        on_sheet = tuple(mark for mark in marks if isinstance(mark, Rectangle | Text))
        return cls(tuple(m for m in marks if not isinstance(m, Rectangle | Text | ScaleImage)), on_sheet)
