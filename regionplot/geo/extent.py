"""Boxes in map units: an extent, and the pixels of a map panel."""

from __future__ import annotations

from dataclasses import dataclass

LONLAT = "EPSG:4326"


@dataclass(frozen=True, slots=True)
class Extent:
    """An axis-aligned box in the units of some CRS; x grows eastwards, y northwards.

    Across the antimeridian `xmax` passes 180, so that `xmin < xmax` holds for every extent.
    """

    xmin: float
    """West edge."""
    xmax: float
    """East edge."""
    ymin: float
    """South edge."""
    ymax: float
    """North edge."""

    @property
    def width(self) -> float:
        """Length along x."""
        return self.xmax - self.xmin

    @property
    def height(self) -> float:
        """Length along y."""
        return self.ymax - self.ymin

    @property
    def center(self) -> tuple[float, float]:
        """The middle, (x, y)."""
        return (self.xmin + self.xmax) / 2, (self.ymin + self.ymax) / 2

    def resized(self, width: float, height: float) -> Extent:
        """The extent of the given size about the same centre."""
        x, y = self.center
        return Extent(x - width / 2, x + width / 2, y - height / 2, y + height / 2)

    def shifted(self, dx: float) -> Extent:
        """The extent moved by `dx` along x."""
        return Extent(self.xmin + dx, self.xmax + dx, self.ymin, self.ymax)

    def __str__(self) -> str:
        return f"x {self.xmin:.7g} to {self.xmax:.7g}, y {self.ymin:.7g} to {self.ymax:.7g}"


@dataclass(frozen=True, slots=True)
class PanelGrid:
    """The pixels of a map panel: an extent in map units cut into columns and rows, row 0 in the north."""

    extent: Extent
    """Outer edges of the panel in map units."""
    width: int
    """Number of columns."""
    height: int
    """Number of rows."""

    @property
    def pixel_width(self) -> float:
        """Map units per column."""
        return self.extent.width / self.width

    @property
    def pixel_height(self) -> float:
        """Map units per row."""
        return self.extent.height / self.height
