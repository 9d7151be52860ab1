"""Test workers that get jobs in advance: no job is lost or reported twice when a worker ends."""

from __future__ import annotations

import time

import pytest
from executor_tasks import Act, recorded, wait_until

from regionplot.executors.base import WorkerSettings
from regionplot.executors.choose import make_executor

pytestmark = [
    pytest.mark.timeout(60, method="signal"),  # a timer thread would make fork unsafe
    pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"),
]
NOTES = [f"note:{number}" for number in range(12)]


def run(task, jobs, workers=2, **settings):
    limits = WorkerSettings(**{"timeout": 60, "jobs_ahead": 3, **settings})
    return make_executor("fork", workers, limits).run(task, jobs)


def test_a_worker_works_while_the_caller_uses_its_result(tmp_path):
    outcomes = run(Act(tmp_path), NOTES, workers=1)
    assert [next(outcomes).job for _ in range(2)] == NOTES[:2]
    wait_until(lambda: recorded(tmp_path, "2"))  # on a busy machine, the worker may get only this job ahead
    assert not recorded(tmp_path, "5"), "the memory of the last result would be used again"
    assert next(outcomes).job == "note:2"
    assert [outcome.job for outcome in outcomes] == NOTES[3:]
    assert all(len(recorded(tmp_path, str(number))) == 1 for number in range(12))


@pytest.mark.parametrize("death", ["kill:", "exit:", "exhaust:"])
@pytest.mark.parametrize("retries", [0, 1])
def test_the_jobs_of_a_worker_that_ends_are_done_by_another(tmp_path, death, retries):
    jobs = [*NOTES[:3], death, *NOTES[3:]]
    outcomes = list(run(Act(tmp_path), jobs, retries=retries))
    assert sorted(outcome.job for outcome in outcomes) == sorted(jobs)
    assert [outcome.job for outcome in outcomes if not outcome.ok] == [death]
    assert all(recorded(tmp_path, str(number)) for number in range(12))


def test_the_jobs_of_a_late_worker_are_done_by_another(tmp_path):
    outcomes = list(run(Act(tmp_path), [*NOTES[:3], "hang:", *NOTES[3:]], timeout=0.3))
    assert [(outcome.job, outcome.failure.cause) for outcome in outcomes if not outcome.ok] == [("hang:", "timeout")]
    assert len(outcomes) == 13
    assert all(len(recorded(tmp_path, str(number))) == 1 for number in range(12))


def test_long_jobs_are_not_sent_in_advance(tmp_path):
    outcomes = run(Act(tmp_path), ["sleep:1.01", *NOTES], workers=1)
    assert next(outcomes).job == "sleep:1.01"
    assert next(outcomes).job == "note:0"
    assert not recorded(tmp_path, "1")
    assert next(outcomes).job == "note:1"
    wait_until(lambda: recorded(tmp_path, "2"))  # on a busy machine, the worker may get only this job ahead
    outcomes.close()


def test_large_jobs_are_not_sent_in_advance(tmp_path):
    large = "echo:" + "x" * 2**15
    outcomes = run(Act(tmp_path), [*NOTES[:2], large, *NOTES[2:]], workers=1)
    assert [next(outcomes).job for _ in range(2)] == NOTES[:2]
    time.sleep(0.3)
    assert not recorded(tmp_path, "2")
    assert [outcome.job for outcome in outcomes] == [large, *NOTES[2:]]


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_a_worker_is_replaced_after_its_last_job(tmp_path, limit):
    outcomes = list(run(Act(tmp_path), NOTES, jobs_per_worker=limit))
    done = [outcome.pid for outcome in outcomes]
    assert len(done) == 12
    assert max(done.count(pid) for pid in done) == limit
    assert all(len(recorded(tmp_path, str(number))) == 1 for number in range(12))


def test_the_last_jobs_are_shared_by_all_workers(tmp_path):
    outcomes = list(run(Act(tmp_path), ["meet:2", "meet:2"]))
    assert len({outcome.pid for outcome in outcomes}) == 2
