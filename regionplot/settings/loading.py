"""Read settings from TOML or a mapping. All errors are reported together, each with its line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from regionplot.errors import ConfigError, InputError
from regionplot.settings.base import MISSING_FILE
from regionplot.settings.config import PRODUCTS, Config
from regionplot.settings.document import Document
from regionplot.settings.messages import config_error
from regionplot.settings.partial import without_faults
from regionplot.settings.paths import resolve_config_paths
from regionplot.settings.places import Places
from regionplot.settings.raster import RASTER_PATH, RasterPath
from regionplot.settings.styles import styled
from regionplot.settings.tables import Tables, overridden

_MAX_FAULTS = 200
"""Maximum number of faults to report. A file with more faults is probably not a settings file."""


def read_config(source: str | Path | Tables | None = None, overrides: Tables | None = None) -> Config:
    """Read and check the settings of a run.

    Parameters
    ----------
    source : path or mapping, optional
        A TOML file, or its contents as a mapping of tables. Relative paths in a file are relative to its folder.
        Relative paths in a mapping are relative to the working directory.
    overrides : mapping, optional
        Tables that replace or extend the tables of `source`, key by key. An array of tables (`features`, `prepare`) is
        replaced as a whole. Relative paths are relative to the working directory.

    Raises
    ------
    ConfigError
        If the file is not TOML, or has unknown keys or wrong values. The error contains one problem per fault.
    InputError
        If input files are missing and nothing else is wrong.

    Examples
    --------
    >>> read_config({"raster": {"path": "sample:relief"}}).map.size
    (1400, 900)
    """
    return _read(source, overrides, RasterPath.EXISTING_FILE)


def read_config_before_arrival(source: str | Path | Tables | None, overrides: Tables | None = None) -> Config:
    """Read and check settings whose raster may not exist yet.

    Parameters
    ----------
    source, overrides
        As for `read_config`.

    Returns
    -------
    Config
        `raster.path` is as written, with times and wildcards. `raster.pattern` finds the file.

    Raises
    ------
    ConfigError, InputError
        As for `read_config`. A missing raster is not an error.
    """
    return _read(source, overrides, RasterPath.PATTERN)


def raster_as_written(source: str | Path | Tables | None, overrides: Tables | None = None) -> str:
    """Return the path of the raster in settings that `read_config` accepts, with times and wildcards.

    Parameters
    ----------
    source, overrides
        As for `read_config`.
    """
    return str(_tables(source, overrides)[1].get("raster", {}).get("path", ""))


def read_valid_part(source: str | Path | Tables | None, overrides: Tables | None = None) -> Config | None:
    """Return settings without their faults, so that further checks can find more faults.

    Parameters
    ----------
    source, overrides
        As for `read_config`.

    Returns
    -------
    Config or None
        Sections that have faults are left out or are incomplete. The raster may not exist. None if no part is valid.

    Raises
    ------
    ConfigError
        If the file cannot be read, or is not TOML.
    """
    document, tables = _tables(source, overrides)
    has_products = tables.pop(PRODUCTS, None) is not None
    config = validated(document.places, tables, RasterPath.PATTERN)[0]
    return config.with_facts({"product": "", "time": None}) if config is not None and has_products else config


def _read(source: str | Path | Tables | None, overrides: Tables | None, raster_path: RasterPath) -> Config:
    document, tables = _tables(source, overrides)
    if PRODUCTS in tables:
        return _read_products(document, tables)
    config, error = validated(document.places, tables, raster_path)
    if error is not None:
        raise error
    assert config is not None, "this part of the settings is valid"
    return config


def _read_products(document: Document, tables: dict[str, Any]) -> Config:
    """Read settings with products. The rasters may not exist, because a missing raster affects only its product."""
    from regionplot.settings.products import products_of  # noqa: PLC0415 (only settings with products need it)
    from regionplot.settings.references import with_rasters_of_products  # noqa: PLC0415

    tables = with_rasters_of_products(document, tables)
    base = {name: table for name, table in tables.items() if name != PRODUCTS}
    products = products_of(document, base, tables[PRODUCTS])
    raster = base.get("raster", {})
    if isinstance(raster, Mapping) and "path" not in raster:  # then each product has its own raster
        first = next(iter(products)).tables["raster"]
        base["raster"] = {**raster, "path": first.get("path", "") if isinstance(first, Mapping) else ""}
    found = [validated(document.places, base, RasterPath.PATTERN)]
    found += [validated(product.places, product.tables, RasterPath.PATTERN) for product in products]
    if errors := [error for _, error in found if error is not None]:
        kind = InputError if all(isinstance(error, InputError) for error in errors) else ConfigError
        raise kind(*dict.fromkeys(problem for error in errors for problem in error.problems))
    config, *own = (config for config, _ in found if config is not None)
    named = zip(products, own, strict=True)
    return config.with_products({product.name: each.with_difference(product.difference) for product, each in named})


def _tables(source: str | Path | Tables | None, overrides: Tables | None) -> tuple[Document, dict[str, Any]]:
    """Return the settings file, and its tables with the overrides applied. All paths are absolute."""
    document = Document.open(source)
    defaults = {"output": {"directory": document.base / "output"}}
    tables = overridden(defaults, resolve_config_paths(document.tables, document.base))
    above = resolve_config_paths(overrides or {}, Path.cwd())
    places = replace(document.places, overrides=frozenset(_keys(above)))
    return document._replace(places=places), overridden(tables, above)


def _keys(tables: Tables) -> Iterator[tuple[str, str]]:
    """Yield section and key of each setting. The key of an array of tables is empty."""
    for name, table in tables.items():
        yield from ((name, str(key)) for key in table) if isinstance(table, Mapping) else [(name, "")]


def _placed(detail: ErrorDetails) -> ErrorDetails:
    """Return a fault with its key. The section checks the path of the raster when it knows all keys."""
    if detail["type"] == MISSING_FILE and detail["loc"] == ("raster",):
        detail["loc"] = ("raster", "path")
    return detail


def validated(
    places: Places, tables: dict[str, Any], raster_path: RasterPath
) -> tuple[Config | None, ConfigError | InputError | None]:
    """Return the valid part of the settings, and an error with all faults.

    Parameters
    ----------
    places : Places
        The settings file.
    tables : dict
        The tables, with absolute paths.
    raster_path : RasterPath
        Value to which the path of the raster is resolved.

    Notes
    -----
    pydantic checks rules about several keys only if each key is valid. Therefore, faulty keys are removed, and the rest
    is checked again.
    """
    details: list[ErrorDetails] = []
    places, tables = styled(places, tables)
    rest: dict[str, Any] | None = tables
    config = None
    while rest is not None and config is None:
        try:
            config = Config.model_validate(rest, context={RASTER_PATH: raster_path}).with_places(places)
        except ValidationError as error:
            found = [_placed(each) for each in error.errors(include_url=False)]
            details += [each for each in found if not details or (each["loc"] and each["type"] != "missing")]
            details = details[:_MAX_FAULTS]
            raster_path = RasterPath.PATTERN
            rest = without_faults(rest, found)
    return config, config_error(details, places, tables) if details else None
