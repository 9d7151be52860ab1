"""The small values that travel between modules: frozen, slotted, standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, TypeVar

LONLAT = "EPSG:4326"

J = TypeVar("J")


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
class Region:
    """A named extent to be drawn, with what its row says beyond that.

    Examples
    --------
    >>> Region("nc", Extent(-84.5, -75.3, 33.8, 36.7)).title
    'nc'
    """

    name: str
    """Unique name, as text."""
    extent: Extent
    """The limits asked for, in the units of `crs`."""
    crs: str | None = LONLAT
    """CRS of the limits, as pyproj understands it; None: the map's own."""
    title: str = ""
    """What the map is called; the name by default."""
    attributes: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The other columns of the row, for templates."""
    origin: str = ""
    """Where it was read from, `regions.csv:7`."""

    def __post_init__(self) -> None:
        if not self.title:
            object.__setattr__(self, "title", self.name)

    def __reduce__(self) -> tuple[type[Region], tuple[Any, ...]]:
        """Pickle through the constructor, so that read-only attributes travel as a plain dict."""
        fields = (self.name, self.extent, self.crs, self.title, dict(self.attributes), self.origin)
        return type(self), fields

    @property
    def fields(self) -> Mapping[str, str]:
        """What a template may use: the row's columns, `name` and `title`."""
        return MappingProxyType({**self.attributes, "name": self.name, "title": self.title})


@dataclass(frozen=True, slots=True)
class PixelGrid:
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


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of pixels, from the lower left corner of the sheet."""

    left: int
    bottom: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """First column beyond it."""
        return self.left + self.width

    @property
    def top(self) -> int:
        """First row above it."""
        return self.bottom + self.height

    def fractions(self, sheet: tuple[int, int]) -> tuple[float, float, float, float]:
        """The box as matplotlib places axes: left, bottom, width, height in fractions of the sheet."""
        return self.left / sheet[0], self.bottom / sheet[1], self.width / sheet[0], self.height / sheet[1]


@dataclass(frozen=True, slots=True)
class Known:
    """A map of an earlier run, as its manifest tells."""

    path: Path
    digest: str
    """Of all that the map depended on."""
    bytes: int
    no_data: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """One map to be made; all that crosses the border to a worker."""

    region: Region
    target: Path
    """The image to be written."""
    known: Known | None = None
    """The map of the run before; None: draw in any case."""
    digest: str = ""
    """Of all that the map depends on, if that is known already."""

    @property
    def name(self) -> str:
        """The region's name."""
        return self.region.name


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job came to nothing."""

    cause: str
    """Class of the error, or what became of the worker: `NoOverlapError`, `killed`, `timeout` ..."""
    message: str
    """One or more sentences for the user."""
    traceback: str = ""
    """The worker's traceback, for the log."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[J]):
    """What became of one job: a value or a failure."""

    job: J
    value: Any = None
    """What the task returned."""
    failure: Failure | None = None
    seconds: float = 0.0
    """Wall time the worker spent on it."""
    pid: int = 0
    """The process that worked on it."""

    @property
    def ok(self) -> bool:
        """Whether the task returned."""
        return self.failure is None


@dataclass(frozen=True, slots=True)
class Drawn:
    """A map that was written, stands as it is, or was not wanted."""

    path: Path
    bytes: int
    """Size of the file."""
    no_data: bool = False
    """The region held nothing but nodata."""
    stages: Mapping[str, float] = field(default_factory=dict, hash=False)
    """Seconds by stage."""
    digest: str = ""
    """Of all that the map depends on."""
    state: str = "rendered"
    """`rendered`; `unchanged`: an earlier run drew it, and nothing that it depends on is new; `skipped`: there is
    nothing to be shown, and no map was wanted."""
    peak_memory: int = 0
    """Bytes that the process had resident at most, what it shares with others included."""
