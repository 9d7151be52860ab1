"""Load all fields of the settings at once, for programs."""

from __future__ import annotations

from collections.abc import Sequence

from regionplot.errors import RegionplotError
from regionplot.geo.region import Region
from regionplot.layers.base import Layer
from regionplot.settings.config import Config
from regionplot.shared.data import SharedData
from regionplot.shared.fields import Field, find_fields
from regionplot.shared.groups import FieldLoader, OpenedField
from regionplot.shared.series import SeriesScales


def load_all_fields(config: Config, regions: Sequence[Region] | None, layers: Sequence[Layer]) -> SharedData:
    """Load all fields of settings at once. See `load_fields`."""
    return load_fields(find_fields(config), regions, layers)


def load_fields(fields: Sequence[Field], regions: Sequence[Region] | None, layers: Sequence[Layer]) -> SharedData:
    """Load all fields at once. Return the data of the first field; its `products` are the data of all fields.

    Raises
    ------
    InputError, ConfigError
        If a field cannot be loaded.
    """
    loader = FieldLoader(regions or (), tuple(layers))
    opened = {each.name: _opened(each, regions) for each in fields}
    scales = SeriesScales(fields, lambda each: opened.get(each.name) or _opened(each, regions))
    loaded: dict[str, SharedData] = {}
    for each, data in loader.load([scales.apply(each) for each in opened.values()]):
        if isinstance(data, RegionplotError):
            raise data
        loaded[each.field.name] = data
    return next(iter(loaded.values())).with_products(loaded)


def _opened(found: Field, regions: Sequence[Region] | None) -> OpenedField:
    if found.problem is not None:
        raise found.problem
    return OpenedField.of(found, found.config, regions)
