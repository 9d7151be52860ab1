"""The note "no data" on the map of a region without valid cells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from typing_extensions import override

from regionplot.layers.base import Layer, LoadContext
from regionplot.sheet.marks import Text
from regionplot.sheet.sheet import Sheet

NO_DATA = "no data"
_GRAY = "#777777"


@dataclass(frozen=True)
class NoDataNote(Layer):
    """The words "no data" in the middle of the panel. Maps with this note are RGB images."""

    zorder: ClassVar[float] = 70
    ignores_raster: ClassVar[bool] = True
    mark_types: ClassVar[frozenset[type]] = frozenset({Text})
    has_usual_texts: ClassVar[bool] = True
    key: str = "no data"

    @classmethod
    @override
    def load(cls, settings: Any, context: LoadContext) -> Self:
        return cls()

    @override
    def draw(self, sheet: Sheet) -> Iterator[Text]:
        if sheet.no_data:
            box, page = sheet.view.box, sheet.layout.page
            x, y = box.left + box.width / 2, box.bottom + box.height / 2
            yield Text(x, y, NO_DATA, page.title_points, _GRAY, align="center", vertical_align="center", font=page.font)

    @override
    def inks(self) -> frozenset[str]:
        return frozenset()
