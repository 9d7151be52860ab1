"""The life of a worker process, from the fork to its end."""

from __future__ import annotations

import ctypes
import faulthandler
import logging
import multiprocessing
import os
import signal
import sys
import threading
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any, TypeVar

from regionplot.errors import RegionplotError
from regionplot.executors.base import OUT_OF_MEMORY, Task, WorkerSettings, attempt, failure_of, prepare
from regionplot.machine import data_size
from regionplot.models import Outcome

logger = logging.getLogger(__name__)

J = TypeVar("J")

_PR_SET_PDEATHSIG = 1
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MEGABYTE = 2**20
_STDERR = 2
STACK_SIGNAL = getattr(signal, "SIGUSR1", None)
"""What has a worker write its Python stack to stderr."""
_LARGE = 2**20
"""Bytes; larger blocks come from the system and go back to it."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a worker is told when it is hired."""

    parent: int
    """Process id of the parent."""
    log_level: int
    settings: WorkerSettings


def work(task: Task[J], connection: Connection, inherited: list[Connection], terms: Terms) -> None:
    """The life of a worker: prepare, then job after job until it is told to go or its parent is gone."""
    _settle(inherited, terms)
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
            _send_outcome(connection, _with_hint(attempt(task, job), limit))
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


def _settle(inherited: list[Connection], terms: Terms) -> None:
    """What a fresh worker does about signals, its parent and what it inherited."""
    for connection in inherited:
        connection.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    _tell_where_it_stands()
    _give_memory_back()
    if hasattr(os, "nice"):
        os.nice(terms.settings.nice)
    die_with(terms.parent, forked=bool(inherited))


def _tell_where_it_stands() -> None:
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


def _give_memory_back() -> None:
    """Have large arrays returned to the system as soon as they are freed (glibc; mallopt(3)).

    By itself, malloc keeps ever larger blocks for reuse, and each worker would hold some tens of megabytes of them. The
    page faults this costs are a few hundredths of a map's time.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        for parameter in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD):
            libc.mallopt(parameter, _LARGE)


def die_with(parent: int, *, forked: bool) -> None:
    """Have this process end when its parent dies, however it dies.

    On Linux the kernel does that (prctl(2)), but it minds the process that forked this one. Under forkserver that is
    the server, which lives as long as its workers do; so a process that was not forked by its parent watches it too.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if not forked:
        threading.Thread(target=_watch_parent, daemon=True).start()
    elif os.getppid() != parent:  # it died before prctl took effect
        os._exit(1)


def _watch_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
