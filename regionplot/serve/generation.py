"""A generation: the data of all products at one time, loaded once, and the catalog of what requests can name."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pyproj

from regionplot.errors import RegionplotError
from regionplot.geo.crs import parse_crs, transformer
from regionplot.geo.extent import LONLAT, Extent
from regionplot.geo.project import project_extent
from regionplot.geo.region import Region
from regionplot.geo.upright import upright
from regionplot.layers.credit import Credit
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
from regionplot.serve.fields import LoadedField, load_fields
from regionplot.serve.levels import level_names, served_fields
from regionplot.serve.request import RASTER
from regionplot.settings.base import digest_items
from regionplot.settings.config import Config
from regionplot.shared.data import SharedData
from regionplot.sheet.view import axes_of
from regionplot.system.threads import ignored_warnings
from regionplot.text import plain_text, units_label

logger = logging.getLogger(__name__)
_RUN_LENGTH = 16
_WEB_MERCATOR = "EPSG:3857"
_MERCATOR_EDGE = 85.0511287798066
"""Latitude of the upper edge of Web Mercator, in degrees."""
_NEAR = 1e-6
"""Maximum distance of two points that count as one, as a fraction of the width of an extent."""
_WORLD: Box = (-180.0, -90.0, 180.0, 90.0)
LONLAT_CRS = pyproj.CRS.from_user_input(LONLAT)


@dataclass(frozen=True)
class Generation:
    """All loaded fields, the regions, and the catalog."""

    catalog: Catalog
    fields: Mapping[str, LoadedField]
    """Fields by the key that the catalog names."""
    regions: Mapping[str, Region]


def load_generation(config: Config, regions: Sequence[Region]) -> Generation:
    """Load all products and times, and project their layers for the usual CRSs.

    Parameters
    ----------
    config : Config
        The settings.
    regions : sequence of Region
        The regions of the table. There may be none.

    Raises
    ------
    ConfigError
        If the settings cannot be used.
    InputError
        If an input cannot be read.
    """
    memory = None if config.run.memory == "auto" else config.run.memory
    fields = {each.key: each for each in load_fields(served_fields(config), memory)}
    known = [layer for each in fields.values() for layer in each.data.layers]
    for each in fields.values():
        for crs in _usual_crs(config, each.data):
            known += each.layers_in(crs, known).values()
    by_name = {region.name: region for region in regions}
    return Generation(make_catalog(config, list(fields.values()), by_name), fields, by_name)


def _usual_crs(config: Config, data: SharedData) -> list[pyproj.CRS]:
    """Return the CRSs for which layers are projected before the first request."""
    return [data.crs, *(upright(parse_crs(code)).crs for code in config.serve.projections)]


def make_catalog(config: Config, fields: Sequence[LoadedField], regions: Mapping[str, Region]) -> Catalog:
    """Return the catalog of loaded fields and regions."""
    products: dict[str, list[LoadedField]] = {}
    for each in fields:
        products.setdefault(each.product, []).append(each)
    facts = {name: _product(name, own) for name, own in products.items()}
    codes = {*config.serve.projections, *(product.crs for product in facts.values() if product.crs)}
    overlays = {name: OverlayFacts(name, name) for each in fields for name in each.planned}
    return Catalog(
        run=_run_id(config, fields, regions),
        loaded=time.time(),
        products=facts,
        overlays=overlays,
        regions={name: found for name, region in regions.items() if (found := _region(region, fields[0].data))},
        settings=config.serve,
        size=config.map.size,
        north_first=frozenset(code for code in codes if is_north_first(parse_crs(code))),
        attribution=config.serve.attribution or _credit(fields[0].data),
        boxes={name: _boxes(config, own[0].data) for name, own in products.items()},
    )


def is_north_first(crs: pyproj.CRS) -> bool:
    """Return True if the authority defines the order latitude, longitude or northing, easting."""
    return [axis.direction for axis in crs.axis_info][:1] == ["north"]


def _product(name: str, fields: Sequence[LoadedField]) -> ProductFacts:
    levels, level_units = _levels(fields)
    found = next(iter(levels.values()))
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
        bounds=_degrees(extent, geometry.crs),
        crs=":".join(data.crs.to_authority() or ()),
        proj4=_proj4(data.crs),
        own_bounds=_bounds(extent, geometry.crs, data.crs),
        overlays=tuple(fields[0].planned),
        labeled=frozenset(name for name, one in fields[0].planned.items() if one.layer.label_order),
        level=plain_text(str(description.get("level", ""))),
        long_name=long_name,
        levels=levels if len(levels) > 1 else {},
        level_units=level_units,
    )


def _levels(fields: Sequence[LoadedField]) -> tuple[Mapping[str, Mapping[str, FieldFacts]], str]:
    """Return the fields of a product by time, for each level, and the units of the levels."""
    by_level: dict[str, list[LoadedField]] = {}
    for each in fields:
        by_level.setdefault(each.level, []).append(each)
    names, units = level_names(list(by_level))
    found = {
        names[level]: {
            each.time: replace(each.facts, level=names[level]) for each in sorted(own, key=lambda one: one.time)
        }
        for level, own in by_level.items()
    }
    return found, units


def _proj4(crs: pyproj.CRS) -> str:
    """Return a CRS as a PROJ string. PROJ warns that such a text can lose details, which do not matter on a screen."""
    with ignored_warnings():
        return crs.to_proj4()


def _credit(data: SharedData) -> str:
    """Return the sources of the data that the maps of regions name."""
    return " ".join(line for layer in data.layers if isinstance(layer, Credit) for line in layer.lines)


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


def _degrees(extent: Extent, source: pyproj.CRS) -> Box:
    """Return the box of an extent in degrees. It contains the poles that lie within the extent."""
    west, south, east, north = _bounds(extent, source, LONLAT_CRS)
    for pole in (-90.0, 90.0):
        if not source.is_geographic and _has_pole(extent, source, pole):
            west, south, east, north = -180.0, min(south, pole), 180.0, max(north, pole)
    return west, south, east, north


def _has_pole(extent: Extent, crs: pyproj.CRS, pole: float) -> bool:
    """Return True if all meridians meet at a pole within an extent."""
    (x, other_x), (y, other_y) = transformer(LONLAT_CRS, crs).transform([0.0, 90.0], [pole, pole])
    is_inside = extent.xmin <= x <= extent.xmax and extent.ymin <= y <= extent.ymax
    return is_inside and math.hypot(x - other_x, y - other_y) < _NEAR * extent.width


def _boxes(config: Config, data: SharedData) -> dict[str, Box]:
    """Return the bounds of a raster for each usual CRS."""
    geometry = data.info.geometry
    extent = geometry.extent
    found = {
        code: _bounds(extent, geometry.crs, upright(parse_crs(code)).crs)
        for code in config.serve.projections
        if code != _WEB_MERCATOR
    }
    if _WEB_MERCATOR in config.serve.projections:
        shown = _within_mercator(_degrees(extent, geometry.crs))
        found = {_WEB_MERCATOR: _bounds(shown, LONLAT_CRS, parse_crs(_WEB_MERCATOR))} | found
    return found


def _within_mercator(box: Box) -> Extent:
    """Return the part of a box in degrees that Web Mercator shows."""
    west, south, east, north = box
    south, north = (min(max(edge, -_MERCATOR_EDGE), _MERCATOR_EDGE) for edge in (south, north))
    return Extent(west, east, south, north)


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
