"""Move marks and views on the sheet, so that a map can be a part of a larger sheet."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from regionplot.sheet.layout import Box
from regionplot.sheet.marks import ColorBar, Label, Mark, Rectangle, Strokes, Text
from regionplot.sheet.view import View

M = TypeVar("M", bound=Mark)


def shifted(mark: M, offset: tuple[int, int]) -> M:
    """Return a mark, moved on the sheet.

    Marks in map coordinates are returned unchanged. They follow the axes of the map.

    Parameters
    ----------
    mark : Mark
        The mark.
    offset : (int, int)
        Pixels to the right and up.
    """
    if offset == (0, 0):
        return mark
    dx, dy = offset
    if isinstance(mark, Label | Text):
        return replace(mark, x=mark.x + dx, y=mark.y + dy)
    if isinstance(mark, Rectangle | ColorBar):
        return replace(mark, box=_shifted_box(mark.box, offset))
    if isinstance(mark, Strokes):
        return replace(mark, lines=tuple(tuple((x + dx, y + dy) for x, y in line) for line in mark.lines))
    return mark


def shifted_view(view: View, offset: tuple[int, int]) -> View:
    """Return a view whose panel is moved on the sheet."""
    return view if offset == (0, 0) else replace(view, box=_shifted_box(view.box, offset))


def _shifted_box(box: Box, offset: tuple[int, int]) -> Box:
    return replace(box, left=box.left + offset[0], bottom=box.bottom + offset[1])
