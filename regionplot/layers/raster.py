"""The raster, as an image in the colors of its scale."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from typing_extensions import override

from regionplot.layers.base import Layer, LoadContext
from regionplot.sheet.marks import ScaleImage
from regionplot.sheet.sheet import Sheet


@dataclass(frozen=True)
class Raster(Layer):
    """The raster. Its key is constant, because the digest of a map includes the cells and the color scale anyway."""

    zorder: ClassVar[float] = 0
    ignores_raster: ClassVar[bool] = True
    mark_types: ClassVar[frozenset[type]] = frozenset({ScaleImage})
    key: str = "raster"

    @classmethod
    @override
    def load(cls, settings: Any, context: LoadContext) -> Self:
        return cls()

    @override
    def draw(self, sheet: Sheet) -> Iterator[ScaleImage]:
        yield ScaleImage(sheet.codes)

    @override
    def inks(self) -> frozenset[str]:
        return frozenset()
