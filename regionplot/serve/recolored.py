"""Change the color scale of a field as a request asks."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import pydantic
import pyproj
from typing_extensions import override

from regionplot.colors.classifier import Codes
from regionplot.geo.extent import PanelGrid
from regionplot.render.panels import PanelPainter
from regionplot.serve.parameters import RequestError
from regionplot.serve.recoloring import Recoloring
from regionplot.settings.colors import ColorSettings
from regionplot.shared.data import SharedData


class PixelPainter(PanelPainter):
    """Draw images of one field with a scale for few images: pixels are classified, not all cells."""

    @cached_property
    @override
    def _codes(self) -> Codes | None:
        return None


def recolored(data: SharedData, recoloring: Recoloring) -> SharedData:
    """Return a field with other colors.

    Raises
    ------
    RequestError
        If the raster holds classes or colors, or the colors do not suit its values.
    """
    if data.coloring is not None:
        raise RequestError("this layer has classes or colors of its own", 400, "StyleNotDefined", "styles")
    try:
        colors = ColorSettings(**_settings(data.config.colors, recoloring))
    except pydantic.ValidationError:
        raise RequestError("these colors do not suit the layer", locator="colorscalerange") from None
    config = data.config.model_copy(update={"colors": colors})
    return replace(data, config=config, plan=replace(data.plan, colormap=None), loaded=replace(data.loaded, codes=None))


def recolored_for(data: SharedData, recoloring: Recoloring, panel: PanelGrid, crs: pyproj.CRS) -> SharedData:
    """Return a field with the colors for one image. Automatic limits are those of the cells on the image."""
    found = recolored(data, recoloring).with_scale_of(panel, crs)
    cells = found.loaded.series
    if not (recoloring.bands and recoloring.is_automatic) or cells is None or data.config.colors.units:
        return found
    known = cells[np.isfinite(cells)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    if not low < high or (recoloring.is_logarithmic and low <= 0):
        return found
    return recolored(data, replace(recoloring, limits=(low, high), is_automatic=False))


def _settings(usual: ColorSettings, chosen: Recoloring) -> dict[str, Any]:
    names = ("units", "label", "nodata", "field")
    found = {name: getattr(usual, name) for name in names} | {"under": chosen.below, "over": chosen.above}
    found |= _colors(usual, chosen)
    if chosen.bands and chosen.limits:
        spaced = np.geomspace if chosen.is_logarithmic else np.linspace
        return found | {"levels": tuple(spaced(*chosen.limits, chosen.bands + 1).tolist())}
    if chosen.limits:
        found |= {"vmin": chosen.limits[0], "vmax": chosen.limits[1]}
    norm = {"norm": "log"} if chosen.is_logarithmic else {}
    return found | norm | {"scale": "region" if chosen.is_automatic else "series"}


def _colors(usual: ColorSettings, chosen: Recoloring) -> dict[str, Any]:
    """Return the colors of the scale. A list of colors becomes gradual, because it has one color for each level."""
    colors = usual.colors if usual.stops is None else tuple(color for _, color in usual.stops)
    if chosen.colormap or colors is None or len(colors) == 1 or chosen.bands:
        return {"colormap": chosen.colormap or usual.colormap or "viridis"}
    return {"colors": colors}
