"""The color bar below the panel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from typing_extensions import override

from regionplot import text
from regionplot.layers.base import Layer, LoadContext
from regionplot.sheet.key import ColorBarKey
from regionplot.sheet.layout import POINTS_PER_INCH, Box, Layout, Page, Room
from regionplot.sheet.marks import ColorBar

NAME = "colorbar"
_LABEL_HEIGHT = 24
"""Points from the bottom of the sheet to the tick labels."""
_TICKS = 8
"""Points for the ticks and the gaps between ticks and labels. They do not scale with the sheet."""
_BAR_HEIGHT = 9
"""Height of the bar in points."""
_GAP = 9
"""Points between the bar and the panel."""


@dataclass(frozen=True)
class ColorBarLayer(Layer):
    """The color bar of a scale for numbers, with ticks and a label."""

    zorder: ClassVar[float] = 95
    label: str
    key: str

    @classmethod
    @override
    def room(cls, settings: Any, page: Page) -> Room | None:
        if not (page.config.colors.colorbar and isinstance(page.key, ColorBarKey)):
            return None
        return Room("bottom", _bar_bottom(page) + page.pixels(_BAR_HEIGHT) + page.pixels(_GAP))

    @classmethod
    @override
    def load(cls, settings: Any, context: LoadContext) -> Self:
        label = key_label(context)
        return cls(label, key=label)

    @override
    def frame(self, layout: Layout) -> Iterator[ColorBar]:
        room, page = layout.rooms.get(NAME), layout.page
        if room is not None and isinstance(page.key, ColorBarKey):
            width, height = layout.size[0] - 2 * page.inset, page.pixels(_BAR_HEIGHT)
            box = Box(page.inset, room.bottom + _bar_bottom(page), width, height)
            yield ColorBar(
                box, page.key, self.label, page.label_points, page.neatline_pixels, max_width=layout.text_width
            )

    @override
    def inks(self) -> frozenset[str]:
        return frozenset()


def _bar_bottom(page: Page) -> int:
    """Return the distance in pixels from the bottom of the color bar's space to the bar."""
    return page.pixels(_LABEL_HEIGHT) + round(_TICKS * page.dpi / POINTS_PER_INCH)


def key_label(context: LoadContext) -> str:
    """Return the label of the color bar or legend: `[colors] label`, or the long name and units of the raster."""
    given = context.config.colors.label
    if given is not None:
        return text.plain_text(given)
    description = context.description
    units = context.config.colors.units or str(description.get("units", ""))
    return text.colorbar_label(str(description.get("long_name", "")), units)
