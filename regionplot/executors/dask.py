"""Run jobs on a dask cluster: a local cluster started for the run, or a running cluster.

Only this module imports `distributed`, an optional dependency (the extra `dask`).
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Any, ClassVar, Generic
from urllib.parse import urlsplit

from regionplot.errors import ExecutorError, RegionplotError
from regionplot.executors.base import (
    Abilities,
    Failure,
    J,
    Outcome,
    Task,
    WorkerSettings,
    failure_from_error,
    load_task,
    run_job,
    start_task_worker,
)
from regionplot.executors.jobs import RETRYABLE_CAUSES, PendingJob
from regionplot.system.threads import thread_pool, wait_for_exit

logger = logging.getLogger(__name__)

_LOOPBACK = {"127.0.0.1", "localhost", "::1", ""}
_ENCRYPTED = ("tls", "wss")

_LOST = "lost"
"""Cause of the failure of a job that dask cancelled, because its data was lost when the worker of another job died."""

_MAX_LOSSES = 5
"""Maximum number of times that a lost job is submitted again."""

_IDLE_THREAD = "Dask-Offload"
"""Name of the thread that distributed keeps after a run."""

_MAX_WAIT = 2.0
"""Time limit in seconds for the end of the other threads of a local cluster."""

_load_lock = threading.Lock()
"""Lock of `LoadedTask.load`, because a dask worker may have several threads."""

_kept_tasks_lock = threading.Lock()
_kept_tasks: dict[str, LoadedTask[Any]] = {}
"""The last task of this worker process, by its key. Dask may drop a task between two jobs, and send it again."""


@dataclass
class DaskExecutor:
    """Run jobs on the workers of a dask cluster."""

    workers: int
    """Number of workers of the local cluster. For a running cluster, number of its threads when it was connected."""
    settings: WorkerSettings = field(default_factory=WorkerSettings)
    cluster: Any = None
    """Address of a scheduler, or a connected client. None starts a local cluster on the loopback interface."""

    abilities: ClassVar[Abilities] = Abilities(
        shares_memory=False, survives_crashes=True, distributed=True, limits_time=False
    )
    Settings: ClassVar[type[WorkerSettings]] = WorkerSettings

    @classmethod
    def at(cls, cluster: Any, settings: WorkerSettings | None = None) -> DaskExecutor:
        """Return an executor for a running cluster.

        Raises
        ------
        ExecutorError
            If the package distributed is missing, or the cluster does not answer.
        """
        with ExitStack() as stack:
            stack.callback(_end_idle_thread, threading.enumerate())
            client = _connect(stack, cluster, 0)
            workers = max(1, sum(client.nthreads().values()))
            return cls(workers, settings or WorkerSettings(), cluster=cluster)

    @classmethod
    def unavailable(cls) -> str | None:
        """Return the reason why dask cannot be used, or None."""
        if importlib.util.find_spec("distributed") is not None:
            return None
        return "it needs the package distributed: pip install distributed"

    def run(self, task: Task[J], jobs: Iterable[J]) -> Iterator[Outcome[J]]:
        """Apply a task to jobs on the cluster; see `Executor.run`.

        Raises
        ------
        RegionplotError
            If `task.load` fails in a worker.
        ExecutorError
            If there is no cluster, or it has no workers.
        """
        waiting = map(PendingJob, jobs)
        first = list(islice(waiting, 1))
        if not first:
            return
        with ExitStack() as stack:
            stack.callback(_end_idle_thread, threading.enumerate())
            client = _connect(stack, self.cluster, self.workers)
            run = _ClusterRun(client, task, self.settings)
            stack.callback(run.end)
            yield from run.outcomes(chain(first, waiting), self.workers if self.cluster is None else 2 * self.workers)
            while run.retries:
                yield from run.outcomes([run.retries.popleft()], 1)


@dataclass
class _ClusterRun(Generic[J]):
    """The running jobs of one run, and the jobs to retry."""

    client: Any
    task: Task[J]
    settings: WorkerSettings
    loaded: Any = None
    """Future of the task that all workers share."""
    key: str = ""
    """Key of the task that was sent last."""
    running: dict[Any, PendingJob[J]] = field(default_factory=dict)
    retries: deque[PendingJob[J]] = field(default_factory=deque)
    deaths: int = 0
    """Number of consecutive jobs whose workers died."""

    def outcomes(self, jobs: Iterable[PendingJob[J]], at_once: int) -> Iterator[Outcome[J]]:
        """Run jobs and yield their outcomes. Jobs that must be retried are added to `retries`.

        Parameters
        ----------
        jobs : iterable of PendingJob
            Jobs to run. They are taken only when they are needed.
        at_once : int
            Largest number of submitted jobs. If a worker dies, the jobs that wait at this worker fail, too.
        """
        waiting = iter(jobs)
        while True:
            for job in islice(waiting, at_once - len(self.running)):
                self._submit(job)
            if not self.running:
                return
            for future in _wait(self.client, self.running):
                yield from self._finish_or_retry(self.running.pop(future), future)

    def _finish_or_retry(self, job: PendingJob[J], future: Any) -> Iterator[Outcome[J]]:
        """Yield the outcome of a finished job, unless the job is to be retried because its worker died."""
        outcome = _outcome(future, job.job)
        is_death = outcome.failure is not None and outcome.failure.cause in RETRYABLE_CAUSES
        self.deaths = self.deaths + 1 if is_death else 0
        retries = self.settings.retries if self.deaths < self.settings.max_deaths else 0
        if outcome.failure is not None and outcome.failure.cause == _LOST and job.losses < _MAX_LOSSES:
            job.losses += 1
            self._submit(job)
        elif job.needs_retry(outcome.failure, retries):
            self.retries.append(job)
        else:
            yield replace(outcome, failure=job.describe_failure(outcome.failure))

    def _submit(self, job: PendingJob[J]) -> None:
        if self.loaded is None or self.loaded.status != "finished":  # all workers that had the task died
            self.loaded = self._send_task()
        self.running[self.client.submit(_run_job, self.loaded, job.job, pure=False, retries=0)] = job

    def _send_task(self) -> Any:
        """Send the task to all workers, and return its future."""
        try:
            task = LoadedTask(self.task)
            self.key = task.key
            return self.client.scatter(task, broadcast=True, hash=False)
        except TimeoutError as error:
            raise ExecutorError(f"the dask cluster has no workers: {error}; start workers and try again") from error

    def end(self) -> None:
        """Cancel the running jobs, and free the data in the workers of a running cluster."""
        self.client.cancel(list(self.running))
        if self.key and self.client.status == "running":
            with suppress(OSError):
                self.client.run(_free_kept_task, self.key, on_error="ignore")


def _connect(stack: ExitStack, cluster: Any, workers: int) -> Any:
    """Return a client of a cluster. If `cluster` is None, start a local cluster.

    The exit stack closes the client and the local cluster.
    """
    reason = DaskExecutor.unavailable()
    if reason is not None:
        raise ExecutorError(f"executor 'dask' cannot be used: {reason}")
    import distributed  # noqa: PLC0415 (an optional dependency)

    if isinstance(cluster, distributed.Client):
        if cluster.status not in ("running", "connecting"):
            raise ExecutorError(f"the client of the dask cluster is {cluster.status}; pass a connected client")
        return cluster
    try:
        if cluster is None:
            cluster = _start_local_cluster(stack, workers)
        else:
            warn_if_unencrypted(str(cluster))
            _check_address(str(cluster))
        return stack.enter_context(distributed.Client(cluster, set_as_default=False))
    except (OSError, ValueError, TypeError, OverflowError, ImportError, RuntimeError) as error:  # dask raises them all
        if cluster is None:
            raise ExecutorError(f"the local dask cluster cannot be started: {error}") from error
        raise ExecutorError(f"there is no dask cluster at {cluster}: {error}; check the address") from error


def _check_address(address: str) -> None:
    """Connect to a scheduler once. A client that cannot connect would leave a thread behind.

    Raises
    ------
    OSError, ValueError
        If there is no scheduler at this address. distributed raises further errors for wrong addresses.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # the usual case: no event loop runs in this thread
        asyncio.run(_connect_once(address))
        return
    with thread_pool(1) as pool:
        pool.submit(asyncio.run, _connect_once(address)).result()


async def _connect_once(address: str) -> None:
    import distributed  # noqa: PLC0415 (an optional dependency)
    from distributed.comm.core import connect  # noqa: PLC0415

    comm = await connect(address, **distributed.Security().get_connection_args("client"))
    await comm.close()


def _end_idle_thread(before: Collection[threading.Thread]) -> None:
    """End the idle thread that distributed keeps, because a program with other threads cannot fork safely.

    Parameters
    ----------
    before : collection of Thread
        Threads of the program before the run. If there were several, the program uses threads itself. Then the idle
        thread is kept, because the program may use distributed itself.
    """
    utils: Any = sys.modules.get("distributed.utils")
    pool = getattr(utils, "_offload_executor", None)  # distributed has no function that ends this pool
    if len(before) > 1 or not isinstance(pool, ThreadPoolExecutor):
        return
    added = set(threading.enumerate()) - set(before)  # with threads of the cluster, which end by themselves
    utils._offload_executor = ThreadPoolExecutor(1, _IDLE_THREAD)
    pool.shutdown()
    end = time.monotonic() + _MAX_WAIT
    for thread in added:
        thread.join(max(0.0, end - time.monotonic()))
    wait_for_exit([thread.native_id or 0 for thread in added if not thread.is_alive()], timeout=5.0)


def _start_local_cluster(stack: ExitStack, workers: int) -> Any:
    """Start a cluster of processes that only this machine can reach."""
    import dask  # noqa: PLC0415 (an optional dependency)
    import distributed  # noqa: PLC0415

    stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": 0}))
    stack.enter_context(_log_errors_only())
    cluster = stack.enter_context(
        distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.ERROR,
        )
    )
    logger.info("started a local dask cluster: %s, workers: %d", cluster.scheduler_address, workers)
    return cluster


@contextmanager
def _log_errors_only() -> Iterator[None]:
    """Hide dask's messages about the start and the end of a local cluster. Errors are still logged."""
    distributed_logger = logging.getLogger("distributed")
    before = distributed_logger.level
    distributed_logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        distributed_logger.setLevel(before)


def warn_if_unencrypted(address: str) -> None:
    """Warn if the connection to a scheduler on another host is not encrypted.

    Anyone on the network could read the jobs, and could send code that the workers run.
    """
    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    if parts.scheme not in _ENCRYPTED and (parts.hostname or "") not in _LOOPBACK and parts.scheme != "inproc":
        logger.warning(
            "%s: the connection to this scheduler is not encrypted; use tls:// outside a trusted network", address
        )


@dataclass
class LoadedTask(Generic[J]):
    """A task that is sent once to each worker. All jobs of the worker use the same object."""

    task: Task[J]
    parent: int = field(default_factory=os.getpid)
    """Process id of the caller. An `inproc://` cluster runs its workers in this process."""
    is_loaded: bool = False
    error: RegionplotError | None = None
    """Error of the failed load. All jobs of the worker report this error."""
    key: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without the loaded state, because dask may copy the task from a worker that has loaded the data."""
        return _received_task, (self.key, self.task, self.parent)

    def load(self) -> None:
        """Load the task once per worker. If loading fails, keep the error for all jobs of the worker."""
        with _load_lock:
            if not self.is_loaded:
                self.is_loaded = True
                try:
                    if os.getpid() != self.parent:
                        start_task_worker(self.task)
                    load_task(self.task)
                except RegionplotError as error:
                    self.error = error


def _received_task(key: str, task: Task[J], parent: int) -> LoadedTask[J]:
    """Return the task that has been sent to this worker. If it was sent before, return the same object.

    Dask drops copies of data that no running job needs. It also writes data to disk if the memory is nearly full.
    Without `_kept_tasks`, the next job would load the data again.
    """
    with _kept_tasks_lock:
        for other in set(_kept_tasks) - {key}:
            _free_kept_task(other)
        return _kept_tasks.setdefault(key, LoadedTask(task, parent, key=key))


def _free_kept_task(key: str) -> None:
    _kept_tasks.pop(key, None)


def _run_job(loaded: LoadedTask[J], job: J) -> tuple[str, Any]:
    """Do one job in a worker. Return `broken` and the error of the load, or `done` and the parts of the outcome."""
    loaded.load()
    if loaded.error is not None:
        return "broken", loaded.error
    try:
        outcome = run_job(loaded.task, job)
    except BaseException as error:  # KeyboardInterrupt would end the worker, and GeneratorExit the thread of the client
        outcome = Outcome(job, failure=failure_from_error(error), pid=os.getpid())
    return "done", (outcome.value, outcome.failure, outcome.seconds, outcome.pid)


def _wait(client: Any, futures: Iterable[Any]) -> list[Any]:
    """Wait until at least one future is done, and return all futures that are done."""
    import distributed  # noqa: PLC0415 (an optional dependency)

    with client.as_current(), suppress(CancelledError):  # a cancelled future is done, too
        distributed.wait(list(futures), return_when="FIRST_COMPLETED")
    return [future for future in futures if future.status != "pending"]


def _outcome(future: Any, job: J) -> Outcome[J]:
    """Return the outcome of a finished future."""
    import distributed  # noqa: PLC0415 (an optional dependency)

    try:
        kind, content = future.result()
    except CancelledError as error:
        return Outcome(job, failure=Failure(_LOST, f"the task or the result was lost with a worker: {error}"))
    except (distributed.KilledWorker, OSError) as error:
        return Outcome(job, failure=Failure("killed", f"the worker was lost: {type(error).__name__}: {error}"))
    except Exception as error:
        return Outcome(job, failure=failure_from_error(TypeError(f"the result cannot be unpickled: {error}")))
    if kind == "broken":
        raise content
    value, failure, seconds, pid = content
    return Outcome(job, value, failure, seconds, pid)
