"""Two layers of another package, to show that a layer is one file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from typing_extensions import override

from regionplot.layers.base import Layer, LayerSettings, LoadContext, settings_digest
from regionplot.settings.base import Color
from regionplot.sheet.layout import Layout, Page, Room
from regionplot.sheet.marks import AxesCall, Markers, Text
from regionplot.sheet.sheet import Sheet


class RemarkSettings(LayerSettings):
    """`[remark]`: a line of text below the map."""

    text: str = ""


@dataclass(frozen=True)
class Remark(Layer):
    """A line of text in a room of its own. It is the same on all maps."""

    Settings = RemarkSettings
    text: str
    name: str
    key: str

    @classmethod
    @override
    def room(cls, settings: RemarkSettings, page: Page) -> Room:
        return Room("bottom", page.pixels(18))

    @classmethod
    @override
    def load(cls, settings: RemarkSettings, context: LoadContext) -> Self:
        return cls(settings.text, context.name, settings_digest(settings))

    @override
    def frame(self, layout: Layout) -> Iterator[Text]:
        room, page = layout.rooms[self.name], layout.page
        yield Text(layout.panel.left, room.bottom + page.pixels(5), self.text, page.label_points)

    @override
    def inks(self) -> frozenset[str]:
        return frozenset()


class PeakSettings(LayerSettings):
    """`[[peak]]`: a marker on the largest value."""

    is_array: ClassVar[bool] = True
    color: Color = "red"
    size: float = 12


@dataclass(frozen=True)
class Peak(Layer):
    """A marker on the pixel with the largest value, and a ring around it that matplotlib draws."""

    Settings = PeakSettings
    zorder: ClassVar[float] = 40
    wants_values: ClassVar[bool] = True
    settings: PeakSettings
    key: str

    @classmethod
    @override
    def load(cls, settings: PeakSettings, context: LoadContext) -> Self:
        return cls(settings, settings_digest(settings))

    @override
    def draw(self, sheet: Sheet) -> Iterator[Markers | AxesCall]:
        assert sheet.values is not None
        panel = sheet.view.panel
        row, column = np.unravel_index(np.nanargmax(sheet.values), sheet.values.shape)
        x = panel.extent.xmin + (column + 0.5) * panel.pixel_width
        y = panel.extent.ymax - (row + 0.5) * panel.pixel_height
        yield Markers(np.array([[x, y]]), self.settings.size, self.settings.color, "black", 1)
        yield AxesCall(Ring(x, y, 15 * panel.pixel_width))


@dataclass(frozen=True)
class Ring:
    """Makes the artist of a ring."""

    x: float
    y: float
    radius: float

    def __call__(self, axes: Any) -> Iterator[Any]:
        from matplotlib.patches import Circle

        yield Circle((self.x, self.y), self.radius, fill=False, edgecolor="blue", transform=axes.transData)
