"""Check settings against the regions and the data before a run starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from regionplot.colors.choose import resampling_problem
from regionplot.errors import ConfigError
from regionplot.geo.cartopy import parse_projection
from regionplot.geo.region import Region
from regionplot.inputs.source import FIELDS
from regionplot.layers.stack import lay_out
from regionplot.settings.config import Config
from regionplot.sheet.key import ColorBarKey
from regionplot.text import fields_of


def check_config(config: Config, regions: Sequence[Region]) -> None:
    """Find what the settings' types cannot tell: colours, projections and template fields that do not exist.

    Raises
    ------
    ConfigError
        With one problem for each.
    """
    from regionplot.colors.check import color_problems  # noqa: PLC0415 (matplotlib)

    problems = list(color_problems(config))
    if config.colors.classes and (problem := resampling_problem(config.raster, "[colors] classes are given")):
        problems.append(problem)
    try:
        lay_out(config, ColorBarKey())
    except ConfigError as error:
        problems.append(str(error))
    for place, setting in (
        ("[map] projection", config.map.projection),
        ("[raster] crs", config.raster.crs or "raster"),
    ):
        try:
            parse_projection(setting)
        except ConfigError as error:
            problems.append(f"{place}: {error}")
    known = set(regions[0].fields)
    problems += _unknown_fields("[output] filename", config.output.filename, known)
    problems += _unknown_fields("[map] title", config.map.title, known | set(FIELDS))
    if problems:
        raise ConfigError(*problems)


def _unknown_fields(place: str, template: str, known: set[str]) -> Iterator[str]:
    for name in fields_of(template):
        if name not in known:
            yield f"{place}: there is no field {name!r}; there are: {', '.join(sorted(known))}"
