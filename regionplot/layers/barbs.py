"""Wind barbs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field as Limits
from typing_extensions import override

from regionplot.layers.symbol_keys import SymbolKey, key_room
from regionplot.layers.wind import WindLayer, WindSettings
from regionplot.settings.base import Text
from regionplot.sheet.layout import POINTS_PER_INCH, Layout, Page, Room
from regionplot.sheet.marks import Barbs, FrameMark, PanelMark
from regionplot.sheet.sheet import Sheet

_STAFF = 0.5
"""Length of the staff that matplotlib draws, in points, for a barb of the length 1. It grows with the square."""
_CLEAR = 11
"""Minimum pixels from the tip of a barb to a label."""


class BarbSettings(WindSettings):
    """`[[barbs]]`: wind barbs."""

    key_label: Text | None = None
    """Label of the key beside a short color bar. Default: name of the wind, and knots. An empty text: no key."""
    length: Annotated[float, Limits(gt=0, le=100)] = 5.6
    """Length of a barb in points."""


@dataclass(frozen=True)
class WindBarbs(WindLayer):
    """Wind barbs in knots: a short line for 5, a long line for 10 and a flag for 50."""

    Settings = BarbSettings
    zorder: ClassVar[float] = 40
    mark_types: ClassVar[frozenset[type]] = frozenset({Barbs})
    settings: BarbSettings

    @property
    def caption(self) -> str:  # type: ignore[override]
        """Name of the wind, with the unit of the barbs."""
        return f"{super().caption} (kt)" if super().caption else ""

    @classmethod
    @override
    def room(cls, settings: BarbSettings, page: Page) -> Room | None:
        return key_room(settings, page)

    @override
    def frame(self, layout: Layout) -> Iterator[FrameMark]:
        given, name = self.settings.key_label, super().caption or "Wind"
        label = given if given is not None else f"{name[:1].upper()}{name[1:]} (knots)"
        return SymbolKey(self.settings, label, self.settings.color).marks(layout)

    @override
    def draw(self, sheet: Sheet) -> Iterator[PanelMark]:
        style = self.settings
        staff = _STAFF * style.length**2 * sheet.layout.dpi / POINTS_PER_INCH
        found = self.wind.at_places(sheet, style.spacing, _CLEAR, staff)
        if not found.points.size:
            return
        for color, extra in ((style.casing, 2 * style.casing_width), (style.color, 0.0)):
            if color != "none":
                yield Barbs(found.points, found.knots, found.is_southern, color, style.length, style.linewidth + extra)
