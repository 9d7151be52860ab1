"""Replace references to the rasters of products, such as `raster = "product:pressure"`, in the tables of overlays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from regionplot.errors import ConfigError, Place, Problem
from regionplot.registry import LAYERS
from regionplot.settings.config import PRODUCTS
from regionplot.settings.document import Document
from regionplot.settings.field import FieldSettings
from regionplot.settings.paths import resolve_config_paths
from regionplot.settings.places import Places
from regionplot.settings.selection import TimeChoice
from regionplot.settings.tables import Tables, overridden
from regionplot.text import quoted

_PREFIX = "product:"
_KEYS = ("raster", "u", "v", "values")
"""Keys of overlays whose values can be rasters."""


def with_rasters_of_products(document: Document, tables: Tables) -> dict[str, Any]:
    """Return tables of settings in which the rasters of products replace the names of products.

    Parameters
    ----------
    document : Document
        The settings file.
    tables : mapping
        The tables of a settings file, with absolute paths, and the table `products`.

    Raises
    ------
    ConfigError
        If there is no product with the name, or if it is the difference of other products.
    """
    products = tables[PRODUCTS]
    if not isinstance(products, Mapping):
        return dict(tables)
    found = _References(document.places, {name: _raster_of(own, tables, document) for name, own in products.items()})
    own = {name: found.replaced(each, f"{PRODUCTS}.{name}.") for name, each in products.items()}
    result = {**found.replaced(tables, ""), PRODUCTS: own}
    if found.problems:
        raise ConfigError(*found.problems)
    return result


@dataclass
class _References:
    """The rasters that can be named, and the faults that were found."""

    places: Places
    rasters: Mapping[str, Mapping[str, Any] | None]
    problems: list[Problem] = field(default_factory=list)

    def replaced(self, tables: Any, prefix: str) -> Any:
        """Return tables with the rasters in the tables of layers."""
        if not isinstance(tables, Mapping):
            return tables
        return {
            name: self._in_layer(table, Place(section=prefix + name)) if name in LAYERS else table
            for name, table in tables.items()
        }

    def _in_layer(self, table: Any, place: Place) -> Any:
        if isinstance(table, list | tuple):
            return [self._in_layer(each, Place(section=place.section, number=n)) for n, each in enumerate(table, 1)]
        if not isinstance(table, Mapping):
            return table
        return {key: self._value(value, key, place) for key, value in table.items()}

    def _value(self, value: Any, key: str, place: Place) -> Any:
        if key not in _KEYS or not isinstance(value, str) or not value.startswith(_PREFIX):
            return value
        raster = self.rasters.get(value.removeprefix(_PREFIX))
        if raster is None:
            known = ", ".join(name for name, found in self.rasters.items() if found is not None)
            message = f"there is no product {quoted(value.removeprefix(_PREFIX))} with a raster; use one of {known}"
            where = Place(section=place.section, number=place.number, key=key)
            self.problems.append(Problem(message, self.places.locate(where)))
        return raster


def _raster_of(own: Any, tables: Tables, document: Document) -> dict[str, Any] | None:
    """Return the keys of a field for the raster of a product, or None if the product has no raster of its own."""
    if not isinstance(own, Mapping) or "difference" in own:
        return None
    base = {"raster": tables.get("raster", {})}
    raster = overridden(base, resolve_config_paths({"raster": own.get("raster", {})}, document.base))["raster"]
    if not isinstance(raster, Mapping) or "path" not in raster:
        return None
    kept = {key: value for key, value in raster.items() if key in FieldSettings.model_fields}
    if TimeChoice(kept.get("time")).is_many:
        kept.pop("time")  # the field has the time of the map
    return kept
