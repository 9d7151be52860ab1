"""Find color names that matplotlib does not know, and colors that readers cannot tell apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import get_args

from regionplot.colors.choose import Coloring
from regionplot.colors.colormaps import colors_of
from regionplot.colors.names import is_color, rgba_of
from regionplot.errors import ConfigError, Place, Problem
from regionplot.settings.base import IS_COLOR
from regionplot.settings.config import Config

_NOT_LINES = {"facecolor", "halo", "high_color", "low_color", "area_color", "label_color", "light", "dark"}
"""Keys of colors that do not draw lines, or draw letters with a halo."""
_CASING = "casing"
"""Key of the color under lines. Lines with a casing stand out on all colors."""
_FAINT = 0.6
"""Lines with a smaller opacity are faint on purpose."""


def color_problems(config: Config) -> Iterator[Problem]:
    """Yield one problem for each color and colormap that matplotlib does not know, with its section and key."""
    if config.colors.colors is None and config.colors.stops is None:  # their colors are checked below
        try:
            colors_of(config)
        except ConfigError as error:
            yield from error.problems
    for place, color in (*_own_colors(config), *layer_colors(config)):
        if not is_color(color):
            yield Problem(f"{color!r} is not a color; write a name or '#rrggbb'", place)


def _own_colors(config: Config) -> Iterator[tuple[Place, str]]:
    """Yield place and value of each color in the sections `[colors]`, `[map]` and `[sheet]`."""
    settings = config.colors
    yield Place(section="colors", key="under"), settings.under if settings.under != "lowest" else "none"
    yield Place(section="colors", key="over"), settings.over if settings.over != "highest" else "none"
    yield Place(section="colors", key="nodata"), settings.nodata
    for number, color in enumerate(settings.colors or (), 1):
        yield Place(section="colors", key=f"colors #{number}"), color
    for number, (_, color) in enumerate(settings.stops or (), 1):
        yield Place(section="colors", key=f"stops #{number}"), color
    yield Place(section="map", key="background"), config.map.background
    for key in ("color", "line_color", "faint_color"):
        yield Place(section="sheet", key=key), getattr(config.sheet, key)
    for number, item in enumerate(settings.classes or (), 1):
        yield Place(section="colors", key=f"classes #{number} color"), item.color or "none"


def layer_colors(config: Config) -> Iterator[tuple[Place, str]]:
    """Yield place and value of each color in the tables of layers."""
    for name, tables in config.layers.items():
        for number, settings in enumerate(tables, 1):
            place = Place(section=name, number=number if settings.is_array else None)
            for key, field in type(settings).model_fields.items():
                if IS_COLOR in field.metadata:
                    yield replace(place, key=key), getattr(settings, key)
                elif any(IS_COLOR in getattr(each, "__metadata__", ()) for each in get_args(field.annotation)):
                    yield from _colors_in(getattr(settings, key), replace(place, key=key))


def _colors_in(value: object, place: Place) -> Iterator[tuple[Place, str]]:
    """Yield the colors in a value that is a color, several colors or None."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, tuple):
        yield from ((replace(place, key=f"{place.key} #{number}"), color) for number, color in enumerate(value, 1))


def _line_colors(config: Config) -> Iterator[tuple[Place, str]]:
    """Yield place and value of each color of lines without a casing."""
    for place, color in layer_colors(config):
        settings = config.layers[place.section][(place.number or 1) - 1]
        has_casing = getattr(settings, _CASING, "none") != "none"
        if settings.has_lines and not has_casing and place.key not in (*_NOT_LINES, _CASING):
            yield place, color


def reading_problems(coloring: Coloring, config: Config) -> Iterator[Problem]:
    """Yield the problems of color-blind readers with a scale, and the lines that do not stand out on the scale.

    Parameters
    ----------
    coloring : Classes, RgbBands or None
        How the raster is drawn.
    config : Config
        Settings whose `[colors]` name no file and no scale of the package.
    """
    from regionplot.colors.readable import hidden_line, unreadable  # noqa: PLC0415 (only the command `check` needs it)
    from regionplot.colors.swatches import swatches_of  # noqa: PLC0415

    swatches, order = swatches_of(coloring, config)
    for message in unreadable(swatches, order):
        yield Problem(f"{message}; choose other colors, such as a scale in docs/colors.md", Place(section="colors"))
    for place, color in _line_colors(config):
        if is_color(color) and 0 < rgba_of(color)[3] < _FAINT:
            continue
        if names := hidden_line(rgba_of(color), swatches):
            yield Problem(f"lines in {color!r} do not stand out on the colors of {names}; choose another color", place)
