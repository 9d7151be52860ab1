"""Draw a map with the boxes of all regions and their names."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from regionplot.errors import ConfigError, RegionError
from regionplot.geo.auto_projection import AUTO
from regionplot.geo.bounds import within_world
from regionplot.geo.crs import parse_crs, transformer, unwrap
from regionplot.geo.extent import FULL_TURN, LONLAT, Extent
from regionplot.geo.region import Region
from regionplot.geo.upright import Upright
from regionplot.layers.features import FeatureSettings
from regionplot.layers.labels import LabelSettings
from regionplot.render.renderer import MapRenderer
from regionplot.runs import store
from regionplot.settings.config import Config
from regionplot.settings.output import find_format
from regionplot.shared.data import SharedData
from regionplot.sheet.view import axes_of
from regionplot.system.files import new_run
from regionplot.writers.base import make_writer

_MARGIN = 0.08
"""Width of the border around all boxes, as a fraction of the longer side."""
_STEPS = 32
"""Number of steps along each side of a box."""
_COLOR = "#b5412c"
_KEPT = ("features", "graticule", "shading")
"""Layers of the settings that the map shows."""
_LARGEST_BOX = 359.0
Ring = list[tuple[float, float]]


def draw_index_map(config: Config, regions: Sequence[Region], target: Path) -> None:
    """Draw the boxes of regions over the raster, with the renderer of the maps.

    Parameters
    ----------
    config : Config
        Settings of one field. Its vector layers are drawn, too.
    regions : sequence of Region
        The regions. A moving region is drawn at the first time of its track.
    target : Path
        File to write. Its suffix chooses the format.

    Raises
    ------
    RegionplotError
        If the file has an unknown suffix or cannot be written, no region has limits, or the regions do not overlap the
        raster.
    """
    try:
        name = find_format(target.name)
    except ValueError as error:
        raise ConfigError(f"{target}: {error}") from None
    rings = list(_rings(regions))
    if not rings:
        raise RegionError(f"{target}: no region has limits in degrees, so there is nothing to draw")
    whole = Region(
        "index", _extent_of([ring for _, ring in rings]), title=f"{len(rings):,} region{'s' if len(rings) > 1 else ''}"
    )
    with tempfile.TemporaryDirectory(prefix="regionplot-") as folder:
        own = _with_boxes(config, rings, Path(folder))
        renderer = MapRenderer(SharedData.load(own, [whole]))
        draws_pixels = make_writer(own.output, name).needs == "pixels"
        picture = renderer.render(whole) if draws_pixels else renderer.render_vectors(whole)
        content = renderer.encode(picture, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    store.write_file(target, content, new_run())


def _with_boxes(config: Config, rings: Sequence[tuple[str, Ring]], folder: Path) -> Config:
    """Return settings with the boxes and the names of the regions as layers above the vector layers."""
    lines = [{"type": "LineString", "coordinates": ring} for _, ring in rings]
    points = [{"type": "Point", "coordinates": _middle(ring)} for _, ring in rings]
    files = [_write(folder / "boxes.geojson", rings, lines), _write(folder / "names.geojson", rings, points)]
    boxes = FeatureSettings(path=files[0], edgecolor=_COLOR, linewidth=1.2, casing="#ffffffb3", casing_width=0.9)
    names = LabelSettings(path=files[1], name="name", dots=False, most=1000)
    layers = {name: tables for name, tables in config.layers.items() if name in _KEPT}
    layers |= {"features": (*layers.get("features", ()), boxes), "labels": (names,)}
    page = {"projection": AUTO, "title": "{title}", "draw": None, "decorate": None, "load": None, "fit": "datalim"}
    return config.model_copy(update={"map": config.map.model_copy(update=page), "layers": layers})


def _write(path: Path, rings: Sequence[tuple[str, Ring]], geometries: Sequence[dict[str, Any]]) -> Path:
    features = [
        {"type": "Feature", "properties": {"name": name}, "geometry": geometry}
        for (name, _), geometry in zip(rings, geometries, strict=True)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def _rings(regions: Sequence[Region]) -> Iterator[tuple[str, Ring]]:
    """Yield the name of each region, and its box as a ring in degrees. Boxes that cannot be projected are left out."""
    lonlat = parse_crs(LONLAT)
    for region in regions:
        if region.crs is None:
            continue
        try:
            ring = _ring(axes_of(region, lonlat), region.extent)
        except (RegionError, ConfigError):
            continue
        if ring:
            yield region.name, ring


def _ring(axes: Upright, limits: Extent) -> Ring:
    extent = axes.extent(limits)
    x, y = np.linspace(extent.xmin, extent.xmax, _STEPS + 1), np.linspace(extent.ymin, extent.ymax, _STEPS + 1)
    xs = np.concatenate([x, np.full(x.size, extent.xmax), x[::-1], np.full(x.size, extent.xmin)])
    ys = np.concatenate([np.full(y.size, extent.ymin), y, np.full(y.size, extent.ymax), y[::-1]])
    points = np.column_stack([xs, ys])
    if not axes.crs.is_geographic:
        points = np.column_stack(transformer(axes.crs, parse_crs(LONLAT)).transform(*points.T))
        if not np.isfinite(points).all():
            return []
        points[:, 0] = np.unwrap(points[:, 0], period=FULL_TURN)
    return [(float(longitude), float(latitude)) for longitude, latitude in points]


def _middle(ring: Ring) -> tuple[float, float]:
    low, high = np.min(ring, axis=0), np.max(ring, axis=0)
    return float((low[0] + high[0]) / 2), float((low[1] + high[1]) / 2)


def _extent_of(rings: Sequence[Ring]) -> Extent:
    """Return the limits of all rings with a margin. Rings are moved by full turns to be near the first ring."""
    first = _middle(rings[0])[0]
    moved = []
    for ring in rings:
        points, middle = np.array(ring), _middle(ring)[0]
        points[:, 0] += float(unwrap(np.array(middle), first)) - middle
        moved.append(points)
    points = np.concatenate(moved)
    (west, south), (east, north) = points.min(axis=0), points.max(axis=0)
    margin = _MARGIN * max(east - west, north - south)
    extent = within_world(Extent(west - margin, east + margin, south - margin, north + margin))
    return Extent(-180.0, 180.0, extent.ymin, extent.ymax) if extent.width > _LARGEST_BOX else extent
