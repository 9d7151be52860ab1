"""Read settings from TOML or a dict. All errors are reported together, each with its line."""

from __future__ import annotations

import os.path
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from regionplot import sample
from regionplot.settings import steps
from regionplot.settings.config import Config
from regionplot.settings.document import Document
from regionplot.settings.messages import config_error
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
    tables = _merge(defaults, _absolute(document.tables, document.base))
    try:
        merged = _merge(tables, _absolute(overrides or {}, Path.cwd()))
        return Config.model_validate(merged, context={ALLOW_MISSING_RASTER: raster_may_come})
    except ValidationError as error:
        raise config_error(error, document) from None


def _absolute(tables: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """The tables with the paths in them joined to the folder they are relative to."""
    result = {name: dict(table) if isinstance(table, Mapping) else table for name, table in tables.items()}
    for section, key in (("raster", "path"), ("raster", "prepared"), ("output", "directory")):
        if section in result:
            result[section] = _with_path(result[section], key, base)
    if isinstance(raster := result.get("raster"), dict) and isinstance(inputs := raster.get("inputs"), Mapping):
        raster["inputs"] = {name: _with_path({"path": path}, "path", base)["path"] for name, path in inputs.items()}
    if isinstance(features := result.get("features"), list | tuple):
        result["features"] = [_with_path(table, "path", base) for table in features]
    if isinstance(prepare := result.get("prepare"), list | tuple):
        for key in steps.PATH_KEYS:
            prepare = [_with_path(table, key, base) for table in prepare]
        result["prepare"] = prepare
    return result


def _with_path(table: Any, key: str, base: Path) -> Any:
    value = table.get(key) if isinstance(table, Mapping) else None
    if not isinstance(value, str | Path) or str(value).startswith(sample.PREFIX):
        return table
    return {**table, key: Path(os.path.normpath(base / _from_home(Path(value))))}


def _from_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # there is no such user; the path then is a missing file like any other
        return path


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for name, table in above.items():
        old = merged.get(name)
        merged[name] = {**old, **table} if isinstance(old, dict) and isinstance(table, dict) else table
    return merged
