"""Collect the marks of a map, in the order in which they are drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from regionplot.layers.base import Layer
from regionplot.sheet.marks import (
    AxesCall,
    Barbs,
    Hatch,
    Image,
    Label,
    Markers,
    PanelMark,
    Path,
    Rectangle,
    ScaleImage,
    Shade,
    SheetMark,
    Text,
)
from regionplot.sheet.placing import Placer
from regionplot.sheet.sheet import Sheet

PanelArtists = Path | Markers | Label | Barbs | Image | AxesCall
"""Marks in the panel that become artists."""
NEEDS_AXES = (AxesCall, Barbs, Image, Label)
"""Types of marks in the panel whose artists need axes of a figure."""


@dataclass(frozen=True)
class DrawnMarks:
    """The marks of one map, in two groups: in the panel and on the sheet."""

    in_panel: tuple[PanelArtists, ...]
    """Marks over the raster, clipped to the panel, from the bottom to the top."""
    on_sheet: tuple[SheetMark, ...]
    """Marks above everything in the panel, from the bottom to the top."""
    shades: tuple[Shade | Hatch, ...] = ()
    """Marks that change the colors of the raster, from the bottom to the top."""

    @classmethod
    def of(cls, layers: Iterable[Layer], sheet: Sheet) -> DrawnMarks:
        """Return the marks of layers on a map, except the raster: its image is in `Sheet.codes`."""
        layers = tuple(layers)
        if any(getattr(layer, "label_order", 0) for layer in layers):
            marks = _marks_with_labels(layers, sheet)
        else:
            marks = [mark for layer in layers for mark in layer.draw(sheet)]
        marks = [_on_raster(mark, sheet) for mark in marks]
        on_sheet = tuple(mark for mark in marks if isinstance(mark, Rectangle | Text))
        shades = tuple(mark for mark in marks if isinstance(mark, Shade | Hatch))
        return cls(
            tuple(m for m in marks if not isinstance(m, Rectangle | Text | ScaleImage | Shade | Hatch)),
            on_sheet,
            shades,
        )


def _on_raster(mark: PanelMark | SheetMark, sheet: Sheet) -> PanelMark | SheetMark:
    """Return a mark in its colors on the raster of a map."""
    if isinstance(mark, Label) and mark.on_dark is not None and sheet.is_dark(mark.on_dark.box):
        return mark.reversed()
    return mark


def _marks_with_labels(layers: Sequence[Layer], sheet: Sheet) -> list[PanelMark | SheetMark]:
    """Return the marks of layers that share the space for labels, from the bottom to the top."""
    from regionplot.render.measure import text_measure  # noqa: PLC0415 (few maps have such layers)

    measure = text_measure(sheet.layout.dpi, sheet.layout.page.font)
    shared = replace(sheet, shared_placer=Placer(sheet.view.box, measure))
    order = sorted(range(len(layers)), key=lambda number: getattr(layers[number], "label_order", 0))
    drawn: dict[int, list[PanelMark | SheetMark]] = {number: list(layers[number].draw(shared)) for number in order}
    return [mark for number in range(len(layers)) for mark in drawn[number]]
