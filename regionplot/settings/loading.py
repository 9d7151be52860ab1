"""Read settings from TOML or a dict. All errors are reported together, each with its line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from regionplot.settings.config import Config
from regionplot.settings.document import Document
from regionplot.settings.messages import config_error
from regionplot.settings.paths import resolve_config_paths
from regionplot.settings.raster import ALLOW_MISSING_RASTER

DEFAULT_NAME = "regionplot.toml"


def read_config(
    source: str | Path | Mapping[str, Any] | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    raster_may_come: bool = False,
) -> Config:
    """Read and check the settings of a run.

    Parameters
    ----------
    source : path or mapping, optional
        A TOML file, or its contents as a mapping of sections. Relative paths in a file are relative to its folder,
        those in a mapping to the working directory.
    overrides : mapping, optional
        Sections that replace or extend those of `source`, key by key; a list (`features`, `prepare`) is replaced whole.
        Relative paths are relative to the working directory.
    raster_may_come : bool
        Leave `[raster] path` as it is written, whether there is such a file or not, to be found by `raster.pattern`.

    Raises
    ------
    ConfigError
        If the file is not TOML, or holds unknown keys or wrong values; one problem each.
    InputError
        If nothing is wrong but that input files are missing.

    Examples
    --------
    >>> read_config({"raster": {"path": "sample:relief"}}).map.size
    (1400, 900)
    """
    document = Document.empty() if source is None else Document.open(source)
    defaults = {"output": {"directory": document.base / "output"}}
    tables = _merge(defaults, resolve_config_paths(document.tables, document.base))
    tables = _merge(tables, resolve_config_paths(overrides or {}, Path.cwd()))
    try:
        return Config.model_validate(tables, context={ALLOW_MISSING_RASTER: raster_may_come})
    except ValidationError as error:
        raise config_error(error, document, tables) from None


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for name, table in above.items():
        old = merged.get(name)
        merged[name] = {**old, **table} if isinstance(old, dict) and isinstance(table, dict) else table
    return merged
