"""Run the jobs of a run: keep unchanged maps, draw the others, record all outcomes."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from regionplot.errors import NoSpaceError, RegionplotError
from regionplot.executors.base import Executor, Outcome, Task
from regionplot.geo.region import Region
from regionplot.inputs.reading import fingerprint_of
from regionplot.runs.gather import with_stored_maps
from regionplot.runs.hints import with_memory_hint
from regionplot.runs.jobs import Job, MapResult
from regionplot.runs.record import RunRecord
from regionplot.runs.report import NOT_RUN, Observer
from regionplot.runs.unchanged import reuse_previous_map
from regionplot.system.files import Fingerprint

logger = logging.getLogger(__name__)
_MAX_DISK_FULL = 3
"""Stop the run after this many consecutive disk-full errors."""


def jobs_to_draw(
    digest_of: Callable[[Region], str],
    jobs: Sequence[Job],
    record: RunRecord,
    observer: Observer,
    describe: Callable[[Job, MapResult], MapResult] = lambda _, result: result,
) -> list[Job]:
    """Return the jobs whose maps must be drawn. For each other map, reuse the map of the previous run.

    The digest of a map that must be drawn is added to its job. `describe` adds statistics to the results of kept maps.
    """
    found = []
    for job in jobs:
        if job.previous is None:
            found.append(job)
            continue
        try:
            digest = digest_of(job.region)
            kept = reuse_previous_map(job, digest)
            kept = None if kept is None else describe(job, kept)
        except RegionplotError:  # the worker will report the error
            found.append(job)
            continue
        if kept is None:
            found.append(replace(job, previous=None, digest=digest))
        else:
            outcome = Outcome(job, kept, pid=os.getpid())
            record.add(outcome)
            observer.finished(outcome)
    record.watch.lap("compare")
    return found


def execute(executor: Executor, task: Task[Job], jobs: Sequence[Job], record: RunRecord, observer: Observer) -> None:
    """Run jobs. Record and report each outcome as soon as it is known."""
    directory = record.facts.directory
    outcomes = with_stored_maps(lambda left: executor.run(task, left), jobs, record.run, directory) if jobs else ()
    for outcome in stop_when_disk_full(outcomes):
        described = with_memory_hint(outcome, executor.workers)
        record.add(described)
        observer.finished(described)
    record.watch.lap("draw")
    if executor.abilities.loads_once:
        record.watch.move(getattr(executor, "load_seconds", 0.0), "draw", "load")


def stop_when_disk_full(outcomes: Iterable[Outcome[Job]]) -> Iterator[Outcome[Job]]:
    """Yield outcomes. Stop after `_MAX_DISK_FULL` consecutive disk-full errors. Any other outcome resets the count."""
    full = 0
    for outcome in outcomes:
        yield outcome
        full = full + 1 if outcome.failure and outcome.failure.cause == NoSpaceError.__name__ else 0
        if full == _MAX_DISK_FULL:
            return


def report_full_disk(record: RunRecord) -> None:
    """Log an error if the run stopped because the disk is full."""
    if not_run := record.report.in_state(NOT_RUN):
        logger.error(
            "%s: the disk is full: %d maps not drawn; free some space and run the command again",
            record.facts.directory,
            len(not_run),
        )


def warn_of_new_raster(path: Path, fingerprint: Fingerprint | None) -> None:
    """Log a warning if the raster is no longer the file that was loaded. A raster in memory has no fingerprint."""
    try:
        now = None if fingerprint is None else fingerprint_of(path)
    except RegionplotError:  # a server does not answer; maps that needed it have failed
        return
    if fingerprint is not None and now != fingerprint:
        logger.warning("%s: the raster changed during the run; the maps show it as it was at the start", path)
