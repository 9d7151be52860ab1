"""Find color names that matplotlib does not know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from regionplot.colors.colormaps import colors_of
from regionplot.colors.names import is_color
from regionplot.errors import ConfigError, Place, Problem
from regionplot.settings.base import IS_COLOR
from regionplot.settings.config import Config


def color_problems(config: Config) -> Iterator[Problem]:
    """Yield one problem for each color and colormap that matplotlib does not know, with its section and key."""
    try:
        colors_of(config)
    except ConfigError as error:
        yield from error.problems
    for place, color in (*_own_colors(config), *_layer_colors(config)):
        if not is_color(color):
            yield Problem(f"{color!r} is not a color; write a name or '#rrggbb'", place)


def _own_colors(config: Config) -> Iterator[tuple[Place, str]]:
    """Yield place and value of each color in the sections `[colors]` and `[map]`."""
    settings = config.colors
    yield Place(section="colors", key="under"), settings.under if settings.under != "lowest" else "none"
    yield Place(section="colors", key="over"), settings.over if settings.over != "highest" else "none"
    yield Place(section="colors", key="nodata"), settings.nodata
    yield Place(section="map", key="background"), config.map.background
    for number, item in enumerate(settings.classes or (), 1):
        yield Place(section="colors", key=f"classes #{number} color"), item.color or "none"


def _layer_colors(config: Config) -> Iterator[tuple[Place, str]]:
    """Yield place and value of each color in the tables of layers."""
    for name, tables in config.layers.items():
        for number, settings in enumerate(tables, 1):
            place = Place(section=name, number=number if settings.is_array else None)
            for key, field in type(settings).model_fields.items():
                if IS_COLOR in field.metadata:
                    yield replace(place, key=key), getattr(settings, key)
