"""Run a function in a guarded process. If the process does not end after a signal, a guard process kills it.

Python runs signal handlers only between two steps of Python code, not while the process is inside a C library. A C
library may read a dead network drive or compute forever. Therefore, a second process is the guard::

    guard ── fork ─► guarded process
      ▲  signals ──────────►│ handler: raises an exception, cleans up, exits
      └── pipe ─────────────┘ wakeup descriptor: Python's C code writes the number of each signal at once

The guard forwards the signals that it receives. If the guarded process still runs `stop_timeout` seconds after the
first ending signal, the guard kills it. If the process is not yet ready for signals, the guard kills the process at
once. The guard also reads the exit status of the process, for example after a crash.
"""

from __future__ import annotations

import mmap
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from regionplot.system.processes import terminate_with_parent
from regionplot.system.signals import ENDING_SIGNALS, ending_signals_held, release_ending_signals

STOP_TIMEOUT = 4.0
"""Seconds from the first ending signal until the guard kills the guarded process."""
_READY = 127
"""A byte of this value means that the process handles signals."""
_NOT_ENDING = 128
"""A byte of this value plus the number of a signal means that the signal does not end the process."""
_ACTIVITY = 128
"""Start of the text about the current activity in the shared memory. The bytes before this position are counters, one
per signal.
"""
_POLL_SECONDS = 0.05
"""Seconds between two checks of the process if the system has no process descriptors (Linux before 5.3)."""


class Ending(NamedTuple):
    """How a guarded process ended."""

    code: int
    """Exit code, or the negative number of the signal that killed the process."""
    signal: int | None
    """First ending signal that the process or its guard received. SIGALRM is the deadline."""
    is_killed: bool
    """True if the guard killed the process because it did not end in time, or was not ready for the signal."""
    is_ready: bool
    """True if the process has called `handle_signals`."""
    activity: str
    """File that the process was reading at its end, or empty."""


class _Link:
    """A pipe and a page of memory that the guard and the guarded process share."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        os.set_blocking(self.writer, False)
        self.memory = mmap.mmap(-1, mmap.PAGESIZE)
        self.seen = bytes(_ACTIVITY)
        """Counters of forwarded signals that the guarded process has handled."""

    def close(self) -> None:
        os.close(self.reader)
        os.close(self.writer)
        self.memory.close()

    def send(self, byte: int) -> None:
        with suppress(OSError):  # the pipe is full of earlier signals
            os.write(self.writer, bytes([byte]))


_link: _Link | None = None
"""Connection of this process to its guard. It is global because signals belong to the process."""


def can_guard() -> bool:
    """Return True if this platform can guard a process.

    The guarded process must die with its guard. This works only on Linux.
    """
    return sys.platform == "linux"


class GuardedProcess:
    """A forked process that runs a function and exits with the returned code.

    Parameters
    ----------
    work : callable
        Called in the forked process, in which ending signals are blocked (see `system.signals`). Returns the exit code.
    stop_timeout : float
        Seconds from the first ending signal until the process is killed.

    Raises
    ------
    OSError
        If no process or pipe can be created.
    """

    def __init__(self, work: Callable[[], int], stop_timeout: float = STOP_TIMEOUT) -> None:
        self._stop_timeout = stop_timeout
        self._ending_signals = {*ENDING_SIGNALS, signal.SIGALRM}
        self._signal: int | None = None
        self._kill_time = float("inf")
        self._code: int | None = None
        self._is_killed = self._is_ready = False
        self._link = _Link()
        self._pid = 0
        guard = os.getpid()
        try:
            with ending_signals_held():
                self._pid = os.fork()
                if not self._pid:
                    _run_child(self._link, guard, work)
        except BaseException:
            self._abandon()
            raise

    def _abandon(self) -> None:
        """Kill the process if it was started.

        This method is called if a signal handler of the guard raises an exception.
        """
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        self._link.close()

    def forward(self, number: int) -> None:
        """Send the process a signal that the guard received. This can be called in a signal handler."""
        counters = self._link.memory
        counters[number] = (counters[number] + 1) % 256
        self.send(number)

    def send(self, number: int) -> None:
        """Send the process a signal."""
        if self._code is None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, number)
            self._link.send(number)

    def wait(self) -> Ending:
        """Wait until the process has ended. Kill it if it does not end in time after an ending signal."""
        poller, descriptor = select.poll(), self._open_process()
        for each in (self._link.reader, *descriptor):
            poller.register(each, select.POLLIN)
        try:
            while not self._has_ended():
                poller.poll(self._wait_milliseconds(is_woken=bool(descriptor)))
                self._read_link()
                self._kill_if_late()
        finally:
            for each in descriptor:
                os.close(each)
        return self._finish()

    def _open_process(self) -> list[int]:
        """Return one descriptor that is readable when the process ends. Return no descriptor if the system has none."""
        try:
            return [os.pidfd_open(self._pid)]
        except (OSError, AttributeError):
            return []

    def _has_ended(self) -> bool:
        if self._code is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code is not None

    def _wait_milliseconds(self, *, is_woken: bool) -> float | None:
        seconds = self._kill_time - time.monotonic()
        seconds = seconds if is_woken else min(seconds, _POLL_SECONDS)
        return None if seconds == float("inf") else max(0.0, seconds * 1000)

    def _read_link(self) -> None:
        """Read the signals that have arrived. The first ending signal starts the time limit."""
        with suppress(BlockingIOError):
            for byte in os.read(self._link.reader, 4096):
                if byte == _READY:
                    self._is_ready = True
                elif byte > _NOT_ENDING:
                    self._ending_signals.discard(signal.Signals(byte - _NOT_ENDING))
                elif self._signal is None and byte in self._ending_signals:
                    self._signal = byte
                    self._kill_time = time.monotonic() + self._stop_timeout * self._is_ready

    def _kill_if_late(self) -> None:
        if time.monotonic() >= self._kill_time and not self._has_ended():
            self._is_killed = True
            os.kill(self._pid, signal.SIGKILL)
            self._kill_time = float("inf")

    def _finish(self) -> Ending:
        assert self._code is not None, "the process has ended"
        text = self._link.memory[_ACTIVITY:].partition(b"\0")[0].decode(errors="replace")
        self._read_link()
        self._link.close()
        return Ending(self._code, self._signal, self._is_killed and self._code < 0, self._is_ready, text)


def _run_child(link: _Link, guard: int, work: Callable[[], int]) -> None:
    """Run the work in the forked process, and exit."""
    global _link  # noqa: PLW0603 (signals belong to the process)
    code = 1
    try:
        terminate_with_parent(guard)
        _link = link
        os.close(link.reader)
        signal.set_wakeup_fd(link.writer, warn_on_full_buffer=False)
        code = work()
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def leave_guard() -> None:
    """Disconnect a process from the guard, if it was forked from the guarded process. Workers call this function."""
    global _link  # noqa: PLW0603
    _link = None
    signal.set_wakeup_fd(-1)


def was_forwarded(number: int) -> bool:
    """Return True if the guard has forwarded this signal since the last call for this signal."""
    if _link is None or _link.memory[number] == _link.seen[number]:
        return False
    _link.seen = _link.memory[:_ACTIVITY]
    return True


def handle_signals() -> None:
    """Release the ending signals. Tell the guard that this process handles them from now on."""
    if _link is not None:
        _link.send(_READY)
    release_ending_signals()


def continue_after(number: int) -> None:
    """Tell the guard that a signal does not end this process."""
    if _link is not None:
        _link.send(_NOT_ENDING + number)


@contextmanager
def reading(path: object) -> Iterator[None]:
    """Tell the guard which file is being read, so that a message about a crash can name the file."""
    if _link is None:
        yield
        return
    memory = _link.memory
    before = memory[_ACTIVITY:]
    text = str(path).encode(errors="surrogateescape")[: len(before) - 1]
    memory[_ACTIVITY:] = text.ljust(len(before), b"\0")
    try:
        yield
    finally:
        memory[_ACTIVITY:] = before
