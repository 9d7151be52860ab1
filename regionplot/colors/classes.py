"""Color scale for classes: one color per value, named in a legend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.colors.base import Codes, PaletteScale, on_background
from regionplot.settings.config import Config

_NONE = "none"


@dataclass(frozen=True, slots=True)
class ValueClass:
    """A value that stands for a class."""

    value: int
    color: str
    """Any color that matplotlib knows."""
    name: str = ""

    @property
    def label(self) -> str:
        """The name, or else the number."""
        return self.name or str(self.value)


@dataclass(frozen=True, slots=True)
class Classes:
    """Values that stand for classes, one color each."""

    drawn: tuple[ValueClass, ...]
    """All classes, by value."""
    shown: tuple[ValueClass, ...]
    """Classes in the legend, which is the same on all maps."""


@dataclass(frozen=True)
class ClassScale(PaletteScale):
    """How values that stand for classes become colours."""

    first: int
    """The smallest value of a class."""
    rows: NDArray[np.uint16]
    """The palette's row for each value from the one before the first to the one after the last; 0 for those of no
    class, which show the background. Classes of one colour share a row, so that a palette image can hold more."""
    shown: tuple[ValueClass, ...]
    """Those in the legend."""

    @classmethod
    def of(cls, classes: Classes, config: Config) -> ClassScale:
        """The scale of a raster's classes."""
        from matplotlib import colors  # noqa: PLC0415 (settings are checked without matplotlib)

        drawn = classes.drawn
        first, last = drawn[0].value, drawn[-1].value
        used = list(dict.fromkeys(item.color for item in drawn))
        rows = np.zeros(last - first + 3, np.uint16)
        rows[[item.value - first + 1 for item in drawn]] = [used.index(item.color) + 1 for item in drawn]
        rgba = [colors.to_rgba(color) for color in (_NONE, *used, config.colors.nodata)]
        return cls(on_background(rgba, config.map.background), first, rows, classes.shown)

    @property
    def is_classed(self) -> bool:
        """See `PaletteScale`."""
        return True

    @property
    def swatches(self) -> NDArray[np.floating[Any]]:
        """Red, green, blue and 1 for each class in the legend."""
        values = np.array([[item.value for item in self.shown]], dtype=float)
        return np.asarray(self.rgba(self.indices(values))[0] / 255)

    def facts(self) -> list[object]:
        """See `Scale`."""
        return [self.first, self.rows.tolist(), [item.label for item in self.shown], self.palette.tolist()]

    def _rows_of(self, values: NDArray[Any]) -> Codes:
        """By a table; a value between whole numbers is of no class."""
        exact = values.astype(np.result_type(values.dtype, np.float32), copy=False)
        position = np.clip(exact - exact.dtype.type(self.first - 1), 0, len(self.rows) - 1)
        index = position.astype(np.intp)
        rows: Codes = self.rows.take(index, mode="clip")  # of NaN, any number is made
        np.putmask(rows, index != position, 0)
        return rows
