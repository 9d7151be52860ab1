"""Start the command in a guarded process. If this process cannot report its end, the guard reports it.

The guard is forked before the libraries are imported, so it needs little memory and time. This module imports only
modules that Python has already imported, so that the guard handles even an early signal.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from regionplot.system.guard import Ending, GuardedProcess

_GC_THRESHOLD = 100_000
"""Number of new objects that starts a garbage collection. Imports create many objects but little garbage, so frequent
collections would waste time.
"""
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def main() -> None:
    """Run the command and exit with its code.

    A signal during the imports is handled as soon as the command has set its signal handlers.
    """
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    gc.set_threshold(_GC_THRESHOLD)
    from regionplot.system.guard import GuardedProcess, can_guard  # noqa: PLC0415 (after signals are blocked)

    if can_guard():
        try:
            process = GuardedProcess(_run_command)
        except OSError:  # no more processes or descriptors; the command reports this if it also needs them
            _run_command()
        else:
            _guard(process)
    _run_command()


def _run_command() -> NoReturn:
    from regionplot.cli import commands  # noqa: PLC0415 (not in the guard)

    commands.main()


def _guard(process: GuardedProcess) -> NoReturn:
    """Forward signals, wait until the process has ended, and exit with its exit code."""
    from regionplot.system.signals import release_ending_signals  # noqa: PLC0415

    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, lambda received, _frame: process.forward(received))
    release_ending_signals()
    code, message = describe_ending(process.wait())
    if message:
        _print_error(f"regionplot: {message}")
    os._exit(code)


def _print_error(text: str) -> None:
    with suppress(OSError, ValueError):  # stderr is closed or its disk is full
        print(text, file=sys.stderr, flush=True)


def describe_ending(ending: Ending) -> tuple[int, str]:
    """Return the exit code of the command, and the message that the process could not print itself, or an empty text.

    Parameters
    ----------
    ending : Ending
        The end of the process that ran the command.
    """
    if ending.code >= 0:
        return ending.code, ""
    file = f"{ending.activity}: " if ending.activity else ""
    if ending.is_killed and ending.signal is not None:
        if not ending.is_ready:
            return 128 + ending.signal, f"ended by {signal.Signals(ending.signal).name}"
        place = f" while {ending.activity} was read" if ending.activity else ""
        late = f"the process did not stop in time{place} and was killed"
        if ending.signal == signal.SIGALRM:
            return 1, f"the deadline has passed: {late}"
        return 128 + ending.signal, f"ended by {signal.Signals(ending.signal).name}: {late}"
    name = _signal_name(-ending.code)
    if -ending.code in _SIGNALS:
        return 128 - ending.code, f"ended by {name}"
    if -ending.code == signal.SIGKILL:
        return 128 - ending.code, "killed by SIGKILL (out of memory?)"
    cause = "the file may be damaged, or was truncated while it was read" if file else "an input file may be damaged"
    return 128 - ending.code, f"{file}a library crashed with {name}; {cause}"


def _signal_name(number: int) -> str:
    return signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
