"""Run a function on blocks with an executor, and write each result when it arrives."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence, Sized
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict

from regionplot.blocks.arguments import check_executor, check_limits, check_workers
from regionplot.blocks.grid import Block
from regionplot.blocks.report import BlockObserver
from regionplot.blocks.sinks import BlockWriter, SharedSink, Sink
from regionplot.blocks.transport import JOBS_AHEAD, SharedArrayReader, memory_can_be_shared
from regionplot.errors import BlockError, Place, Problem, RasterError, RegionplotError
from regionplot.executors.base import Executor, Failure, Outcome, Task, WorkerSettings
from regionplot.executors.choose import (
    AUTO,
    connect_executor,
    count_workers,
    executor_class,
    make_executor,
    resolve_executor,
)

DEFAULT_SETTINGS = WorkerSettings(timeout=3600.0)
"""Limits of workers: one hour per block."""
_MAX_DEATHS = 6
"""Number of consecutive blocks whose workers died, without a success, after which the run ends."""
_MAX_NAMES = 8
"""Maximum number of inputs to name in a message."""


class RunOptions(TypedDict, total=False):
    """Options of a run over blocks: see `process_blocks`."""

    executor: Any
    workers: int | str
    worker_settings: WorkerSettings
    observer: BlockObserver | None


def checked_options(name: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], BlockObserver]:
    """Return the options of `BlockRunner.of`, and the observer.

    Parameters
    ----------
    name : str
        Name of the function that got the options, for messages.
    given : mapping
        Options as given by the user.

    Raises
    ------
    TypeError
        If there is another option, or the limits of workers or the observer have another type.
    """
    unknown = given.keys() - RunOptions.__annotations__.keys()
    if unknown:
        raise TypeError(f"{name}() got an unexpected keyword argument {min(unknown)!r}")
    options = {"worker_settings": DEFAULT_SETTINGS, **given}
    observer = options.pop("observer", None)
    check_limits(options["worker_settings"], observer)
    return options, observer or BlockObserver()


@dataclass(frozen=True)
class BlockRunner:
    """Run a task over blocks with an executor."""

    executor: Executor
    name: str
    """Name of the executor, for reports."""

    @property
    def workers(self) -> int:
        """Maximum number of workers."""
        return self.executor.workers

    @property
    def shares_memory(self) -> bool:
        """True if this process can map results from the memory of its workers."""
        return self.executor.abilities.maps_results and memory_can_be_shared()

    def writer_of(self, sink: Sink) -> BlockWriter | None:
        """Return the writer with which workers write to a sink, or None if only this process can write."""
        abilities = self.executor.abilities
        if not isinstance(sink, SharedSink):
            return None
        if abilities.shares_memory and not abilities.survives_crashes:
            return sink.thread_writer
        return sink.process_writer if abilities.maps_results else None

    @classmethod
    def of(
        cls,
        jobs: int,
        function: object = None,
        *,
        executor: Any = "auto",
        workers: int | str = "auto",
        worker_settings: WorkerSettings = DEFAULT_SETTINGS,
    ) -> BlockRunner:
        """Return a runner with the requested executor.

        Parameters
        ----------
        jobs : int
            Number of blocks.
        function : object
            Function over blocks. For `executor="auto"`, its attribute `releases_gil` selects threads.
        executor, workers, worker_settings
            See `process_blocks`.

        Raises
        ------
        ExecutorError
            If the executor cannot be used.
        TypeError, ValueError
            If `executor` or `workers` has a wrong type or value.
        """
        check_executor(executor)
        check_workers(workers)
        limits = replace(
            worker_settings, max_deaths=min(worker_settings.max_deaths, _MAX_DEATHS), jobs_ahead=JOBS_AHEAD
        )
        if not isinstance(executor, str) or "://" in executor:
            name, cluster = connect_executor(executor, limits)
            return cls(cluster, name)
        count = count_workers(workers, jobs)
        name = _choose_executor(executor, count, function)
        return cls(make_executor(name, count, limits), name)

    def run(
        self,
        task: Task[Block],
        blocks: Iterable[Block],
        sink: Sink,
        paths: Sequence[Path],
        observer: BlockObserver,
    ) -> Sequence[float]:
        """Run a task over blocks, and write each result to a sink when it arrives.

        Parameters
        ----------
        task : Task
            Task that returns a `BlockResult` for each block.
        blocks : iterable of Block
            The blocks. They are taken when workers need them.
        sink : Sink
            Receives the results.
        paths : sequence of Path
            Inputs, for messages.
        observer : BlockObserver
            Receives the outcome of each block.

        Returns
        -------
        sequence of float
            Seconds that each block took in its worker.

        Raises
        ------
        RasterError, BlockError
            If a block fails. The error names the inputs and the block. `__cause__` is the error that the function
            raised, if it pickles.
        """
        receiver, durations = SharedArrayReader(), array("d")
        observer.started(count_of(blocks), self.workers, self.name)
        with closing(self.executor.run(task, blocks)) as outcomes:  # type: ignore[type-var]  # it is a generator
            for outcome in outcomes:
                _write_outcome(outcome, receiver, sink, paths)
                durations.append(outcome.seconds)
                observer.finished(replace(outcome, value=None))
        return durations


def count_of(blocks: Iterable[Block]) -> int:
    """Return the number of blocks, or 0 if it is not known."""
    return len(blocks) if isinstance(blocks, Sized) else 0


def _write_outcome(outcome: Outcome[Block], receiver: SharedArrayReader, sink: Sink, paths: Sequence[Path]) -> None:
    if outcome.failure is not None:
        raise block_error(outcome.failure, _place(paths, outcome.job)) from outcome.failure.error
    if outcome.value.is_written:
        sink.record(outcome.job, outcome.value.checksum)  # type: ignore[attr-defined]  # a SharedSink
        return
    try:
        values = receiver.open(outcome.value.content)
    except OSError as error:
        message = f"the result was lost because its worker has exited: {error}"
        raise BlockError(Problem(message, _place(paths, outcome.job))) from error
    sink.write(outcome.job, values, outcome.value.checksum)


def _choose_executor(requested: str, workers: int, function: object) -> str:
    """Return the name of the requested executor. For `auto`, choose the fastest executor that needs no pickling."""
    if requested != AUTO:
        return resolve_executor(requested)
    if workers <= 1:
        return "serial"
    processes = resolve_executor(AUTO)
    if getattr(function, "releases_gil", False) or not executor_class(processes).abilities.shares_memory:
        return "threads"
    return processes


def block_error(failure: Failure, place: Place) -> RegionplotError:
    """Return the error for the failure of a job.

    Parameters
    ----------
    failure : Failure
        The failure. The message of a RasterError already names the raster.
    place : Place
        Files and block of the failed job.
    """
    if failure.cause == "RasterError":
        return RasterError(failure.message)
    message = "\n".join(filter(None, (failure.message, failure.traceback.rstrip())))
    return BlockError(Problem(message, place))


def _place(paths: Sequence[Path], block: Block) -> Place:
    """Return the names of the inputs, and the rows and columns of the block, for messages."""
    names = ", ".join(map(str, paths[:_MAX_NAMES])) + (" ..." if len(paths) > _MAX_NAMES else "")
    rows, columns = (f"{first} to {end - 1}" for first, end in block.core.ranges)
    return Place(file=names, block=f"rows {rows}, columns {columns}")
