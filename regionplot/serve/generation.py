"""A generation: the data of all products at one time, loaded once, and the catalog of what requests can name."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import re
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pyproj

from regionplot.errors import RegionplotError
from regionplot.geo.crs import parse_crs, same_crs
from regionplot.geo.extent import LONLAT, Extent
from regionplot.geo.project import project_extent
from regionplot.geo.region import Region
from regionplot.geo.upright import upright
from regionplot.layers.base import Layer, LoadContext
from regionplot.layers.stack import PlannedLayer, configured_layers, load_layers
from regionplot.render.code import code_digest
from regionplot.serve.catalog import (
    Box,
    Catalog,
    FieldFacts,
    OverlayFacts,
    ProductFacts,
    RegionFacts,
    iso_time,
)
from regionplot.serve.request import RASTER
from regionplot.settings.base import digest_items
from regionplot.settings.config import Config
from regionplot.shared.data import SharedData
from regionplot.shared.fields import Field, find_fields
from regionplot.shared.groups import OpenedField
from regionplot.shared.load import LoadedCells, array_cache
from regionplot.shared.series import SeriesScales
from regionplot.sheet.view import axes_of
from regionplot.text import plain_text, units_label

logger = logging.getLogger(__name__)
_NOT_ON_PANELS = frozenset(
    {"credit", "scale_bar", "focus", "graticule", "missing", "logo", "locator", "north_arrow", "region_box"}
)
"""Layers that only suit a whole sheet. The step of the graticule depends on the image, so tiles would not match."""
_MAX_NAME = 60
_MORE_CRS = 3
"""Number of CRSs, besides those in `[serve] projections`, for which a worker keeps layers."""
_RUN_LENGTH = 16
_WORLD: Box = (-180.0, -90.0, 180.0, 90.0)
LONLAT_CRS = pyproj.CRS.from_user_input(LONLAT)


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
    def facts(self) -> FieldFacts:
        """The entry of the field in the catalog."""
        run = self.data.description.get("reference_time")
        fingerprint = self.data.info.fingerprint
        return FieldFacts(
            self.key,
            self.time,
            iso_time(run if isinstance(run, datetime) else None),
            0.0 if fingerprint is None else fingerprint.modified / 1e9,
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


@dataclass(frozen=True)
class Generation:
    """All loaded fields, the regions, and the catalog."""

    catalog: Catalog
    fields: Mapping[str, LoadedField]
    """Fields by the key that the catalog names."""
    regions: Mapping[str, Region]


def load_generation(config: Config, regions: Sequence[Region], layers: Sequence[Layer] = ()) -> Generation:
    """Load all products and times, and project their layers for the usual CRSs.

    Parameters
    ----------
    config : Config
        The settings.
    regions : sequence of Region
        The regions of the table. There may be none.
    layers : sequence of Layer
        Layers that are loaded already. Their data are reused if the files are unchanged.

    Raises
    ------
    ConfigError
        If the settings cannot be used.
    InputError
        If an input cannot be read.
    """
    fields = {each.key: each for each in _load_fields(find_fields(config), layers)}
    known = [layer for each in fields.values() for layer in each.data.layers]
    for each in fields.values():
        for crs in _usual_crs(config, each.data):
            known += each.layers_in(crs, known).values()
    by_name = {region.name: region for region in regions}
    return Generation(make_catalog(config, list(fields.values()), by_name), fields, by_name)


def _usual_crs(config: Config, data: SharedData) -> list[pyproj.CRS]:
    """Return the CRSs for which layers are projected before the first request."""
    return [data.crs, *(upright(parse_crs(code)).crs for code in config.serve.projections)]


def _load_fields(found: Sequence[Field], layers: Sequence[Layer]) -> Iterator[LoadedField]:
    """Yield all fields with the values of their cells. Fields that draw the same cells share them."""
    opened = {each.name: _opened(each) for each in found}
    scales = SeriesScales(found, lambda each: opened[each.name])
    known = list(layers)
    kept: dict[object, LoadedCells] = {}
    for each in [scales.apply(one) for one in opened.values()]:
        if each.cells not in kept:
            kept[each.cells] = each.raster.load_values(each.plan)  # `/value` needs values, not only classes
        values = replace(kept[each.cells], series=each.plan.series)
        coded = each.raster.coded(values, each.plan)  # as in a run, so that the maps of regions have the same digests
        cells = replace(coded, values=values.values)
        data = SharedData.load(each.config, None, each.plan, known, raster=each.raster, cells=cells)
        known += data.layers
        planned = dict(zip(_layer_names(data.config), configured_layers(data.config), strict=True))
        yield LoadedField(each.field, data, {name: one for name, one in planned.items() if _is_on_panels(one)})


def _opened(found: Field) -> OpenedField:
    if found.problem is not None:
        raise found.problem
    config = found.config
    if config.prepare:
        from regionplot.prepare.run import prepared  # noqa: PLC0415 (only settings with steps need it)

        config = prepared(config)
    return OpenedField.of(found, config, None)


def _is_on_panels(planned: PlannedLayer) -> bool:
    return planned.name.partition(" ")[0] not in _NOT_ON_PANELS


def _layer_names(config: Config) -> list[str]:
    """Return a short and unique name for each configured layer, such as `states` or `contours`."""
    names: list[str] = []
    for planned in configured_layers(config):
        kind, path = getattr(planned.settings, "kind", ""), getattr(planned.settings, "path", None)
        text = kind or (path.stem if isinstance(path, Path) else planned.name.partition(" ")[0])
        name = re.sub(r"[^A-Za-z0-9_.-]+", "_", text)[:_MAX_NAME] or "layer"
        number = sum(used.rpartition("~")[0] == name or used == name for used in [*names, RASTER])
        names.append(f"{name}~{number + 1}" if number else name)
    return names


def make_catalog(config: Config, fields: Sequence[LoadedField], regions: Mapping[str, Region]) -> Catalog:
    """Return the catalog of loaded fields and regions."""
    products: dict[str, list[LoadedField]] = {}
    for each in fields:
        products.setdefault(each.product, []).append(each)
    facts = {name: _product(name, own) for name, own in products.items()}
    overlays = {name: OverlayFacts(name, name) for each in fields for name in each.planned}
    return Catalog(
        run=_run_id(config, fields, regions),
        loaded=time.time(),
        products=facts,
        overlays=overlays,
        regions={name: found for name, region in regions.items() if (found := _region(region, fields[0].data))},
        settings=config.serve,
        size=config.map.size,
        boxes={name: _boxes(config, own[0].data) for name, own in products.items()},
    )


def _product(name: str, fields: Sequence[LoadedField]) -> ProductFacts:
    found = {each.time: each.facts for each in sorted(fields, key=lambda each: each.time)}
    data = fields[0].data
    extent, geometry = data.info.geometry.extent, data.info.geometry
    description = data.description
    long_name = plain_text(str(description.get("long_name") or description.get("variable") or name))
    return ProductFacts(
        name=name,
        title=long_name if name in ("", RASTER) else name,
        units=units_label(plain_text(data.info.units)),
        fields=found,
        default_time=_default_time(list(found)),
        bounds=_bounds(extent, geometry.crs, LONLAT_CRS),
        crs=":".join(data.crs.to_authority() or ()),
        proj4=_proj4(data.crs),
        own_bounds=_bounds(extent, geometry.crs, data.crs),
        overlays=tuple(fields[0].planned),
        labeled=frozenset(name for name, one in fields[0].planned.items() if one.layer.label_order),
        level=plain_text(str(description.get("level", ""))),
        long_name=long_name,
    )


def _proj4(crs: pyproj.CRS) -> str:
    """Return a CRS as a PROJ string. PROJ warns that such a text can lose details, which do not matter on a screen."""
    with warnings.catch_warnings(action="ignore"):
        return crs.to_proj4()


def _default_time(times: Sequence[str]) -> str:
    """Return the latest time that has passed. If there is none, return the first time."""
    now = iso_time(datetime.now(UTC))
    passed = [each for each in times if each <= now]
    return passed[-1] if passed else times[0]


def _bounds(extent: Extent, source: pyproj.CRS, target: pyproj.CRS) -> Box:
    """Return the box of an extent in another CRS, or the whole earth if it cannot be projected."""
    try:
        found = project_extent(extent, source, target)
    except (RegionplotError, ValueError):
        return _WORLD
    return found.xmin, found.ymin, found.xmax, found.ymax


def _boxes(config: Config, data: SharedData) -> dict[str, Box]:
    """Return the bounds of a raster for each usual CRS."""
    geometry = data.info.geometry
    codes = config.serve.projections
    return {code: _bounds(geometry.extent, geometry.crs, upright(parse_crs(code)).crs) for code in codes}


def _region(region: Region, data: SharedData) -> RegionFacts | None:
    """Return the entry of a region in the catalog, or None if its limits cannot be projected."""
    try:
        axes = axes_of(region, data.crs)
        found = project_extent(axes.extent(region.extent), axes.crs, LONLAT_CRS)
    except RegionplotError:
        logger.warning("the region %s has no limits in degrees, so the service leaves it out", region.name)
        return None
    return RegionFacts(region.name, region.title, (found.xmin, found.ymin, found.xmax, found.ymax))


def _run_id(config: Config, fields: Sequence[LoadedField], regions: Mapping[str, Region]) -> str:
    """Return a digest of the data, the settings, the regions and the code."""
    configs = [digest_items(each) for each in (config, *config.products.values())]
    parts = [
        configs,
        [(each.key, str(each.data.info.fingerprint), [layer.key for layer in each.data.layers]) for each in fields],
        [repr(region) for region in regions.values()],
        sorted({code_digest(each.data).hex() for each in fields}),
    ]
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:_RUN_LENGTH]
