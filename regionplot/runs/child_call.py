"""Call a function in a child process, so that the threads that it starts end with the child."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from regionplot.errors import OutputError, RegionplotError
from regionplot.system.processes import terminate_with_parent

T = TypeVar("T")


def call_in_child(function: Callable[[], T], name: str) -> T:
    """Call a function in a forked process, and return its result. This process must have only one thread.

    Parameters
    ----------
    function : callable
        Its result can be pickled.
    name : str
        What the child does, for the message if it dies.

    Raises
    ------
    RegionplotError
        The error of the function. An OSError becomes an OutputError.
    OutputError
        If the child dies.
    """
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(function, theirs, os.getpid()))
    process.start()
    theirs.close()
    try:
        result, error = ours.recv()
    except EOFError:
        process.join()
        raise OutputError(f"{name}: the process died with exit code {process.exitcode}") from None
    finally:
        process.kill()
        process.join()
        ours.close()
    if error is not None:
        raise error
    return result  # type: ignore[no-any-return]  # a connection returns any object


def _run(function: Callable[[], Any], connection: Connection, parent: int) -> None:
    terminate_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent ends this one
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        connection.send((function(), None))
    except RegionplotError as error:
        connection.send((None, error))
    except OSError as error:
        connection.send((None, OutputError(str(error))))
