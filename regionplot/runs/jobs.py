"""Define the job of drawing one map, and its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from regionplot.geo.region import Region
from regionplot.system.machine import peak_memory


class PreviousMap(NamedTuple):
    """A map of an earlier run, as the manifest describes it."""

    path: Path
    digest: str
    """Digest of everything that the map depends on."""
    bytes: int
    """Size of the file in bytes."""
    sha256: str
    """SHA-256 checksum of the file, 64 hexadecimal digits."""
    no_data: bool = False
    """True if the region holds only nodata."""


class FieldLabel(NamedTuple):
    """The field that a map shows: a product at a time. All parts are empty if the run draws only one field."""

    name: str = ""
    """Name of the field, such as `snow/2026-03-10T06:00`."""
    product: str = ""
    time: str = ""
    """Time in UTC, in ISO format. Empty if it is not known before the raster is loaded."""


ONLY_FIELD = FieldLabel()
"""The field of a run that draws only one."""


@dataclass(frozen=True, slots=True)
class Job:
    """One map to draw. A worker receives only this object for each map."""

    region: Region
    target: Path
    """File to write."""
    previous: PreviousMap | None = None
    """Map of an earlier run. It is kept if its digest has not changed. None: always draw the map."""
    digest: str = ""
    """Digest of everything that the map depends on. Empty: the worker computes the digest."""
    field: FieldLabel = ONLY_FIELD
    """The field that the map shows."""

    @property
    def name(self) -> str:
        """Name of the region and, if the run draws several fields, name of the field."""
        return f"{self.field.name}/{self.region.name}" if self.field.name else self.region.name


@dataclass(frozen=True, slots=True)
class MapResult:
    """Result of a job: the map was drawn, kept or skipped."""

    path: Path
    bytes: int
    """Size of the file in bytes. 0: the map was skipped."""
    no_data: bool = False
    """True if the region holds only nodata."""
    stages: Mapping[str, float] = field(default_factory=dict, hash=False)
    """Seconds by stage."""
    digest: str = ""
    """Digest of everything that the map depends on. Empty: the map was skipped."""
    state: str = "rendered"
    """`rendered`: the map was drawn. `unchanged`: the map of an earlier run was kept. `skipped`: the region holds only
    nodata, and `[map] empty` is `skip`."""
    peak_memory: int = 0
    """Maximum resident memory of the process in bytes, including memory that is shared with other processes."""
    sha256: str = ""
    """SHA-256 checksum of the file, 64 hexadecimal digits. Empty: the map was skipped."""


def written_map(
    path: Path, content: bytes, stages: Mapping[str, float], digest: str, sha256: str, *, no_data: bool = False
) -> MapResult:
    """Return the result of a map that this process has drawn and written."""
    return MapResult(path, len(content), no_data, stages, digest, peak_memory=peak_memory(), sha256=sha256)
