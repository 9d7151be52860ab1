"""Arrows whose length is the speed of the wind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import shapely
from pydantic import Field as Limits
from typing_extensions import override

from regionplot.geo.linework import Geometries
from regionplot.layers.wind import PlacedWind, WindLayer, WindSettings
from regionplot.sheet.marks import PanelMark, Path
from regionplot.sheet.sheet import Sheet

_HEAD = 0.35
"""Length of the head, as a fraction of the length of the arrow."""
_MAX_HEAD = 9.0
"""Maximum length of a head in pixels."""
_HALF_WIDTH = 0.42
"""Half of the width of the head, as a fraction of its length."""
_SHORTEST = 2.0
"""Minimum length of an arrow in pixels."""


class ArrowSettings(WindSettings):
    """`[[arrows]]`: arrows in the direction of the wind."""

    length: Annotated[float, Limits(gt=0, le=2000)] = 30
    """Length in pixels of an arrow for the speed `speed`. The middle of an arrow lies at its place."""
    speed: Annotated[float, Limits(gt=0)] = 20
    """Speed in knots of an arrow with the length `length`."""


@dataclass(frozen=True)
class Arrows(WindLayer):
    """Arrows of two components, such as wind or currents."""

    Settings = ArrowSettings
    zorder: ClassVar[float] = 41
    mark_types: ClassVar[frozenset[type]] = frozenset({Path})
    settings: ArrowSettings

    @override
    def draw(self, sheet: Sheet) -> Iterator[PanelMark]:
        style = self.settings
        half = style.length / style.speed / 2
        found = self.wind.at_places(sheet, style.spacing, lambda knots: np.stack([-half * knots, half * knots], axis=1))
        shafts, heads = arrow_shapes(found, style.length / style.speed, sheet)
        if not shafts.size:
            return
        for color, extra in ((style.casing, 2 * style.casing_width), (style.color, 0.0)):
            if color != "none":
                yield Path.of_lines(shafts, color, style.linewidth + extra)
                head = Path.of_polygons(heads, color)
                yield Path(head.vertices, head.codes, color, color, style.linewidth + extra)


def arrow_shapes(wind: PlacedWind, pixels_per_knot: float, sheet: Sheet) -> tuple[Geometries, Geometries]:
    """Return the shafts and the heads of arrows in map coordinates: LineStrings and Polygons, shape (n,) each.

    Parameters
    ----------
    wind : PlacedWind
        The wind.
    pixels_per_knot : float
        Length of the arrows.
    sheet : Sheet
        The map.
    """
    length = np.hypot(*wind.knots.T) * pixels_per_knot
    is_long = length >= _SHORTEST
    length, center = length[is_long, None], wind.points[is_long]
    along = wind.knots[is_long] * pixels_per_knot / np.where(length > 0, length, 1.0)
    across = np.column_stack([-along[:, 1], along[:, 0]])
    head = np.minimum(_HEAD * length, _MAX_HEAD)
    tip, tail, neck = along * length / 2, -along * length / 2, along * (length / 2 - head)
    scale = np.array([sheet.view.panel.pixel_width, sheet.view.panel.pixel_height])
    corners = np.stack([tip, neck + across * head * _HALF_WIDTH, neck - across * head * _HALF_WIDTH], axis=1)
    shafts = np.stack([tail, neck], axis=1) * scale + center[:, None]
    heads = shapely.polygons(corners * scale + center[:, None])
    return np.asarray(shapely.linestrings(shafts), object), np.asarray(heads, object)
