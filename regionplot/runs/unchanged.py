"""Keep maps of the previous run: a single map with the same digest, or all maps of a known run.

A known run (`runs.known`) needs neither the settings nor the data, because its inputs and the program are unchanged.
Its maps are checked, linked, reported and published like the maps of any other run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from regionplot.executors.base import Outcome
from regionplot.runs import sidecars, store
from regionplot.runs.jobs import Job, MapResult
from regionplot.runs.known import KnownRun
from regionplot.runs.lock import locked
from regionplot.runs.manifest import is_readable
from regionplot.runs.publication import link_or_copy, make_publication
from regionplot.runs.record import RunRecord, Scope
from regionplot.runs.report import Observer, RunReport
from regionplot.system.stopwatch import Stopwatch


class KeptRun(NamedTuple):
    """A known run whose maps are all kept. The output folder is locked, and nothing is reported yet."""

    record: RunRecord
    results: tuple[tuple[Job, MapResult], ...]

    def finish(self, observer: Observer) -> RunReport:
        """Report the maps, write the manifest and publish the maps."""
        record = self.record
        with record:
            observer.started(len(record.jobs), record.workers, record.start_method)
            for job, result in self.results:
                outcome = Outcome(job, result, pid=os.getpid())
                record.add(outcome)
                observer.finished(outcome)
            record.watch.lap("draw")
        return record.report


@contextmanager
def all_maps_kept(known: KnownRun, scope: Scope) -> Iterator[KeptRun | None]:
    """Lock the output folder and keep all maps of a known run. Yield None if a map must be drawn.

    Parameters
    ----------
    known : KnownRun
        A run that `KnownRun.is_current` has checked.
    scope : Scope
        Regions of the table that the run includes.

    Raises
    ------
    LockedError, OutputError, RegionsError
        As for any run.
    """
    watch = Stopwatch()
    directory = known.facts.directory
    if not is_readable(make_publication(known.facts, "").previous):  # the full run reports a damaged manifest
        yield None
        return
    store.prepare_directory(directory)
    with locked(directory):
        regions = [(each.region, each.file) for each in known.maps]
        record = RunRecord(known.facts, regions, watch, known.start_method, scope=scope)
        record.workers = known.workers
        watch.lap("load")
        digests = [each.digest for each in known.maps]
        results = _kept(record, digests)
        watch.lap("compare")
        yield None if results is None else KeptRun(record, results)


def _kept(record: RunRecord, digests: list[str]) -> tuple[tuple[Job, MapResult], ...] | None:
    """Keep the maps of all jobs. Return None if one of them must be drawn.

    Maps that are already linked into the folder of this run then stay there. The full run removes this folder.
    """
    results = []
    for job, digest in zip(record.jobs, digests, strict=True):
        result = reuse_previous_map(job, digest)
        if result is None:
            return None
        results.append((job, result))
    return tuple(results)


def seconds_unchanged(path: Path) -> float:
    """Return the seconds since the last write to a file; negative if its time is in the future."""
    return time.time() - path.stat().st_mtime


def reuse_previous_map(job: Job, digest: str) -> MapResult | None:
    """Keep the map of an earlier run if its digest is the same and its file is unchanged.

    Returns
    -------
    MapResult or None
        None if the map must be drawn.
    """
    previous = job.previous
    if previous is None or previous.digest != digest:
        return None
    try:
        if not store.has_content(previous.path, previous.bytes, previous.sha256):
            return None
        if previous.sidecars and not sidecars.are_unchanged(previous.path.parent, previous.sidecars):
            return None
        link_or_copy(previous.path, job.target)
        sidecars.link_sidecars(previous.path.parent, job.target.parent, previous.sidecars)
    except OSError:
        return None
    return MapResult(
        job.target,
        previous.bytes,
        previous.no_data,
        digest=digest,
        state="unchanged",
        sha256=previous.sha256,
        sidecars=previous.sidecars,
    )
