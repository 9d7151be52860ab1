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
from regionplot.executors.choose import choose_start_method, make_executor
from regionplot.system.machine import usable_cpus

_MOST_NAMES = 8
"""Of inputs in a message."""


_ENDLESS = 2**31
"""Blocks for each worker: none is replaced, for what a function keeps is its own affair."""


@dataclass(frozen=True)
class BlockRunner:
    """An executor."""

    executor: Executor
    method: str
    """What to call it: `serial`, `threads`, `dask`, or the start method of processes."""

    @property
    def workers(self) -> int:
        """How many there are at most."""
        return self.executor.workers

    @property
    def shares_memory(self) -> bool:
        """Whether workers hand results over through memory: they are processes of this machine that can."""
        return self.method in ("fork", "forkserver", "spawn") and memory_can_be_shared()

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
            from regionplot.executors.dask import DaskExecutor  # noqa: PLC0415 (an optional dependency)

            return cls(DaskExecutor.at(executor), "dask")
        method = _choose_method(executor, workers, jobs, function)
        if method in ("forkserver", "spawn"):
            check_picklable(function, method)
        return cls(make_executor(method, workers, jobs, WorkerSettings(timeout, _ENDLESS, retries, nice=nice)), method)

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


def _choose_method(requested: str, workers: int | str, jobs: int, function: object) -> str:
    if requested != "auto":
        return choose_start_method(requested)
    if min(jobs, usable_cpus() if workers == "auto" else int(workers)) <= 1:
        return "serial"
    if getattr(function, "releases_gil", False) or choose_start_method("auto") != "fork":
        return "threads"
    return "fork"


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
