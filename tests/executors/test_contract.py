"""Test the requirements for every executor. Executors differ in how they run jobs, never in the outcomes."""

from __future__ import annotations

import itertools
import os
import pickle
from collections import Counter
from pathlib import Path

import dask_process
import pytest
from executor_tasks import Act, recorded, running, wait_until

from regionplot.errors import ExecutorError, RasterError
from regionplot.executors.base import WorkerSettings
from regionplot.executors.choose import executor_class, make_executor
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.registry import EXECUTORS
from regionplot.runs.jobs import Job
from regionplot.runs.task import RenderTask
from regionplot.settings.loading import read_config
from regionplot.shared.load import check_inputs

# the time limit uses a signal, because a timer thread would prevent fork
pytestmark = [
    pytest.mark.timeout(120, method="signal"),
    pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"),
]

METHODS = ["serial", "threads", "fork", "forkserver", "spawn", "dask"]
PROCESSES = ["fork", "forkserver", "spawn"]
JOBS = [*(f"echo:{i}" for i in range(12)), "refuse:two\nlines", "fail:x", "echo:again", "echo:again"]


def having(ability):
    """Return the names of the executors that have an ability."""
    return [name for name in METHODS if getattr(executor_class(name).abilities, ability)]


def run_jobs(method, task, jobs, settings=WorkerSettings(60, 100)):  # noqa: B008 (it is frozen)
    """Run jobs on two workers and return their outcomes."""
    return in_own_process_if_dask(_run_here, method, task, jobs, settings)


def in_own_process_if_dask(function, method, *arguments):
    """Call a function, for dask in another process."""
    return dask_process.call(function, method, *arguments) if method == "dask" else function(method, *arguments)


def _run_here(method, task, jobs, settings):
    return list(make_executor(method, 2, settings).run(task, jobs))


def test_the_suite_covers_every_executor():
    assert set(METHODS) == set(EXECUTORS.builtin)


@pytest.fixture(scope="module", params=METHODS)
def method(request):
    return request.param


@pytest.fixture(scope="module")
def run(method, tmp_path_factory):
    """Run JOBS. Return the folder of the task and the outcomes."""
    folder = tmp_path_factory.mktemp(method)
    return folder, run_jobs(method, Act(folder), JOBS)


def test_every_job_has_exactly_one_outcome(run):
    assert Counter(outcome.job for outcome in run[1]) == Counter(JOBS)


def test_jobs_are_taken_only_when_workers_need_them(method, tmp_path):
    """A raster may have more blocks than fit into memory."""
    assert in_own_process_if_dask(_count_taken, method, tmp_path) <= 10 + 2 * 2


def _count_taken(method, folder):
    """Return the number of jobs that are taken from an endless iterator to get ten outcomes."""
    taken = itertools.count()
    jobs = (f"echo:{next(taken)}" for _ in itertools.count())
    run = make_executor(method, 2, WorkerSettings(60, 100)).run(Act(folder), jobs)
    assert len(list(itertools.islice(run, 10))) == 10
    run.close()
    return next(taken)


def test_each_job_has_its_own_value(run):
    done = [outcome for outcome in run[1] if outcome.ok]
    assert len(done) == len(JOBS) - 2
    assert all(outcome.job == f"echo:{outcome.value}" and outcome.seconds >= 0 for outcome in done)


def test_expected_error_becomes_a_failure(run):
    (failure,) = (outcome.failure for outcome in run[1] if outcome.job.startswith("refuse"))
    assert (failure.cause, failure.message, failure.traceback) == ("RegionError", "two\nlines", "")


def test_unexpected_error_keeps_its_traceback(run):
    (failure,) = (outcome.failure for outcome in run[1] if outcome.job.startswith("fail"))
    assert (failure.cause, failure.message) == ("ZeroDivisionError", "ZeroDivisionError: division by zero")
    assert "executor_tasks.py" in failure.traceback


def test_data_is_loaded_once_per_process_or_once_for_all_workers(run, method):
    folder, outcomes = run
    loads, workers = recorded(folder, "loads"), {outcome.pid for outcome in outcomes}
    if executor_class(method).abilities.shares_memory:
        assert loads == [os.getpid()]
    elif executor_class(method).abilities.loads_once:
        assert len(loads) == 1
        assert not workers & {*loads, os.getpid()}
    else:
        assert workers <= set(loads)
        assert len(set(loads)) == len(loads) <= 2


def test_each_worker_process_starts_once_and_this_process_never(run, method):
    folder, outcomes = run
    starts, workers = recorded(folder, "starts"), {outcome.pid for outcome in outcomes}
    if executor_class(method).abilities.survives_crashes:
        assert workers <= set(starts)
        assert len(set(starts)) == len(starts) <= 2
        assert os.getpid() not in workers
    else:
        assert starts == []
        assert workers == {os.getpid()}


def test_no_jobs_give_no_outcomes(method, tmp_path):
    assert run_jobs(method, Act(tmp_path), []) == []


def test_serial_keeps_the_order(tmp_path):
    outcomes = make_executor("serial", 2, WorkerSettings(60, 1)).run(Act(tmp_path), JOBS)
    assert [outcome.job for outcome in outcomes] == JOBS


@pytest.mark.parametrize("method", having("survives_crashes"))
def test_killed_worker_fails_its_job_only(method, tmp_path):
    jobs = ["echo:1", "kill", "echo:2", "echo:3"]
    outcomes = {o.job: o for o in run_jobs(method, Act(tmp_path), jobs, WorkerSettings(60, 100, retries=0))}
    assert sorted(outcomes) == sorted(jobs)
    assert [job for job, outcome in outcomes.items() if not outcome.ok] == ["kill"]
    assert outcomes["kill"].failure.cause == "killed"


@pytest.mark.parametrize("method", having("limits_time"))
def test_late_job_is_stopped(method, tmp_path):
    outcomes = {o.job: o for o in run_jobs(method, Act(tmp_path), ["hang", "echo:1"], WorkerSettings(2, 100))}
    assert outcomes["echo:1"].ok
    assert (outcomes["hang"].failure.cause, outcomes["hang"].failure.message) == (
        "timeout", "took longer than 2 s and was stopped",
    )  # fmt: skip


@pytest.mark.parametrize("method", having("survives_crashes"))
def test_closing_the_iterator_stops_the_workers(method, tmp_path):
    assert in_own_process_if_dask(_close_early, method, tmp_path) == "echo:1"
    workers = recorded(tmp_path, "starts")
    assert workers
    wait_until(lambda: not running(workers), 20)


def _close_early(method, folder):
    run = make_executor(method, 2, WorkerSettings(60, 100)).run(Act(folder), ["echo:1", "hang", "hang", "hang"])
    first = next(run).job
    run.close()
    return first


@pytest.mark.parametrize("method", PROCESSES)
def test_result_that_does_not_pickle_is_a_failure(method, tmp_path):
    jobs = ["unpicklable", "not_unpicklable", "echo:1", "echo:2"]
    outcomes = {o.job: o for o in make_executor(method, 1, WorkerSettings(60, 10)).run(Act(tmp_path), jobs)}
    assert "cannot be pickled" in outcomes["unpicklable"].failure.message
    assert "cannot be unpickled: must not be unpickled" in outcomes["not_unpicklable"].failure.message
    assert outcomes["echo:1"].ok
    assert outcomes["echo:2"].ok
    assert len({outcome.pid for outcome in outcomes.values()}) == 1, "the worker did not continue"


def test_expected_error_of_loading_is_raised_unchanged(method, tmp_path):
    with pytest.raises(RasterError) as caught:
        run_jobs(method, Act(tmp_path, "missing"), JOBS)
    assert type(caught.value) is RasterError
    assert [str(problem) for problem in caught.value.problems] == ["no such grid", "no such mask"]
    assert 1 <= len(recorded(tmp_path, "loads")) <= 2, "a worker was started again after the error"


def test_unexpected_error_of_loading_keeps_its_traceback(method, tmp_path):
    with pytest.raises(ExecutorError, match=r"(?s)executor_tasks\.py.*ZeroDivisionError"):
        run_jobs(method, Act(tmp_path, "fail"), JOBS)
    assert 1 <= len(recorded(tmp_path, "loads")) <= 2


@pytest.mark.parametrize("action", ["fail", "missing"])
@pytest.mark.parametrize("method", having("survives_crashes"))
def test_error_of_starting_a_worker_is_raised(method, action, tmp_path):
    expected = ExecutorError if action == "fail" else RasterError
    with pytest.raises(expected, match="ZeroDivisionError" if action == "fail" else "no such grid"):
        run_jobs(method, Act(tmp_path, at_starting=action), JOBS)


@pytest.mark.parametrize("method", PROCESSES)
def test_worker_is_replaced_after_its_number_of_jobs(method, tmp_path):
    jobs = [f"echo:{i}" for i in range(5)]
    outcomes = list(make_executor(method, 2, WorkerSettings(60, 1)).run(Act(tmp_path), jobs))
    assert len({outcome.pid for outcome in outcomes}) == len(jobs)
    counts = Counter(o.pid for o in make_executor(method, 1, WorkerSettings(60, 3)).run(Act(tmp_path), jobs))
    assert sorted(counts.values()) == [2, 3]


@pytest.mark.parametrize("method", PROCESSES)
def test_workers_have_the_requested_priority(method, tmp_path):
    (outcome,) = make_executor(method, 1, WorkerSettings(60, nice=3)).run(Act(tmp_path), ["nice"])
    assert outcome.value == min(19, os.nice(0) + 3)


@pytest.mark.slow
def test_pickled_jobs_and_tasks_are_small():
    attributes = {f"column_{i}": "some text of a usual length" for i in range(8)}
    region = Region("northern_rockies", Extent(-117, -103, 40, 49), attributes=attributes, origin="regions.csv:7")
    assert len(pickle.dumps(Job(region, "/some/folder/of/maps/northern_rockies.png"))) < 2000
    config = read_config(Path(__file__).parents[2] / "config" / "regionplot.toml")
    task = RenderTask(config, "run", check_inputs(config, [region]), map_count=12)
    size = len(pickle.dumps(task))
    assert size < 8000
    task.load()
    assert len(pickle.dumps(task)) == size, "the pickle contains loaded data"
