"""Run a worker process from its start to its exit."""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any, TypeVar

from regionplot.errors import RegionplotError
from regionplot.executors.base import OUT_OF_MEMORY, Outcome, Task, WorkerSettings, failure_of, prepare, run_job
from regionplot.system.machine import data_size
from regionplot.system.memory import return_large_blocks
from regionplot.system.processes import terminate_with_parent

logger = logging.getLogger(__name__)


J = TypeVar("J")


_MEGABYTE = 2**20


_STDERR = 2


STACK_SIGNAL = getattr(signal, "SIGUSR1", None)
"""What has a worker write its Python stack to stderr."""


@dataclass(frozen=True, slots=True)
class WorkerInit:
    """What a worker is told when it is hired."""

    parent: int
    """Process id of the parent."""
    log_level: int
    settings: WorkerSettings


def worker_main(task: Task[J], connection: Connection, inherited: list[Connection], terms: WorkerInit) -> None:
    """The life of a worker: prepare, then job after job until it is told to go or its parent is gone."""
    initialize_process(inherited, terms)
    _log_like_parent(terms.log_level)
    try:
        prepare(task)
    except RegionplotError as error:
        connection.send(("broken", type(error)(*error.args)))  # without its cause, which may not pickle
        return
    limit = _limit_memory(terms.settings.memory)
    connection.send(("ready", None))
    try:
        while (job := connection.recv()) is not None:
            connection.send(("started", None))
            _send_outcome(connection, _with_hint(run_job(task, job), limit))
    except (EOFError, OSError):
        logger.debug("the parent of worker %d is gone", os.getpid())


def _send_outcome(connection: Connection, outcome: Outcome[Any]) -> None:
    try:
        message = ForkingPickler.dumps(("done", (outcome.value, outcome.failure, outcome.seconds)))
    except Exception as error:
        failure = failure_of(TypeError(f"the result cannot be sent to the parent: {error}"))
        message = ForkingPickler.dumps(("done", (None, failure, outcome.seconds)))
    connection.send_bytes(message)


def _with_hint(outcome: Outcome[J], limit: int | None) -> Outcome[J]:
    """Say what to do about a worker that ran out of memory."""
    failure = outcome.failure
    if failure is None or failure.cause != OUT_OF_MEMORY:
        return outcome
    hint = "let fewer work at once ([run] workers)"
    if limit is not None:
        hint = f"a worker may take {limit} MB beside the shared data; [run] worker_memory can give it more"
    return replace(outcome, failure=replace(failure, message=f"{failure.message}; {hint}"))


def initialize_process(inherited: list[Connection], terms: WorkerInit) -> None:
    """What a fresh worker does about signals, its parent and what it inherited."""
    for connection in inherited:
        connection.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    enable_faulthandler()
    return_large_blocks()
    if hasattr(os, "nice"):
        os.nice(terms.settings.nice)
    terminate_with_parent(terms.parent, forked=bool(inherited))


def enable_faulthandler() -> None:
    """Write the Python stack to stderr on a crash, and when the parent asks for it, before it ends who is late."""
    if sys.__stderr__ is None:  # it was closed when we were started, and 2 may be any file by now
        return
    if not faulthandler.is_enabled():
        faulthandler.enable(file=_STDERR)
    if STACK_SIGNAL is not None:
        faulthandler.register(STACK_SIGNAL, file=_STDERR)


def _limit_memory(megabytes: int | None) -> int | None:
    """Bound what this process may take beyond what it holds now; the limit, if there is one.

    On Linux RLIMIT_DATA bounds what VmData shows, the private writable mappings: what malloc and NumPy take, but no
    shared memory and no file mapped for reading (getrlimit(2), since 4.7). Inherited pages are in both.
    """
    held = data_size()
    if megabytes is None or held is None:
        return None
    import resource  # noqa: PLC0415 (not on every platform)

    wanted = held + megabytes * _MEGABYTE
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    return megabytes


def _log_like_parent(level: int) -> None:
    """Log to stderr what the parent would; a process that was not forked knows nothing of the parent's logging."""
    logging.basicConfig(format="%(levelname)s: %(message)s", stream=sys.stderr)  # does nothing where handlers are
    logging.getLogger("regionplot").setLevel(level)
