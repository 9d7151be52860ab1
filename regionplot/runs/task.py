"""Draw one region and write its image, in any process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from regionplot.runs import store
from regionplot.runs.jobs import Job, MapResult
from regionplot.runs.publication import link_or_copy
from regionplot.settings.config import Config
from regionplot.shared.data import SharedData
from regionplot.shared.plan import LoadPlan
from regionplot.shared.slot import shared_data
from regionplot.system import failpoints
from regionplot.system.machine import peak_memory
from regionplot.system.memory import return_large_blocks
from regionplot.system.stopwatch import Stopwatch
from regionplot.writers import png

if TYPE_CHECKING:
    from regionplot.render.renderer import MapRenderer
    from regionplot.runs.digests import MapDigests
    from regionplot.writers.base import Picture


@dataclass
class RenderTask:
    """Draw one region and write its image.

    The task pickles as config and load plan. A worker without inherited data loads the data again.
    """

    config: Config
    run: str
    plan: LoadPlan
    maps: int
    """Number of maps of the run."""
    _digests: MapDigests | None = field(default=None, repr=False)
    _idle: list[MapRenderer] = field(default_factory=list, repr=False)
    """Renderers that no thread uses now. A renderer draws all its maps into one buffer, so threads need their own."""

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_digests": None, "_idle": []}

    def start_worker(self) -> None:
        """Set the malloc policy for maps."""
        return_large_blocks()

    def load(self) -> None:
        """Load the shared data and draw the frame of the maps. Forked workers inherit both."""
        with self._renderer():
            self._digests = self.digests  # forked workers inherit the files that it has read

    def __call__(self, job: Job) -> MapResult:
        """Draw and write one map, unless the previous run's map is still valid."""
        failpoints.failpoint("start", job.name)
        watch = Stopwatch()
        digest = job.digest or self.digests.of(job.region)
        watch.lap("compare")
        if kept := reuse_previous_map(job, digest):
            return kept
        failpoints.failpoint("draw", job.name)
        with self._renderer() as renderer:
            return self._write(job, renderer.render(job.region, watch), digest, watch)

    def _write(self, job: Job, picture: Picture, digest: str, watch: Stopwatch) -> MapResult:
        if picture.no_data and self.config.map.empty == "skip":
            return MapResult(job.target, 0, True, watch.seconds, state="skipped")
        text = {"Title": picture.title, "Software": "regionplot", png.DIGEST: digest}
        compression = self.config.output.png_compression
        size = store.write_png(
            job.target,
            picture.image,
            self.run,
            text,
            palette=picture.palette,
            compression=compression,
            within=self.config.output.directory,
        )
        watch.lap("write")
        return MapResult(job.target, size, picture.no_data, watch.seconds, digest, peak_memory=peak_memory())

    @contextmanager
    def _renderer(self) -> Iterator[MapRenderer]:
        """Lend a renderer to this thread."""
        try:
            renderer = self._idle.pop()
        except IndexError:
            from regionplot.render.renderer import MapRenderer  # noqa: PLC0415 (imports matplotlib)

            renderer = MapRenderer(self._shared, self.maps)
        try:
            yield renderer
        finally:
            self._idle.append(renderer)

    @property
    def digests(self) -> MapDigests:
        """What tells whether a map is still the same; it needs the shared data, but no frame."""
        if self._digests is None:
            from regionplot.runs.digests import MapDigests  # noqa: PLC0415 (matplotlib)

            self._digests = MapDigests(self._shared)
        return self._digests

    @property
    def _shared(self) -> SharedData:
        return shared_data(self.config, self.plan)


def reuse_previous_map(job: Job, digest: str) -> MapResult | None:
    """The map of the run before in the place of a new one, if it is there, whole, and of this digest."""
    known = job.known
    if known is None or known.digest != digest:
        return None
    try:
        if known.path.stat().st_size != known.bytes or png.read_digest(known.path) != digest:
            return None
        link_or_copy(known.path, job.target)
    except OSError:
        return None
    return MapResult(job.target, known.bytes, known.no_data, digest=digest, state="unchanged")
