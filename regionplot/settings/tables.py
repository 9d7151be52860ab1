"""Combine the tables of two settings, and find a setting in tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regionplot.errors import Place

Tables = Mapping[str, Any]
"""Tables and arrays of tables by name, as parsed from TOML."""
_OUTPUT = "output"
"""Section whose keys can be tables with settings of their own: the tables of the formats."""


def overridden(tables: Tables, by: Tables) -> dict[str, Any]:
    """Return tables with the keys of other tables, which take precedence.

    A value that is a table, such as a projection with keywords, and an array of tables are replaced as a whole. Only
    the tables of formats, such as `output.png`, are combined key by key.

    Examples
    --------
    >>> overridden({"map": {"dpi": 100, "size": [9, 6]}}, {"map": {"dpi": 50}, "run": {"nice": 3}})
    {'map': {'dpi': 50, 'size': [9, 6]}, 'run': {'nice': 3}}
    """
    combined = dict(tables)
    for name, table in by.items():
        old = combined.get(name)
        if not (isinstance(old, Mapping) and isinstance(table, Mapping)):
            combined[name] = table
        else:
            combined[name] = overridden(old, table) if name == _OUTPUT else {**old, **table}
    return combined


def has_setting(tables: Tables, place: Place) -> bool:
    """Return True if tables have the section of a place, and its key."""
    outer, _, inner = place.section.partition(".")
    table = tables.get(outer)
    if inner and isinstance(table, Mapping):
        table = table.get(inner)
    if isinstance(table, list | tuple):
        number = place.number or place.step or 1
        table = table[number - 1] if number <= len(table) else None
    if table is None or not place.key:
        return table is not None
    return isinstance(table, Mapping) and place.key.partition(" ")[0] in table
