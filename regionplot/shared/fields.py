"""Find the fields that a run draws: each product at each time.

::

    settings ─► products ─► files of a series, times of a file ─► Field(name, product, time, settings of one raster)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path

from regionplot.errors import ConfigError, InputError, RasterError, RegionplotError
from regionplot.inputs.describe import raster_times
from regionplot.settings.config import Config
from regionplot.settings.field import FieldSettings
from regionplot.settings.patterns import Series
from regionplot.settings.raster import RasterSettings
from regionplot.settings.selection import LATEST, TimeChoice
from regionplot.settings.stac import StacError, with_file
from regionplot.settings.vrt_path import allowed_vrt

_MAX_FIELDS = 10_000
"""Maximum number of fields of a run."""
Resolved = tuple[datetime | None, RasterSettings]
"""A time, or None if the settings choose no time, and the settings of its raster: one file, and at most one time."""


@dataclass(frozen=True)
class Field:
    """One raster that is drawn for all regions: one product at one time."""

    config: Config
    """The settings. Their raster is one file and, if the file has several times, one time."""
    product: str = ""
    """Name of the product. Empty if the settings have no products."""
    time: datetime | None = None
    """Time of the field in UTC. None if the settings choose no time."""
    level: str = ""
    """Level of the field, if the map service offers several levels of a product."""
    problem: RegionplotError | None = None
    """The reason why the raster cannot be found. Then `config` is the config of the product."""
    members: tuple[tuple[Field, ...], ...] = ()
    """The fields of the panels, row by row, if this is a sheet with panels."""

    @classmethod
    def of(cls, config: Config) -> Field:
        """Return the field of the settings that `SharedData.products` hold."""
        time = config.facts.get("time")
        return cls(config, str(config.facts.get("product", "")), time if isinstance(time, datetime) else None)

    @property
    def time_text(self) -> str:
        """The time in ISO format, or an empty text."""
        if self.time is None:
            return ""
        return f"{self.time:%Y-%m-%dT%H:%M}" if self.time.second == 0 else f"{self.time:%Y-%m-%dT%H:%M:%S}"

    @property
    def name(self) -> str:
        """Name of the field, such as `snow/2026-03-10T06:00`. It is unique in a run."""
        return "/".join(filter(None, (self.product, self.level, self.time_text)))


def find_fields(config: Config, patterns: Sequence[str] = ()) -> list[Field]:
    """Return the fields of a run.

    Parameters
    ----------
    config : Config
        The settings.
    patterns : sequence of str
        Glob patterns. Products whose names match no pattern are left out. By default, all products are included.

    Raises
    ------
    ConfigError
        If no product matches a pattern, or there are too many fields. A raster that is missing is not an error: its
        field has a `problem`.
    """
    if patterns and not config.products:
        raise ConfigError("the settings have no products to select; add [products.NAME], or leave out --product")
    products = [Field(own, name) for name, own in config.products.items()] or [Field(config)]
    chosen = select_products(products, patterns)
    fields = [field for each in chosen for field in _all_of(each.product, each.config, config.products)]
    if config.sheet.panels is not None:
        from regionplot.shared.panels import sheets_of  # noqa: PLC0415 (it imports this module)

        return sheets_of(config, fields)
    if len(fields) > _MAX_FIELDS:
        raise ConfigError(f"the settings select {len(fields):,} fields; a run draws at most {_MAX_FIELDS:,}")
    return fields


def first_fields(config: Config) -> list[Field]:
    """Return the first field of each product.

    Raises
    ------
    InputError
        If the raster of a product cannot be found. All such rasters are reported together.
    """
    fields = {each.product: each for each in reversed(find_fields(config))}
    if problems := [problem for each in fields.values() if each.problem for problem in each.problem.problems]:
        raise InputError(*problems)
    return list(fields.values())


def select_products(fields: Sequence[Field], patterns: Sequence[str]) -> list[Field]:
    """Return the fields whose products match a pattern. Return all fields if there are no patterns.

    Raises
    ------
    ConfigError
        If no product matches.
    """
    found = [each for each in fields if not patterns or any(fnmatchcase(each.product, own) for own in patterns)]
    if not found:
        wanted = " or ".join(map(repr, patterns))
        known = ", ".join(dict.fromkeys(each.product for each in fields))
        raise ConfigError(f"no product's name matches {wanted}; the products are {known}")
    return found


def _all_of(product: str, config: Config, products: Mapping[str, Config]) -> Iterator[Field]:
    """Yield the fields of one product. A difference has the times that both of its products have."""
    if config.difference is None:
        yield from _fields_of(product, config)
        return
    one, two = (list(_fields_of(name, products[name])) for name in config.difference)
    if broken := next((each for each in (*one, *two) if each.problem), None):
        yield Field(_with_file_name(config, product).with_facts({"product": product}), product, problem=broken.problem)
        return
    if any(products[name].prepare for name in (*config.difference,)) or config.prepare:
        raise ConfigError(
            f"[products.{product}] difference: its products have [[prepare]] steps; use the step expression"
        )
    others = {each.time: each.config.raster for each in two}
    for each in one:
        other = others.get(each.time, others.get(None))
        if other is not None:
            yield _difference(product, config, each, other)


def _difference(product: str, config: Config, first: Field, other: RasterSettings) -> Field:
    """Return the field of a difference at one time."""
    minus = FieldSettings.model_construct(**{name: getattr(other, name) for name in FieldSettings.model_fields})
    raster = first.config.raster.model_copy(update={"minus": minus, "resampling": config.raster.resampling})
    own = _with_file_name(config, product).model_copy(update={"raster": raster}).with_products({})
    return Field(own.with_facts({**first.config.facts, "product": product}), product, first.time)


def _fields_of(product: str, config: Config) -> Iterator[Field]:
    """Yield the fields of one product. If its raster cannot be found, yield one field with the problem."""
    facts: dict[str, object] = {"product": product} if product else {}
    config = _with_file_name(config, product)
    try:
        found = _resolve(config.raster)
    except RegionplotError as error:
        yield Field(config.with_facts(facts), product, problem=error)
        return
    for time, raster in found:
        own = config.model_copy(update={"raster": raster}).with_products({})
        known = facts if time is None else {**facts, "time": time}
        yield Field(own.with_facts(known), product, time)


def _with_file_name(config: Config, product: str) -> Config:
    """Return settings whose file names differ for each product and time, if the settings give no names of files."""
    many = TimeChoice(config.raster.time).is_many
    if "filename" in config.output.model_fields_set or not (product or many):
        return config.model_copy()
    folders = [*(["{product}"] if product else []), *(["{time:%Y%m%dT%H%M}"] if many else [])]
    name = "/".join([*folders, config.output.filename])
    return config.model_copy(update={"output": config.output.model_copy(update={"filename": name})})


def _resolve(raster: RasterSettings) -> list[Resolved]:
    """Return the files and times that the settings of a raster choose.

    Raises
    ------
    InputError
        If no file matches, a file cannot be opened, or a chosen time is not there.
    """
    text, choice = str(raster.path), TimeChoice(raster.time)
    if Series.is_named_by(text):
        return _resolve_series(raster, Series(text), TimeChoice(LATEST) if choice.value is None else choice)
    if choice.is_many and raster.pattern.has_wildcards:
        files = raster.pattern.find_all()
    else:
        newest = raster.pattern.find()
        files = [] if newest is None else [newest]
    if not files:
        raise InputError(raster.pattern.not_found_message)
    if choice.value is None:
        return [(None, _with_file(raster, files[0]))]
    return _resolve_times(raster, files, choice)


def _resolve_series(raster: RasterSettings, series: Series, choice: TimeChoice) -> list[Resolved]:
    found = series.find()
    if not found:
        raise InputError(f"nothing matches {series.text}")
    positions = _chosen_positions(choice, [time for time, _ in found], series.text)
    return [(found[position][0], _with_file(raster, found[position][1])) for position in positions]


def _resolve_times(raster: RasterSettings, files: Sequence[Path], choice: TimeChoice) -> list[Resolved]:
    """Return the chosen times of the axes of files. If several files have the same time, the last file is used."""
    times = {time: path for path in files for time in raster_times(_with_file(raster, path))}
    if not times:
        raise RasterError(
            f"{files[0]}: the times of its bands are unknown; remove time from [raster] and choose a band, such as "
            "band = 1, or state the time in the path of the file with {time:%Y%m%d%H}"
        )
    axis = sorted(times)
    chosen = [axis[position] for position in _chosen_positions(choice, axis, raster.path)]
    return [(time, _with_file(raster, times[time], time.isoformat())) for time in chosen]


def _chosen_positions(choice: TimeChoice, times: Sequence[datetime], where: object) -> list[int]:
    try:
        return choice.pick(times)
    except ValueError as error:
        raise RasterError(f"{where}: {error}") from None


def _with_file(raster: RasterSettings, path: Path, time: str | None = None) -> RasterSettings:
    file = allowed_vrt(path) if raster.allow_vrt else path
    try:
        return with_file(raster, file).model_copy(update={"time": time})
    except StacError as error:
        raise RasterError(str(error)) from None
