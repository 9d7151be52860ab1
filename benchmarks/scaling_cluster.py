"""Start a real scheduler with many light workers, and measure what a batch and a map cost the scheduler and the client.

``python benchmarks/scaling_cluster.py ADDRESS COUNT`` hosts workers in one process. Each has one thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from regionplot.executors.base import WorkerSettings
from regionplot.executors.dask_run import ClusterRun
from regionplot.executors.jobs import PendingJob
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.runs.jobs import Job, MapResult

_STAGES = dict.fromkeys(("compare", "sample", "draw", "encode", "write"), 0.001)
_HOST = "127.0.0.1"
_DASHBOARD = "--no-dashboard"


@dataclass
class SleepingTask:
    """A task that waits instead of drawing a map. Its results have the size of the results of maps."""

    seconds: float
    load_seconds: float = 0.0

    def start_worker(self) -> None:
        """Do nothing."""

    def load(self) -> None:
        """Wait as long as loading takes. All light workers of one process load once."""
        time.sleep(self.load_seconds)

    def __call__(self, job: Job) -> MapResult:
        """Wait as long as drawing takes."""
        time.sleep(self.seconds)
        return MapResult(job.target, 100_000, stages=_STAGES, digest="0" * 64, peak_memory=10**8, sha256="0" * 64)


@dataclass
class FixedBatches(ClusterRun[Job]):
    """A run whose batches have a fixed size, and that counts how long it waits for how many batches."""

    size: int = 0
    """Number of jobs of a batch. 0: as `ClusterRun` chooses."""
    wakes: list[int] = field(default_factory=list)
    """Number of running batches, each time that at least one batch was done."""
    sizes: list[int] = field(default_factory=list)
    """Number of jobs of each batch."""

    def _batch_size(self) -> int:
        return self.size or super()._batch_size()

    def _next_batch(self, waiting: Iterator[PendingJob[Job]]) -> list[PendingJob[Job]]:
        batch = super()._next_batch(waiting)
        if batch:
            self.sizes.append(len(batch))
        return batch

    def _count_workers(self) -> None:
        self.wakes.append(len(self.running))


@dataclass(frozen=True)
class Measured:
    """One run of sleeping tasks."""

    maps: int
    batches: int
    waited: int
    """Sum of the running batches over all waits."""
    seconds: float
    client: float
    """CPU seconds of the client."""
    scheduler: float


def jobs(number: int) -> list[Job]:
    """Return jobs of the usual size."""
    return [
        Job(Region(f"region_{n}", Extent(-109.3, -101.8, 36.8, 41.2), title=f"Region {n}"), f"/maps/r{n}.png")
        for n in range(number)
    ]


@contextlib.contextmanager
def light_cluster(count: int) -> Iterator[tuple[str, psutil.Process]]:
    """Yield the address and the process of a scheduler with light workers in one further process."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind((_HOST, 0))
        port = str(free.getsockname()[1])
        free.close()
        address = f"tcp://{_HOST}:{port}"
        command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", _HOST, "--port", port]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        scheduler = subprocess.Popen([*command, _DASHBOARD], **quiet)  # type: ignore[call-overload]
        workers = subprocess.Popen([sys.executable, __file__, address, str(count), folder], **quiet)  # type: ignore[call-overload]
        try:
            yield address, psutil.Process(scheduler.pid)
        finally:
            for process in (workers, scheduler):
                process.kill()
                process.wait()


def measure_run(
    client: Any, scheduler: psutil.Process, task: SleepingTask, count: int, workers: int, size: int = 0
) -> Measured:
    """Run sleeping tasks, and return what they cost."""
    run = FixedBatches(client, task, WorkerSettings(), workers, count, is_fixed=True, size=size)
    outcomes = run.outcomes(map(PendingJob, jobs(count)), 2)
    done = int(next(outcomes).ok)  # the task has been sent and loaded
    before, start, own = scheduler.cpu_times(), time.perf_counter(), time.process_time()
    done += sum(outcome.ok for outcome in outcomes)
    seconds, own, after = time.perf_counter() - start, time.process_time() - own, scheduler.cpu_times()
    run.end()
    assert done == count, f"{count - done} sleeping tasks failed"
    spent = after.user + after.system - before.user - before.system
    return Measured(count, len(run.sizes), sum(run.wakes), seconds, own, spent)


def measure_wait(client: Any, number: int) -> float:
    """Return the CPU seconds of the client for each submitted batch, each time that it waits for the next one."""
    import distributed  # noqa: PLC0415 (an optional dependency)

    futures = client.map(time.sleep, [0.05] * number, pure=False)
    start, waited = time.process_time(), 0
    for _ in range(5):
        waited += len(futures)
        with client.as_current():
            distributed.wait(futures, return_when="FIRST_COMPLETED")
        futures = [future for future in futures if future.status == "pending"]
    seconds = time.process_time() - start
    client.cancel(futures)
    return seconds / waited


def fitted(measured: Sequence[Measured], waiting: float) -> tuple[list[float], list[float]]:
    """Return the costs of a batch and of a map that explain measured runs best: of the client, and of the scheduler.

    Parameters
    ----------
    measured : sequence of Measured
        Runs with batches of different sizes.
    waiting : float
        Result of `measure_wait`.
    """
    from scipy.optimize import nnls  # noqa: PLC0415 (only measured runs need it)

    rows = np.array([[each.batches, each.maps] for each in measured], float)
    client = np.array([max(0.0, each.client - waiting * each.waited) for each in measured])
    scheduler = np.array([each.scheduler for each in measured])
    return nnls(rows, client)[0].tolist(), nnls(rows, scheduler)[0].tolist()


async def _host_workers(address: str, count: int, folder: str) -> None:
    from distributed import Worker  # noqa: PLC0415 (an optional dependency)

    workers = [Worker(address, nthreads=1, host=_HOST, dashboard=False, local_directory=folder) for _ in range(count)]
    await asyncio.gather(*workers)
    await asyncio.gather(*(worker.finished() for worker in workers))


if __name__ == "__main__":
    sys.path.insert(0, os.fspath(Path(__file__).parent))
    asyncio.run(_host_workers(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
