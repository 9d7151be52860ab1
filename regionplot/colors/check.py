"""Find color names that matplotlib does not know."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib
from matplotlib import colors

from regionplot.settings.base import IS_COLOR
from regionplot.settings.colors import ColorSettings
from regionplot.settings.config import Config

COLORMAP = "viridis"
"""Default colormap."""


def color_problems(config: Config) -> Iterator[str]:
    """Yield one problem for each color and colormap that matplotlib does not know, with its section and key."""
    settings = config.colors
    if problem := colormap_problem(settings):
        yield problem
    named = {
        "[colors] under": settings.under if settings.under != "lowest" else "none",
        "[colors] over": settings.over if settings.over != "highest" else "none",
        "[colors] nodata": settings.nodata,
        "[map] background": config.map.background,
    }
    for number, item in enumerate(settings.classes or (), 1):
        named[f"[colors] classes #{number} color"] = item.color or "none"
    for place, color in (*named.items(), *_layer_colors(config)):
        if not colors.is_color_like(color):
            yield f"{place}: {color!r} is not a color; write a name or '#rrggbb'"


def colormap_problem(settings: ColorSettings) -> str | None:
    """Return the problem of a colormap that matplotlib does not know. Otherwise, return None."""
    if (settings.colormap or COLORMAP) in matplotlib.colormaps:
        return None
    return f"[colors] colormap: matplotlib has no {settings.colormap!r}; names are case-sensitive; try 'viridis'"


def _layer_colors(config: Config) -> Iterator[tuple[str, str]]:
    """Yield section, key and value of each color in the tables of layers."""
    for name, tables in config.layers.items():
        for number, settings in enumerate(tables, 1):
            place = f"[[{name}]] #{number}" if settings.is_array else f"[{name}]"
            for key, field in type(settings).model_fields.items():
                if IS_COLOR in field.metadata:
                    yield f"{place} {key}", getattr(settings, key)
