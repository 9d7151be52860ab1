"""Check settings against the regions and the data before a run starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from regionplot.colors.choose import resampling_problem
from regionplot.errors import ConfigError, Place, Problem, RegionplotError, RegionsError
from regionplot.fonts import FAMILIES
from regionplot.geo.cartopy import parse_projection
from regionplot.geo.crs import parse_crs
from regionplot.geo.region import Region
from regionplot.inputs.source import FIELDS
from regionplot.layers.quantity import FRAME_FIELDS, TITLE_FIELDS
from regionplot.layers.stack import lay_out
from regionplot.settings.config import Config
from regionplot.settings.vector import VectorSettings
from regionplot.sheet.key import ColorBarKey
from regionplot.sheet.marks import FONT
from regionplot.text import fields_of, one_line
from regionplot.writers.base import make_writer


def check_arguments(regions: object, config: object, layers: Sequence[object]) -> None:
    """Check the types of the arguments of `render_regions`, because wrong types would be ignored or would fail later.

    Raises
    ------
    RegionsError
        If an item is not a `Region`.
    ConfigError
        If the config is not a `Config`, or a layer is not a loaded `Layer`.
    """
    if not isinstance(config, Config):
        kind = type(config).__name__
        raise ConfigError(f"the settings are of type {kind}; pass a Config from regionplot.read_config, or SharedData")
    if isinstance(regions, str | Path) or hasattr(regions, "columns"):
        regions = ()
    if not isinstance(regions, Sequence):
        raise RegionsError(
            f"the regions are of type {type(regions).__name__}; pass a list of Region, a table, or a DataFrame"
        )
    for number, region in enumerate(regions, 1):
        if not isinstance(region, Region):
            raise RegionsError(
                f"item {number} of the regions is of type {type(region).__name__}, not Region; "
                "read a table or a DataFrame with regionplot.read_regions"
            )
    for layer in layers:
        if not (hasattr(layer, "key") and hasattr(layer, "draw")):  # the protocol `Layer`
            raise ConfigError(
                f"layers: an object of type {type(layer).__name__} is not a layer of an earlier run; "
                "to draw vectors, name their file in [[features]], or pass them to SharedData.from_arrays"
            )


def check_config(config: Config, regions: Sequence[Region]) -> None:
    """Check colors, projections, template fields and the sheet size, which the types of the settings cannot check.

    Raises
    ------
    ConfigError
        If settings are wrong. All problems are reported together.
    """
    problems = dict.fromkeys(each for own in _configs_of_fields(config) for each in config_problems(own, regions))
    if problems:
        raise ConfigError(*problems)


def _configs_of_fields(config: Config) -> list[Config]:
    """Return the settings of each product. The files and times of their rasters may not be known yet."""
    if config.facts or not config.has_fields:
        return [config]
    products = config.products or {"": config}
    return [own.model_copy().with_facts({"product": name, "time": None}) for name, own in products.items()]


def config_problems(config: Config, regions: Sequence[Region]) -> list[Problem]:
    """Return the problems that `check_config` reports, with the lines of the settings.

    Parameters
    ----------
    config : Config
        The settings.
    regions : sequence of Region
        The regions. If there are no regions, the fields of templates are not checked.
    """
    from regionplot.colors.check import color_problems  # noqa: PLC0415 (imports matplotlib)

    found = [
        *color_problems(config),
        *_class_problems(config),
        *_layout_problems(config),
        *_size_problems(config),
        *_world_file_problems(config),
        *_crs_problems(config),
        *_function_problems(config),
        *_command_problems(config),
        *_table_problems(config),
        *_font_problems(config),
    ]
    if regions:
        fields = set(regions[0].fields) | set(config.facts)
        found += [
            *_unknown_fields(Place(section="output", key="filename"), config.output.filename, fields | _own(config)),
            *_unknown_fields(Place(section="map", key="title"), config.map.title, fields | {*FIELDS, *TITLE_FIELDS}),
            *_frame_problems(config),
        ]
    return [replace(problem, place=config.places.locate(problem.place)) for problem in found]


def _frame_problems(config: Config) -> Iterator[Problem]:
    """Yield the unknown fields of the texts that are the same on all maps: around the title, and credits."""
    known = {*FIELDS, *config.facts}
    for key in ("subtitle", "upper_right", "lower_right"):
        yield from _unknown_fields(Place(section="map", key=key), getattr(config.map, key), known | FRAME_FIELDS)
    for credit in config.layers.get("credit", ()):
        for line in getattr(credit, "lines", ()):
            yield from _unknown_fields(Place(section="credit", key="lines"), line, known)


def check_all(error: RegionplotError, config: Config | None, read: Callable[[], Sequence[Region]]) -> RegionplotError:
    """Return an error that has a first error's problems and all other problems of the settings and the regions.

    Parameters
    ----------
    error : RegionplotError
        The first error that was found.
    config : Config or None
        The valid part of the settings. None if there is no such part.
    read : callable
        Read the regions.
    """
    problems: list[Problem] = list(error.problems)
    regions: Sequence[Region] = ()
    try:
        regions = read()
    except RegionsError as other:
        problems += [problem for problem in other.problems if problem not in problems]
    if config is not None:
        with suppress(RegionplotError):  # the valid part may lack settings that a further check needs
            problems += [problem for problem in config_problems(config, regions) if problem not in problems]
    added = len(problems) > len(error.problems)
    return (ConfigError if added and not isinstance(error, RegionsError) else type(error))(*problems)


def _font_problems(config: Config) -> Iterator[Problem]:
    """Yield a problem if the font of the sheet is neither in this package nor installed."""
    font = config.sheet.font
    if font != FONT and font not in FAMILIES:
        from regionplot.render.fonts import is_installed  # noqa: PLC0415 (imports matplotlib)

        if not is_installed(font):
            known = ", ".join([FONT, *FAMILIES])
            message = f"there is no font {one_line(font)!r}; use {known} or an installed font"
            yield Problem(message, Place(section="sheet", key="font"))


def _table_problems(config: Config) -> Iterator[Problem]:
    """Yield the reason why the table of statistics cannot be written."""
    table = config.statistics.table
    if table is not None and table.lower().endswith(".parquet") and find_spec("pyarrow") is None:
        message = "Parquet files need the package pyarrow; install it (pip install pyarrow), or choose .csv"
        yield Problem(message, Place(section="statistics", key="table"))


def _function_problems(config: Config) -> Iterator[Problem]:
    if config.map.functions:
        from regionplot.shared.functions import function_problems  # noqa: PLC0415 (imports modules of the user)

        yield from function_problems(config)


def _command_problems(config: Config) -> Iterator[Problem]:
    if config.run.on_published is not None:
        from regionplot.runs.on_published import command_problem  # noqa: PLC0415 (only runs with a command need it)

        if problem := command_problem(config.run.on_published):
            yield Problem(problem, Place(section="run", key="on_published"))


def _own(config: Config) -> set[str]:
    """Return the fields of file names that the run computes for each raster.

    Only runs of several fields have such fields.
    """
    return {"time", "lead"} if config.facts or config.raster.is_series else set()


def _class_problems(config: Config) -> Iterator[Problem]:
    if config.colors.classes and (problem := resampling_problem(config.raster, "[colors] classes are given")):
        place = Place(section="raster", key="resampling")
        yield Problem(problem.removeprefix(f"{place}: "), place)


def _layout_problems(config: Config) -> Iterator[Problem]:
    try:
        lay_out(config, ColorBarKey())
    except ConfigError as error:
        yield from error.problems


def _size_problems(config: Config) -> Iterator[Problem]:
    """Yield a problem if the format cannot store a sheet of this size."""
    width, height = config.map.size
    limit = make_writer(config.output).max_side
    if limit is not None and max(width, height) > limit:
        yield Problem(
            f"{width} x {height} is more than the {limit:,} pixels per side that {config.output.format} can store; "
            "make the map smaller, or use another suffix in [output] filename",
            Place(section="map", key="size"),
        )


def _world_file_problems(config: Config) -> Iterator[Problem]:
    """Yield the reason why maps can have no world file."""
    place = Place(section="output", key="world_file")
    if config.output.world_file and make_writer(config.output).needs == "figure":
        yield Problem(f"{config.output.format} files have no pixels, so world files cannot describe them", place)
    if config.output.world_file and config.map.draw is not None:
        yield Problem("maps that your own function draws have no place on the earth, so remove world_file", place)


def _crs_problems(config: Config) -> Iterator[Problem]:
    yield from _crs_problem(Place(section="map", key="projection"), parse_projection, config.map.projection)
    if config.raster.crs is not None:
        yield from _crs_problem(Place(section="raster", key="crs"), parse_projection, config.raster.crs)
    for name, tables in config.layers.items():
        for number, settings in enumerate(tables, 1):
            crs = getattr(settings, "crs", None) if isinstance(settings, VectorSettings) else None
            if crs is not None:
                yield from _crs_problem(Place(section=name, number=number, key="crs"), parse_crs, crs)


def _crs_problem(place: Place, parse: Callable[[Any], object], setting: object) -> Iterator[Problem]:
    try:
        parse(setting)
    except ConfigError as error:
        yield Problem(str(error), place)


def _unknown_fields(place: Place, template: str, known: set[str]) -> Iterator[Problem]:
    for name in fields_of(template):
        if name not in known:
            yield Problem(f"there is no field {name!r}; the fields are: {', '.join(sorted(known))}", place)
