"""Define the job of drawing one map, and its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from regionplot.geo.region import Region
from regionplot.system.machine import peak_memory
from regionplot.system.network import NetworkUse

JOBS_AHEAD = 1
"""Number of maps that a worker gets in advance, so that it does not wait while the parent reports its last map."""


class Sidecar(NamedTuple):
    """A file beside a map that belongs to the map, such as its world file."""

    name: str
    """Name of the file. Its folder is that of the map."""
    bytes: int
    """Size of the file in bytes."""
    sha256: str
    """SHA-256 checksum of the file, 64 hexadecimal digits."""


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
    sidecars: tuple[Sidecar, ...] = ()
    """Files beside the map that belong to it."""


class CellsMark(NamedTuple):
    """The cells of a region that a published map shows, for the check `repeated` of `[publish]`."""

    cells: str
    """Digest of the cells of the region."""
    raster: str
    """Digest that identifies the file of the raster. Empty: the raster is not a file."""


class FieldLabel(NamedTuple):
    """The field that a map shows: one product at one time. All parts are empty if the run draws only one field."""

    name: str = ""
    """Name of the field, such as `snow/2026-03-10T06:00`."""
    product: str = ""
    time: str = ""
    """Time in UTC, in ISO format. Empty if it is not known before the raster is loaded."""


Contents = tuple[bytes, ...]
"""The contents of files."""

TO_KEEP = "to keep"
"""State of a map that has the digest of the earlier map, which only the client of a cluster can see."""

ONLY_FIELD = FieldLabel()
"""The field of a run that draws only one field."""


@dataclass(frozen=True, slots=True)
class Job:
    """One map to draw. A worker receives only this object for each map."""

    region: Region
    file: str
    """Path of the file to write, with slashes. It is kept as a text, which takes 0.3 kB less memory than a `Path`."""
    previous: PreviousMap | None = None
    """Map of an earlier run. It is kept if its digest has not changed. None: always draw the map."""
    digest: str = ""
    """Digest of everything that the map depends on. Empty: the worker computes the digest."""
    field: FieldLabel = ONLY_FIELD
    """The field that the map shows."""
    published: CellsMark | None = None
    """Cells of the last published map of the region. None if they are not known, or if nothing is to be compared."""

    @property
    def target(self) -> Path:
        """File to write."""
        return Path(self.file)

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
    """`rendered`: the map was drawn. `unchanged`: the map of an earlier run was kept. `skipped`: no map was drawn, for
    the reason in `reason`. `TO_KEEP`: the client must check and keep the map of an earlier run."""
    peak_memory: int = 0
    """Maximum resident memory of the process in bytes, including memory that is shared with other processes."""
    sha256: str = ""
    """SHA-256 checksum of the file, 64 hexadecimal digits. Empty: the map was skipped."""
    reason: str = ""
    """The reason why the map was skipped."""
    keeps_old: bool = True
    """False if the map was skipped, and an older map must be removed."""
    mark: CellsMark | None = None
    """The cells that the map shows, if the next run compares them."""
    statistics: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Statistics of the region, if `[statistics]` asks for them."""
    alt: str = ""
    """Alternative text of the map, if `[statistics]` asks for it."""
    georeference: str = ""
    """Place of the panel on the sheet and on the earth, as JSON. Empty if the map was not drawn, or has no place."""
    sidecars: tuple[Sidecar, ...] = ()
    """Files beside the map that belong to it."""
    network: NetworkUse | None = None
    """Requests and bytes of the map. None if the raster is a local file."""
    files: Contents = field(default=(), hash=False, repr=False)
    """Contents of the map and of its sidecars, if the worker does not see the output folder (`runs.gather`)."""


def written_map(
    path: Path,
    content: bytes,
    stages: Mapping[str, float],
    digest: str,
    sha256: str,
    *,
    no_data: bool = False,
    georeference: str = "",
    sidecars: tuple[Sidecar, ...] = (),
    files: Contents = (),
) -> MapResult:
    """Return the result of a map that this process has drawn. Without `files`, it has written the map, too."""
    return MapResult(
        path,
        len(content),
        no_data,
        stages,
        digest,
        peak_memory=peak_memory(),
        sha256=sha256,
        georeference=georeference,
        sidecars=sidecars,
        files=files,
    )


def skipped_map(
    path: Path, reason: str, stages: Mapping[str, float], *, no_data: bool = False, keeps_old: bool = True
) -> MapResult:
    """Return the result of a map that this process has not drawn."""
    return MapResult(path, 0, no_data, stages, state="skipped", reason=reason, keeps_old=keeps_old)
