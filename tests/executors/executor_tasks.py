"""A task for the executor tests. Each job names an action.

This module is in the folder of the tests. pytest adds the folder to `sys.path`, and multiprocessing passes `sys.path`
on to spawned processes, so that they can import this module.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from regionplot.errors import RasterError, RegionError


class Act:
    """Do jobs of the form `action:argument`. Record in a folder which processes start and load.

    Parameters
    ----------
    folder : path
        Folder of the records.
    at_loading, at_starting : str
        Action while the shared data is loaded, and while a worker process starts.
    """

    def __init__(self, folder: Path, at_loading: str = "echo", at_starting: str = "echo") -> None:
        self.folder, self.at_loading, self.at_starting = folder, at_loading, at_starting
        self._is_loaded = False

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_is_loaded": False}

    def start_worker(self) -> None:
        assert self.at_loading in ("echo", "log:loading", "log_damaged:text", "thread") or not self._is_loaded
        record(self.folder, "starts")
        act(self, self.at_starting)

    def load(self) -> None:
        record(self.folder, "loads")
        act(self, self.at_loading)
        self._is_loaded = True

    def __call__(self, job: str) -> Any:
        assert self._is_loaded
        return act(self, job)


def act(task: Act, job: str) -> Any:
    action, _, argument = job.partition(":")
    return ACTIONS[action](task, argument)


def record(folder: Path, name: str) -> None:
    with (folder / name).open("a") as file:
        file.write(f"{os.getpid()}\n")


def recorded(folder: Path, name: str) -> list[int]:
    """Return the process ids in a record, in order."""
    path = folder / name
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def running(pids: list[int]) -> list[int]:
    """Return the given processes that are still running. Zombies do not count."""
    found = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
    return found


def wait_until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Return the value of a condition as soon as it is true."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"still not true after {seconds} s: {condition}")
        time.sleep(0.02)
    return result


def importing_environment() -> dict[str, str]:
    """Return the environment for a process that imports this module."""
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _raise(error: BaseException) -> Any:
    raise error


def _hang(task: Act, argument: str) -> None:
    if argument == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    record(task.folder, "hanging")
    time.sleep(600)


def _finish_late(_task: Act, argument: str) -> str:
    """Return a value just after SIGTERM, when the parent has already decided to stop this worker."""
    with contextlib.suppress(TimeoutError):
        signal.signal(signal.SIGTERM, lambda *_: _raise(TimeoutError()))
        time.sleep(600)
    return argument


def _die_once(task: Act, argument: str) -> list[int]:
    """Die at the first call. At the second call, return the parent's running children."""
    if not recorded(task.folder, argument):
        record(task.folder, argument)
        os.kill(os.getpid(), signal.SIGKILL)
    return running([child.pid for child in psutil.Process(os.getppid()).children()])


def _die_then_fail(task: Act, argument: str) -> None:
    """Die at the first call. At the second call, raise an error."""
    if recorded(task.folder, argument):
        act(task, "fail")
    record(task.folder, argument)
    os.kill(os.getpid(), signal.SIGKILL)


def _die_at(task: Act, numbers: str) -> None:
    """Die if this is one of the given starts, counted from 1."""
    if str(len(recorded(task.folder, "starts"))) in numbers.split(","):
        os.kill(os.getpid(), signal.SIGKILL)


def _exhaust_memory(task: Act, argument: str) -> Any:
    record(task.folder, "exhausted")
    error = MemoryError(argument)
    raise RegionError("no room for a map") from error


def _meet(task: Act, argument: str) -> str:
    """Wait until this many workers do this job."""
    record(task.folder, "meeting")
    wait_until(lambda: len(recorded(task.folder, "meeting")) >= int(argument))
    return argument


def _interrupt_parent(task: Act, argument: str) -> None:
    wait_until(lambda: len(recorded(task.folder, "hanging")) >= int(argument))
    os.kill(os.getppid(), signal.SIGINT)
    _hang(task, "")


def _nice(_task: Act, _argument: str) -> int:
    return os.nice(0)


def _die_with_child(task: Act, _argument: str) -> None:
    """Die, and leave a child process that has inherited all descriptors."""
    if not os.fork():
        record(task.folder, "hanging")
        time.sleep(60)
        os._exit(0)
    wait_until(lambda: recorded(task.folder, "hanging"))
    os.kill(os.getpid(), signal.SIGKILL)


def _count_sockets(task: Act, workers: str) -> int:
    """Wait until this many workers do this job, then count the open sockets of this process."""
    _meet(task, workers)
    links = list(Path("/proc/self/fd").iterdir())
    return sum(link.is_symlink() and str(link.readlink()).startswith("socket:") for link in links)


class _NeverUnpickled:
    """Object that pickles, but does not unpickle."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _raise, (ValueError("must not be unpickled"),)


ACTIONS: dict[str, Callable[[Act, str], Any]] = {
    "echo": lambda _task, argument: argument,
    "refuse": lambda _task, argument: _raise(RegionError(argument)),
    "missing": lambda *_: _raise(RasterError("no such grid", "no such mask")),
    "fail": lambda *_: 1 / 0,
    "unpicklable": lambda *_: lambda: None,
    "not_unpicklable": lambda *_: _NeverUnpickled(),
    "kill": lambda *_: os.kill(os.getpid(), signal.SIGKILL),
    "crash": lambda *_: (faulthandler.disable(), os.kill(os.getpid(), signal.SIGSEGV)),
    "abort": lambda *_: (faulthandler.disable(), os.abort()),
    "generator_exit": lambda *_: _raise(GeneratorExit()),
    "keyboard": lambda *_: _raise(KeyboardInterrupt()),
    "exit": lambda *_: os._exit(0),
    "disconnect": lambda *_: (os.closerange(3, 256), time.sleep(600)),
    "note": lambda task, name: record(task.folder, name),
    "sleep": lambda _task, seconds: time.sleep(float(seconds)),
    "hang": _hang,
    "die_once": _die_once,
    "die_then_fail": _die_then_fail,
    "die_at": _die_at,
    "die_with_child": _die_with_child,
    "allocate": lambda _task, megabytes: len(bytearray(int(megabytes) << 20)),
    "exhaust": _exhaust_memory,
    "meet": _meet,
    "count_sockets": _count_sockets,
    "nice": _nice,
    "log": lambda _task, text: logging.getLogger("regionplot.test").info(text),
    "log_damaged": lambda _task, text: logging.getLogger("regionplot.test").info("%d", text),
    "thread": lambda *_: threading.Thread(target=time.sleep, args=(600,), daemon=True).start(),
    "count_frozen": lambda *_: gc.get_freeze_count(),
    "finish_late": _finish_late,
    "interrupt": _interrupt_parent,
}
