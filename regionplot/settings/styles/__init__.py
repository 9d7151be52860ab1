"""Apply a style: a file of settings that the user's settings override.

::

    styles/NAME.toml ─┐
                      ├─► tables ─► Config
    regionplot.toml ──┘

A style has the tables of a settings file, except those that name data or belong to the run. Its table `[kinds]` has
settings for vector layers: `[kinds.states]` applies to each `[[features]]` table with `kind = "states"`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from typing_extensions import override

from regionplot.errors import ConfigError, Place, Problem
from regionplot.settings.document import Document
from regionplot.settings.paths import resolve_config_paths
from regionplot.settings.places import Places
from regionplot.settings.tables import Tables, has_setting, overridden
from regionplot.system.files import exists

STYLES = {path.stem: path for path in sorted(Path(__file__).parent.glob("*.toml"))}
"""Files of the styles in this package, by name."""
DEFAULT_STYLE = "plain"
"""Style of settings that name no style."""
KINDS = "kinds"
_FEATURES = "features"
_OTHER = "other"
"""Kind of vector layers whose kind is neither given nor known from the name of the file."""
_NAMES = {
    "counties": r"count(y|ies)",
    "states": r"states?|provinces?|admin_?1",
    "coast": r"coast(line)?s?|shoreline",
    "countries": r"countr(y|ies)|nations?|admin_?0",
    "rivers": r"rivers?",
    "lakes": r"lakes?",
}
"""Words in the name of a file, or of its layer, that tell the kind of a vector layer."""
_SCALES = ("min_scale", "max_scale", "min_width")
_REFUSED = ("raster", "prepare", _FEATURES, "regions", "output", "run", "products")


@dataclass(frozen=True, eq=False)
class StylePlaces(Places):
    """The places of settings in the user's file, and of the other settings in the file of the style."""

    own: Places = field(default_factory=Places)
    own_tables: Tables = field(default_factory=dict, repr=False)
    style: Places = field(default_factory=Places)
    style_tables: Tables = field(default_factory=dict, repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return StylePlaces, (self.name, "", self.overrides, self.own)

    @override
    def locate(self, place: Place) -> Place:
        if place.file or has_setting(self.own_tables, place):
            return self.own.locate(place)
        in_style = self._in_style(place)
        return self.style.locate(in_style) if has_setting(self.style_tables, in_style) else self.own.locate(place)

    def _in_style(self, place: Place) -> Place:
        """Return the place of a setting in the style. Settings of a vector layer are in the table of its kind."""
        tables = self.own_tables.get(_FEATURES)
        if place.section != _FEATURES or not isinstance(tables, list | tuple) or place.number is None:
            return place
        table = tables[place.number - 1]
        kind = table.get("kind") if isinstance(table, Mapping) else None
        return replace(place, section=f"{KINDS}.{kind}", number=None)


def styled(places: Places, tables: Tables) -> tuple[Places, dict[str, Any]]:
    """Return settings with those of their style, and the places of all these settings.

    Parameters
    ----------
    places : Places
        The settings file of the user.
    tables : mapping
        The user's tables, not checked yet, with absolute paths. `style` in `map` names the style.

    Raises
    ------
    ConfigError
        If the file of the style cannot be read, or has a table that a style must not have, or if a vector layer has a
        kind that the style lacks.
    """
    section = tables.get("map")
    if section is None or (isinstance(section, Mapping) and "style" not in section):
        section = {**(section or {}), "style": DEFAULT_STYLE}
        tables = {**tables, "map": section}
    name = section.get("style") if isinstance(section, Mapping) else None
    path = name if isinstance(name, Path) else STYLES.get(name) if isinstance(name, str) else None
    if path is None or not exists(path):
        return places, dict(tables)  # no style, or a name that is reported when the settings are checked
    document = Document.open(path)
    if found := [table for table in document.tables if table in _REFUSED]:
        place = document.places.locate(Place(section=found[0]))
        raise ConfigError(Problem("a style cannot have this table; move it to your settings", place))
    kinds = document.tables.get(KINDS, {})
    style = resolve_config_paths({key: table for key, table in document.tables.items() if key != KINDS}, document.base)
    combined, features = overridden(style, tables), tables.get(_FEATURES)
    if isinstance(features, list | tuple) and isinstance(kinds, Mapping):
        _check_kinds(features, kinds, places)
        combined[_FEATURES] = [_of_kind(table, kinds) for table in features]
    every = StylePlaces(places.name, places.text, places.overrides, places, tables, document.places, document.tables)
    return every, combined


def _check_kinds(features: Iterable[Any], kinds: Tables, places: Places) -> None:
    """Raise a ConfigError if a vector layer names a kind that the style lacks. A style without kinds ignores them."""
    for number, table in enumerate(features, 1):
        kind = table.get("kind", "") if isinstance(table, Mapping) else ""
        if kinds and isinstance(kind, str) and kind and kind not in kinds:
            place = places.locate(Place(section=_FEATURES, number=number, key="kind"))
            raise ConfigError(Problem(f"the style has no kind {kind!r}; use {', '.join(kinds)}", place))


def _of_kind(table: Any, kinds: Tables) -> Any:
    if not isinstance(table, Mapping):
        return table
    of_style = kinds.get(str(table["kind"])) if "kind" in table else _guessed(table, kinds)
    return {**of_style, **table} if isinstance(of_style, Mapping) else table


def _guessed(table: Tables, kinds: Tables) -> Any:
    """Return the settings of the kind that the name of a file tells. A layer is then drawn at all scales."""
    name = str(table.get("layer") or Path(str(table.get("path", ""))).stem).lower()
    known = (
        kind for kind, words in _NAMES.items() if kind in kinds and re.search(rf"(^|[^a-z])({words})([^a-z]|$)", name)
    )
    found = kinds.get(next(known, _OTHER))
    return {key: value for key, value in found.items() if key not in _SCALES} if isinstance(found, Mapping) else found
