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
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any, TypeVar

from regionplot.errors import RegionplotError
from regionplot.executors.base import Task, attempt, failure_of, prepare
from regionplot.models import Outcome

logger = logging.getLogger(__name__)

J = TypeVar("J")

_PR_SET_PDEATHSIG = 1
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGE = 2**20
"""Bytes; larger blocks come from the system and go back to it."""


def work(task: Task[J], connection: Connection, inherited: list[Connection], parent: int, log_level: int) -> None:
    """The life of a worker: prepare, then job after job until it is told to go or its parent is gone."""
    _settle(inherited, parent)
    _log_like_parent(log_level)
    try:
        prepare(task)
    except RegionplotError as error:
        connection.send(("broken", error))
        return
    connection.send(("ready", None))
    try:
        while (job := connection.recv()) is not None:
            connection.send(("started", None))
            outcome = attempt(task, job)
            _send_outcome(connection, outcome)
    except (EOFError, OSError):
        logger.debug("the parent of worker %d is gone", os.getpid())


def _send_outcome(connection: Connection, outcome: Outcome[Any]) -> None:
    try:
        message = ForkingPickler.dumps(("done", (outcome.value, outcome.failure, outcome.seconds)))
    except Exception as error:
        failure = failure_of(TypeError(f"the result cannot be sent to the parent: {error}"))
        message = ForkingPickler.dumps(("done", (None, failure, outcome.seconds)))
    connection.send_bytes(message)


def _settle(inherited: list[Connection], parent: int) -> None:
    """What a fresh worker does about signals, its parent and what it inherited."""
    for connection in inherited:
        connection.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as under nohup
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if sys.stderr is not None and not faulthandler.is_enabled():
        faulthandler.enable()
    _give_memory_back()
    _die_with(parent, forked=bool(inherited))


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


def _die_with(parent: int, *, forked: bool) -> None:
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
