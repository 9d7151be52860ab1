"""Block the signals that end a run while a process is forked, and clean up before a signal ends the program."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

ENDING_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that end a run."""


@contextmanager
def ending_signals_held() -> Iterator[None]:
    """Deliver `ENDING_SIGNALS` to this thread only after the context exits.

    A new process inherits this signal mask and the handlers of its parent. A handler of the parent must not run in a
    worker, because nothing would catch its exceptions. The worker calls `release_ending_signals` after it has set its
    own handlers. Without POSIX signals, this has no effect.
    """
    with _held(ENDING_SIGNALS):
        yield


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Deliver `ENDING_SIGNALS` and the alarm of the deadline to this thread only after the context exits.

    An interrupt during an import can become any error. A thread that is started in this context never gets these
    signals, so they wait for the thread that has left the context. Without POSIX signals, this has no effect.
    """
    with _held((*ENDING_SIGNALS, getattr(signal, "SIGALRM", signal.SIGINT))):
        yield


@contextmanager
def _held(signals: Iterable[int]) -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def release_ending_signals() -> None:
    """Deliver the signals that were blocked in this process, and all later signals."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING_SIGNALS)


class _Stopped(KeyboardInterrupt):
    """A signal ends the program after the cleanup."""


@contextmanager
def cleanup_before_signals_end() -> Iterator[None]:
    """Let context managers clean up before SIGTERM or SIGHUP ends the program.

    A signal raises an exception in the body. After the body, the program ends by the same signal. Further signals are
    ignored during the cleanup. Signals that the program handles or ignores itself are not changed. Outside the main
    thread, no signals are changed. SIGINT needs no handling, because it raises KeyboardInterrupt.
    """
    received: list[int] = []
    changed = [number for number in ENDING_SIGNALS if number != signal.SIGINT and _ends_program(number)]

    def stop(number: int, _frame: FrameType | None) -> NoReturn:
        received.append(number)
        for other in changed:
            signal.signal(other, signal.SIG_IGN)
        raise _Stopped

    try:
        for number in changed:
            signal.signal(number, stop)
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)
        if received:
            os.kill(os.getpid(), received[0])


def _ends_program(number: int) -> bool:
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and signal.getsignal(number) is signal.SIG_DFL
