"""Color scale for classes: each value has a color, and a name in the legend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from regionplot.colors.base import Codes, PaletteScale, on_background
from regionplot.colors.names import rgba_of
from regionplot.settings.config import Config
from regionplot.sheet.key import LegendKey

_NONE = "none"


@dataclass(frozen=True, slots=True)
class ValueClass:
    """One class: a value, its color and its name."""

    value: int
    color: str
    """Any color that matplotlib knows."""
    name: str = ""

    @property
    def label(self) -> str:
        """The name of the class, or its value if it has no name."""
        return self.name or str(self.value)


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes of a raster."""

    drawn: tuple[ValueClass, ...]
    """All classes, sorted by value."""
    shown: tuple[ValueClass, ...]
    """Classes in the legend, which is the same on all maps."""


@dataclass(frozen=True)
class ClassScale(PaletteScale):
    """A color scale for classes."""

    first: int
    """The smallest value of a class."""
    rows: NDArray[np.uint16]
    """Row of the palette for each value, from `first - 1` to the largest class value plus 1. Values without a
    class have row 0, which shows the background. Classes of the same color share a row, so that a palette image can
    hold more classes."""
    shown: tuple[ValueClass, ...]
    """Classes in the legend."""

    @classmethod
    def of(cls, classes: Classes, config: Config) -> ClassScale:
        """Return the scale of a raster's classes."""
        drawn = classes.drawn
        first, last = drawn[0].value, drawn[-1].value
        used = list(dict.fromkeys(item.color for item in drawn))
        rows = np.zeros(last - first + 3, np.uint16)
        rows[[item.value - first + 1 for item in drawn]] = [used.index(item.color) + 1 for item in drawn]
        rgba = [rgba_of(color) for color in (_NONE, *used, config.colors.nodata)]
        return cls(on_background(rgba, config.map.background), first, rows, classes.shown)

    @property
    @override
    def is_classed(self) -> bool:
        return True

    @override
    def key(self) -> LegendKey:
        values = np.array([[item.value for item in self.shown]], dtype=float)
        colors_shown = self.rgba(self.codes(values))[0] / 255
        return LegendKey(tuple(item.label for item in self.shown), colors_shown.tolist())

    @override
    def digest_items(self) -> list[object]:
        return [self.first, self.rows.tolist(), [item.label for item in self.shown], self.palette.tolist()]

    @override
    def _rows_of(self, values: NDArray[Any]) -> Codes:
        """Look up the row of each value. Values between whole numbers have no class."""
        exact = values.astype(np.result_type(values.dtype, np.float32), copy=False)
        position = np.clip(exact - exact.dtype.type(self.first - 1), 0, len(self.rows) - 1)
        index = position.astype(np.intp)
        rows: Codes = self.rows.take(index, mode="clip")  # the row for NaN is arbitrary; `codes` replaces it
        np.putmask(rows, index != position, 0)
        return rows
