"""Test that threads run jobs at the same time, and that no thread is left running."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from executor_tasks import Act

from regionplot.executors.threads import QUEUED_PER_WORKER, ThreadExecutor
from regionplot.system.threads import thread_pool


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts threads in /proc")
def test_a_closed_pool_has_no_system_threads_left():
    """A fork while a thread exits could copy a lock that the thread holds."""
    before = set(Path("/proc/self/task").iterdir())
    for _ in range(50):
        with thread_pool(3) as pool:
            list(pool.map(lambda _: np.linalg.norm(np.ones(10)), range(3)))
        assert set(Path("/proc/self/task").iterdir()) <= before


def test_closing_the_iterator_ends_the_threads(tmp_path):
    before = threading.active_count()
    run = ThreadExecutor(3).run(Act(tmp_path), [f"echo:{i}" for i in range(100)])
    next(run)
    assert threading.active_count() > before
    run.close()
    assert threading.active_count() == before


def test_an_error_of_the_caller_ends_the_threads(tmp_path):
    before = threading.active_count()
    run = ThreadExecutor(2).run(Act(tmp_path), ["echo:1"] * 20)
    next(run)
    with pytest.raises(KeyboardInterrupt):
        run.throw(KeyboardInterrupt)
    assert threading.active_count() == before


def test_jobs_run_at_the_same_time(tmp_path):
    outcomes = list(ThreadExecutor(2).run(Act(tmp_path), ["meet:2", "meet:2"]))
    assert all(outcome.ok for outcome in outcomes)


class Context:
    """A task with a context for workers. It returns the state of the context."""

    def __init__(self):
        self.entered, self.left = [], []

    def start_worker(self):
        pass

    def load(self):
        pass

    @contextmanager
    def worker_context(self):
        self.entered.append(threading.get_ident())
        yield
        self.left.append(threading.get_ident())

    def __call__(self, job):
        if job < 0:
            raise KeyboardInterrupt
        return threading.get_ident()


def test_each_thread_is_in_the_context_of_its_task():
    task = Context()
    threads = {outcome.value for outcome in ThreadExecutor(2).run(task, range(50))}
    assert threads <= set(task.entered)
    assert set(task.entered) == set(task.left)
    assert len(task.entered) == 2


def test_an_interrupt_in_a_thread_ends_the_run_and_all_threads():
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        list(ThreadExecutor(3).run(Context(), [0, 1, -1, *range(50)]))
    assert threading.active_count() == before


def test_jobs_are_taken_only_when_a_thread_needs_them():
    taken = []
    run = ThreadExecutor(2).run(Context(), (taken.append(job) or job for job in range(50)))
    for number in range(1, 10):
        next(run)
        assert len(taken) <= QUEUED_PER_WORKER * 2 + number
    run.close()
    assert len(taken) <= QUEUED_PER_WORKER * 2 + 9


UNCLOSED = """
from regionplot.executors.threads import QUEUED_PER_WORKER, ThreadExecutor
class Task:
    def load(self): pass
    def __call__(self, job): return job
run = ThreadExecutor(2).run(Task(), range(50))
next(run)
raise SystemExit(7)
"""


def test_a_program_that_does_not_close_the_iterator_ends():
    assert subprocess.run([sys.executable, "-c", UNCLOSED], check=False, timeout=30).returncode == 7
