"""The line around the panel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from typing_extensions import override

from regionplot.layers.base import Layer, LoadContext
from regionplot.sheet.marks import Rectangle
from regionplot.sheet.sheet import Sheet


@dataclass(frozen=True)
class Neatline(Layer):
    """The line around the panel. Its width is a whole number of pixels, so that its edges are sharp."""

    zorder: ClassVar[float] = 80
    ignores_raster: ClassVar[bool] = True
    mark_types: ClassVar[frozenset[type]] = frozenset({Rectangle})
    key: str = "neatline"

    @classmethod
    @override
    def load(cls, settings: Any, context: LoadContext) -> Self:
        return cls()

    @override
    def draw(self, sheet: Sheet) -> Iterator[Rectangle]:
        yield Rectangle(sheet.view.box, "none", sheet.layout.page.line_ink, sheet.layout.page.neatline_pixels)

    @override
    def inks(self) -> frozenset[str]:
        return frozenset()
