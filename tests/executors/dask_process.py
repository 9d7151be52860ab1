"""One process for the tests of dask. It imports `distributed` once, and the workers of its clusters are forks.

A process of its own is needed, because dask leaves threads, which would prevent fork in the process of the tests.
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

_running: list[tuple[BaseProcess, Connection]] = []


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in the process, and return its result or raise its error. Start the process if necessary."""
    if not _running:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs,))
        process.start()
        theirs.close()
        _running.append((process, ours))
    connection = _running[0][1]
    try:
        connection.send((function, arguments))
        result, error = connection.recv()
    except BaseException:  # the time limit of a test, for example
        end()
        raise
    if error is not None:
        raise error
    return result


def end() -> None:
    """End the process."""
    while _running:
        process, connection = _running.pop()
        connection.close()
        process.join(5)
        process.kill()
        process.join()
        process.close()


def run_script(text: str, *arguments: object) -> str:
    """Run a script in the process, and return what it prints."""
    return str(call(_run_script, text, [str(argument) for argument in arguments]))


def _run_script(text: str, arguments: list[str]) -> str:
    sys.argv = ["-c", *arguments]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(text, "<script>", "exec"), {"__name__": "__main__"})
    return printed.getvalue()


def _serve(connection: Connection) -> None:
    """Call functions until the tests close their end."""
    import dask

    multiprocessing.set_forkserver_preload(["distributed", "executor_tasks", "regionplot.executors.dask"])
    dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"})
    with contextlib.suppress(EOFError):
        while True:
            function, arguments = connection.recv()
            try:
                answer = function(*arguments), None
            except Exception as error:
                answer = None, error
            connection.send(answer)
