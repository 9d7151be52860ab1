"""End a run early, on a signal or at the deadline, and clean up.

The first signal raises an exception, so that all context managers clean up. Further signals only kill the workers, so
that the cleanup ends sooner.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from regionplot.system.signals import ENDING_SIGNALS

_CLEANUP_SECONDS = 3.0
"""Seconds after the first signal in which a further signal only kills the workers. Later signals stop the cleanup."""
_REPEAT_SECONDS = 5.0
"""Seconds until `DeadlinePassed` is raised again. Python ignores an exception that is raised in a destructor."""


class SignalReceived(KeyboardInterrupt):
    """SIGINT, SIGTERM or SIGHUP ended the run.

    Attributes
    ----------
    number : int
        Number of the signal.
    exit_code : int
        128 plus the number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
        self.exit_code = 128 + int(number)


class DeadlinePassed(KeyboardInterrupt):
    """The whole run took longer than allowed.

    Attributes
    ----------
    seconds : float
        Time limit.
    exit_code : int
        Always 1.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds
        self.exit_code = 1


def describe_interrupt(interrupt: KeyboardInterrupt) -> str:
    """Return the reason why a run ended early."""
    if isinstance(interrupt, DeadlinePassed):
        return f"the deadline of {interrupt.seconds:g} s has passed"
    number = interrupt.number if isinstance(interrupt, SignalReceived) else signal.SIGINT
    return f"ended by {signal.Signals(number).name}"


def exit_code(interrupt: BaseException) -> int:
    """Return the exit code for an interrupt."""
    return int(getattr(interrupt, "exit_code", 128 + signal.SIGINT))


def log_unexpected() -> None:
    """Log an unexpected error with its traceback."""
    import logging  # noqa: PLC0415 (so that --help is fast)

    logging.getLogger("regionplot").critical("this is a bug in regionplot; please report it", exc_info=True)


@contextmanager
def until_deadline(seconds: float | None) -> Iterator[None]:
    """Raise `DeadlinePassed` after a number of seconds. Changes of the system clock have no effect.

    Parameters
    ----------
    seconds : float or None
        Time limit. None: no limit.
    """
    if seconds is None:
        yield
        return

    def raise_deadline(_number: int, _frame: object) -> None:
        raise DeadlinePassed(seconds)

    before = signal.signal(signal.SIGALRM, raise_deadline)
    signal.setitimer(signal.ITIMER_REAL, seconds, _REPEAT_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Raise `SignalReceived` on the first signal.

    For `_CLEANUP_SECONDS` after the first signal, further signals only kill the workers.
    """
    first: list[float] = []

    def interrupt(number: int, _frame: object) -> None:
        if first and time.monotonic() - first[0] < _CLEANUP_SECONDS:
            _kill_workers()
            return
        first[:] = [time.monotonic()]
        raise SignalReceived(number)

    handled = [
        number for number in ENDING_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN
    ]  # nohup ignores SIGHUP
    before = {number: signal.signal(number, interrupt) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _kill_workers() -> None:
    import multiprocessing  # noqa: PLC0415 (so that --help is fast)

    for worker in multiprocessing.active_children():
        with suppress(ValueError):  # the worker object has been closed in the meantime
            worker.kill()
