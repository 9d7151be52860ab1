"""Find vector layers that no map shows, because their CRS is probably wrong."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress

import pyproj

from regionplot.colors.choose import Coloring
from regionplot.colors.key import planned_key
from regionplot.errors import RegionError
from regionplot.geo.extent import PanelGrid
from regionplot.geo.region import Region
from regionplot.layers.base import Layer
from regionplot.layers.features import Features
from regionplot.layers.stack import lay_out
from regionplot.settings.config import Config
from regionplot.sheet.layout import Box
from regionplot.sheet.view import View

logger = logging.getLogger(__name__)
_MAX_CHECKED = 500
"""Maximum number of regions. For more regions, the layers are not compared with the maps."""


def warn_of_unseen_layers(
    layers: Sequence[Layer], config: Config, crs: pyproj.CRS, coloring: Coloring, regions: Sequence[Region]
) -> None:
    """Log a warning for each vector layer that is outside of all maps. The CRS of such a layer is probably wrong.

    Parameters
    ----------
    layers : sequence of Layer
        The loaded layers.
    config : Config
        The settings.
    crs : pyproj.CRS
        CRS of the maps.
    coloring : Classes or RgbBands or None
        Coloring of the raster.
    regions : sequence of Region
        All regions that will be drawn. If there are too many, or a region moves, nothing is logged.
    """
    vectors = [layer for layer in layers if isinstance(layer, Features)]
    if not vectors or len(regions) > _MAX_CHECKED or any(region.track is not None for region in regions):
        return
    panel = lay_out(config, planned_key(coloring)).panel
    for layer in vectors:
        if not layer.is_seen_in(_panels(regions, crs, panel, config)):
            path = layer.settings.path
            logger.warning("%s: no part of the layer lies on a map of this run; if its CRS is wrong, set crs", path)


def _panels(regions: Sequence[Region], crs: pyproj.CRS, box: Box, config: Config) -> Iterator[PanelGrid]:
    for region in regions:
        with suppress(RegionError):  # the error is reported when the region is drawn
            yield View.of(region, crs, box, config.map.fit).panel
