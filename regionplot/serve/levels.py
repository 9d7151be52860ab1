"""The levels of products: find the fields of all levels, and name levels for requests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from regionplot.errors import RegionplotError
from regionplot.inputs.survey import raster_levels
from regionplot.settings.config import Config
from regionplot.settings.raster import RasterSettings
from regionplot.shared.fields import Field, find_fields

_MAX_LEVELS = 200
_WITH_UNITS = re.compile(r"([+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?) ?([A-Za-z%][^()]{0,19})?", re.ASCII)


def served_fields(config: Config) -> list[Field]:
    """Return the fields of all products: each time, and each level that `[raster] levels` names.

    The fields of the default level of a product come first.

    Parameters
    ----------
    config : Config
        The settings.

    Raises
    ------
    ConfigError
        As for `find_fields`.
    """
    products = config.products or {"": config}
    levels = {name: _levels(own.raster) for name, own in products.items()}
    first = {name: _at(own, levels[name][0]) if levels[name] else own for name, own in products.items()}
    usual = config.model_copy().with_products(first) if config.products else first[""]
    found: list[Field] = []
    for each in find_fields(usual):
        found += _each_level(each, levels.get(each.product, ()))
    return found


def _each_level(found: Field, levels: Sequence[float | str]) -> Iterator[Field]:
    if found.problem is not None or not levels:
        yield found
        return
    for level in levels:
        yield replace(found, config=_at(found.config, level), level=str(level))


def _at(config: Config, level: float | str) -> Config:
    raster = config.raster.model_copy(update={"level": level, "levels": None})
    return config.model_copy(update={"raster": raster})


def _levels(raster: RasterSettings) -> Sequence[float | str]:
    """Return the levels of a product, beginning with the default level. Return none if it has one level."""
    if raster.levels is None:
        return ()
    levels: Sequence[float | str] = raster.levels if raster.levels != "all" else _levels_of_file(raster)
    first = [] if raster.level is None else [level for level in levels if _is_same(level, raster.level)]
    return [*first, *(level for level in levels if level not in first)][:_MAX_LEVELS]


def _is_same(level: float | str, wanted: float | str) -> bool:
    """Return True if two settings name one level, such as `500 hPa` and 500."""
    one, other = (_WITH_UNITS.fullmatch(str(each)) for each in (level, wanted))
    if one is None or other is None:
        return level == wanted
    return float(one[1]) == float(other[1]) and (one[2] == other[2] or None in (one[2], other[2]))


def _levels_of_file(raster: RasterSettings) -> list[str]:
    """Return the levels in the file. If it cannot be read, return none: the fault is reported later."""
    path = raster.pattern.find()
    if path is None:
        return []
    try:
        return raster_levels(raster.model_copy(update={"path": path, "time": None}))
    except RegionplotError:
        return []


def level_names(levels: Sequence[str]) -> tuple[Mapping[str, str], str]:
    """Return the name of each level for requests, and their common units.

    Levels with numbers and one unit are named by their numbers. Otherwise, names are the levels, without units.

    Examples
    --------
    >>> level_names(["500 hPa", "850.0 hPa"])
    ({'500 hPa': '500', '850.0 hPa': '850'}, 'hPa')
    >>> level_names(["2 m", "Ground, or water surface"])
    ({'2 m': '2 m', 'Ground, or water surface': 'Ground or water surface'}, '')
    """
    found = [_WITH_UNITS.fullmatch(level) for level in levels]
    units = {match[2] or "" for match in found if match}
    names = [f"{float(match[1]):.10g}" for match in found if match]
    if len(units) == 1 and len(set(names)) == len(levels):
        return dict(zip(levels, names, strict=True)), units.pop()
    return {level: re.sub(r"[,/]", "", level) for level in levels}, ""
