"""How an executor is chosen."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from regionplot.errors import ExecutorError
from regionplot.executors.base import WorkerSettings
from regionplot.executors.choose import choose_start_method, make_executor
from regionplot.executors.processes import ProcessExecutor
from regionplot.executors.serial import SerialExecutor


@pytest.fixture
def second_thread():
    event = threading.Event()
    thread = threading.Thread(target=event.wait)
    thread.start()
    yield
    event.set()
    thread.join()


@pytest.mark.skipif(sys.platform != "linux", reason="fork is for Linux")
def test_auto_is_fork_in_a_program_without_threads():
    script = "from regionplot.executors import choose_start_method as c; print(c('auto'), c('fork'))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "fork fork\n"


@pytest.mark.usefixtures("second_thread")
def test_fork_is_not_taken_beside_a_thread():
    assert choose_start_method("auto") == "forkserver"
    with pytest.raises(ExecutorError, match=r"'fork' is unsafe .* threads; use 'auto'"):
        choose_start_method("fork")


@pytest.mark.parametrize("method", ["serial", "spawn", "forkserver"])
@pytest.mark.usefixtures("second_thread")
def test_safe_methods_are_taken_as_asked_for(method):
    assert choose_start_method(method) == method


def test_unknown_method_is_refused():
    with pytest.raises(ExecutorError, match="'teleport' does not exist"):
        choose_start_method("teleport")


@pytest.mark.parametrize(
    ("workers", "jobs", "expected"), [("auto", 100, 3), ("auto", 2, 2), (8, 5, 5), (1, 5, 1), (4, 0, 1)]
)
def test_never_more_workers_than_jobs(workers, jobs, expected, monkeypatch):
    monkeypatch.setattr("regionplot.system.machine.usable_cpus", lambda: 3)
    executor = make_executor("spawn", workers, jobs, WorkerSettings(60, 12))
    assert isinstance(executor, ProcessExecutor)
    assert executor.workers == expected
    assert isinstance(make_executor("serial", workers, jobs, WorkerSettings(60, 12)), SerialExecutor)
