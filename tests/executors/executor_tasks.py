"""A task that does what its jobs say, for the executor tests.

It lies in its own module beside the tests: pytest puts this folder on `sys.path`, and multiprocessing passes that on to
the processes it spawns, which import it from there by name.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from regionplot.errors import RasterError, RegionError


class Act:
    """Does `verb:argument`; notes in a folder who loaded what its jobs share, and who works on what."""

    def __init__(self, folder: Path, at_loading: str = "echo") -> None:
        self.folder, self.at_loading, self.parent = folder, at_loading, os.getpid()
        self._loaded = False

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_loaded": False}

    def prepare(self) -> None:
        if not self._loaded or self.at_loading == "kill_children":
            note(self.folder, "loads")
            do(self, self.at_loading)
            self._loaded = True

    def __call__(self, job: str) -> Any:
        assert self._loaded
        return do(self, job)


def do(task: Act, job: str) -> Any:
    verb, _, argument = job.partition(":")
    return ACTIONS[verb](task, argument)


def note(folder: Path, name: str) -> None:
    with (folder / name).open("a") as file:
        file.write(f"{os.getpid()}\n")


def noted(folder: Path, name: str) -> list[int]:
    path = folder / name
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def alive(pids: list[int]) -> list[int]:
    """Those of some processes that still run; a zombie that nobody waits for does not."""
    found = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
    return found


def wait_until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What a condition gives as soon as it holds; an error if it does not in time."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"still not true after {seconds} s: {condition}")
        time.sleep(0.02)
    return result


def _raise(error: Exception) -> Any:
    raise error


def _hang(task: Act, argument: str) -> None:
    if argument == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note(task.folder, "hanging")
    time.sleep(600)


def _in_time_after_all(_task: Act, argument: str) -> str:
    """End well just after SIGTERM, when the parent has given this job up already."""
    with contextlib.suppress(TimeoutError):
        signal.signal(signal.SIGTERM, lambda *_: _raise(TimeoutError()))
        time.sleep(600)
    return argument


def _once(task: Act, argument: str) -> list[int]:
    """Die the first time; then tell which children the parent has."""
    if not noted(task.folder, argument):
        note(task.folder, argument)
        os.kill(os.getpid(), signal.SIGKILL)
    return alive([child.pid for child in psutil.Process(os.getppid()).children()])


def _want_memory(task: Act, argument: str) -> Any:
    note(task.folder, "wanting")
    error = MemoryError(argument)
    raise RegionError("no room for a map") from error


def _meet(task: Act, argument: str) -> str:
    """Wait for another worker to come."""
    note(task.folder, "meeting")
    wait_until(lambda: len(noted(task.folder, "meeting")) >= int(argument))
    return argument


def _interrupt_parent(task: Act, argument: str) -> None:
    wait_until(lambda: len(noted(task.folder, "hanging")) >= int(argument))
    os.kill(os.getppid(), signal.SIGINT)
    _hang(task, "")


class _Unreadable:
    """Pickles, but does not unpickle."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _raise, (ValueError("never to be read"),)


ACTIONS: dict[str, Callable[[Act, str], Any]] = {
    "echo": lambda _task, argument: argument,
    "refuse": lambda _task, argument: _raise(RegionError(argument)),
    "missing": lambda *_: _raise(RasterError("no such grid", "nor that one")),
    "fail": lambda *_: 1 / 0,
    "unpicklable": lambda *_: lambda: None,
    "unreadable": lambda *_: _Unreadable(),
    "kill": lambda *_: os.kill(os.getpid(), signal.SIGKILL),
    "kill_children": lambda task, _: os.getpid() != task.parent and os.kill(os.getpid(), signal.SIGKILL),
    "crash": lambda *_: (faulthandler.disable(), os.kill(os.getpid(), signal.SIGSEGV)),
    "abort": lambda *_: (faulthandler.disable(), os.abort()),
    "exit": lambda *_: os._exit(0),
    "disconnect": lambda *_: (os.closerange(3, 256), time.sleep(600)),
    "hang": _hang,
    "once": _once,
    "want": _want_memory,
    "meet": _meet,
    "in_time": _in_time_after_all,
    "interrupt": _interrupt_parent,
}
