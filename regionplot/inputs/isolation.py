"""Read a file in a child process, so that a bad file cannot block or crash this process.

A C library that reads a damaged or hostile file can run forever, crash, or get SIGBUS because the file is truncated
while it is mapped. Python cannot interrupt the library in its own process. A child process can be killed at the
timeout, at the deadline or on a signal. The child returns its arrays through memory that both processes share.

The child is forked, so a read starts within milliseconds. A program with several threads cannot fork safely. In such a
program, and on systems other than Linux, the file is read in this process.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import multiprocessing
import os
import signal
import sys
import threading
import traceback
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from regionplot import errors
from regionplot.errors import InputError, RegionplotError
from regionplot.system.machine import available_memory
from regionplot.system.memory import limit_private_memory
from regionplot.system.processes import terminate_with_parent

logger = logging.getLogger(__name__)
Arrays = Mapping[str, NDArray[Any]]
_time_limit: ContextVar[float] = ContextVar("time_limit", default=300.0)
"""Time limit for reading a file, in seconds."""
_USABLE_MEMORY = 0.9
"""Fraction of the available memory that a child may use."""
_MEGABYTE = 2**20
_LENGTH_BYTES = 8


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Set the time limit for files that are read in child processes, which are started within the context."""
    token = _time_limit.set(seconds)
    try:
        yield
    finally:
        _time_limit.reset(token)


def start_reading(read: Callable[[], Arrays], path: Path, error: type[InputError]) -> Callable[[], Arrays]:
    """Start to read a file in a child process, and return a function that waits for the result.

    The child may use most of the available memory. `time_limit` sets its time limit, which is 300 s by default.

    Parameters
    ----------
    read : callable
        Reads the file and returns arrays. It is called in the child process, or, if this process cannot fork safely,
        in this process when the result is needed. It keeps no files open.
    path : Path
        The file, for messages.
    error : type
        Class of the error if the child crashes or does not end.

    Returns
    -------
    callable
        Returns the arrays. It raises the RegionplotError that `read` raises, or an error of the class `error` if the
        child crashes or exceeds the time limit.
    """
    return _Child(read, path, error).result if can_fork() else read


def can_fork() -> bool:
    """Return True if this process can fork safely: on Linux, with one thread, and if it may have children."""
    is_daemon = multiprocessing.current_process().daemon  # daemonic processes may not have children
    return hasattr(os, "fork") and sys.platform == "linux" and threading.active_count() == 1 and not is_daemon


class _Child:
    """A child process that reads a file."""

    def __init__(self, read: Callable[[], Arrays], path: Path, error: type[InputError]) -> None:
        self._path, self._error, self._timeout = path, error, _time_limit.get()
        self._file = os.fdopen(os.memfd_create("regionplot"), "w+b")
        context = multiprocessing.get_context("fork")
        self._process = context.Process(target=_run, args=(read, self._file, os.getpid()), daemon=True)
        self._process.start()
        self._close = weakref.finalize(self, _close, self._process, self._file, os.getpid())

    def result(self) -> Arrays:
        """Wait for the child and return its arrays."""
        try:
            self._process.join(self._timeout)
            code = self._process.exitcode
            if code is None:
                raise self._error(
                    f"{self._path}: the file was not read within {self._timeout:g} s ([run] timeout); it may be damaged"
                )
            if code < 0:
                name = signal.Signals(-code).name
                raise self._error(
                    f"{self._path}: the process that read the file was killed by {name}; the file is damaged or was "
                    f"changed during reading, or the memory is full"
                )
            return _received(self._file, self._path, self._error)
        finally:
            self._close()


def _close(process: BaseProcess, file: IO[bytes], owner: int) -> None:
    """Kill the child. A forked process that inherited this object does nothing."""
    if os.getpid() != owner:
        return
    with suppress(ValueError, OSError):
        process.kill()
        process.join()
        process.close()
    file.close()


def _run(read: Callable[[], Arrays], file: IO[bytes], parent: int) -> None:
    """Read, and write the result and the log records to the shared memory. Called in the child."""
    terminate_with_parent(parent)
    _reset_signals()
    limit_private_memory(int(available_memory() * _USABLE_MEMORY) // _MEGABYTE)
    faulthandler.disable()
    arrays: Arrays = {}
    failure: dict[str, Any] = {}
    with _RecordedLog() as log:
        try:
            arrays = read()
        except RegionplotError as error:
            failure = {"class": type(error).__name__, "problems": [str(problem) for problem in error.problems]}
        except MemoryError:
            failure = {"memory": True}
        except BaseException:
            failure = {"traceback": traceback.format_exc()}
    _send(file, {"failure": failure, "log": log.records, "names": list(arrays)}, arrays)


def _reset_signals() -> None:
    """Let signals end the child. Ignore Ctrl-C: Ctrl-C also reaches the parent, and the parent kills the child."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("SIGTERM", "SIGHUP", "SIGALRM"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)


class _RecordedLog(logging.Handler):
    """Context manager that collects the log records of the child, so that the parent can log them."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[tuple[str, int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append((record.name, record.levelno, record.getMessage()))

    def __enter__(self) -> _RecordedLog:
        for name in (None, *logging.root.manager.loggerDict):
            logging.getLogger(name).handlers[:] = []
        logging.getLogger().addHandler(self)
        warnings.simplefilter("default")
        logging.captureWarnings(capture=True)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self)


def _send(file: IO[bytes], header: Mapping[str, Any], arrays: Arrays) -> None:
    text = json.dumps(header).encode()
    file.write(len(text).to_bytes(_LENGTH_BYTES, "little") + text)
    for array in arrays.values():
        np.lib.format.write_array(file, array, allow_pickle=False)
    file.flush()


def _received(file: IO[bytes], path: Path, error: type[InputError]) -> Arrays:
    """Return the arrays that the child has written. Log its records, and raise its error."""
    file.seek(0)
    header = json.loads(file.read(int.from_bytes(file.read(_LENGTH_BYTES), "little")) or b"{}")
    for name, level, message in header.get("log", ()):
        child_logger = logging.getLogger(name)
        if child_logger.isEnabledFor(level):
            child_logger.handle(child_logger.makeRecord(name, level, str(path), 0, message, (), None))
    failure = header.get("failure", {"memory": True})
    if "class" in failure:
        raise getattr(errors, failure["class"], error)(*failure["problems"])
    if "memory" in failure:
        raise error(f"{path}: there is not enough memory to read the file; free some memory")
    if "traceback" in failure:
        raise RuntimeError(failure["traceback"])
    return {name: np.lib.format.read_array(file, allow_pickle=False) for name in header["names"]}
