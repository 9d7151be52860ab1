"""Load the data of a run in a new process, and fork the workers there, because a program with threads cannot fork.

The new process is called the data process. It has one thread and runs a `ForkExecutor`. Program and data process talk
through one pipe, and one of them always waits for the other::

    program                          data process                                  workers
    start, task ───────────────────► load the task
           ◄──────────────── loaded
           ◄─────────────────── job  the supervisor takes a job
    the next job ──────────────────► fork, assign ───────────────────────────────► task(job)
           ◄─────────────── outcome  ◄───────────────────────────────────────────  value, pickled
    use the outcome, the next job ─► ...
           ◄─────────────────── end  all workers have ended

Jobs and values pass through the data process as bytes. Log records can arrive between all messages. `data_run` is the
side of the program.
"""

from __future__ import annotations

import logging
import multiprocessing
import pickle
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any, NamedTuple

from regionplot.errors import ExecutorError, RegionplotError
from regionplot.executors.base import Executor, Task, worker_context
from regionplot.executors.worker import enable_faulthandler, log_like_parent, portable
from regionplot.system.processes import end_with_parent
from regionplot.system.signals import cleanup_before_signals_end


class CannotForkError(ExecutorError):
    """The data process has several threads, so it cannot fork."""


class SentJob(NamedTuple):
    """A job on its way to a worker."""

    number: int
    """Number by which the program recognizes the job."""
    name: str
    """Name of the job in messages."""
    content: bytes
    """The pickled job."""


def data_process_main(connection: Connection, executor: Executor, task: bytes, level: int) -> None:
    """Load a task, run its jobs in forked workers, and send the outcomes to the program.

    Parameters
    ----------
    connection : Connection
        Pipe to the program. Messages are pairs (kind, content). The kinds are `loaded`, `job`, `outcome`, `log`,
        `broken` and `end`.
    executor : Executor
        Forks the workers.
    task : bytes
        The pickled task.
    level : int
        Log level of the program.
    """
    multiprocessing.current_process().daemon = False  # a daemon may not start processes
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the program stops this one
    end_with_parent()
    enable_faulthandler()
    has_left = suppress(BrokenPipeError, EOFError, ConnectionResetError)  # of the program
    with has_left, cleanup_before_signals_end(), _log_sent_to(connection, level) as leave_log:
        _run(connection, executor, task, leave_log)


def _run(connection: Connection, executor: Executor, content: bytes, leave_log: Callable[[], None]) -> None:
    try:
        task = _DataTask(_received(content), connection, leave_log)
        jobs = _Jobs(connection)
        with closing(executor.run(task, jobs)) as outcomes:  # type: ignore[type-var]  # it is a generator
            for outcome in outcomes:
                result = (outcome.job.number, outcome.value, outcome.failure, outcome.seconds, outcome.pid)
                connection.send(("outcome", result))
                jobs.receive()  # wait, because a worker must not change a result that the program still uses
        connection.send(("end", None))
    except RegionplotError as error:
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else None
        connection.send(("broken", (portable(error), cause)))


def _received(content: bytes) -> Task[Any]:
    """Return the task that the program has pickled."""
    try:
        task: Task[Any] = pickle.loads(content)
    except Exception as error:
        message = f"a new process cannot read the task: {type(error).__name__}: {error}"
        raise ExecutorError(f"{message}; define its functions in a module, or use another start method") from error
    return task


class _Jobs:
    """Iterator over the jobs of the program. The program sends a job on request, and after each outcome."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._received: deque[SentJob] = deque()
        self._has_ended = False

    def receive(self) -> None:
        """Wait for the next job, or for the message that there are no more jobs."""
        job: SentJob | None = self._connection.recv()
        if job is None:
            self._has_ended = True
        else:
            self._received.append(job)

    def __iter__(self) -> _Jobs:
        return self

    def __next__(self) -> SentJob:
        if not self._received and not self._has_ended:
            self._connection.send(("job", None))
            self.receive()
        if self._received:
            return self._received.popleft()
        raise StopIteration


class _DataTask:
    """The task of a run, for workers that get pickled jobs and return pickled values."""

    def __init__(self, task: Task[Any], connection: Connection, leave_log: Callable[[], None]) -> None:
        self._task, self._connection, self._leave_log = task, connection, leave_log
        self.also_caught = getattr(task, "also_caught", ())

    def load(self) -> None:
        """Load the data that all workers share, and tell the program.

        Raises
        ------
        CannotForkError
            If this process has several threads.
        """
        start = time.perf_counter()
        _check_threads()  # of the script of the program
        getattr(self._task, "load_for_workers", self._task.load)()
        _check_threads()  # of libraries
        self._connection.send(("loaded", time.perf_counter() - start))

    def start_worker(self) -> None:
        """Separate a worker from the pipe and the log of the data process. Then set up the worker."""
        self._leave_log()
        self._connection.close()
        self._task.start_worker()

    def worker_context(self) -> AbstractContextManager[object]:
        """Return the context of the worker."""
        return worker_context(self._task)

    def __call__(self, job: SentJob) -> bytes:
        """Do one job, and return its pickled value."""
        value = self._task(pickle.loads(job.content))
        try:
            return bytes(ForkingPickler.dumps(value))
        except Exception as error:
            raise TypeError(f"the result cannot be pickled and sent to the parent: {error}") from error


def _check_threads() -> None:
    """Raise CannotForkError if this process has several threads."""
    threads = threading.active_count()
    if threads > 1:
        raise CannotForkError(f"{threads} threads run in the process that loads the data, so it cannot fork")


@contextmanager
def _log_sent_to(connection: Connection, level: int) -> Iterator[Callable[[], None]]:
    """Send log records to the program, which decides where they go. Yield a function that stops this in a worker."""
    handler = _PipeHandler(connection)
    root = logging.getLogger()
    before = root.handlers[:]
    root.handlers[:] = [handler]
    log_like_parent(level)

    def leave() -> None:
        root.handlers[:] = before
        log_like_parent(level)

    try:
        yield leave
    finally:
        root.handlers[:] = before


class _PipeHandler(logging.Handler):
    """Send the logger, level and text of each record."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except Exception:  # the arguments do not fit the text
            self.handleError(record)
            return
        if record.exc_info:
            text = f"{text}\n{logging.Formatter().formatException(record.exc_info)}"
        self._connection.send(("log", (record.name, record.levelno, text)))
