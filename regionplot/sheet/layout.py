"""Lay out a map sheet in whole pixels, so that sampled pixels and panel pixels coincide."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from regionplot.errors import ConfigError, Place, Problem
from regionplot.settings.config import Config
from regionplot.sheet.key import Key

POINTS_PER_INCH = 72
_STANDARD_AREA = 14 * 9
"""Area in square inches of the standard sheet, 14 × 9 inches. The font sizes below are for this sheet."""
_SMALLEST = 0.7
"""Minimum factor for text on small sheets."""
_LARGEST = 2.0
"""Maximum factor for text on large sheets."""
_NARROW = 9.0
"""Width in inches below which maps with a short color bar show less."""
_LEAST_POINTS = 8.0
"""Minimum font size on sheets with a short color bar."""
_NEATLINE = 0.8
"""Width of the neatline in points."""
_INSET = 12
"""Points between the left edge of the panel and a color bar below it."""
_MIN_PANEL = 10
"""Minimum width and height of a panel in pixels."""
HALF_CAPITAL = 0.37
"""Half the height of a capital letter, as a fraction of the font size."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels. Coordinates start at the lower left corner of the sheet."""

    left: int
    bottom: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """First column to the right of the box."""
        return self.left + self.width

    @property
    def top(self) -> int:
        """First row above the box."""
        return self.bottom + self.height

    def fractions(self, sheet: tuple[int, int]) -> tuple[float, float, float, float]:
        """Return left, bottom, width and height as fractions of the sheet, as in `Figure.add_axes` of matplotlib."""
        return self.left / sheet[0], self.bottom / sheet[1], self.width / sheet[0], self.height / sheet[1]


@dataclass(frozen=True, slots=True)
class Room:
    """Space that a layer needs above or below the panel, as wide as the sheet."""

    side: Literal["top", "bottom"]
    height: int
    """Height in pixels."""
    is_shared: bool = False
    """True: the layer shares one strip at the edge of the sheet with other layers. The strip has the height of its
    highest layer. The layers use the strip from left to right."""
    is_beside_panel: bool = False
    """True if no other room lies between this room and the panel."""


@lru_cache(maxsize=64)
def _factor(width: int, height: int, dpi: float) -> float:
    return math.sqrt(width * height / dpi**2 / _STANDARD_AREA)


@dataclass(frozen=True, slots=True)
class Page:
    """A sheet before its layout: size, settings and key."""

    config: Config
    key: Key | None = None
    """Key for the color bar or the legend. None for true color, which has neither."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.config.map.size

    @property
    def dpi(self) -> float:
        """Pixels per inch."""
        return self.config.map.dpi

    @property
    def text_factor(self) -> float:
        """Factor for text and margins, relative to the standard sheet."""
        return min(max(self.factor, _SMALLEST), _LARGEST)

    @property
    def factor(self) -> float:
        """Size of the sheet relative to the standard sheet: the root of the ratio of the areas."""
        return _factor(*self.size, self.dpi)

    @property
    def is_narrow(self) -> bool:
        """True if the sheet has less than 900 pixels at 100 dpi. Maps with a short color bar then show less."""
        return self.has_short_bar and self.size[0] / self.dpi < _NARROW

    @property
    def has_short_bar(self) -> bool:
        """True if color bars are short, as in the atlas style."""
        return self.config.sheet.colorbar == "short"

    def small_points(self, points: float) -> float:
        """Return the font size of a small text. With a short color bar, no text is smaller than 8 points."""
        least = min(points, _LEAST_POINTS) if self.has_short_bar else 0.0
        return max(points * self.text_factor, least)

    def pixels(self, points: float) -> int:
        """Return a length in pixels. `points` is the length on the standard sheet, in points."""
        return round(points * self.text_factor * self.dpi / POINTS_PER_INCH)

    @property
    def margin(self) -> int:
        """Pixels between the panel and the edge of the sheet."""
        return self.pixels(self.config.sheet.margin)

    @property
    def inset(self) -> int:
        """Pixels between the edge of the sheet and the left end of a wide color bar."""
        return self.margin + self.pixels(_INSET)

    @property
    def title_points(self) -> float:
        """Font size of the title."""
        return self.config.sheet.title_size * self.text_factor

    @property
    def label_points(self) -> float:
        """Font size of labels and class names."""
        return self.small_points(self.config.sheet.label_size)

    @property
    def ink(self) -> str:
        """Color of the texts on the sheet."""
        return self.config.sheet.color

    @property
    def line_ink(self) -> str:
        """Color of the lines of the frame."""
        return self.config.sheet.line_color

    @property
    def faint_ink(self) -> str:
        """Color of less important texts on the sheet."""
        return self.config.sheet.faint_color

    @property
    def font(self) -> str:
        """Font family of all texts."""
        return self.config.sheet.font

    @property
    def neatline_pixels(self) -> int:
        """Width of the neatline and of other lines of the frame."""
        return max(1, self.pixels(_NEATLINE))


@dataclass(frozen=True, slots=True)
class Layout:
    """The boxes of a sheet. They are the same for all regions of a run."""

    page: Page
    panel: Box
    """Box of the panel, in which the map is drawn."""
    rooms: Mapping[str, Box] = field(default_factory=dict)
    """Boxes of the layers that need space above or below the panel, by name of the layer."""

    @classmethod
    def of(cls, page: Page, rooms: Mapping[str, Room]) -> Layout:
        """Lay out a sheet. The panel has equal margins on the left and on the right.

        Parameters
        ----------
        page : Page
            The sheet.
        rooms : mapping of str to Room
            Space that layers need, by name. On each side, shared rooms lie at the edge of the sheet, and the others
            follow in their order. A room beside the panel is the last.

        Raises
        ------
        ConfigError
            If no space is left for the panel.
        """
        width, height = page.size
        used = {"bottom": 0, "top": 0}
        boxes: dict[str, Box] = {}
        for side in used:
            shared = {name: room for name, room in rooms.items() if room.side == side and room.is_shared}
            used[side] = max((room.height for room in shared.values()), default=0)
            below = 0 if side == "bottom" else height - used[side]
            boxes |= {name: Box(0, below, width, used[side]) for name in shared}
        for name, room in sorted(rooms.items(), key=lambda item: item[1].is_beside_panel):
            if room.is_shared:
                continue
            below = used[room.side] if room.side == "bottom" else height - used[room.side] - room.height
            boxes[name] = Box(0, below, width, room.height)
            used[room.side] += room.height
        bottom, top = (used[side] or page.margin for side in ("bottom", "top"))
        panel = Box(page.margin, bottom, width - 2 * page.margin, height - top - bottom)
        if min(panel.width, panel.height, width - 2 * page.inset) < _MIN_PANEL:
            raise ConfigError(
                Problem(
                    f"{width} x {height} pixels at {page.dpi:g} dpi leave no room for the map; "
                    "increase size or reduce dpi",
                    Place(section="map", key="size"),
                )
            )
        return cls(page, panel, boxes)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the sheet in pixels."""
        return self.page.size

    @property
    def dpi(self) -> float:
        """Pixels per inch."""
        return self.page.dpi

    @property
    def inches(self) -> tuple[float, float]:
        """Width and height of the sheet in inches."""
        return self.size[0] / self.dpi, self.size[1] / self.dpi

    @property
    def text_width(self) -> int:
        """Pixels between the margins of the sheet."""
        return self.size[0] - 2 * self.panel.left
