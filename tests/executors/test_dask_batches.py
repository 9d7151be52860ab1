"""Sizes of the batches of a dask run. The client is not connected."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from regionplot.executors.base import WorkerSettings
from regionplot.executors.dask_run import ClusterRun
from regionplot.executors.jobs import PendingJob

pytest.importorskip("distributed")


class _FullError(Exception):
    """All workers have their batches."""


def first_batches(workers: int, jobs: int, seconds: float) -> set[int]:
    """Return the sizes of the batches that are submitted before the first outcome."""
    sizes = []

    def submit(_function: Any, _key: str, batch: list[int], *_: Any, **_options: Any) -> object:
        sizes.append(len(batch))
        return object()

    def wait() -> None:
        raise _FullError

    client = SimpleNamespace(status="running", submit=submit, as_current=wait)
    run = ClusterRun(client, lambda job: job, WorkerSettings(), workers, jobs, key="task", seconds=seconds)
    with pytest.raises(_FullError):
        next(run.outcomes(map(PendingJob, range(jobs)), 2))
    assert len(sizes) == 2 * workers
    return set(sizes)


@pytest.mark.parametrize(("workers", "seconds"), [(1, 0.25), (100, 0.25), (200, 0.5), (1000, 2.5)])
def test_batches_are_longer_if_there_are_more_than_100_workers(workers: int, seconds: float) -> None:
    """Scheduler and client handle about 400 batches per second."""
    assert first_batches(workers, 10**6, 0.025) == {round(seconds / 0.025)}


def test_batches_have_at_most_256_jobs() -> None:
    assert first_batches(10, 10**6, 1e-6) == {256}
