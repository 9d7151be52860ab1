"""Resolve relative paths in settings. A value is a path if its field has the type `Path`."""

from __future__ import annotations

import os.path
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from regionplot import sample
from regionplot.settings.command import Command
from regionplot.settings.config import settings_of
from regionplot.settings.functions import UserFunction
from regionplot.settings.plugins import fields_of
from regionplot.text import path_hint


def resolve_config_paths(tables: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """Return the tables of a config with their relative paths joined to a folder.

    Parameters
    ----------
    tables : mapping
        Tables and arrays of tables by name, not checked yet. Values of a wrong type are returned unchanged.
    base : Path
        Base folder of relative paths.
    """
    return {name: _resolve_section(name, value, base) for name, value in tables.items()}


def _resolve_section(name: str, value: Any, base: Path) -> Any:
    if isinstance(value, list | tuple):
        return [_resolve_section(name, table, base) for table in value]
    settings = settings_of(name, value)
    return value if settings is None else _resolve_table(value, settings, base)


def _resolve_table(table: Any, settings: type, base: Path) -> Any:
    if not isinstance(table, Mapping):
        return table
    fields = fields_of(settings)
    return {
        key: _resolve(value, fields[key].annotation, base) if key in fields else value for key, value in table.items()
    }


def _resolve(value: Any, kind: Any, base: Path) -> Any:
    """Return the value of a field with its paths resolved. Values of types without a path are returned unchanged."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Path and isinstance(value, str | Path):
        return _joined(value, base)
    if kind is UserFunction and isinstance(value, str):
        return UserFunction(value, base)
    if kind is Command and isinstance(value, list | tuple):
        return Command(tuple(value), base)
    if isinstance(kind, type) and fields_of(kind):
        return _resolve_table(value, kind, base)
    if origin is Annotated:
        return _resolve(value, inner[0], base)
    if origin in (Union, types.UnionType):
        return _resolve_union(value, inner, base)
    if origin is dict and isinstance(value, Mapping):
        return {name: _resolve(item, inner[1], base) for name, item in value.items()}
    if origin in (tuple, list) and isinstance(value, list | tuple):
        return [_resolve(item, inner[0], base) for item in value]
    return value


def _resolve_union(value: Any, kinds: tuple[Any, ...], base: Path) -> Any:
    """Return a value of a union type with its path resolved. A literal, such as `"auto"`, is not a path."""
    if any(get_origin(kind) is Literal and value in get_args(kind) for kind in kinds):
        return value
    resolved = (_resolve(value, kind, base) for kind in kinds)
    return next((item for item in resolved if item is not value), value)


def _joined(path: str | Path, base: Path) -> Path | str:
    if str(path).startswith(sample.PREFIX) or path_hint(str(path)) or path == "":
        return path
    return Path(os.path.normpath(base / _from_home(Path(path))))


def _from_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # no such user: the path is reported later as a missing file
        return path
