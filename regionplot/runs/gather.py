"""Take the maps of workers that do not see the output folder, and store them in this process.

::

    worker: draw, encode ─┬─ it sees the output folder ─► store ─► MapResult
                          └─ it does not ───────────────► MapResult with the bytes ─► client: store ─► MapResult

The client holds the bytes of one batch of maps at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from regionplot.errors import OutputError, RegionplotError
from regionplot.executors.base import Outcome, failure_from_error
from regionplot.executors.choose import executor_class
from regionplot.runs import store
from regionplot.runs.jobs import TO_KEEP, Job
from regionplot.runs.sidecars import write_sidecars
from regionplot.runs.unchanged import reuse_previous_map
from regionplot.system.files import exists

if TYPE_CHECKING:
    from regionplot.settings.run import RunSettings


@dataclass(frozen=True)
class Gathering:
    """How a worker finds out whether it must send its maps to the client."""

    probe: Path | None
    """File that the client has written into the output folder for this run. None: all workers send their maps."""

    def is_needed(self) -> bool:
        """Return True if this machine does not see the output folder of the client."""
        return self.probe is None or not exists(self.probe)


@contextmanager
def gathering(
    settings: RunSettings, method: str, cluster: object, directory: Path, run: str
) -> Iterator[Gathering | None]:
    """Yield how workers find out whether to send their maps. Yield None if all workers write their maps.

    Parameters
    ----------
    settings : RunSettings
        The section `[run]`.
    method : str
        Name of the executor.
    cluster : str, Path, distributed.Client or None
        The running cluster whose workers draw the maps. None: the workers are on this machine.
    directory : Path
        The output folder.
    run : str
        Id of the run. The name of the probe contains it, so the next run removes the probe of a killed run.

    Raises
    ------
    OutputError
        If the probe cannot be written.
    """
    if not executor_class(method).abilities.distributed or (settings.output == "auto" and cluster is None):
        yield None
        return
    if settings.output == "gather":
        yield Gathering(None)
        return
    probe = directory / f".output.{run}.tmp"
    try:
        probe.touch()
    except OSError as error:
        raise OutputError(f"{directory}: maps cannot be written there: {error.strerror or error}") from None
    try:
        yield Gathering(probe)
    finally:
        probe.unlink(missing_ok=True)


def with_stored_maps(
    run_jobs: Callable[[Sequence[Job]], Iterator[Outcome[Job]]], jobs: Sequence[Job], run: str, directory: Path
) -> Iterator[Outcome[Job]]:
    """Yield the outcomes of jobs. Store the maps that workers have sent, and keep the maps that have not changed.

    Parameters
    ----------
    run_jobs : callable
        Runs jobs and yields their outcomes.
    jobs : sequence of Job
        The jobs.
    run : str
        Id of the run.
    directory : Path
        The output folder.
    """
    again = []
    for outcome in run_jobs(jobs):
        if not outcome.ok or not (outcome.value.files or outcome.value.state == TO_KEEP):
            yield outcome
        elif outcome.value.files:
            yield _stored(outcome, run, directory)
        elif kept := reuse_previous_map(outcome.job, outcome.value.digest):
            old = outcome.value
            yield replace(outcome, value=replace(kept, statistics=old.statistics, alt=old.alt, network=old.network))
        else:  # the earlier map is missing or damaged
            again.append(replace(outcome.job, previous=None))
    if again:
        yield from with_stored_maps(run_jobs, again, run, directory)


def _stored(outcome: Outcome[Job], run: str, directory: Path) -> Outcome[Job]:
    """Write the files of a map. If they cannot be written, return a failure."""
    result = outcome.value
    image, *others = result.files
    try:
        named = zip((each.name for each in result.sidecars), others, strict=True)
        write_sidecars(outcome.job.target, dict(named), run, directory)
        sha256 = store.write_file(outcome.job.target, image, run, within=directory)
        if sha256 != result.sha256:
            raise RegionplotError(f"{outcome.job.target}: the bytes are not those that the worker has sent")
    except RegionplotError as error:
        return replace(outcome, value=None, failure=failure_from_error(error))
    return replace(outcome, value=replace(result, files=()))
