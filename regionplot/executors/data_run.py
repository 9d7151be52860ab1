"""Run jobs in the workers of a data process: the side of the program. See `data_process`.

If the data process dies, a new one is started, which does the jobs that have no outcome yet.
"""

from __future__ import annotations

import itertools
import logging
import multiprocessing
import pickle
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, Generic

from regionplot.errors import ExecutorError
from regionplot.executors.base import Failure, J, Outcome, failure_from_error
from regionplot.executors.data_process import SentJob, data_process_main
from regionplot.executors.jobs import failure_from_code, join_or_kill, log_level, start_error, start_process
from regionplot.executors.main_guard import MESSAGE, MISSING_GUARD
from regionplot.executors.processes import ForkExecutor
from regionplot.executors.supervisor import ProcessSettings

logger = logging.getLogger(__name__)

_NAME = "the process that loads the data"
_MAX_DEATHS = 2
"""Number of data processes that may die one after the other without an outcome."""
_MEMORY = "free some memory, or use fewer workers"
_CURES = {"died": "see its error messages above"}
"""What to do if data processes die again and again, by cause. Default: `_MEMORY`."""
_STOP_SECONDS = 0.5
"""Seconds that a data process may take to stop, in addition to the time that its workers may take."""


class _DiedError(Exception):
    """The data process died. The argument is a Failure that says why."""


@dataclass
class DataRun(Generic[J]):
    """One run: the jobs that were sent, and the data processes."""

    executor: ForkExecutor
    """Forks the workers in the data process."""
    task: bytes
    """The pickled task."""
    jobs: Iterator[J]
    load_seconds: float = 0.0
    """Time that the data processes took to load the data."""
    _sent: dict[int, J] = field(default_factory=dict)
    """Jobs that were sent to the data process and have no outcome yet, by number."""
    _unfinished: deque[J] = field(default_factory=deque)
    """Jobs of a data process that died."""
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _deaths: int = 0
    """Number of consecutive data processes that died without an outcome."""

    def outcomes(self) -> Iterator[Outcome[J]]:
        """Run all jobs and yield their outcomes as they arrive.

        Raises
        ------
        RegionplotError
            If the data cannot be loaded, or the workers or the data processes die again and again.
        CannotForkError
            If the data process cannot fork.
        """
        while True:
            with self._started() as process:
                try:
                    yield from self._outcomes_of(process)
                    return
                except _DiedError as error:
                    self._handle_death(*error.args)

    @property
    def waiting(self) -> Iterator[J]:
        """The jobs that no data process has, in order."""
        return itertools.chain(self._unfinished, self.jobs)

    def _outcomes_of(self, process: _DataProcess) -> Iterator[Outcome[J]]:
        while True:
            kind, content = process.receive()
            if kind == "job":
                process.send(self._next_job())
            elif kind == "outcome":
                yield self._outcome_of(*content)
                process.send(self._next_job())
            elif kind == "loaded":
                process.deadline = float("inf")
                self.load_seconds += content
            elif kind == "log":
                _log(*content)
            elif kind == "broken":
                error, cause = content
                raise error from cause
            else:
                process.has_ended = True
                return

    def _next_job(self) -> SentJob | None:
        """Return the next job for the data process, or None if no job is left."""
        try:
            job = self._unfinished.popleft() if self._unfinished else next(self.jobs)
        except StopIteration:
            return None
        number = next(self._numbers)
        self._sent[number] = job
        return SentJob(number, str(getattr(job, "name", job)), pickle.dumps(job))

    def _outcome_of(self, number: int, value: bytes | None, failure: Failure | None, seconds: float, pid: int) -> Any:
        """Return the outcome of a job. If its value cannot be unpickled, only this job fails."""
        self._deaths = 0
        found = None
        if value is not None:
            try:
                found = pickle.loads(value)
            except Exception as error:
                failure = failure_from_error(TypeError(f"the worker's result cannot be unpickled: {error}"))
        return Outcome(self._sent.pop(number), found, failure, seconds, pid)

    def _handle_death(self, failure: Failure) -> None:
        """Take back the unfinished jobs, for the next data process.

        Raises
        ------
        ExecutorError
            If too many data processes died one after the other.
        """
        self._deaths += 1
        if self._deaths >= _MAX_DEATHS:
            raise ExecutorError(f"{failure.message}, two times in a row; {_CURES.get(failure.cause, _MEMORY)}")
        logger.warning("%s; a new process loads the data and does the unfinished jobs", failure.message)
        self._unfinished.extendleft(reversed(self._sent.values()))
        self._sent.clear()

    @contextmanager
    def _started(self) -> Iterator[_DataProcess]:
        process = _DataProcess.start(self.executor, self.task)
        try:
            yield process
        finally:
            process.stop()


@dataclass
class _DataProcess:
    """A data process, and the program's end of its pipe."""

    process: Any
    connection: Connection
    settings: ProcessSettings
    deadline: float
    """Monotonic time until which the process must have loaded the data. Then infinite."""
    has_ended: bool = False
    """True if the process has stopped its workers and is about to exit."""

    @classmethod
    def start(cls, executor: ForkExecutor, task: bytes) -> _DataProcess:
        """Start a data process.

        Raises
        ------
        ExecutorError
            If the system cannot start a process.
        """
        context = multiprocessing.get_context("forkserver")
        ours, theirs = context.Pipe()
        # at the exit of the program, multiprocessing ends daemons
        arguments = (theirs, executor, task, log_level())
        process = context.Process(target=data_process_main, args=arguments, daemon=True)
        try:
            start_process(process, "forkserver")
        except BaseException as error:
            ours.close()
            if process.pid is not None:  # a signal arrived just after the start
                process.kill()
                process.join()
            if isinstance(error, OSError):
                raise start_error("process for the data", error) from error
            if isinstance(error, EOFError):
                raise ExecutorError(
                    "no process for the data can be started: the server of new processes died"
                ) from error
            raise
        finally:
            theirs.close()
        return cls(process, ours, executor.settings, time.monotonic() + executor.settings.load_limit)

    @property
    def is_loading(self) -> bool:
        """True if the process has not loaded the data. Then it has no workers."""
        return self.deadline != float("inf")

    def send(self, message: SentJob | None) -> None:
        """Send a message. Raise _DiedError if the process has died."""
        try:
            self.connection.send(message)
        except OSError:
            raise self._died() from None

    def receive(self) -> tuple[str, Any]:
        """Wait for the next message.

        Raises
        ------
        _DiedError
            If the process has died, or has not loaded the data in time.
        ExecutorError
            If the process imports a script without a main guard.
        """
        timeout = max(0.0, self.deadline - time.monotonic()) if self.is_loading else None
        ready = wait([self.connection, self.process.sentinel], timeout)
        try:
            if self.connection in ready or self.connection.poll():
                message: tuple[str, Any] = self.connection.recv()
                return message
        except (EOFError, OSError):
            pass
        if ready:
            raise self._died()
        self.process.kill()
        limit = self.settings.load_limit
        raise _DiedError(Failure("timeout", f"{_NAME} took longer than {limit:g} s and was stopped"))

    def _died(self) -> Exception:
        join_or_kill(self.process, _STOP_SECONDS)
        code = self.process.exitcode
        if code == MISSING_GUARD:
            return ExecutorError(MESSAGE)
        return _DiedError(failure_from_code(code, _NAME))

    def stop(self) -> None:
        """Stop the process and its workers, and wait for them. The kernel kills the workers of a killed process."""
        try:
            if not self.has_ended:
                self.process.terminate()
            self.process.join(_STOP_SECONDS + (0.0 if self.is_loading else self.settings.terminate_timeout))
        finally:
            if self.process.is_alive():
                self.process.kill()
                self.process.join()
            self.connection.close()
            self.process.close()


def _log(name: str, level: int, text: str) -> None:
    """Log a record of the data process here."""
    local = logging.getLogger(name)
    if local.isEnabledFor(level):
        local.handle(local.makeRecord(name, level, "", 0, text, (), None))
