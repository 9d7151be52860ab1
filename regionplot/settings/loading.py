"""Read settings from TOML or a mapping. All errors are reported together, each with its line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from regionplot.settings.config import Config
from regionplot.settings.document import Document
from regionplot.settings.messages import config_error
from regionplot.settings.paths import resolve_config_paths
from regionplot.settings.raster import RASTER_PATH, RasterPath

DEFAULT_NAME = "regionplot.toml"
Tables = Mapping[str, Any]
"""Tables and arrays of tables by name, as parsed from TOML."""


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


def _read(source: str | Path | Tables | None, overrides: Tables | None, raster_path: RasterPath) -> Config:
    document = Document.empty() if source is None else Document.open(source)
    defaults = {"output": {"directory": document.base / "output"}}
    tables = _merge(defaults, resolve_config_paths(document.tables, document.base))
    tables = _merge(tables, resolve_config_paths(overrides or {}, Path.cwd()))
    try:
        return Config.model_validate(tables, context={RASTER_PATH: raster_path})
    except ValidationError as error:
        raise config_error(error, document, tables) from None


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Merge two mappings of tables. Keys of a table in `above` replace the keys of the same table in `below`."""
    merged = dict(below)
    for name, table in above.items():
        old = merged.get(name)
        merged[name] = {**old, **table} if isinstance(old, dict) and isinstance(table, dict) else table
    return merged
