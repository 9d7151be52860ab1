"""Run jobs on a dask cluster: a local cluster started for the run, or a running cluster.

Only this module imports `distributed`, an optional dependency (the extra `dask`).
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import sys
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sized
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from regionplot.errors import ExecutorError
from regionplot.executors.base import (
    Abilities,
    J,
    Outcome,
    Task,
    WorkerSettings,
    describe_os_error,
)
from regionplot.executors.dask_run import ClusterRun
from regionplot.executors.dask_task import (
    difference,
    program_facts,
    refusal,
)
from regionplot.executors.jobs import PendingJob
from regionplot.system.threads import thread_pool, wait_for_exit

logger = logging.getLogger(__name__)

_LOOPBACK = {"127.0.0.1", "localhost", "::1", ""}
_ENCRYPTED = ("tls", "wss")

_IDLE_THREAD = "Dask-Offload"
"""Name of the thread that distributed keeps after a run."""

_MAX_WAIT = 2.0
"""Time limit in seconds for the end of the other threads of a local cluster."""


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

        Parameters
        ----------
        cluster : str, Path or distributed.Client
            Address of the scheduler, its file as a Path, or a connected client.
        settings : WorkerSettings, optional
            Number of retries.

        Raises
        ------
        ExecutorError
            If the package distributed is missing, or the cluster does not answer.
        """
        if isinstance(cluster, Path):
            cluster = address_in_file(cluster)
        with ExitStack() as stack:
            stack.callback(_end_idle_thread, threading.enumerate())
            client = _connect(stack, cluster, 0)
            return cls(max(1, sum(client.nthreads().values())), settings or WorkerSettings(), cluster)

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
        count = len(jobs) if isinstance(jobs, Sized) else None
        waiting = map(PendingJob, jobs)
        first = list(islice(waiting, 1))
        if not first:
            return
        with ExitStack() as stack:
            stack.callback(_end_idle_thread, threading.enumerate())
            client = _connect(stack, self.cluster, self.workers)
            if self.cluster is not None:
                _check_programs(client)
            run = ClusterRun(client, task, self.settings, self.workers, count)
            stack.callback(run.end)
            yield from run.outcomes(chain(first, waiting), 1 if self.cluster is None else 2)
            run.workers, run.is_fixed = 1, True
            while run.retries:
                yield from run.outcomes([run.retries.popleft()], 1)


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
        cure = "check the address"
        if str(cluster).startswith(_ENCRYPTED):
            cure += ", and the certificates in the settings of dask: distributed.comm.tls, keys ca-file and client"
        raise ExecutorError(f"there is no dask cluster at {cluster}: {error}; {cure}") from error


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


def address_in_file(path: Path) -> str:
    """Return the address in a file that `dask scheduler --scheduler-file` has written.

    Raises
    ------
    ExecutorError
        If the file cannot be read, or contains no address.
    """
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["address"])
    except OSError as error:
        raise ExecutorError(f"{describe_os_error(error)}; start dask scheduler --scheduler-file {path}") from None
    except (ValueError, KeyError, TypeError):
        raise ExecutorError(
            f"{path}: this is no file of a dask scheduler; write it with dask scheduler --scheduler-file {path}"
        ) from None


def _check_programs(client: Any) -> None:
    """Refuse the workers of a cluster if they run another program than this process.

    Raises
    ------
    ExecutorError
        If a worker has no regionplot, or another version of Python, regionplot or a library that it needs.
    """
    expected = program_facts()
    for address, found in client.run(program_facts, on_error="return").items():
        problem = (
            f"cannot run regionplot ({found})" if isinstance(found, BaseException) else difference(found, expected)
        )
        if problem:
            raise ExecutorError(refusal(address, problem))
