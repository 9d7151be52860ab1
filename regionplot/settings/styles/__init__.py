"""Apply a style: a file of settings that count if the user's settings do not give them.

::

    styles/NAME.toml ─┐
                      ├─► merged tables ─► Config
    regionplot.toml ──┘

A style has the tables of a settings file, except those that name data or belong to the run. Its table `[kinds]` has
settings for vector layers: `[kinds.states]` applies to each `[[features]]` table with `kind = "states"`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from regionplot.errors import ConfigError, Place, Problem
from regionplot.settings.document import Document
from regionplot.system.files import exists

STYLES = {path.stem: path for path in sorted(Path(__file__).parent.glob("*.toml"))}
"""Files of the styles in this package, by name."""
KINDS = "kinds"
_REFUSED = ("raster", "prepare", "features", "regions", "output", "run", "products")
Tables = Mapping[str, Any]


def styled(tables: Tables) -> dict[str, Any]:
    """Return the tables of the settings with the tables of their style below them.

    Parameters
    ----------
    tables : mapping
        The tables, not checked yet, with absolute paths. `style` in `map` names the style.

    Raises
    ------
    ConfigError
        If the file of the style cannot be read, or has a table that a style must not have.
    """
    section = tables.get("map")
    name = section.get("style") if isinstance(section, Mapping) else None
    path = name if isinstance(name, Path) else STYLES.get(name) if isinstance(name, str) else None
    if path is None or not exists(path):
        return dict(tables)  # no style, or a name that is reported when the settings are checked
    style = dict(Document.open(path).tables)
    if found := [table for table in style if table in _REFUSED]:
        raise ConfigError(Problem(f"{path}: a style cannot have the table [{found[0]}]; move it to your settings"))
    kinds = style.pop(KINDS, {})
    merged = _merged(style, tables)
    features = merged.get("features")
    if isinstance(features, list | tuple) and isinstance(kinds, Mapping):
        _check_kinds(features, kinds)
        merged["features"] = [_of_kind(table, kinds) for table in features]
    return merged


def _check_kinds(features: Iterable[Any], kinds: Tables) -> None:
    """Raise a ConfigError if a vector layer names a kind that the style lacks. A style without kinds ignores them."""
    for number, table in enumerate(features, 1):
        kind = table.get("kind", "") if isinstance(table, Mapping) else ""
        if kinds and isinstance(kind, str) and kind and kind not in kinds:
            place = Place(section="features", number=number, key="kind")
            raise ConfigError(Problem(f"the style has no kind {kind!r}; use {', '.join(kinds)}", place))


def _of_kind(table: Any, kinds: Tables) -> Any:
    if not isinstance(table, Mapping):
        return table
    below = kinds.get(str(table.get("kind", "")))
    return {**below, **table} if isinstance(below, Mapping) else table


def _merged(below: Tables, above: Tables) -> dict[str, Any]:
    """Merge tables. Keys of a table in `above` replace the keys of the same table in `below`."""
    merged = dict(below)
    for name, table in above.items():
        old = merged.get(name)
        merged[name] = {**old, **table} if isinstance(old, Mapping) and isinstance(table, Mapping) else table
    return merged
