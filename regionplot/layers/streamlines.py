"""Streamlines of two components, such as wind or currents, at even distances.

::

    u, v ─► directions at nodes ─► a line through each seed ─► parts that keep a distance ─► lines, heads of arrows

Nodes and seeds lie at multiples of their spacing in map units. The first seeds are those whose numbers have a large
power of two as a factor. Maps of the same scale therefore have nearly the same lines where they overlap.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import shapely
from numpy.typing import NDArray
from pydantic import Field as Limits
from typing_extensions import override

from regionplot.geo.crs import Floats
from regionplot.geo.streamlines import DirectionField, spaced_lines
from regionplot.layers.wind import WindLayer, WindSettings
from regionplot.sheet.marks import PanelMark, Path
from regionplot.sheet.sheet import Sheet

_NODE = 16.0
"""Pixels between the nodes at which directions are computed."""
_LONGEST = 600.0
"""Maximum length of a line in each direction from its seed, in pixels."""
_HEAD_DISTANCE = 160.0
"""Pixels between two heads on a line. The first head is at half of this distance, or in the middle of a short line."""
_HALF_WIDTH = 0.38
"""Half of the width of a head, as a fraction of its length."""
_MAX_FACTOR = 16
"""Largest power of two by which seeds are ordered."""


class StreamlineSettings(WindSettings):
    """`[[streamlines]]`: lines along the wind or a current."""

    spacing: Annotated[float, Limits(ge=4, le=2000)] = 24
    """Pixels between two lines."""
    linewidth: Annotated[float, Limits(gt=0, le=100)] = 0.9
    """Line width in points."""
    length: Annotated[float, Limits(gt=0, le=100)] = 8
    """Length of the heads of arrows in pixels."""
    min_length: Annotated[float, Limits(ge=0, le=10_000)] = 40.0
    """Minimum length of a line in pixels."""


@dataclass(frozen=True)
class Streamlines(WindLayer):
    """Streamlines with heads of arrows. They show directions, but not speeds."""

    Settings = StreamlineSettings
    zorder: ClassVar[float] = 39
    mark_types: ClassVar[frozenset[type]] = frozenset({Path})
    settings: StreamlineSettings

    @override
    def draw(self, sheet: Sheet) -> Iterator[PanelMark]:
        style, field = self.settings, self._directions(sheet)
        seeds = (group[np.isfinite(field.at(group)).all(axis=1)] for group in _seeds(sheet, style.spacing))
        found = list(spaced_lines(field, seeds, style.spacing, style.min_length, _LONGEST))
        if not found:
            return
        lines = np.array([shapely.LineString(_in_map(line, sheet)) for line in found], object)
        corners = np.concatenate([_heads(line, style.length) for line in found])
        heads = np.asarray(shapely.polygons(_in_map(corners, sheet)), object)
        for color, extra in ((style.casing, 2 * style.casing_width), (style.color, 0.0)):
            if color != "none":
                yield Path.of_lines(lines, color, style.linewidth + extra)
                head = Path.of_polygons(heads, color)
                yield Path(head.vertices, head.codes, color, color, style.linewidth + extra)

    def _directions(self, sheet: Sheet) -> DirectionField:
        """Return the directions of the wind at nodes that cover the panel."""
        x, y = _multiples(sheet, _NODE, 1)
        nodes = np.stack(np.meshgrid(x, y), axis=-1)
        wind, _ = self.wind.on_sheet(_in_map(nodes.reshape(-1, 2), sheet), sheet)
        with np.errstate(invalid="ignore", divide="ignore"):
            directions = wind / np.hypot(*wind.T)[:, None]
        return DirectionField((float(x[0]), float(y[0])), _NODE, directions.reshape(nodes.shape))


def _seeds(sheet: Sheet, spacing: float) -> Iterator[Floats]:
    """Yield groups of seeds in pixels of the panel, shape (n, 2). The seeds with precedence are first."""
    panel = sheet.view.panel
    x, y = _multiples(sheet, spacing, 0)
    across, up = panel.extent.xmin / panel.pixel_width, panel.extent.ymin / panel.pixel_height
    columns, rows = np.round((x + across) / spacing).astype(int), np.round((y + up) / spacing).astype(int)
    factor = np.minimum(*np.meshgrid(_factor(columns), _factor(rows)))
    points = np.stack(np.meshgrid(x, y), axis=-1)
    return (points[factor == each] for each in (_MAX_FACTOR >> shift for shift in range(_MAX_FACTOR.bit_length())))


def _factor(numbers: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the largest power of two that divides each number, at most `_MAX_FACTOR`."""
    return np.where(numbers == 0, _MAX_FACTOR, np.minimum(numbers & -numbers, _MAX_FACTOR))


def _multiples(sheet: Sheet, spacing: float, beyond: int) -> tuple[Floats, Floats]:
    """Return x and y of a grid in pixels of the panel. Its places are multiples of the spacing in map units.

    Parameters
    ----------
    sheet : Sheet
        The map.
    spacing : float
        Pixels between two places.
    beyond : int
        Number of places outside the panel on each side.
    """
    panel, found = sheet.view.panel, []
    for low, pixel, size in (
        (panel.extent.xmin, panel.pixel_width, panel.width),
        (panel.extent.ymin, panel.pixel_height, panel.height),
    ):
        start = low / pixel
        first, last = math.ceil(start / spacing) - beyond, math.floor((start + size) / spacing) + beyond
        found.append(np.arange(first, last + 1) * spacing - start)
    return found[0], found[1]


def _in_map(pixels: Floats, sheet: Sheet) -> Floats:
    """Return points in pixels of the panel in map coordinates. The last axis of the array is x and y."""
    panel = sheet.view.panel
    corner = np.array([panel.extent.xmin, panel.extent.ymin])
    return np.asarray(pixels * (panel.pixel_width, panel.pixel_height) + corner)


def _heads(line: Floats, length: float) -> Floats:
    """Return the corners of the heads of arrows on a line: tip and two corners behind it, shape (n, 3, 2)."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    first = 0.5 * min(_HEAD_DISTANCE, float(along[-1]))
    tips = np.searchsorted(along, np.arange(first, along[-1] + 1e-6, _HEAD_DISTANCE))
    tips = np.clip(tips, 1, len(line) - 1)
    before = np.maximum(tips - max(1, round(length / max(float(along[1]), 1e-6))), 0)
    back = line[before] - line[tips]
    back *= (length / np.maximum(np.hypot(*back.T), 1e-6))[:, None]
    side = np.column_stack([-back[:, 1], back[:, 0]]) * _HALF_WIDTH
    tip = line[tips]
    return np.stack([tip, tip + back + side, tip + back - side], axis=1)
