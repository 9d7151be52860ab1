"""End a run early, by a signal or the deadline, with all cleanup done.

The first signal ends the run through an exception, so that everything is tidied on the way out; more of them hasten
that.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

ENDING = ("SIGINT", "SIGTERM", "SIGHUP")


_TIDYING = 3.0
"""Seconds that the end of a run may take; the supervisor gives workers two."""


_AGAIN = 5.0
"""Seconds after which a deadline strikes again: an exception raised inside a destructor is lost."""


class SignalReceived(KeyboardInterrupt):
    """SIGINT, SIGTERM or SIGHUP, ending a run in order."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
        self.exit_code = 128 + int(number)


class DeadlinePassed(KeyboardInterrupt):
    """The time for the whole run is over; it ends in the same order as by Ctrl-C."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds
        self.exit_code = 1


def describe_interrupt(interrupt: KeyboardInterrupt) -> str:
    """What has ended the run, in words."""
    if isinstance(interrupt, DeadlinePassed):
        return f"the deadline of {interrupt.seconds:g} s has passed"
    number = interrupt.number if isinstance(interrupt, SignalReceived) else signal.SIGINT
    return f"ended by {signal.Signals(number).name}"


def exit_code(interrupt: BaseException) -> int:
    """What the command ends with."""
    return int(getattr(interrupt, "exit_code", 128 + signal.SIGINT))


def log_unexpected() -> None:
    """Tell of an error that nobody foresaw."""
    import logging  # noqa: PLC0415 (so that --help is quick)

    logging.getLogger("regionplot").critical("this is a bug in regionplot; please report it", exc_info=True)


@contextmanager
def until_deadline(seconds: float | None) -> Iterator[None]:
    """Raise DeadlinePassed after so many seconds, by a timer that setting the clock does not move."""
    if seconds is None:
        yield
        return

    def end(_number: int, _frame: object) -> None:
        raise DeadlinePassed(seconds)

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """The first signal ends the run in order; more of them hasten that, for they must not cut the tidying short."""
    first: list[float] = []

    def interrupt(number: int, _frame: object) -> None:
        if first and time.monotonic() - first[0] < _TIDYING:
            _kill_workers()
            return
        first[:] = [time.monotonic()]
        raise SignalReceived(number)

    numbers = [getattr(signal, name) for name in ENDING if hasattr(signal, name)]
    heard = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]  # nohup ignores SIGHUP
    before = {number: signal.signal(number, interrupt) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _kill_workers() -> None:
    import multiprocessing  # noqa: PLC0415 (so that --help is quick)

    for worker in multiprocessing.active_children():
        with suppress(ValueError):  # it has been closed by now
            worker.kill()
