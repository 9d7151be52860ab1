"""Read `[products.NAME]`: tables that override the settings for one product."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from typing_extensions import override

from regionplot.errors import ConfigError, Place, Problem
from regionplot.settings.config import PRODUCTS, section_names
from regionplot.settings.document import Document
from regionplot.settings.messages import quoted_key
from regionplot.settings.paths import resolve_config_paths
from regionplot.settings.places import Places
from regionplot.settings.tables import Tables, has_setting, overridden

_NAME = re.compile(r"\w[\w .+-]{0,59}")
_MAX_PRODUCTS = 1000
DIFFERENCE = "difference"
"""Key of a product that is the difference of two other products."""
_OF_THE_RUN: dict[str, tuple[str, ...]] = {
    "run": (),
    "serve": (),
    "regions": (),
    "statistics": ("table",),
    "output": ("directory", "publish", "keep", "publish_partial"),
}
"""Sections that a product cannot override, because they belong to the whole run. Keys are listed if only some keys of a
section belong to the run."""


@dataclass(frozen=True, eq=False)
class ProductPlaces(Places):
    """The places of the settings of a product: in its own tables, or in the tables that all products share."""

    product: str = field(default="")
    own: Tables = field(default_factory=dict, repr=False)
    """The tables of the product."""
    base: Tables = field(default_factory=dict, repr=False)
    """The tables that all products share."""

    def __reduce__(self) -> tuple[Any, ...]:
        return ProductPlaces, (self.name, "", self.overrides, self.product)

    @override
    def locate(self, place: Place) -> Place:
        if place.file or (has_setting(self.base, place) and not has_setting(self.own, place)):
            return super().locate(place)
        section = ".".join(filter(None, (PRODUCTS, self.product, place.section)))
        return super().locate(replace(place, section=section))


class Product(NamedTuple):
    """The unchecked settings of one product."""

    name: str
    tables: dict[str, Any]
    """The tables that all products share, with the tables of the product and the options applied."""
    places: ProductPlaces
    difference: tuple[str, str] | None = None
    """Names of two products, if this product is the first minus the second."""


def products_of(document: Document, base: Tables, products: object) -> list[Product]:
    """Return the settings of all products.

    Parameters
    ----------
    document : Document
        The settings file.
    base : mapping
        The tables that all products share, with absolute paths.
    products : object
        The table `products`.

    Raises
    ------
    ConfigError
        If it is not a table of tables, a name cannot be used, or a product sets what belongs to the whole run.
    """
    if not isinstance(products, Mapping) or not products or len(products) > _MAX_PRODUCTS:
        raise ConfigError(
            Problem(
                f"must be a table with 1 to {_MAX_PRODUCTS} products: write [products.NAME]",
                document.places.locate(Place(section=PRODUCTS)),
            )
        )
    if problems := [
        problem for name, own in products.items() for problem in _problems(document.places, name, own, products)
    ]:
        raise ConfigError(*problems)
    return [_product(document, base, name, products) for name in products]


def _product(document: Document, base: Tables, name: str, products: Tables) -> Product:
    own = {key: table for key, table in products[name].items() if key != DIFFERENCE}
    pair = products[name].get(DIFFERENCE)
    first = {} if pair is None else {"raster": products[pair[0]].get("raster", {})}
    resolved = resolve_config_paths(overridden(first, own), document.base)
    places = ProductPlaces(document.places.name, document.places.text, document.places.overrides, name, own, base)
    tables = overridden(overridden(base, resolved), _options(document.places, base))
    return Product(name, tables, places, None if pair is None else (pair[0], pair[1]))


def _options(places: Places, base: Tables) -> dict[str, Any]:
    """Return the settings that options give, such as `--raster`. They override the settings of all products."""
    found: dict[str, Any] = {}
    for section, key in places.overrides:
        table = base[section]
        found[section] = {**found.get(section, {}), key: table[key]} if key else table
    return found


def _difference_problems(places: Places, section: str, pair: object, products: Tables) -> Iterator[Problem]:
    """Yield a problem if `difference` does not name two products with rasters of their own."""
    if pair is None:
        return
    plain = [name for name, own in products.items() if isinstance(own, Mapping) and DIFFERENCE not in own]
    if not isinstance(pair, list | tuple) or len(pair) != 2 or any(name not in plain for name in pair):
        message = f"must be the names of two other products, such as ['forecast', 'analysis'], of {', '.join(plain)}"
        yield Problem(message, places.locate(Place(section=section, key=DIFFERENCE)))


def _problems(places: Places, name: str, own: object, products: Tables) -> Iterator[Problem]:
    section = f"{PRODUCTS}.{quoted_key(name)}"
    if not _NAME.fullmatch(name):
        message = "the name of a product must begin with a letter or digit, and contain only letters, digits and _ .+-"
        yield Problem(message, places.locate(Place(section=section)))
    if not isinstance(own, Mapping):
        message = "must be a table, such as [products.snow] with raster.path and colors.levels"
        yield Problem(message, places.locate(Place(section=PRODUCTS, key=quoted_key(name))))
        return
    for table, keys in _OF_THE_RUN.items():
        found = [table] if table in own and not keys else [key for key in keys if _has_key(own.get(table), key)]
        for key in found:
            where = Place(section=section, key=key) if key == table else Place(section=f"{section}.{table}", key=key)
            yield Problem(f"one run has one such setting for all products; move it to [{table}]", places.locate(where))
    yield from _difference_problems(places, section, own.get(DIFFERENCE), products)
    for table in own:
        if table not in (*section_names(), DIFFERENCE):
            known = ", ".join(section for section in section_names() if _OF_THE_RUN.get(section) != ())
            message = f"unknown section; the settings of a product are in sections: use one of {known}"
            yield Problem(message, places.locate(Place(section=section, key=quoted_key(str(table)))))


def _has_key(table: object, key: str) -> bool:
    return isinstance(table, Mapping) and key in table
