"""Features with names and ranks, in the order in which they are labeled."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from regionplot.errors import ConfigError
from regionplot.geo.clip import IndexedGeometries
from regionplot.geo.crs import same_crs, unwrap
from regionplot.geo.extent import FULL_TURN
from regionplot.geo.linework import Geometries
from regionplot.geo.shown import points_on_panel, project_areas, shown_window
from regionplot.inputs.feature_table import FeatureTable
from regionplot.sheet.view import View
from regionplot.text import plain_text

Floats = NDArray[np.floating[Any]]
_MAX_LETTERS = 60
"""Maximum number of letters of a name. Longer names are truncated."""


class NamedFeatures(Protocol):
    """Settings that say which attributes hold names and ranks."""

    @property
    def name(self) -> str | None:
        """Attribute with the names."""
        ...

    @property
    def rank(self) -> str | None:
        """Attribute with the ranks."""
        ...

    @property
    def order(self) -> str | None:
        """Attribute that orders features of the same rank. Large numbers come first."""
        ...


@dataclass(frozen=True, eq=False)
class LabelFeatures:
    """Points and areas with names, by importance."""

    names: Sequence[str]
    """Names of the points."""
    ranks: Floats
    """Ranks of the points, infinite if unknown."""
    points: Floats
    """x and y of the points in map coordinates, shape (n, 2)."""
    area_names: Sequence[str]
    areas: Geometries
    """MultiPolygons in map coordinates."""
    crs: pyproj.CRS
    """CRS of points and areas."""

    @property
    def is_periodic(self) -> bool:
        """True if x is a longitude in degrees."""
        return bool(self.crs.is_geographic)

    @classmethod
    def of(cls, table: FeatureTable, settings: NamedFeatures, crs: pyproj.CRS) -> LabelFeatures:
        """Return the features of a table, the most important first.

        Raises
        ------
        ConfigError
            If the table lacks an attribute that the settings name.
        """
        names = [plain_text(text, _MAX_LETTERS) for text in attribute(table, settings.name, "[[labels]] name")]
        ranks = numbers(attribute(table, settings.rank, "[[labels]] rank"))
        sizes = numbers(attribute(table, settings.order, "[[labels]] order"))
        order = np.lexsort((np.arange(len(names)), np.where(np.isnan(sizes), np.inf, -sizes), ranks))
        kinds = shapely.get_type_id(table.geometries)
        points, areas = ([int(n) for n in order if kinds[n] == kind] for kind in (0, 6))
        return cls(
            [names[n] for n in points],
            np.where(np.isnan(ranks), np.inf, ranks)[points],
            shapely.get_coordinates(table.geometries[points]).reshape(-1, 2),
            [names[n] for n in areas],
            table.geometries[areas],
            crs,
        )

    def on_map(self, view: View, crs: pyproj.CRS) -> LabelFeatures:
        """Return the features in the CRS of a map, if they are in another CRS.

        The points keep their numbers. Points that the map does not show are NaN. Areas that the map does not show are
        left out.
        """
        if crs is self.crs or same_crs(crs, self.crs):
            return self
        panel = view.panel
        points = points_on_panel(self.points, self.crs, panel, crs)
        if not self.areas.size:
            return replace(self, points=points, crs=crs)
        window = shown_window(panel, crs, self.crs)
        names, areas = [], []
        for name, area in zip(self.area_names, self.areas, strict=True):
            clipped = IndexedGeometries.of(np.array([area], dtype=object)).clip(window, FULL_TURN)
            parts = project_areas(clipped, self.crs, crs, window)
            if parts.size:
                names.append(name)
                areas.append(shapely.multipolygons(parts))
        return replace(self, points=points, area_names=names, areas=np.array(areas, dtype=object), crs=crs)

    def in_panel(self, view: View) -> Floats:
        """Return x and y of all points in pixels of the sheet, shape (n, 2). Points outside the panel are NaN."""
        panel, box, points = view.panel, view.box, self.points
        if self.is_periodic and len(points):
            points = np.column_stack([unwrap(points[:, 0], panel.extent.center[0]), points[:, 1]])
        pixels = (points - (panel.extent.xmin, panel.extent.ymin)) / (panel.pixel_width, panel.pixel_height)
        outside = (pixels < 0).any(axis=1) | (pixels > (panel.width, panel.height)).any(axis=1)
        pixels[outside] = np.nan
        return np.asarray(pixels + np.array([box.left, box.bottom]))

    def in_map(self, pixels: Floats, view: View) -> Floats:
        """Return points in pixels of the sheet in map coordinates."""
        panel, box = view.panel, view.box
        scaled = (pixels - (box.left, box.bottom)) * (panel.pixel_width, panel.pixel_height)
        return np.asarray(scaled + np.array([panel.extent.xmin, panel.extent.ymin]))

    def areas_in(self, view: View, margin: float) -> Iterator[tuple[int, shapely.Polygon]]:
        """Yield the number of each area in the panel, and its largest visible part in pixels of the sheet.

        Parameters
        ----------
        view : View
            The panel.
        margin : float
            Width in pixels of the border along the edges of the panel that does not count as visible.
        """
        if not self.areas.size:
            return
        panel, box = view.panel, view.box
        frame = panel.extent.resized(
            (panel.width - 2 * margin) * panel.pixel_width, (panel.height - 2 * margin) * panel.pixel_height
        )
        bounds = shapely.bounds(self.areas)
        for turn in _turns(bounds, frame.xmin, frame.xmax) if self.is_periodic else (0.0,):
            west, east = frame.xmin - turn, frame.xmax - turn
            near = (bounds[:, 0] < east) & (bounds[:, 2] > west)
            near &= (bounds[:, 1] < frame.ymax) & (bounds[:, 3] > frame.ymin)
            for number in np.flatnonzero(near):
                shown = shapely.clip_by_rect(self.areas[number], west, frame.ymin, east, frame.ymax)
                parts = [part for part in shapely.get_parts([shown]) if part.geom_type == "Polygon" and part.area]
                if parts:
                    largest = max(parts, key=lambda part: float(part.area))
                    scale = np.array([1 / panel.pixel_width, 1 / panel.pixel_height])
                    start = np.array([box.left, box.bottom]) - scale * (panel.extent.xmin - turn, panel.extent.ymin)
                    yield int(number), _scaled(largest, scale, start)


def _scaled(polygon: shapely.Polygon, scale: Floats, start: Floats) -> shapely.Polygon:
    return shapely.transform(polygon, lambda points: points * scale + start)


def _turns(bounds: Floats, west: float, east: float) -> Iterator[float]:
    """Yield the multiples of 360 degrees by which areas must be shifted to lie between two longitudes."""
    first = math.floor((west - float(bounds[:, 2].max())) / FULL_TURN) + 1
    last = math.ceil((east - float(bounds[:, 0].min())) / FULL_TURN) - 1
    return (FULL_TURN * number for number in range(first, last + 1))


def attribute(table: FeatureTable, name: str | None, key: str) -> list[str]:
    """Return the values of an attribute as text. Without a name, all values are empty texts.

    Upper and lower case are not distinguished.

    Raises
    ------
    ConfigError
        If there is no such attribute.
    """
    if name is None:
        return [""] * len(table.rows)
    folded = [column.casefold() for column in table.columns]
    if name.casefold() not in folded:
        known = ", ".join(table.columns) or "none"
        raise ConfigError(f"{key}: the file has no attribute {name!r}; its attributes are {known}")
    position = folded.index(name.casefold())
    return [row[position] for row in table.rows]


def numbers(texts: Sequence[str]) -> Floats:
    """Return the numbers in texts, NaN for other texts."""
    return np.array([_number(text) for text in texts], float)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
