"""What is particular to threads: jobs are taken as they are needed, and none is left running."""

from __future__ import annotations

import itertools
import threading

import pytest
from executor_tasks import Act

from regionplot.executors import ThreadExecutor


def test_jobs_are_taken_only_as_they_are_needed(tmp_path):
    taken = itertools.count()
    run = ThreadExecutor(2).run(Act(tmp_path), (f"echo:{next(taken)}" for _ in itertools.count()))
    for _ in range(10):
        next(run)
    run.close()
    assert next(taken) <= 10 + 2 * 2


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
