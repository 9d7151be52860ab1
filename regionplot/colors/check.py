"""Find color names that matplotlib does not know."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib
from matplotlib import colors

from regionplot.settings.config import Config

COLORMAP = "viridis"


def color_problems(config: Config) -> Iterator[str]:
    """Every colour and colormap in a config that matplotlib does not know, with its place."""
    settings = config.colors
    if (settings.colormap or COLORMAP) not in matplotlib.colormaps:
        yield f"[colors] colormap: matplotlib has no {settings.colormap!r}; names are case-sensitive, such as 'viridis'"
    named = {
        "[colors] under": settings.under if settings.under != "lowest" else "none",
        "[colors] over": settings.over if settings.over != "highest" else "none",
        "[colors] nodata": settings.nodata,
        "[map] background": config.map.background,
    }
    for number, item in enumerate(settings.classes or (), 1):
        named[f"[colors] classes #{number} color"] = item.color or "none"
    for number, layer in enumerate(config.features, 1):
        named[f"[[features]] #{number} edgecolor"] = layer.edgecolor
        named[f"[[features]] #{number} facecolor"] = layer.facecolor
    for place, color in named.items():
        if not colors.is_color_like(color):
            yield f"{place}: {color!r} is not a colour; write a name or '#rrggbb'"
