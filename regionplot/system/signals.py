"""Block the signals that end a run while a process is forked."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

ENDING_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that end a run."""


@contextmanager
def ending_signals_held() -> Iterator[None]:
    """Deliver `ENDING_SIGNALS` to this thread only after the context exits.

    A new process inherits this signal mask and the handlers of its parent. A handler of the parent must not run in a
    worker, because nothing would catch its exceptions. The worker calls `release_ending_signals` after it has set its
    own handlers. Without POSIX signals, this has no effect.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def release_ending_signals() -> None:
    """Deliver the signals that were blocked in this process, and all later signals."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING_SIGNALS)
