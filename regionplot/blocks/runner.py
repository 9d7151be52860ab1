"""Run a function on blocks with an executor, and pass the results on as they arrive."""

from __future__ import annotations

import pickle
from array import array
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from regionplot.blocks.grid import Block, BlockGrid
from regionplot.blocks.report import BlockObserver
from regionplot.blocks.sinks import Sink
from regionplot.blocks.transport import SharedArrayReader, memory_can_be_shared
from regionplot.errors import BlockError, ExecutorError, RasterError
from regionplot.executors.base import Executor, Failure, Outcome, Task, WorkerSettings
from regionplot.executors.choose import (
    AUTO,
    connect_executor,
    count_workers,
    executor_class,
    make_executor,
    resolve_executor,
)

_MOST_NAMES = 8
"""Of inputs in a message."""


@dataclass(frozen=True)
class BlockRunner:
    """An executor."""

    executor: Executor
    method: str
    """Name of the executor, for reports."""

    @property
    def workers(self) -> int:
        """How many there are at most."""
        return self.executor.workers

    @property
    def shares_memory(self) -> bool:
        """True if this process can map results from the memory of its workers."""
        return self.executor.abilities.maps_results and memory_can_be_shared()

    @classmethod
    def of(
        cls,
        jobs: int,
        function: object = None,
        *,
        executor: Any = "auto",
        workers: int | str = "auto",
        timeout: float = 3600.0,
        retries: int = 1,
        nice: int = 0,
    ) -> BlockRunner:
        """The executor that is asked for, or that suits a function.

        Raises
        ------
        ExecutorError
            If there cannot be such workers, or the function cannot be sent to them.
        """
        if not isinstance(executor, str) or "://" in executor:
            name, cluster = connect_executor(executor)
            return cls(cluster, name)
        count = count_workers(workers, jobs)
        name = _choose_executor(executor, count, function)
        abilities = executor_class(name).abilities
        if not abilities.shares_memory and not abilities.distributed:
            check_picklable(function, name)
        return cls(make_executor(name, count, WorkerSettings(timeout, retries=retries, nice=nice)), name)

    def run(
        self,
        task: Task[Block],
        blocks: BlockGrid | Sequence[Block],
        sink: Sink,
        paths: Sequence[Path],
        observer: BlockObserver | None = None,
    ) -> Sequence[float]:
        """Have blocks done by a task whose values are `Worked`, and hand each over to a sink as it comes.

        Returns
        -------
        sequence of float
            Seconds that each took.

        Raises
        ------
        RasterError, BlockError
            At the first block that fails, naming it and the paths.
        """
        receiver, durations = SharedArrayReader(), array("d")
        if observer is not None:
            observer.started(len(blocks), self.workers, self.method)
        with closing(self.executor.run(task, blocks)) as outcomes:  # type: ignore[type-var]  # it is a generator
            for outcome in outcomes:
                _hand_over(outcome, receiver, sink, paths)
                durations.append(outcome.seconds)
                if observer is not None:
                    observer.finished(replace(outcome, value=None))
        return durations


def _hand_over(outcome: Outcome[Block], receiver: SharedArrayReader, sink: Sink, paths: Sequence[Path]) -> None:
    if outcome.failure is not None:
        raise block_error(_place(paths, outcome.job), outcome.failure)
    try:
        values = receiver.open(outcome.value.content)
    except OSError as error:
        raise BlockError(f"{_place(paths, outcome.job)}: its worker is gone: {error}") from error
    sink.write(outcome.job, values, outcome.value.checksum)


def _choose_executor(requested: str, workers: int, function: object) -> str:
    """Return the name of the requested executor. `auto` is the fastest executor that needs no pickling."""
    if requested != AUTO:
        return resolve_executor(requested)
    if workers <= 1:
        return "serial"
    processes = resolve_executor(AUTO)
    if getattr(function, "releases_gil", False) or not executor_class(processes).abilities.shares_memory:
        return "threads"
    return processes


def check_picklable(function: object, method: str) -> None:
    """Raise ExecutorError if a function cannot be sent to another process."""
    try:
        pickle.dumps(function)
    except Exception as error:
        raise ExecutorError(
            f"the function cannot be sent to processes started by {method}: {error}; define it at the top of a module, "
            "or use executor='threads'"
        ) from error


def block_error(place: str, failure: Failure) -> Exception:
    """The error that tells of a job's failure."""
    if failure.cause == "RasterError":
        return RasterError(failure.message)
    message = f"{place}: {failure.message}"
    return BlockError("\n".join(filter(None, (message, failure.traceback.rstrip()))))


def _place(paths: Sequence[Path], block: Block) -> str:
    core = block.core
    names = ", ".join(map(str, paths[:_MOST_NAMES])) + (" ..." if len(paths) > _MOST_NAMES else "")
    rows, columns = (f"{first} to {first + n - 1}" for first, n in ((core.row, core.height), (core.column, core.width)))
    return f"{names}: block of rows {rows}, columns {columns}"
