"""The job of drawing one map, and its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from regionplot.geo.region import Region


@dataclass(frozen=True, slots=True)
class PreviousMap:
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
    known: PreviousMap | None = None
    """The map of the run before; None: draw in any case."""
    digest: str = ""
    """Of all that the map depends on, if that is known already."""

    @property
    def name(self) -> str:
        """The region's name."""
        return self.region.name


@dataclass(frozen=True, slots=True)
class MapResult:
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
