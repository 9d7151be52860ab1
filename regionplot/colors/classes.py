"""Color scale for classes: each value has a color, and a name in the legend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from regionplot.colors.base import PaletteScale, on_background
from regionplot.colors.classifier import Codes, ValueClassifier
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

    @property
    def values_and_colors(self) -> list[tuple[int, str]]:
        """The value and the color of each class that is drawn, sorted by value."""
        return [(item.value, item.color) for item in self.drawn]


@dataclass(frozen=True)
class ClassScale(PaletteScale):
    """A color scale for classes."""

    classifier: ValueClassifier
    shown: tuple[ValueClass, ...]
    """Classes in the legend."""

    @classmethod
    def of(cls, classes: Classes, config: Config) -> ClassScale:
        """Return the scale of a raster's classes."""
        classifier = ValueClassifier.of(classes.values_and_colors)
        rgba = [rgba_of(color) for color in (_NONE, *classifier.colors, config.colors.nodata)]
        return cls(on_background(rgba, config.map.background), classifier, classes.shown)

    @property
    @override
    def is_classed(self) -> bool:
        return True

    @property
    @override
    def clear_rows(self) -> NDArray[np.bool_]:
        rgba = [rgba_of(color) for color in (_NONE, *self.classifier.colors)]
        return np.append(np.array([row[3] == 0 for row in rgba]), np.True_)

    @override
    def key(self) -> LegendKey:
        values = np.array([[item.value for item in self.shown]], dtype=float)
        colors_shown = self.rgba(self.codes(values))[0] / 255
        return LegendKey(tuple(item.label for item in self.shown), colors_shown.tolist())

    @override
    def digest_items(self) -> list[object]:
        first, rows = self.classifier.first, self.classifier.rows
        return [first, rows.tolist(), [item.label for item in self.shown], self.palette.tolist()]

    @override
    def rows_of(self, values: NDArray[Any]) -> Codes:
        return self.classifier.rows_of(values)
