"""The key of a map: the content of its color bar or legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ColorBarKey:
    """The key of a color scale for numbers.

    The layout needs only the class of this object. `Scale.key` sets the fields.
    """

    scale: Any = None
    """The `colors.numbers.ColorScale`."""
    levels: Sequence[float] | None = None
    """Class limits. None if the scale is continuous."""
    extend: str = "neither"
    """Ends of the color bar that are open: `neither`, `min`, `max` or `both`."""
    ticks: Sequence[float] | None = None
    """Values that have labels. None: the levels, or values that matplotlib chooses."""

    @property
    def norm(self) -> Any:
        """The `matplotlib.colors.Normalize` of the scale. The first use imports matplotlib."""
        return self.scale.norm

    @property
    def cmap(self) -> Any:
        """The `matplotlib.colors.Colormap` of the scale. The first use imports matplotlib."""
        return self.scale.cmap


@dataclass(frozen=True, slots=True)
class LegendKey:
    """The key of a color scale for classes."""

    names: tuple[str, ...]
    """Names of the classes, in the order of the legend. Empty if no legend is drawn."""
    colors: Sequence[Sequence[float]] = ()
    """Red, green, blue and opacity of each class, 0 to 1. `Scale.key` sets them. The layout does not need them."""


Key = ColorBarKey | LegendKey
