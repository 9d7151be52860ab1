"""Resolve a colormap to its colors, so that workers need not know the colormap by name.

A program can register colormaps in matplotlib. Workers that are not forked do not inherit them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import matplotlib
import matplotlib.cm
import numpy as np
from matplotlib.colors import Colormap, ListedColormap

from regionplot.colors.check import COLORMAP, colormap_problem
from regionplot.errors import ConfigError
from regionplot.settings.colors import ColorSettings

CONTINUOUS = 256
"""Number of colors of a continuous scale."""
Rgba = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class ColormapColors:
    """The colors of a colormap: red, green, blue and opacity, from 0 to 1."""

    name: str
    rows: tuple[Rgba, ...]
    """One color for each step of the scale."""
    under: Rgba
    """Color of values below the scale."""
    over: Rgba
    """Color of values above the scale."""

    @classmethod
    def of(cls, settings: ColorSettings) -> ColormapColors:
        """Return the colors of the colormap that the settings name.

        Raises
        ------
        ConfigError
            If the colormap is not registered in matplotlib.
        """
        if problem := colormap_problem(settings):
            raise ConfigError(problem)
        count = CONTINUOUS if settings.levels is None else len(settings.levels) - 1
        found = matplotlib.colormaps[settings.colormap or COLORMAP].resampled(count)
        rows = tuple(_rgba(row) for row in found(np.arange(count)))
        return cls(found.name, rows, _rgba(found.get_under()), _rgba(found.get_over()))

    def colormap(self, settings: ColorSettings) -> Colormap:
        """Return a colormap of matplotlib with these colors, and with the colors of the settings."""
        return ListedColormap(list(self.rows), self.name).with_extremes(
            under=self.under if settings.under == "lowest" else settings.under,
            over=self.over if settings.over == "highest" else settings.over,
            bad=settings.nodata,
        )


def is_builtin(settings: ColorSettings) -> bool:
    """Return True if the colormap of the settings comes with matplotlib, so that every process has it."""
    name = settings.colormap or COLORMAP
    return name in matplotlib.colormaps and getattr(matplotlib.cm, name, None) == matplotlib.colormaps[name]


def _rgba(color: Any) -> Rgba:
    red, green, blue, opacity = (float(part) for part in color)
    return red, green, blue, opacity
