"""The key of classes of features: a label, then a swatch and a name for each class, in rows below the panel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from regionplot.layers.legend import room_for_name
from regionplot.settings.vector import ClassSettings
from regionplot.sheet.layout import HALF_CAPITAL, POINTS_PER_INCH, Box, Layout, Page, Room
from regionplot.sheet.marks import Rectangle, SheetMark, Text

_SWATCH = 16, 9
"""Width and height of a swatch in points."""
_ROW, _GAP, _NEXT = 15, 5, 13
"""Distances in points: from one row to the next, from a swatch to its name, and from a name to the next swatch."""
_ABOVE = 14
"""Points between the key and the panel, for longitudes below the panel."""
_LABEL = -1


def key_room(settings: ClassSettings, page: Page) -> Room | None:
    """Return the space for the key of a layer, or None if it has no key."""
    if not (settings.color_by and settings.key_label and settings.show):
        return None
    rows = max(row for row, _, _ in _items(settings, page)) + 1
    return Room("bottom", page.pixels(_ABOVE) + rows * page.pixels(_ROW))


def key_marks(settings: ClassSettings, layout: Layout, name: str) -> Iterator[SheetMark]:
    """Yield the label, the swatches and the names of a key.

    Parameters
    ----------
    settings : ClassSettings
        The classes.
    layout : Layout
        The sheet.
    name : str
        Name of the layer in `layout.rooms`.
    """
    room, page = layout.rooms.get(name), layout.page
    if room is None:
        return
    width, height = (page.pixels(points) for points in _SWATCH)
    baseline = page.label_points * page.dpi / POINTS_PER_INCH * HALF_CAPITAL
    for (row, x, space), (number, words) in zip(
        _items(settings, page), enumerate(_texts(settings), _LABEL), strict=True
    ):
        left, middle = layout.panel.left + x, room.top - page.pixels(_ABOVE) - (row + 0.5) * page.pixels(_ROW)
        if number != _LABEL:
            box = Box(left, round(middle - height / 2), width, height)
            yield Rectangle(box, settings.colors[number], page.line_ink, page.neatline_pixels)
            left += width + page.pixels(_GAP)
        yield Text(
            left, round(middle - baseline), words, page.label_points, page.ink,
            max_width=space, smallest=0.6, is_hinted=False, font=page.font,
        )  # fmt: skip


def _texts(settings: ClassSettings) -> Sequence[str]:
    """Return the label and the names of the classes."""
    return (settings.key_label, *settings.class_names)


def _items(settings: ClassSettings, page: Page) -> Iterator[tuple[int, int, int]]:
    """Yield row, pixels from the left edge of the panel, and pixels for the text, of the label and of each class."""
    available = page.size[0] - 2 * page.margin
    row = x = 0
    for number, words in enumerate(_texts(settings), _LABEL):
        before = 0 if number == _LABEL else page.pixels(_SWATCH[0]) + page.pixels(_GAP)
        letters = round(room_for_name(words) * page.label_points * page.dpi / POINTS_PER_INCH)
        space = min(letters, available - before)
        if x and x + before + space > available:
            row, x = row + 1, 0
        yield row, x, space
        x += before + space + page.pixels(_NEXT)
