"""Submit the jobs of one run to a dask cluster in batches, and retry the jobs of lost workers."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Generic

from regionplot.errors import ExecutorError
from regionplot.executors.base import Failure, J, Outcome, Task, WorkerSettings, failure_from_error
from regionplot.executors.dask_sources import sources_of
from regionplot.executors.dask_task import UNKNOWN, LoadedTask, end_task, receive_task, run_jobs
from regionplot.executors.jobs import RETRYABLE_CAUSES, PendingJob

_LOST = "lost"
"""Cause of the failure of a job that dask cancelled, because its data was lost when the worker of another job died."""

_MAX_LOSSES = 5
"""Maximum number of times that a lost job is submitted again."""

_BATCH_SECONDS = 0.25
"""Minimum time of a batch of jobs. Dask takes a few milliseconds for each batch, so this is 1 to 2 % of the time."""

_BATCHES_PER_SECOND = 400
"""Number of batches that scheduler and client can handle in one second. With many workers, batches are longer."""

_MAX_BATCH = 256
"""Maximum number of jobs of a batch."""

_MAX_WAIT = 2.0
"""Maximum time of one wait in seconds. Then the workers are counted."""

_NO_WORKERS = "the dask cluster has no workers"

_FETCH_SECONDS = 3.0
"""Time limit for the first attempt to fetch a result. If its worker dies, the scheduler can need 30 s to notice that it
cannot connect to the worker. Meanwhile, other workers have ended their batches."""

_COUNT_INTERVAL = 1.0
"""Seconds after which the workers of a running cluster are counted again."""


@dataclass
class ClusterRun(Generic[J]):
    """The running jobs of one run, and the jobs to retry."""

    client: Any
    task: Task[J]
    settings: WorkerSettings
    workers: int
    """Number of workers now."""
    count: int | None
    """Number of jobs that are not submitted. None: unknown, and each job is a batch of its own."""
    is_fixed: bool = False
    """True if the workers are not counted again."""
    key: str = ""
    """Key of the task. Empty: it is not sent yet."""
    content: bytes = field(default=b"", repr=False)
    """The pickled task, for workers that join later."""
    running: dict[Any, list[PendingJob[J]]] = field(default_factory=dict)
    fetch_seconds: dict[Any, float] = field(default_factory=dict)
    """Time limit for the next attempt to fetch a result, for futures whose last attempt took too long."""
    alone: deque[PendingJob[J]] = field(default_factory=deque)
    """Jobs of lost batches. Each is submitted as a batch of its own, because any of them can end a worker."""
    retries: deque[PendingJob[J]] = field(default_factory=deque)
    seconds: float = 0.0
    """Mean time of the last jobs in seconds. 0 if no job has finished."""
    deaths: int = 0
    """Number of consecutive jobs whose workers died."""
    counted: float = field(default_factory=time.monotonic)
    """Monotonic time when the workers were last counted."""
    had_workers: float = field(default_factory=time.monotonic)
    """Monotonic time when the cluster was last known to have workers."""

    def outcomes(self, jobs: Iterable[PendingJob[J]], per_worker: int) -> Iterator[Outcome[J]]:
        """Run jobs and yield their outcomes. Jobs that must be retried are added to `retries`.

        Parameters
        ----------
        jobs : iterable of PendingJob
            Jobs to run. They are taken only when they are needed.
        per_worker : int
            Largest number of submitted batches per worker. With 2, a worker has its next batch when it ends one.
        """
        waiting = iter(jobs)
        while True:
            while len(self.running) < per_worker * self.workers and (batch := self._next_batch(waiting)):
                self._submit(batch)
            if not self.running:
                return
            for future in _wait(self.client, self.running):
                yield from self._finish(self.running.pop(future), future)
            self._count_workers()

    def _next_batch(self, waiting: Iterator[PendingJob[J]]) -> list[PendingJob[J]]:
        if self.alone:
            return [self.alone.popleft()]
        batch = list(islice(waiting, self._batch_size()))
        if self.count is not None:
            self.count -= len(batch)
        return batch

    def _batch_size(self) -> int:
        """Return the number of jobs of a batch. At the end of a run, batches are smaller."""
        if self.count is None or not self.seconds:
            return 1
        seconds = max(_BATCH_SECONDS, self.workers / _BATCHES_PER_SECOND)
        return max(1, min(int(seconds / self.seconds), self.count // (2 * self.workers), _MAX_BATCH))

    def _count_workers(self) -> None:
        """Count the workers again, because workers can be added to a running cluster.

        Raises
        ------
        ExecutorError
            If the cluster has had no workers for some time. Dask would wait for new workers for ever.
        """
        now = time.monotonic()
        if now - self.counted < _COUNT_INTERVAL:
            return
        self.counted = now
        with suppress(OSError):
            count = sum(self.client.nthreads().values())
            self.had_workers = now if count else self.had_workers
            if not self.is_fixed:
                self.workers = max(1, count)
        if now - self.had_workers > _worker_timeout():
            raise ExecutorError(f"{_NO_WORKERS} any more; finished jobs are kept; start workers and try again")

    def _finish(self, jobs: list[PendingJob[J]], future: Any) -> Iterator[Outcome[J]]:
        """Yield the outcomes of a finished batch. Submit the jobs of a lost batch again, one by one."""
        seconds = self.fetch_seconds.pop(future, _FETCH_SECONDS)
        try:
            outcomes = _outcomes(future, [job.job for job in jobs], seconds)
        except TimeoutError:  # the next attempt asks another worker, if the result has been computed again
            self.fetch_seconds[future] = 2 * seconds
            self.running[future] = jobs
            return
        if outcomes is None:
            self._submit(jobs, self.content)
            return
        if any(outcome.failure is not None and outcome.failure.cause == _LOST for outcome in outcomes):
            self._check_connection()
        if len(jobs) > 1 and future.status != "finished":
            self.alone.extend(jobs)
            return
        for job, outcome in zip(jobs, outcomes, strict=True):
            if outcome.seconds:
                self.seconds += (outcome.seconds - self.seconds) * (0.2 if self.seconds else 1.0)
            yield from self._finish_or_retry(job, outcome)

    def _finish_or_retry(self, job: PendingJob[J], outcome: Outcome[J]) -> Iterator[Outcome[J]]:
        """Yield the outcome of a finished job, unless the job is to be retried because its worker died."""
        is_death = outcome.failure is not None and outcome.failure.cause in RETRYABLE_CAUSES
        self.deaths = self.deaths + 1 if is_death else 0
        retries = self.settings.retries if self.deaths < self.settings.max_deaths else 0
        if outcome.failure is not None and outcome.failure.cause == _LOST and job.losses < _MAX_LOSSES:
            job.losses += 1
            self._submit([job])
        elif job.needs_retry(outcome.failure, retries):
            self.retries.append(job)
        else:
            yield replace(outcome, failure=job.describe_failure(outcome.failure))

    def _check_connection(self) -> None:
        """Raise ExecutorError if the scheduler is gone. The results of all submitted jobs are lost then."""
        if self.client.status != "running":
            raise ExecutorError(
                "the connection to the dask scheduler was lost; finished jobs are kept; "
                "start the scheduler and run the command again"
            )

    def _submit(self, batch: list[PendingJob[J]], content: bytes = b"") -> None:
        """Submit a batch, with the pickled task if the worker does not have it."""
        self._check_connection()
        if not self.key:
            self._send_task()
        jobs = [job.job for job in batch]
        future = self.client.submit(run_jobs, self.key, jobs, content, pure=False, retries=0)
        self.running[future] = batch

    def _send_task(self) -> None:
        """Send the task to all workers.

        `Client.scatter` is not used. If a worker dies meanwhile, `scatter` waits 30 s for an answer of this worker.

        Raises
        ------
        ExecutorError
            If there are no workers, or a worker cannot unpickle the task or lacks a package.
        """
        import cloudpickle  # noqa: PLC0415 (dask requires it)

        task = LoadedTask(self.task, sources=sources_of(self.task))
        self._wait_for_workers()
        try:
            self.content = cloudpickle.dumps(task)
            answers = self.client.run(receive_task, self.content, task.sources.packages, on_error="return")
        except Exception as error:  # pickling can raise any error
            raise ExecutorError(f"the task cannot be sent to the dask workers: {_text(error)}") from error
        for address, found in answers.items():
            if isinstance(found, OSError):  # this worker was lost
                continue
            if isinstance(found, BaseException):
                raise ExecutorError(f"the task cannot be sent to the dask worker {address}: {_text(found)}") from found
            if found:
                raise ExecutorError(
                    f"dask worker {address} has no package {', '.join(found)}, which your functions need; install the "
                    "same packages on all workers"
                )
        self.key = task.key

    def _wait_for_workers(self) -> None:
        try:
            self.client.wait_for_workers(1, timeout=_worker_timeout())
        except TimeoutError as error:
            raise ExecutorError(f"{_NO_WORKERS}: {error}; start workers and try again") from error

    def end(self) -> None:
        """Cancel the running jobs, and free the data in the workers of a running cluster."""
        if self.client.status != "running":
            return
        self.client.cancel(list(self.running))
        if self.key:
            with suppress(OSError):
                self.client.run(end_task, self.key, on_error="ignore")


def _wait(client: Any, futures: Iterable[Any]) -> list[Any]:
    """Wait some seconds until at least one future is done, and return all futures that are done."""
    import distributed  # noqa: PLC0415 (an optional dependency)

    with client.as_current(), suppress(CancelledError, TimeoutError):  # a cancelled future is done, too
        distributed.wait(list(futures), timeout=_MAX_WAIT, return_when="FIRST_COMPLETED")
    return [future for future in futures if future.status != "pending"]


def _worker_timeout() -> float:
    """Return the time in seconds for which a cluster may have no workers: the timeout of dask's connections."""
    import dask  # noqa: PLC0415 (an optional dependency)

    return float(dask.utils.parse_timedelta(dask.config.get("distributed.comm.timeouts.connect")))


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _outcomes(future: Any, jobs: list[J], seconds: float) -> list[Outcome[J]] | None:
    """Return the outcomes of the jobs of a finished batch. If the batch was lost, all jobs have the same failure.

    Return None if the worker does not have the task.

    Raises
    ------
    TimeoutError
        If the result cannot be fetched in some seconds.
    """
    import distributed  # noqa: PLC0415 (an optional dependency)

    try:
        kind, content = future.result(seconds)
    except CancelledError as error:
        failure = Failure(_LOST, f"the task or the result was lost with a worker: {error}")
    except (distributed.KilledWorker, OSError) as error:
        if isinstance(error, TimeoutError):
            raise
        failure = Failure("killed", f"the worker was lost: {type(error).__name__}: {error}")
    except Exception as error:
        failure = failure_from_error(TypeError(f"the result cannot be unpickled: {error}"))
    else:
        if kind == UNKNOWN:
            return None
        if kind == "broken":
            raise content
        return [Outcome(job, *parts) for job, parts in zip(jobs, content, strict=True)]
    return [Outcome(job, failure=failure) for job in jobs]
