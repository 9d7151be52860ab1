"""What is particular to threads: none is left running."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from executor_tasks import Act

from regionplot.executors.threads import ThreadExecutor
from regionplot.system.threads import thread_pool


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts threads in /proc")
def test_threads_of_a_pool_are_gone_for_the_system_too():
    """A fork while one of them ends could inherit a lock that it holds."""
    before = set(Path("/proc/self/task").iterdir())
    for _ in range(50):
        with thread_pool(3) as pool:
            list(pool.map(lambda _: np.linalg.norm(np.ones(10)), range(3)))
        assert set(Path("/proc/self/task").iterdir()) <= before


def test_closing_the_run_ends_its_threads(tmp_path):
    before = threading.active_count()
    run = ThreadExecutor(3).run(Act(tmp_path), [f"echo:{i}" for i in range(100)])
    next(run)
    assert threading.active_count() > before
    run.close()
    assert threading.active_count() == before


def test_an_error_while_outcomes_are_taken_ends_its_threads(tmp_path):
    before = threading.active_count()
    run = ThreadExecutor(2).run(Act(tmp_path), ["echo:1"] * 20)
    next(run)
    with pytest.raises(KeyboardInterrupt):
        run.throw(KeyboardInterrupt)
    assert threading.active_count() == before
