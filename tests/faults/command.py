"""Run the command with injected faults.

::

    command.py --fault PHASE:NAME:ACTION ... [--times N] [--log FILE] -- ARGUMENTS

PHASE and NAME are those of `regionplot.system.failpoints`. NAME is a pattern, and image files are named without their
suffix, so that the name of a region fits in each phase. Each injected fault adds a line `pid PHASE:NAME:ACTION` to the
log. With `--times`, a fault is injected at most N times in all processes together. Workers that are not forked read the
faults from the environment.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import fcntl
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NoReturn

from regionplot.errors import RasterError
from regionplot.system import failpoints

_VARIABLE = "REGIONPLOT_TEST_FAULTS"
_RUN = "REGIONPLOT_TEST_RUN"
"""Environment variables with the faults, for workers, and with the pid of the command."""


@dataclass(frozen=True)
class Fault:
    """One fault: what happens, in which phase, and for which name."""

    phase: str
    name: str
    action: str
    times: int | None
    log: Path | None

    def __str__(self) -> str:
        return f"{self.phase}:{self.name}:{self.action}"

    def fits(self, phase: str, name: str) -> bool:
        return phase == self.phase and fnmatchcase(name.removesuffix(".png"), self.name)

    def strike(self) -> None:
        """Inject the fault, unless it was injected often enough."""
        if self._may_strike():
            ACTIONS[self.action]()

    def _may_strike(self) -> bool:
        """Return True if the fault may be injected again. Count under a lock, because all workers share the count."""
        if self.log is None:
            return True
        with self.log.open("a+", encoding="utf-8") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            file.seek(0)
            done = sum(line.split()[1] == str(self) for line in file)
            if self.times is not None and done >= self.times:
                return False
            file.write(f"{os.getpid()} {self}\n")
        return True


def _hang() -> NoReturn:
    while True:
        time.sleep(600)


def _hang_ignoring_term() -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _hang()


def _hang_in_c() -> NoReturn:
    """Stay in C code, in which no signal handler of Python runs: lock a mutex twice, and hold the GIL.

    No signal ends this wait, and the wait takes no CPU time.
    """
    library, mutex = ctypes.PyDLL(None), ctypes.create_string_buffer(256)  # zeros are an unlocked mutex
    while True:
        library.pthread_mutex_lock(mutex)


def _raise(error: BaseException) -> NoReturn:
    raise error


def _unpicklable() -> NoReturn:
    """Raise an error that cannot be pickled."""
    raise ValueError("holds a function", lambda: None)


def _take_memory() -> None:
    """Allocate a gigabyte without touching it. A limit of the address space counts it nevertheless."""
    import numpy as np

    np.empty(2**30, np.uint8)


def _signal_run(name: str) -> Callable[[], None]:
    """Return a function that sends the command a signal. A worker then hangs until the command ends it."""

    def strike() -> None:
        run = int(os.environ[_RUN])
        os.kill(run, getattr(signal, name))
        if os.getpid() != run:
            _hang()

    return strike


def _interrupt_twice() -> NoReturn:
    """Interrupt the command, and again as soon as it ends its workers."""
    run = int(os.environ[_RUN])
    signal.signal(signal.SIGTERM, lambda *_: os.kill(run, signal.SIGINT))
    os.kill(run, signal.SIGINT)
    _hang()


ACTIONS: dict[str, Callable[[], object]] = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "segv": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "exit0": lambda: os._exit(0),
    "hang": _hang,
    "hang-in-c": _hang_in_c,
    "hang-ignoring-term": _hang_ignoring_term,
    "raise": lambda: _raise(ValueError("injected")),
    "unpicklable": _unpicklable,
    "unreadable": lambda: _raise(RasterError("grid.tif: cannot be read")),
    "enospc": lambda: _raise(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))),
    "memory": _take_memory,
    "interrupt": _signal_run("SIGINT"),
    "interrupt-twice": _interrupt_twice,
    "term": _signal_run("SIGTERM"),
    "hup": _signal_run("SIGHUP"),
}


def _parse(arguments: list[str]) -> tuple[list[Fault], list[str]]:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fault", action="append", default=[])
    parser.add_argument("--times", type=int)
    parser.add_argument("--log", type=Path)
    parser.add_argument("command", nargs="*")
    options = parser.parse_args(arguments)
    if options.times is not None and options.log is None:
        parser.error("--times needs a --log to count in")
    faults = []
    for text in options.fault:
        phase, name, action = text.split(":")
        if action not in ACTIONS:
            parser.error(f"no such action: {action}; there are: {', '.join(ACTIONS)}")
        faults.append(Fault(phase, name, action, options.times, options.log and options.log.absolute()))
    return faults, options.command


def _hook(faults: list[Fault]) -> failpoints.Hook:
    def hook(phase: str, name: str) -> None:
        for fault in faults:
            if fault.fits(phase, name):
                fault.strike()

    return hook


if __name__ == "__main__":
    from regionplot.cli import main

    os.environ[_VARIABLE], os.environ[_RUN] = shlex.join(sys.argv[1:]), str(os.getpid())
    FAULTS, sys.argv[1:] = _parse(sys.argv[1:])
    with failpoints.install(_hook(FAULTS)):
        main()
elif __name__ == "__mp_main__":  # in a spawned worker
    INSTALLED = failpoints.install(_hook(_parse(shlex.split(os.environ[_VARIABLE]))[0]))
    INSTALLED.__enter__()  # for the rest of its life
