"""Name what explains the colors beside the map."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ColorBarKey:
    """A color bar, for numbers."""


COLOR_BAR = ColorBarKey()


@dataclass(frozen=True, slots=True)
class LegendKey:
    """A legend, for classes."""

    labels: tuple[str, ...]
    """Names of the classes, in order."""
