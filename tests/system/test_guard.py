"""Test that a guarded process always ends after an ending signal, and that its end is reported."""

from __future__ import annotations

import ctypes
import faulthandler
import itertools
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from regionplot.cli.start import describe_ending
from regionplot.system import guard
from regionplot.system.guard import GuardedProcess, can_guard, continue_after, handle_signals, reading

pytestmark = [
    pytest.mark.skipif(not can_guard(), reason="guards need Linux"),
    pytest.mark.timeout(60, method="signal"),
]
STOP_TIMEOUT = 0.4


def compute_forever() -> None:
    """Stay in C code, in which no signal handler of Python runs."""
    deque(itertools.repeat(None), maxlen=0)


def handled(
    work: Callable[[], object], number: int = signal.SIGTERM, handle: Callable[[], object] = lambda: os._exit(7)
) -> Callable[[], int]:
    """Return work for a process with a signal handler. By default, the handler exits with code 7."""

    def run() -> int:
        signal.signal(number, lambda *_: handle())
        handle_signals()
        os.write(ready[1], b"x")
        work()
        return 0

    return run


ready = os.pipe()


def start(work: Callable[[], int], *, wait: bool = True) -> GuardedProcess:
    process = GuardedProcess(work, STOP_TIMEOUT)
    if wait:
        os.read(ready[0], 1)
    return process


def test_the_exit_code_of_the_work_is_returned():
    ending = start(lambda: 5, wait=False).wait()
    assert (ending.code, ending.signal, ending.is_killed) == (5, None, False)
    assert describe_ending(ending) == (5, "")


def test_a_handler_that_runs_in_time_decides_the_exit_code():
    process = start(handled(lambda: time.sleep(60)))
    process.forward(signal.SIGTERM)
    assert process.wait().code == 7


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=str)
def test_a_process_that_hangs_in_c_code_is_killed(number):
    process = start(handled(compute_forever, number, compute_forever))
    sent = time.monotonic()
    process.forward(number)
    ending = process.wait()
    assert STOP_TIMEOUT <= time.monotonic() - sent < STOP_TIMEOUT + 3
    name = signal.Signals(number).name
    assert describe_ending(ending) == (
        128 + number,
        f"ended by {name}: the process did not stop in time and was killed",
    )


def test_a_signal_that_only_the_process_receives_starts_the_time_limit_too():
    process = start(handled(lambda: os.kill(os.getpid(), signal.SIGTERM), signal.SIGTERM, compute_forever))
    assert describe_ending(process.wait())[0] == 143


def test_a_deadline_ends_a_process_that_hangs_in_c_code():
    def work():
        signal.setitimer(signal.ITIMER_REAL, 0.4)
        with reading("grid.nc"):
            compute_forever()

    code, message = describe_ending(start(handled(work, signal.SIGALRM, compute_forever)).wait())
    assert (code, message) == (
        1,
        "the deadline has passed: the process did not stop in time while grid.nc was read and was killed",
    )


def test_a_signal_before_the_process_is_ready_ends_it_at_once():
    process = start(lambda: time.sleep(60) or 0, wait=False)
    process.forward(signal.SIGTERM)
    assert describe_ending(process.wait()) == (143, "ended by SIGTERM")


def test_a_signal_that_does_not_end_the_process_starts_no_time_limit():
    def work():
        continue_after(signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGHUP)
        time.sleep(3 * STOP_TIMEOUT)

    def run():
        signal.signal(signal.SIGHUP, lambda *_: None)
        handle_signals()
        work()
        return 3

    assert start(run, wait=False).wait().code == 3


@pytest.mark.parametrize(
    ("crash", "code", "message"),
    [
        (lambda: ctypes.string_at(0), 139, "grid.nc: a library crashed with SIGSEGV; the file may be damaged, or was "),
        (lambda: os.kill(os.getpid(), signal.SIGBUS), 135, "grid.nc: a library crashed with SIGBUS; the file may be "),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), 137, "killed by SIGKILL (out of memory?)"),
    ],
    ids=["SIGSEGV", "SIGBUS", "SIGKILL"],
)
def test_a_crash_is_reported_in_one_line_with_the_file(crash, code, message):
    def run():
        faulthandler.disable()  # pytest enables it
        with reading("grid.nc"):
            crash()
        return 0

    found = describe_ending(start(run, wait=False).wait())
    assert found[0] == code
    assert found[1].startswith(message)
    assert "\n" not in found[1]


def test_the_file_is_forgotten_after_reading():
    def run():
        with reading("outer"):
            with reading("inner"):
                pass
            faulthandler.disable()
            os.kill(os.getpid(), signal.SIGSEGV)
        return 0

    assert describe_ending(start(run, wait=False).wait())[1].startswith("outer: ")


def test_without_process_descriptors_the_end_is_noticed_too(monkeypatch):
    monkeypatch.delattr(os, "pidfd_open")
    assert start(lambda: 5, wait=False).wait().code == 5


def test_the_guarded_process_dies_with_its_guard():
    code = (
        "from regionplot.system.guard import GuardedProcess; import time; GuardedProcess(lambda: time.sleep(60)).wait()"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        while not (children := psutil.Process(process.pid).children()):
            time.sleep(0.01)
        process.kill()
    psutil.wait_procs(children, 5)
    assert not children[0].is_running() or children[0].status() == psutil.STATUS_ZOMBIE


def test_no_descriptor_is_left_open():
    before = sorted(Path("/proc/self/fd").iterdir())
    start(lambda: 0, wait=False).wait()
    assert sorted(Path("/proc/self/fd").iterdir()) == before
    assert guard.was_forwarded(signal.SIGTERM) is False, "this process has no guard"
