"""Run jobs on a dask cluster: a local one made for the run, or an existing one.

The only module that knows `distributed`, which is an optional dependency (`pip install regionplot[dask]`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from regionplot.errors import ExecutorError, RegionplotError
from regionplot.executors.base import Failure, Outcome, Task, prepare, run_job

logger = logging.getLogger(__name__)


J = TypeVar("J")


QUEUED_PER_WORKER = 2
"""Jobs for each worker that are begun or done but not yet taken; more would only fill memory."""


_LOOPBACK = {"127.0.0.1", "localhost", "::1", ""}


_ENCRYPTED = ("tls", "wss")


_preparing = threading.Lock()
"""A worker may have several threads."""


@dataclass
class DaskExecutor:
    """Jobs on the workers of a dask cluster."""

    workers: int
    """Of the cluster to be made; of another, how many it had when it was looked at."""
    cluster: Any = None
    """A scheduler's address or a client of it; None: processes on this machine that nobody else can reach."""

    @classmethod
    def at(cls, cluster: Any) -> DaskExecutor:
        """An executor for a cluster that is there already.

        Raises
        ------
        ExecutorError
            If there is none.
        """
        with ExitStack() as stack:
            client = _client(stack, cluster, 0)
            return cls(max(1, sum(client.nthreads().values())), cluster)

    def run(self, task: Task[J], jobs: Iterable[J]) -> Iterator[Outcome[J]]:
        """Apply a task to jobs; jobs are taken from their iterable only as they are needed.

        Raises
        ------
        RegionplotError
            What `task.prepare()` raised in a worker.
        ExecutorError
            If there is no cluster.
        """
        waiting = iter(jobs)
        first = list(islice(waiting, 1))
        if not first:
            return
        with ExitStack() as stack:
            client = _client(stack, self.cluster, self.workers)
            there = client.scatter(LoadedTask(task), broadcast=True, hash=False)
            under_way = {client.submit(_work, there, job, pure=False, retries=0): job for job in first}
            stack.callback(lambda: client.cancel(list(under_way)))
            while under_way:
                for job in islice(waiting, QUEUED_PER_WORKER * self.workers - len(under_way)):
                    under_way[client.submit(_work, there, job, pure=False, retries=0)] = job
                for future in _done(client, under_way):
                    yield _outcome(future, under_way.pop(future))


def _client(stack: ExitStack, cluster: Any, workers: int) -> Any:
    """A client of a cluster, closed in the end if it was made here."""
    try:
        import dask  # noqa: PLC0415 (an optional dependency)
        import distributed  # noqa: PLC0415
    except ImportError as error:
        raise ExecutorError("executor 'dask' needs the package distributed: pip install regionplot[dask]") from error
    if isinstance(cluster, distributed.Client):
        return cluster
    try:
        if cluster is not None:
            warn_if_unencrypted(str(cluster))
            return stack.enter_context(distributed.Client(cluster, set_as_default=False))
        stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": 0}))
        own = stack.enter_context(
            distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address=None,
                silence_logs=logging.ERROR,
            )
        )
        return stack.enter_context(distributed.Client(own, set_as_default=False))
    except (OSError, ValueError, TimeoutError) as error:
        raise ExecutorError(f"there is no dask cluster at {cluster or 'this machine'}: {error}") from error


def warn_if_unencrypted(address: str) -> None:
    """Say that anyone on the way to a scheduler can read, and send, what its workers run."""
    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    if parts.scheme not in _ENCRYPTED and (parts.hostname or "") not in _LOOPBACK and parts.scheme != "inproc":
        logger.warning(
            "%s: the scheduler is on another host and not encrypted; use tls:// beyond a trusted net", address
        )


@dataclass
class LoadedTask(Generic[J]):
    """A task, sent once to each worker, where all jobs find the same object."""

    task: Task[J]
    prepared: bool = False
    broken: RegionplotError | None = None

    def prepare(self) -> None:
        """Prepare the task once, be it in vain."""
        with _preparing:
            if not self.prepared:
                self.prepared = True
                try:
                    prepare(self.task)
                except RegionplotError as error:
                    self.broken = error


def _work(kept: LoadedTask[J], job: J) -> tuple[str, Any]:
    """What a worker does."""
    kept.prepare()
    if kept.broken is not None:
        return "broken", kept.broken
    outcome = run_job(kept.task, job)
    return "done", (outcome.value, outcome.failure, outcome.seconds, outcome.pid)


def _done(client: Any, futures: Iterable[Any]) -> list[Any]:
    import distributed  # noqa: PLC0415

    with client.as_current(), suppress(CancelledError):  # what is cancelled is done, too
        distributed.wait(list(futures), return_when="FIRST_COMPLETED")
    return [future for future in futures if future.status != "pending"]


def _outcome(future: Any, job: J) -> Outcome[J]:
    try:
        kind, content = future.result()
    except (Exception, CancelledError) as error:  # its worker died, or the result cannot travel
        return Outcome(job, None, Failure("killed", f"the worker was lost: {type(error).__name__}: {error}"))
    if kind == "broken":
        raise content
    value, failure, seconds, pid = content
    return Outcome(job, value, failure, seconds, pid)
