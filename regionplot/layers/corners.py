"""Place furniture in the corners of the panel, and draw it in pixels of the sheet.

Furniture takes its boxes before labels are placed. Therefore, furniture and labels never cover each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Literal

import numpy as np
import shapely
from numpy.typing import NDArray

from regionplot.geo.linework import Floats
from regionplot.sheet.layout import Box
from regionplot.sheet.placing import LabelBox
from regionplot.sheet.sheet import Sheet

Corner = Literal["lower right", "lower left", "upper right", "upper left"]
_CORNERS: tuple[Corner, ...] = ("lower right", "lower left", "upper right", "upper left")
_INSET = 7
"""Points between furniture and the edge of the panel."""
_GAP = 5
"""Points between two pieces of furniture, and between furniture and labels."""
_STEPS = 16
"""Number of places along an edge that are tried from each corner."""
_NEAR = 10
"""Pixels from a point that furniture avoids."""
_MOST = 0.5
"""Maximum part of the width and of the height of the panel that a piece of furniture takes."""


def place_in_corner(
    sheet: Sheet, width: float, height: float, corner: Corner, avoid: Floats | None = None
) -> Box | None:
    """Return a free box in or near a corner of the panel, and take it. Return None if there is no room.

    The corner is tried first, then the other corners, then places along the lower and the upper edge. With points to
    avoid, the free corner that covers the fewest points is taken.

    Parameters
    ----------
    sheet : Sheet
        The map.
    width, height : float
        Size in pixels.
    corner : Corner
        The preferred corner.
    avoid : ndarray, shape (n, 2), optional
        Points in pixels of the sheet.
    """
    panel, page = sheet.view.box, sheet.layout.page
    if width > _MOST * panel.width or height > _MOST * panel.height:
        return None
    gap, placer = page.pixels(_GAP), sheet.placer
    places = _places(panel, round(width), round(height), page.pixels(_INSET), corner)
    free = (box for box in places if placer.is_free(_label_box(box), gap, gap))
    if avoid is None or not len(avoid):
        found = next(free, None)
    else:  # the first of the corners with the fewest points
        found = min(islice(free, len(_CORNERS)), key=lambda box: _count_inside(avoid, box), default=None)
    if found is not None:
        placer.take(_label_box(found).grown(gap / 2, gap / 2))
    return found


def _places(panel: Box, width: int, height: int, inset: int, first: Corner) -> Iterator[Box]:
    """Yield the places in the corners, and then those beside them."""
    corners = [first, *(each for each in _CORNERS if each != first)]
    farthest = panel.width - 2 * inset - width
    for step in range(_STEPS):
        for corner in corners:
            vertical, horizontal = corner.split()
            shift = inset + farthest * step // _STEPS
            left = panel.right - shift - width if horizontal == "right" else panel.left + shift
            bottom = panel.bottom + inset if vertical == "lower" else panel.top - inset - height
            yield Box(left, bottom, width, height)


def _count_inside(points: Floats, box: Box) -> int:
    """Return the number of points in a box, or less than some pixels beside it."""
    low, high = (box.left - _NEAR, box.bottom - _NEAR), (box.right + _NEAR, box.top + _NEAR)
    return int(((points > low) & (points < high)).all(axis=1).sum())


def _label_box(box: Box) -> LabelBox:
    return LabelBox(box.left, box.bottom, box.right, box.top)


def in_map(sheet: Sheet, pixels: Floats) -> NDArray[np.float64]:
    """Return points in pixels of the sheet in map coordinates, shape (n, 2)."""
    panel, box = sheet.view.panel, sheet.view.box
    scaled = (pixels - (box.left, box.bottom)) * (panel.pixel_width, panel.pixel_height)
    return np.asarray(scaled + np.array([panel.extent.xmin, panel.extent.ymin]), np.float64)


def polygon_in_map(sheet: Sheet, corners: Sequence[tuple[float, float]]) -> shapely.Polygon:
    """Return a polygon in map coordinates. `corners` are in pixels of the sheet."""
    return shapely.Polygon(in_map(sheet, np.array(corners, float)))


def corners_of(box: Box) -> list[tuple[float, float]]:
    """Return the corners of a box."""
    return [(box.left, box.bottom), (box.right, box.bottom), (box.right, box.top), (box.left, box.top)]
