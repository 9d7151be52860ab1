"""Run a worker process from its start to its exit."""

from __future__ import annotations

import faulthandler
import gc
import logging
import os
import signal
import sys
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any

from regionplot.errors import RegionplotError
from regionplot.executors.base import (
    OUT_OF_MEMORY,
    J,
    Outcome,
    Task,
    failure_from_error,
    load_task,
    run_job,
    start_task_worker,
    worker_context,
)
from regionplot.system.guard import leave_guard
from regionplot.system.memory import limit_private_memory, return_free_memory
from regionplot.system.processes import terminate_with_parent, watch_parent
from regionplot.system.signals import release_ending_signals

logger = logging.getLogger(__name__)

_STDERR = 2

STACK_SIGNAL = getattr(signal, "SIGUSR1", None)
"""Signal that makes a worker write its Python stack to stderr; None on Windows."""


@dataclass(frozen=True, slots=True)
class WorkerInit:
    """The parent's instructions for a new worker."""

    parent: int
    """Process id of the parent."""
    is_forked: bool
    """True if the worker inherits the parent's memory and loaded data."""
    log_level: int
    nice: int
    """Scheduling priority to add, as in nice(1)."""
    memory: int | None
    """Memory limit in MB, in addition to the shared data; None is no limit."""


def worker_main(task: Task[J], connection: Connection, inherited: list[Connection], init: WorkerInit) -> None:
    """Load the task, then do jobs until the parent asks the worker to stop, or the parent exits.

    Parameters
    ----------
    task : Task
        The work to do.
    connection : Connection
        Pipe to the parent. The parent sends jobs, then None. The worker sends pairs (kind, content): `ready` once, then
        `started` and `done` for each job. If the load fails, the worker sends `broken` and the error.
    inherited : list of Connection
        The parent's pipes, which a forked worker must close.
    init : WorkerInit
        Settings of the process.
    """
    _initialize_process(inherited, init)
    log_like_parent(init.log_level)
    try:
        start_task_worker(task)
        if not init.is_forked:
            load_task(task)
            gc.freeze()  # a task may collect garbage after each job, and a collection of all modules takes long
            return_free_memory()  # what the imports and the load have freed
    except RegionplotError as error:
        connection.send(("broken", portable(error)))
        return
    limit = init.memory if init.memory is not None and limit_private_memory(init.memory) else None
    connection.send(("ready", None))
    try:
        with worker_context(task):
            while (job := connection.recv()) is not None:
                connection.send(("started", None))
                _send_outcome(connection, _with_limit(_outcome_of(task, job), limit))
    except (EOFError, OSError):
        logger.debug("the parent of worker %d has exited", os.getpid())


def _outcome_of(task: Task[J], job: J) -> Outcome[J]:
    """Do one job. All exceptions become failures, because no signal raises an exception in a worker."""
    try:
        return run_job(task, job)
    except BaseException as error:
        return Outcome(job, failure=failure_from_error(error), pid=os.getpid())


def _send_outcome(connection: Connection, outcome: Outcome[Any]) -> None:
    """Send an outcome to the parent. A value that does not pickle becomes a failure."""
    try:
        message = ForkingPickler.dumps(("done", (outcome.value, outcome.failure, outcome.seconds)))
    except Exception as error:
        failure = failure_from_error(TypeError(f"the result cannot be pickled and sent to the parent: {error}"))
        message = ForkingPickler.dumps(("done", (None, failure, outcome.seconds)))
    connection.send_bytes(message)


def portable(error: RegionplotError) -> RegionplotError:
    """Return an error that can be sent to another process. It has no `__cause__`, which may not pickle."""
    return type(error)(*error.args)


def _with_limit(outcome: Outcome[J], limit: int | None) -> Outcome[J]:
    """Add the memory limit, in MB, to the failure of a job that ran out of memory."""
    failure = outcome.failure
    if failure is None or failure.cause != OUT_OF_MEMORY or limit is None:
        return outcome
    message = f"{failure.message}; a worker may use {limit} MB in addition to the shared data"
    return replace(outcome, failure=replace(failure, message=message, memory=limit))


def _initialize_process(inherited: list[Connection], init: WorkerInit) -> None:
    """Set up signals, crash reports and priority of a new worker. Make the worker exit when the parent dies."""
    if init.is_forked:
        leave_guard()  # signals of this worker do not concern the parent
    for connection in inherited:
        connection.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent stops the workers
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup ignores it
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    release_ending_signals()
    enable_faulthandler()
    if hasattr(os, "nice"):
        os.nice(init.nice)
    if init.is_forked:
        terminate_with_parent(init.parent)
    else:
        watch_parent()


def enable_faulthandler() -> None:
    """Write the Python stack to stderr after a crash, and when the parent requests the stack of a late worker."""
    if sys.__stderr__ is None:  # stderr was closed at startup, so descriptor 2 can be any other file now
        return
    if not faulthandler.is_enabled():
        faulthandler.enable(file=_STDERR)
    if STACK_SIGNAL is not None:
        faulthandler.register(STACK_SIGNAL, file=_STDERR)


def log_like_parent(level: int) -> None:
    """Log to stderr at the parent's level. A worker that was not forked has no log handlers."""
    logging.basicConfig(format="%(levelname)s: %(message)s", stream=sys.stderr)  # no effect if handlers exist
    logging.getLogger("regionplot").setLevel(level)
    if level > logging.INFO:
        logging.getLogger().setLevel(logging.CRITICAL)  # warnings and errors of libraries become errors of maps
