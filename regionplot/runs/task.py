"""Draw one region and write its map, in any process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from regionplot.errors import RasterError
from regionplot.geo.region import Region
from regionplot.runs import store
from regionplot.runs.jobs import TO_KEEP, Job, MapResult, Sidecar, skipped_map, written_map
from regionplot.runs.sidecars import write_sidecars
from regionplot.runs.unchanged import reuse_previous_map
from regionplot.settings.config import Config
from regionplot.settings.remote_path import is_remote
from regionplot.shared.data import SharedData
from regionplot.shared.load import check_inputs
from regionplot.shared.plan import LoadPlan
from regionplot.shared.slot import forget_shared_data, has_field, keep_fields, loading_for_forks, shared_data
from regionplot.system import failpoints
from regionplot.system.files import Fingerprint
from regionplot.system.memory import return_large_blocks
from regionplot.system.signals import interrupts_held
from regionplot.system.stopwatch import Stopwatch
from regionplot.writers.base import (
    DESCRIPTION,
    DIGEST,
    GEOREFERENCE,
    SOFTWARE,
    TITLE,
    FigurePicture,
    Picture,
    make_writer,
)

if TYPE_CHECKING:
    from regionplot.render.canvases import Canvases
    from regionplot.render.renderer import MapRenderer
    from regionplot.render.sheets import Style
    from regionplot.runs.digests import MapDigests
    from regionplot.runs.gate import Inspection
    from regionplot.runs.gather import Gathering
    from regionplot.sheet.sheet import Sheet

_KEPT_MEMORY = 4 * 2**20
"""Bytes of freed arrays that malloc keeps in a forked worker. With the usual 2 MB, the system would clear the pages of
arrays again for each map whose ink is drawn. 6 MB are hardly faster, and take 2 MB more in each worker."""
_KEPT_ALONE = 2**20
"""The same for a worker that is not forked. It has more memory of its own, so saving memory counts more than speed."""


@dataclass
class RenderTask:
    """Draw one region and write its map.

    A pickled task holds no loaded data, renderer or digest. A worker that has not inherited the data loads it.
    """

    config: Config
    run: str
    """Id of the run. The names of temporary files contain it."""
    plan: LoadPlan
    map_count: int
    """Number of maps of the run."""
    regions: Sequence[Region] = field(default=(), repr=False)
    """Regions to draw, if the workers are forked after the data are loaded."""
    field_name: str = ""
    """Name of the field, if the run draws several fields."""
    gathering: Gathering | None = None
    """How a worker finds out whether to send its maps to the client. None: it writes them."""
    raster: str = ""
    """Identifies the files of the raster (`gate.raster_mark`). Empty if `[publish]` does not need it."""
    canvases: Canvases | None = field(default=None, repr=False)
    """Sheets and frames that the tasks of several fields share."""
    is_alone: bool = False
    """True in a worker that has not inherited the data. It frees its sheet after each map, to save memory."""
    _digests: MapDigests | None = field(default=None, repr=False)
    idle: list[MapRenderer] = field(default_factory=list, repr=False)
    """Renderers that no thread uses now. A renderer draws all its maps into one buffer, so threads cannot share it."""

    def __getstate__(self) -> dict[str, Any]:
        found_here = ("_sends_maps", "_needs")  # cached properties
        kept = {name: value for name, value in self.__dict__.items() if name not in found_here}
        return {**kept, "_digests": None, "idle": [], "canvases": None}

    def start_worker(self) -> None:
        """Set the policy of malloc. Functions of the user use malloc as usual, and open no windows."""
        self.is_alone = not has_field(self.field_name)
        if self.config.map.draw is None:
            return_large_blocks(_KEPT_ALONE if self.is_alone else _KEPT_MEMORY)
        if self.config.map.functions:
            from regionplot.render.own import leave_display  # noqa: PLC0415 (imports matplotlib)

            leave_display()

    def load(self) -> None:
        """Load the shared data and draw the frame of the maps. Forked workers inherit the data and the frame."""
        if self.config.publish.is_active:
            from regionplot.runs import gate  # noqa: F401, PLC0415 (forked workers inherit the import)
        with self.renderer() as renderer:
            self._digests = self.digests  # computed here so that forked workers inherit the hash of the sources
            if self._needs == "pixels":
                renderer.prepare(self.regions)
                _import_for_encoding(renderer)

    def load_for_workers(self) -> None:
        """Load the data in a process that only forks workers. They inherit the data, so no other process needs them."""
        with loading_for_forks():
            self.load()

    def check_machine(self) -> None:
        """Check that a machine of a cluster has the inputs of the run.

        Raises
        ------
        InputError
            If a file is missing, or is not the file with which the run began.
        """
        from regionplot.runs.machine import plan_for_machine  # noqa: PLC0415 (only clusters need it)

        self.plan = plan_for_machine(self.config, self.plan)
        if not self.field_name:
            keep_fields([""])

    def unload(self) -> None:
        """Free the shared data of this process. The next task loads them again."""
        self.idle.clear()
        self._digests = None
        forget_shared_data()

    def __call__(self, job: Job) -> MapResult:
        """Draw and write one map, or keep the map of an earlier run if nothing has changed."""
        if self.config.statistics.is_active:
            self.digests.descriptions.of(job.region)  # an error must not follow a map that is already written
        if is_remote(self.config.raster.path):
            from regionplot.system.remote_objects import network_use  # noqa: PLC0415 (only remote rasters need it)

            before = network_use()
            result = self.described(job, self._draw_or_keep(job))
            return replace(result, network=network_use().since(before))
        return self.described(job, self._draw_or_keep(job))

    def described(self, job: Job, result: MapResult) -> MapResult:
        """Return the result of a job with the statistics of its region, if `[statistics]` asks for them.

        Raises
        ------
        RegionError, RasterError
            If the region cannot be projected, or its cells cannot be read.
        """
        if not self.config.statistics.is_active:
            return result
        found = self.digests.descriptions.of(job.region)
        return replace(result, statistics=found.statistics, alt=found.alt)

    def _draw_or_keep(self, job: Job) -> MapResult:
        failpoints.failpoint("start", job.name)
        watch = Stopwatch()
        digest = job.digest or self.digests.of(job.region)
        watch.lap("compare")
        if kept := self._keep(job, digest):
            return kept
        failpoints.failpoint("draw", job.name)
        if not self.config.publish.is_active:
            return self._publish(job, digest, watch)
        inspection = self._inspect(job.region)
        if reason := inspection.no_event():
            watch.lap("inspect")
            keeps_old = self.config.publish.no_event == "keep"
            return skipped_map(job.target, reason, watch.seconds, keeps_old=keeps_old)
        mark = inspection.check(job, self.raster)
        watch.lap("inspect")
        return replace(self._publish(job, digest, watch, inspection.sheet), mark=mark)

    def _keep(self, job: Job, digest: str) -> MapResult | None:
        """Keep the map of an earlier run. If only the client sees it, tell the client to keep it."""
        if not self._sends_maps:
            return reuse_previous_map(job, digest)
        is_same = job.previous is not None and job.previous.digest == digest
        return MapResult(job.target, 0, digest=digest, state=TO_KEEP) if is_same else None

    def _inspect(self, region: Region) -> Inspection:
        from regionplot.runs.gate import Inspection  # noqa: PLC0415 (only `[publish]` needs it)

        return Inspection(self._shared, region, self._style())

    def _style(self) -> Style | None:
        """Return colors and layout of the maps, or None if a function of the user draws them."""
        if self.config.map.draw is not None:
            return None
        with self.renderer() as renderer:
            return renderer.style

    def _publish(self, job: Job, digest: str, watch: Stopwatch, sheet: Sheet | None = None) -> MapResult:
        """Draw and write one map. If its sheet has been sampled, draw this sheet."""
        with self.renderer() as renderer:
            if sheet is not None and self._draws_sheets:
                picture: Picture | FigurePicture = renderer.render_sheet(sheet, watch)
            else:
                picture = self._draw(renderer, job.region, watch)
            if picture.no_data and self.config.map.empty == "skip":
                return skipped_map(job.target, "the region has no data", watch.seconds, no_data=True)
            metadata = image_metadata(picture, job.region, digest, self.digests)
            return self._write(job, picture, renderer.encode(picture, metadata=metadata), digest, watch)

    def _write(
        self, job: Job, picture: Picture | FigurePicture, content: bytes, digest: str, watch: Stopwatch
    ) -> MapResult:
        place, directory = picture.georeference, self.config.output.directory
        sidecars: tuple[Sidecar, ...] = ()
        files: dict[str, bytes] = {}
        if self.config.output.world_file and place is not None:
            from regionplot.writers.world_file import world_files  # noqa: PLC0415 (few runs write world files)

            is_panel = getattr(make_writer(self.config.output), "shows_panel_only", False)
            files = world_files(job.target.name, place, is_panel=is_panel)
        if self._sends_maps:
            sidecars = tuple(Sidecar(name, len(each), store.checksum(each)) for name, each in files.items())
            sha256 = store.checksum(content)
        else:
            sidecars = write_sidecars(job.target, files, self.run, directory)
            sha256 = store.write_file(job.target, content, self.run, within=directory)
        watch.lap("write")
        return written_map(
            job.target,
            content,
            watch.seconds,
            digest,
            sha256,
            no_data=picture.no_data,
            georeference="" if place is None else place.text,
            sidecars=sidecars,
            files=(content, *files.values()) if self._sends_maps else (),
        )

    @cached_property
    def _sends_maps(self) -> bool:
        """True if this worker does not see the output folder of the client."""
        return self.gathering is not None and self.gathering.is_needed()

    def _draw(self, renderer: MapRenderer, region: Region, watch: Stopwatch) -> Picture | FigurePicture:
        """Draw a region as the kind of picture that the writer of the run needs."""
        if self._needs == "pixels":
            return renderer.render(region, watch)
        figure = renderer.render_vectors(region)
        watch.lap("compose")
        return figure

    @property
    def _draws_sheets(self) -> bool:
        """True if maps can be drawn from sheets that are sampled with the style of the renderer."""
        has_own_scales = self.config.colors.scale == "region"
        return (
            self._needs == "pixels" and not self.config.panels and not self.config.map.functions and not has_own_scales
        )

    @cached_property
    def _needs(self) -> str:
        return make_writer(self.config.output).needs

    @contextmanager
    def renderer(self) -> Iterator[MapRenderer]:
        """Lend a renderer to this thread."""
        try:
            renderer = self.idle.pop()
        except IndexError:
            with interrupts_held():  # an interrupt during an import can become any error
                from regionplot.render.canvases import Canvases  # noqa: PLC0415 (kept maps need no renderer)
                from regionplot.render.choose import make_renderer  # noqa: PLC0415

            self.canvases = self.canvases or Canvases()
            renderer = make_renderer(self._shared, self.map_count, self.canvases)
        try:
            yield renderer
        finally:
            if self.is_alone and self.canvases is not None:
                self.canvases.free_sheets()
            self.idle.append(renderer)

    @property
    def digests(self) -> MapDigests:
        """Digests of the maps. The first use loads the shared data, but does not draw the frame."""
        if self._digests is None:
            with interrupts_held():
                from regionplot.runs.sheet_digests import digests_of  # noqa: PLC0415 (imports the renderer)

            self._digests = digests_of(self._shared)
        return self._digests

    @property
    def _shared(self) -> SharedData:
        return shared_data(self.config, self.plan, self.field_name)


def image_metadata(
    picture: Picture | FigurePicture, region: Region, digest: str, digests: MapDigests
) -> dict[str, str]:
    """Return the texts to store in the file of a map.

    Parameters
    ----------
    picture : Picture or FigurePicture
        The map.
    region : Region
        The region.
    digest : str
        Digest of the map.
    digests : MapDigests
        Digests of the maps, with the alternative texts.
    """
    metadata = {TITLE: picture.title, SOFTWARE: "regionplot", DIGEST: digest}
    if isinstance(picture, Picture) and picture.georeference is not None:
        metadata[GEOREFERENCE] = picture.georeference.text
    if digests.config.statistics.alt_text:
        metadata[DESCRIPTION] = digests.descriptions.of(region).alt
    return metadata


def _import_for_encoding(renderer: MapRenderer) -> None:
    """Encode one pixel, so that forked workers inherit the libraries that the writer imports.

    If this fails, each map fails, too, and reports the error.
    """
    with suppress(Exception):
        renderer.encode(Picture(np.zeros((1, 1, 3), np.uint8), None, title="", no_data=True))


def task_without_data(
    config: Config, regions: Sequence[Region], run: str, fingerprint: Fingerprint | None
) -> RenderTask:
    """Return the task of a run for a process that has loaded neither settings nor data.

    Parameters
    ----------
    config : Config
        The settings.
    regions : sequence of Region
        All regions of the run.
    run : str
        Id of the run.
    fingerprint : Fingerprint or None
        Fingerprint of the raster that the run draws.

    Raises
    ------
    InputError
        If an input cannot be opened, or the raster is another file now.
    """
    plan = check_inputs(config, regions)
    if plan.fingerprint != fingerprint:
        raise RasterError(f"{config.raster.path}: input changed: the file was replaced since the run began; run again")
    return RenderTask(config, run, plan, len(regions))
