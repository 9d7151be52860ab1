"""Remove faulty settings, so that the other settings can be checked, too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic_core import ErrorDetails

from regionplot.settings.base import MISSING_FILE
from regionplot.settings.config import LAYER_TABLES
from regionplot.settings.output import FORMATS

_NO_RASTER = Path("raster")
"""Path of the raster if the settings have no valid path."""
_EXISTING = Path(__file__)
"""Path instead of a missing file."""
Location = tuple[int | str, ...]


def without_faults(tables: dict[str, Any], details: Sequence[ErrorDetails]) -> dict[str, Any] | None:
    """Return settings without the keys that have faults. Return None if nothing can be removed.

    If the fault is not in a single key, the whole section is removed, or the whole array of tables. An existing file
    replaces a missing file.

    Parameters
    ----------
    tables : dict
        The tables that were checked.
    details : sequence of ErrorDetails
        The faults that pydantic found.
    """
    rest = {name: _copied(table) for name, table in tables.items()}
    for detail in details:
        _remove(rest, _location(detail), detail["type"])
    raster = rest.get("raster")
    if not isinstance(raster, dict) or "path" not in raster:
        rest["raster"] = {**(raster if isinstance(raster, dict) else {}), "path": _NO_RASTER}
    return None if rest == tables else rest


def _copied(table: Any) -> Any:
    if isinstance(table, dict):
        return dict(table)
    return [_copied(item) for item in table] if isinstance(table, list | tuple) else table


def _location(detail: ErrorDetails) -> Location:
    location = detail["loc"]
    return location[1:] if location[:1] == (LAYER_TABLES,) else location


def _remove(tables: dict[str, Any], location: Location, kind: str) -> None:
    """Remove the key of one fault, or its section."""
    if not location:
        return
    section, *keys = (str(location[0]), *location[1:], None)
    table = tables.get(section)
    if isinstance(table, list) and isinstance(keys[0], int) and keys[0] < len(table):
        table, keys = table[keys[0]], keys[1:]
    if isinstance(table, dict) and keys[0] == FORMATS:
        for key in [key for key in table if str(key).partition("_")[0] == keys[1]]:
            del table[key]
    elif isinstance(table, dict) and kind == MISSING_FILE and (section, keys[0]) != ("raster", "path"):
        value = table.get(str(keys[0]))
        table[str(keys[0])] = {**value, str(keys[1]): _EXISTING} if isinstance(value, dict) else _EXISTING
    elif isinstance(table, dict) and keys[0] in table:
        del table[str(keys[0])]
    elif section != "raster" or not isinstance(table, dict):
        tables.pop(section, None)
