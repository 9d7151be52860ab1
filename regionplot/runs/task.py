"""Draw one region and write its image, in any process."""

from __future__ import annotations

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
from regionplot.system.stopwatch import Stopwatch
from regionplot.writers import png

if TYPE_CHECKING:
    from regionplot.render.renderer import MapRenderer
    from regionplot.runs.digests import MapDigests


@dataclass
class RenderTask:
    """Draw one region and write its image. What travels to a process that cannot inherit it is the config."""

    config: Config
    run: str
    plan: LoadPlan
    maps: int
    """How many there are in all."""
    _digests: MapDigests | None = field(default=None, repr=False)
    _renderer: MapRenderer | None = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_digests": None, "_renderer": None}

    def prepare(self) -> None:
        """Load the shared data and draw the frame, unless this process has inherited both."""
        if self._renderer is None:
            from regionplot.render.renderer import MapRenderer  # noqa: PLC0415 (matplotlib, only where maps are drawn)

            self._renderer = MapRenderer(self._shared, self.maps)
        self._digests = self.digests  # here, so that forked workers inherit what it has read

    def __call__(self, job: Job) -> MapResult:
        """Draw and write one map, unless the one that is there is the same."""
        assert self._renderer is not None, "prepare() comes first"
        failpoints.failpoint("start", job.name)
        watch = Stopwatch()
        digest = job.digest or self.digests.of(job.region)
        watch.lap("compare")
        if kept := reuse_previous_map(job, digest):
            return kept
        failpoints.failpoint("draw", job.name)
        picture = self._renderer.render(job.region, watch)
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
