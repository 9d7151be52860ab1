"""Test that threads run jobs at the same time, and that no thread is left running."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from executor_tasks import Act

from regionplot.executors.threads import ThreadExecutor
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
