"""Extents and pixel grids of map panels, in map units."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

from regionplot.errors import RegionError

FULL_TURN = 360.0
"""Degrees of longitude around the earth."""
LONLAT = "EPSG:4326"
"""CRS of longitude and latitude in degrees (WGS 84)."""
_EDGES = ("xmin", "xmax", "ymin", "ymax")


@dataclass(frozen=True, slots=True)
class Extent:
    """A rectangle in the units of a CRS. Its sides are parallel to the axes.

    x increases eastward. y increases northward. `xmin` is less than `xmax` in every extent. If an extent in degrees
    crosses the antimeridian, `xmax` exceeds 180.
    """

    xmin: float
    """West edge."""
    xmax: float
    """East edge."""
    ymin: float
    """South edge."""
    ymax: float
    """North edge."""

    def __post_init__(self) -> None:
        """Turn the edges into floats, because digests contain them as text. Raise RegionError if one is no number."""
        for name in _EDGES:
            edge = getattr(self, name)
            if type(edge) is float:
                continue
            if not isinstance(edge, Real):
                edges = tuple(getattr(self, each) for each in _EDGES)
                raise RegionError(f"the edges of an extent must be numbers (xmin, xmax, ymin, ymax), not {edges!r}")
            object.__setattr__(self, name, float(edge))

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
        """Center (x, y)."""
        return (self.xmin + self.xmax) / 2, (self.ymin + self.ymax) / 2

    def overlaps(self, other: Extent) -> bool:
        """Return True if the two extents have an area in common."""
        return (
            self.xmin < other.xmax and other.xmin < self.xmax
            and self.ymin < other.ymax and other.ymin < self.ymax
        )  # fmt: skip

    def resized(self, width: float, height: float) -> Extent:
        """Return an extent of the given size with the same center."""
        x, y = self.center
        return Extent(x - width / 2, x + width / 2, y - height / 2, y + height / 2)

    def shifted(self, dx: float) -> Extent:
        """Return the extent moved by `dx` along x."""
        return Extent(self.xmin + dx, self.xmax + dx, self.ymin, self.ymax)

    def __str__(self) -> str:
        return f"x {self.xmin:.7g} to {self.xmax:.7g}, y {self.ymin:.7g} to {self.ymax:.7g}"


@dataclass(frozen=True, slots=True)
class PanelGrid:
    """The pixels of a map panel: an extent divided into columns and rows. Row 0 is in the north."""

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

    def grown(self, pixels: int) -> PanelGrid:
        """Return the grid with a number of pixels more on each side."""
        if pixels == 0:
            return self
        extent, dx, dy = self.extent, pixels * self.pixel_width, pixels * self.pixel_height
        larger = Extent(extent.xmin - dx, extent.xmax + dx, extent.ymin - dy, extent.ymax + dy)
        return PanelGrid(larger, self.width + 2 * pixels, self.height + 2 * pixels)
