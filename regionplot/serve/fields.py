"""Load the fields of a generation: each product at each time, and the layers over it."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pyproj

from regionplot.errors import InputError, RegionplotError
from regionplot.geo.crs import same_crs
from regionplot.layers.base import Layer, LoadContext
from regionplot.layers.stack import PlannedLayer, configured_layers, load_layers
from regionplot.serve.catalog import FieldFacts, iso_time
from regionplot.serve.request import RASTER
from regionplot.settings.config import Config
from regionplot.shared.budget import MEGABYTE
from regionplot.shared.data import SharedData
from regionplot.shared.fields import Field
from regionplot.shared.groups import OpenedField
from regionplot.shared.load import LoadedCells, array_cache
from regionplot.shared.series import SeriesScales
from regionplot.system.machine import available_memory
from regionplot.text import plain_text

logger = logging.getLogger(__name__)
_NOT_ON_PANELS = frozenset(
    {
        "credit",
        "scale_bar",
        "focus",
        "graticule",
        "missing",
        "logo",
        "locator",
        "north_arrow",
        "region_box",
        "value_range",
    }
)
"""Layers that only suit a whole sheet. The step of the graticule depends on the image, so tiles would not match."""
_MAX_NAME = 60
_MORE_CRS = 3
"""Number of CRSs, besides those in `[serve] projections`, for which a worker keeps layers."""
_SHARE = 4
"""Without `[run] memory`, a generation may take this part of the free memory: 1 / 4."""


@dataclass
class LoadedField:
    """One field, and the layers that lie over it."""

    field: Field
    data: SharedData
    planned: Mapping[str, PlannedLayer]
    """The layers over the raster by name, from bottom to top."""
    by_crs: list[tuple[pyproj.CRS, dict[str, Layer]]] = dataclasses.field(default_factory=list)
    """The loaded layers by name, for each CRS. The usual CRSs come first."""

    @property
    def key(self) -> str:
        """Name of the field in its generation."""
        return self.field.name or RASTER

    @property
    def product(self) -> str:
        """Name of the product. Settings without products have one, which is named after the variable."""
        if self.field.product:
            return self.field.product
        name = re.sub(r"[^A-Za-z0-9_.-]+", "_", str(self.data.description.get("variable") or ""))[:_MAX_NAME]
        return name or RASTER

    @property
    def time(self) -> str:
        """Time of the data in ISO format, or empty."""
        found = self.data.description.get("time")
        return iso_time(found if isinstance(found, datetime) else self.field.time)

    @property
    def level(self) -> str:
        """The level, such as `500 hPa`, if the product has several. Otherwise, an empty text."""
        return plain_text(str(self.data.description.get("level") or self.field.level)) if self.field.level else ""

    @property
    def facts(self) -> FieldFacts:
        """The entry of the field in the catalog."""
        run = self.data.description.get("reference_time")
        fingerprint = self.data.info.fingerprint
        return FieldFacts(
            self.key,
            self.time,
            iso_time(run if isinstance(run, datetime) else None),
            modified=0.0 if fingerprint is None else fingerprint.modified / 1e9,
        )

    def layers_in(self, crs: pyproj.CRS, loaded: Sequence[Layer] = ()) -> Mapping[str, Layer]:
        """Return the layers in a CRS by name. They are projected on first use.

        Parameters
        ----------
        crs : pyproj.CRS
            The CRS.
        loaded : sequence of Layer
            Layers of other fields, whose data are reused if they are the same.

        Raises
        ------
        InputError
            If the file of a layer cannot be read.
        """
        found = next((each for each in self.by_crs if same_crs(each[0], crs)), None)
        if found is None:
            config = self.data.config
            context = LoadContext(config, crs, self.data.description, cache=array_cache(config), loaded=loaded)
            found = crs, dict(zip(self.planned, load_layers(self.planned.values(), context), strict=True))
            if len(self.by_crs) >= len(config.serve.projections) + _MORE_CRS:
                del self.by_crs[-_MORE_CRS]
            self.by_crs.append(found)
        return found[1]


def load_fields(found: Sequence[Field], memory: int | None) -> Iterator[LoadedField]:
    """Yield all fields with the values of their cells. Fields that draw the same cells share them.

    A field that cannot be loaded is left out, and its faults are logged.

    Parameters
    ----------
    found : sequence of Field
        The fields.
    memory : int, optional
        Memory for the cells of all fields in MB. The latest times are loaded first. For fields that do not fit, each
        request reads its own cells. By default, a quarter of the free memory.

    Raises
    ------
    InputError
        If no field can be loaded.
    """
    opened = {each.name: one for each in found if (one := _opened(each)) is not None}
    scales = SeriesScales(found, lambda each: opened[each.name])
    budget = available_memory() // _SHARE if memory is None else memory * MEGABYTE
    planned = [scales.apply(one) for one in _within(budget, list(opened.values()))]
    known: list[Layer] = []
    kept: dict[object, LoadedCells] = {}
    count = 0
    for each in planned:
        try:
            data = _loaded(each, known, kept)
        except RegionplotError as error:
            _log(each.field, error)
            continue
        known += data.layers
        count += 1
        own = dict(zip(layer_names(data.config), configured_layers(data.config), strict=True))
        yield LoadedField(each.field, data, {name: one for name, one in own.items() if _is_on_panels(one)})
    if not count:
        raise InputError("no product can be served; the messages above say why")


def _loaded(each: OpenedField, known: Sequence[Layer], kept: dict[object, LoadedCells]) -> SharedData:
    if each.cells not in kept:
        kept[each.cells] = each.raster.load_values(each.plan)  # `/value` needs values, not only classes
    values = replace(kept[each.cells], series=each.plan.series)
    coded = each.raster.coded(values, each.plan)  # as in a run, so that the maps of regions have the same digests
    cells = replace(coded, values=values.values)
    return SharedData.load(each.config, None, each.plan, known, raster=each.raster, cells=cells)


def _opened(found: Field) -> OpenedField | None:
    """Return a field with its raster opened, or None if this fails."""
    try:
        if found.problem is not None:
            raise found.problem
        config = found.config
        if config.prepare:
            from regionplot.prepare.run import prepared  # noqa: PLC0415 (only settings with steps need it)

            config = prepared(config)
        return OpenedField.of(found, config, None)
    except InputError as error:
        _log(found, error)
        return None


def _log(found: Field, error: RegionplotError) -> None:
    name = f"{found.name}: " if found.name else ""
    for problem in error.problems:
        logger.error("%s%s", name, problem)


def _within(budget: int, opened: Sequence[OpenedField]) -> Iterator[OpenedField]:
    """Yield fields in their order. Those that do not fit into the budget read their cells for each request."""
    left, fitting = budget, set[object]()
    for each in sorted(opened, key=lambda one: one.field.time_text, reverse=True):
        if each.cells in fitting or each.size <= left or not each.raster.info.has_windows:
            left -= 0 if each.cells in fitting else each.size
            fitting.add(each.cells)
    for each in opened:
        if each.cells in fitting or each.plan.reads_per_map:
            yield each
        else:
            plan = replace(each.plan, reads_per_map=True, window=each.raster.info.geometry.full_window)
            yield replace(each, plan=plan)


def _is_on_panels(planned: PlannedLayer) -> bool:
    return planned.name.partition(" ")[0] not in _NOT_ON_PANELS


def layer_names(config: Config) -> list[str]:
    """Return a short and unique name for each configured layer, such as `states` or `contours`."""
    names: list[str] = []
    for planned in configured_layers(config):
        kind, path = getattr(planned.settings, "kind", ""), getattr(planned.settings, "path", None)
        stem = path.stem.removesuffix(".shp") if isinstance(path, Path) else ""  # of roads.shp.zip: roads
        text = kind or stem or planned.name.partition(" ")[0]
        name = re.sub(r"[^A-Za-z0-9_.-]+", "_", text)[:_MAX_NAME] or "layer"
        number = sum(used.rpartition("~")[0] == name or used == name for used in [*names, RASTER])
        names.append(f"{name}~{number + 1}" if number else name)
    return names
