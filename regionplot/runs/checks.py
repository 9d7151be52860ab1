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
from regionplot.writers.base import make_writer


def check_config(config: Config, regions: Sequence[Region]) -> None:
    """Check colors, projections, template fields and the sheet size, which the types of the settings cannot check.

    Raises
    ------
    ConfigError
        If settings are wrong. All problems are reported together.
    """
    from regionplot.colors.check import color_problems  # noqa: PLC0415 (imports matplotlib)

    problems = list(color_problems(config))
    if config.colors.classes and (problem := resampling_problem(config.raster, "[colors] classes are given")):
        problems.append(problem)
    fields = set(regions[0].fields)
    problems += [
        *_layout_problems(config),
        *_size_problems(config),
        *_crs_problems(config),
        *_unknown_fields("[output] filename", config.output.filename, fields),
        *_unknown_fields("[map] title", config.map.title, fields | set(FIELDS)),
    ]
    if problems:
        raise ConfigError(*problems)


def _layout_problems(config: Config) -> Iterator[str]:
    try:
        lay_out(config, ColorBarKey())
    except ConfigError as error:
        yield str(error)


def _size_problems(config: Config) -> Iterator[str]:
    """Yield a problem if the format cannot store a sheet of this size."""
    width, height = config.map.size
    limit = make_writer(config.output).max_side
    if limit is not None and max(width, height) > limit:
        yield (
            f"[map] size: {width} x {height} is more than the {limit:,} pixels per side that {config.output.format} "
            "can store; make the map smaller, or use another suffix in [output] filename"
        )


def _crs_problems(config: Config) -> Iterator[str]:
    for place, setting in (
        ("[map] projection", config.map.projection),
        ("[raster] crs", config.raster.crs or "raster"),
    ):
        try:
            parse_projection(setting)
        except ConfigError as error:
            yield f"{place}: {error}"


def _unknown_fields(place: str, template: str, known: set[str]) -> Iterator[str]:
    for name in fields_of(template):
        if name not in known:
            yield f"{place}: there is no field {name!r}; the fields are: {', '.join(sorted(known))}"
