"""Stop a run early, on a signal or at the deadline, and clean up.

The first signal raises an exception, so that all context managers clean up. Further signals only kill the workers, so
that the cleanup ends sooner.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple, NoReturn

from regionplot.errors import InputError
from regionplot.executors.base import describe_os_error, is_memory_error
from regionplot.system.guard import was_forwarded
from regionplot.system.signals import ENDING_SIGNALS

_CLEANUP_SECONDS = 3.0
"""Seconds after the first signal. During this time, further signals only kill the workers. Later signals stop the
cleanup.
"""
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
    """The run exceeded the deadline.

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


_raised: list[KeyboardInterrupt] = []
"""The last interrupt that was raised, if any. It is global because signals belong to the process."""


def raised_interrupt() -> KeyboardInterrupt | None:
    """Return the interrupt that ends this command, or None.

    Some libraries replace an interrupt by another error. For example, NumPy raises ImportError if its import is
    interrupted.
    """
    return _raised[-1] if _raised else None


def _interrupt(error: KeyboardInterrupt) -> NoReturn:
    _raised[:] = [error]
    raise error


def machine_problem(error: BaseException) -> str | None:
    """Return a message for an error of the operating system or a lack of memory. Return None for other errors."""
    if isinstance(error, FileNotFoundError) and error.filename is None:  # of os.getcwd
        return "the working directory has been removed; change to another folder"
    if isinstance(error, OSError):
        return describe_os_error(error)
    if isinstance(error, RuntimeError) and str(error).startswith("Symlink loop"):  # of Path.resolve before Python 3.13
        return str(error)
    if isinstance(error, ImportError) and "failed to map segment" in str(error):
        return f"out of memory; free some memory, or raise its limit: {error}"
    return f"out of memory; free some memory, or use fewer workers: {error}" if is_memory_error(error) else None


def report_unexpected(error: BaseException, show: Callable[[str], None]) -> int:
    """Report an error that is not one of this package's errors, and return the exit code.

    Parameters
    ----------
    error : BaseException
        The error that is being handled. If it is a bug, it is logged with its traceback.
    show : callable
        Called with the message for an error of the operating system or a lack of memory.
    """
    import logging  # noqa: PLC0415 (so that --help is fast)

    logger = logging.getLogger("regionplot")
    if problem := machine_problem(error):
        logger.debug("error of the operating system", exc_info=True)
        show(problem)
        return InputError.exit_code
    logger.critical("this is a bug in regionplot; please report it", exc_info=True)
    return 1


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
        _interrupt(DeadlinePassed(seconds))

    before = signal.signal(signal.SIGALRM, raise_deadline)
    signal.setitimer(signal.ITIMER_REAL, seconds, _REPEAT_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class _Arrival(NamedTuple):
    """A signal, whether the guard forwarded it, and the monotonic time of its arrival."""

    number: int
    is_forwarded: bool
    time: float

    def is_echo_of(self, other: _Arrival) -> bool:
        """Return True if one signal has arrived twice: directly, and forwarded by the guard."""
        return self.number == other.number and self.is_forwarded != other.is_forwarded


@contextmanager
def signals_as_interrupts() -> Iterator[None]:
    """Raise `SignalReceived` on the first signal.

    For `_CLEANUP_SECONDS` after the first signal, further signals only kill the workers. A signal to the process group
    arrives twice: directly, and forwarded by the guard of this process. The second arrival is ignored.
    """
    first: list[_Arrival] = []

    def interrupt(number: int, _frame: object) -> None:
        arrival = _Arrival(number, was_forwarded(number), time.monotonic())
        if first and arrival.time - first[0].time < _CLEANUP_SECONDS:
            if not (len(first) == 1 and arrival.is_echo_of(first[0])):
                _kill_workers()
            first.append(arrival)
            return
        first[:] = [arrival]
        _interrupt(SignalReceived(number))

    # nohup ignores SIGHUP
    handled = [number for number in ENDING_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    _raised.clear()
    before = {number: signal.signal(number, interrupt) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _kill_workers() -> None:
    import multiprocessing  # noqa: PLC0415 (so that --help is fast)

    for worker in multiprocessing.active_children():
        with suppress(ValueError):  # the worker was closed after the list was made
            worker.kill()
