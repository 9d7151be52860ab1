"""Resolve a colormap to its colors, because workers may not know the name of the colormap.

A program can register colormaps in matplotlib. Workers that are not forked do not inherit them.

The colors of matplotlib's own colormaps are kept in the user's cache folder, so that later runs need no matplotlib.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from regionplot.colors.names import Rgba, rgba_of
from regionplot.colors.ramps import Ramp
from regionplot.colors.shipped import DIVERGING, named_ramp, scale_names
from regionplot.errors import ConfigError, Place, Problem
from regionplot.settings.colors import ColorSettings
from regionplot.settings.config import Config
from regionplot.system.cache import ArrayCache, digest, user_cache_folder
from regionplot.system.code import library_version

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

logger = logging.getLogger(__name__)
COLORMAP = "viridis"
"""Default colormap."""
_PREFIX = ":"
"""Character in names of scales of the package."""
_MAX_BYTES = 4 * 2**20
CONTINUOUS = 256
"""Number of colors of a continuous scale."""


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
    def given(cls, settings: ColorSettings) -> Self | None:
        """Return the colors that the settings list. Return None if the settings name a colormap of matplotlib.

        matplotlib is not imported if the colors are written as `#rrggbb` or as basic names.
        """
        count = _count(settings)
        if settings.colors is not None and settings.levels is not None:
            own = [rgba_of(color) for color in settings.colors]
            rows = own if len(own) == count else own[1:-1]
            return cls("colors", tuple(rows), own[0], own[-1])
        if settings.colors is not None:
            ramp = Ramp.of(range(len(settings.colors)), [rgba_of(color) for color in settings.colors])
        elif settings.stops is not None:
            ramp = Ramp.of([value for value, _ in settings.stops], [rgba_of(color) for _, color in settings.stops])
        elif (shipped := named_ramp(_name(settings))) is not None:
            ramp = shipped
        else:
            return None
        levels = settings.levels if settings.stops is not None else None
        colors = ramp.sampled(count) if levels is None else ramp.at(_middles(levels))
        return cls("colors", tuple(map(_rgba, colors)), _rgba(ramp.rgba[0]), _rgba(ramp.rgba[-1]))

    @classmethod
    def of(cls, settings: ColorSettings) -> ColormapColors:
        """Return the colors of the colormap that the settings name.

        Raises
        ------
        ConfigError
            If the colormap is not registered in matplotlib.
        """
        import matplotlib as mpl  # noqa: PLC0415 (takes a tenth of a second)

        name = _name(settings)
        if name not in mpl.colormaps:
            text = f"matplotlib has no {name!r}; names are case-sensitive; try 'viridis'"
            if _PREFIX in name:
                text = f"there is no scale {name!r}; the scales of the package are {', '.join(scale_names())}"
            raise ConfigError(Problem(text, Place(section="colors", key="colormap")))
        count = _count(settings)
        found = mpl.colormaps[name].resampled(count)
        rows = tuple(_rgba(row) for row in found(np.arange(count)))
        return cls(found.name, rows, _rgba(found.get_under()), _rgba(found.get_over()))

    def table(self, settings: ColorSettings) -> list[Rgba]:
        """Return the colors below, on and above the scale, and of nodata, with the colors of the settings."""
        under = self.under if settings.under == "lowest" else rgba_of(settings.under)
        over = self.over if settings.over == "highest" else rgba_of(settings.over)
        return [under, *self.rows, over, rgba_of(settings.nodata)]

    def colormap(self, settings: ColorSettings) -> Colormap:
        """Return a colormap of matplotlib with these colors, and with the colors of the settings."""
        from matplotlib.colors import ListedColormap  # noqa: PLC0415 (takes a tenth of a second)

        under, *rows, over, bad = self.table(settings)
        return ListedColormap(rows, self.name).with_extremes(under=under, over=over, bad=bad)

    @classmethod
    def kept(cls, settings: ColorSettings, cache: ArrayCache) -> Self | None:
        """Return the colors from a cache. Return None if they are not there."""
        rows = (cache.read(_key(settings)) or {}).get("rows")
        if rows is None or rows.dtype != np.float64 or rows.shape != (_count(settings) + 2, 4):
            return None
        if not ((rows >= 0) & (rows <= 1)).all():
            return None
        under, *colors, over = map(_rgba, rows)
        return cls(_name(settings), tuple(colors), under, over)

    def keep(self, settings: ColorSettings, cache: ArrayCache) -> None:
        """Store the colors in a cache."""
        cache.write(_key(settings), {"rows": np.array([self.under, *self.rows, self.over])})


def colors_of(config: Config) -> ColormapColors:
    """Return the colors of the colormap that the settings name. Import matplotlib only if they are not in the cache.

    Raises
    ------
    ConfigError
        If the colormap is not registered in matplotlib.
    """
    if (given := ColormapColors.given(config.colors)) is not None:
        return given
    settings, cache = config.colors, _cache() if config.run.cache else None
    is_new = cache is not None and not cache.has(_key(settings))
    if cache is not None and "matplotlib" not in sys.modules and (found := ColormapColors.kept(settings, cache)):
        return found
    found = ColormapColors.of(settings)
    if cache is not None and is_new and is_builtin(settings):
        found.keep(settings, cache)
    return found


def own_colors(config: Config) -> ColormapColors | None:
    """Return the colors of a colormap that the program has registered, or None for a colormap of matplotlib itself.

    Raises
    ------
    ConfigError
        If the colormap is not registered in matplotlib.
    """
    if ColormapColors.given(config.colors) is not None:
        return None
    found = colors_of(config)
    return None if "matplotlib" not in sys.modules or is_builtin(config.colors) else found


def _cache() -> ArrayCache | None:
    try:
        return ArrayCache(user_cache_folder() / "colormaps", _MAX_BYTES)
    except FileNotFoundError as error:
        logger.debug("%s", error)
        return None


def _key(settings: ColorSettings) -> str:
    """Return the name of the cache entry for a colormap of matplotlib itself, in its number of colors."""
    return digest([_name(settings), str(_count(settings)), library_version("matplotlib")], [])


def _name(settings: ColorSettings) -> str:
    """Return the name of the colormap."""
    return settings.colormap or (COLORMAP if settings.diverging is None else DIVERGING)


def _middles(levels: Sequence[float]) -> NDArray[np.float64]:
    """Return the values at the middles of classes."""
    edges = np.asarray(levels, dtype=float)
    middles: NDArray[np.float64] = (edges[:-1] + edges[1:]) / 2
    return middles


def _count(settings: ColorSettings) -> int:
    """Return the number of colors of the scale."""
    return CONTINUOUS if settings.levels is None else len(settings.levels) - 1


def is_builtin(settings: ColorSettings) -> bool:
    """Return True if the colormap of the settings comes with matplotlib, so that every process has it."""
    import matplotlib.cm  # noqa: PLC0415 (takes a tenth of a second)

    name = _name(settings)
    return name in matplotlib.colormaps and getattr(matplotlib.cm, name, None) == matplotlib.colormaps[name]


def _rgba(color: Any) -> Rgba:
    red, green, blue, opacity = (float(part) for part in color)
    return red, green, blue, opacity
