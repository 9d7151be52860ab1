"""What must hold for every executor: they differ in how, never in what."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import pickle
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from executor_tasks import Act, noted

from regionplot.errors import ExecutorError, RasterError
from regionplot.executors.base import WorkerSettings
from regionplot.executors.choose import make_executor
from regionplot.geo.extent import Extent
from regionplot.geo.grid import Window
from regionplot.geo.region import Region
from regionplot.runs.jobs import Job
from regionplot.runs.task import RenderTask
from regionplot.settings.loading import read_config
from regionplot.shared.plan import LoadPlan

# a time limit by signal: one by a thread would make this a program with threads, where fork is refused
pytestmark = [
    pytest.mark.timeout(120, method="signal"),
    pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"),
]

PROCESSES = ["fork", "forkserver", "spawn"]
METHODS = ["serial", "threads", *PROCESSES, "dask"]
HERE = ["serial", "threads"]
JOBS = [*(f"echo:{i}" for i in range(12)), "refuse:two\nlines", "fail:x", "echo:again", "echo:again"]


def outcomes_of(method, task, jobs):
    """What two workers make of jobs."""
    return in_a_process_if_dask(_here, method, task, jobs)


def in_a_process_if_dask(function, method, *arguments):
    """Dask leaves a thread behind, beside which fork is refused."""
    if method == "dask":
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            return pool.submit(function, method, *arguments).result()
    return function(method, *arguments)


def _here(method, task, jobs):
    return list(make_executor(method, 2, len(jobs), WorkerSettings(60, 100)).run(task, jobs))


@pytest.fixture(scope="module", params=METHODS)
def method(request):
    return request.param


@pytest.fixture(scope="module")
def run(method, tmp_path_factory):
    """The folder of a task, and what became of many jobs."""
    folder = tmp_path_factory.mktemp(method)
    return folder, outcomes_of(method, Act(folder), JOBS)


def test_every_job_has_exactly_one_outcome(run):
    assert Counter(outcome.job for outcome in run[1]) == Counter(JOBS)


def test_jobs_are_taken_only_as_they_are_needed(method, tmp_path):
    """A raster may have more blocks than fit into memory."""
    assert in_a_process_if_dask(_taken_for_ten, method, tmp_path) <= 10 + 2 * 2


def _taken_for_ten(method, folder):
    """How many of endless jobs are taken until ten outcomes are there."""
    taken = itertools.count()
    jobs = (f"echo:{next(taken)}" for _ in itertools.count())
    run = make_executor(method, 2, 1_000, WorkerSettings(60, 100)).run(Act(folder), jobs)
    assert len(list(itertools.islice(run, 10))) == 10
    run.close()
    return next(taken)


def test_value_of_each_job_is_its_own(run):
    done = [outcome for outcome in run[1] if outcome.ok]
    assert len(done) == len(JOBS) - 2
    assert all(outcome.job == f"echo:{outcome.value}" and outcome.seconds >= 0 for outcome in done)


def test_foreseen_error_is_its_jobs_outcome(run):
    (failure,) = (outcome.failure for outcome in run[1] if outcome.job.startswith("refuse"))
    assert (failure.cause, failure.message, failure.traceback) == ("RegionError", "two\nlines", "")


def test_unforeseen_error_keeps_its_traceback(run):
    (failure,) = (outcome.failure for outcome in run[1] if outcome.job.startswith("fail"))
    assert (failure.cause, failure.message) == ("ZeroDivisionError", "ZeroDivisionError: division by zero")
    assert "executor_tasks.py" in failure.traceback


def test_each_process_loads_once(run, method):
    folder, outcomes = run
    loads, workers = noted(folder, "loads"), {outcome.pid for outcome in outcomes}
    assert len(set(loads)) == len(loads)
    if method in (*HERE, "fork"):
        assert loads == [os.getpid()]
    else:
        assert workers <= set(loads)
        assert len(loads) <= 2
    assert (os.getpid() in workers) == (method in HERE)


def test_no_jobs_no_outcomes(method, tmp_path):
    assert outcomes_of(method, Act(tmp_path), []) == []


def test_serial_keeps_the_order(tmp_path):
    assert [
        outcome.job for outcome in make_executor("serial", 2, 3, WorkerSettings(60, 1)).run(Act(tmp_path), JOBS)
    ] == JOBS


@pytest.mark.parametrize("method", PROCESSES)
def test_result_that_cannot_travel_is_a_failure(method, tmp_path):
    jobs = ["unpicklable", "unreadable", "echo:1", "echo:2"]
    outcomes = {o.job: o for o in make_executor(method, 1, len(jobs), WorkerSettings(60, 10)).run(Act(tmp_path), jobs)}
    assert "cannot be sent" in outcomes["unpicklable"].failure.message
    assert "never to be read" in outcomes["unreadable"].failure.message
    assert outcomes["echo:1"].ok
    assert outcomes["echo:2"].ok
    assert len({outcome.pid for outcome in outcomes.values()}) == 1, "the worker should have lived on"


def test_error_that_all_jobs_share_is_raised_as_it_is(method, tmp_path):
    with pytest.raises(RasterError) as caught:
        outcomes_of(method, Act(tmp_path, "missing"), JOBS)
    assert type(caught.value) is RasterError
    assert [str(problem) for problem in caught.value.problems] == ["no such grid", "nor that one"]
    assert 1 <= len(noted(tmp_path, "loads")) <= 2, "no worker is started again to fail again"


def test_unforeseen_error_that_all_jobs_share_has_its_traceback(method, tmp_path):
    with pytest.raises(ExecutorError, match=r"(?s)executor_tasks\.py.*ZeroDivisionError"):
        outcomes_of(method, Act(tmp_path, "fail"), JOBS)
    assert 1 <= len(noted(tmp_path, "loads")) <= 2


@pytest.mark.parametrize("method", PROCESSES)
def test_worker_is_replaced_after_its_share_of_jobs(method, tmp_path):
    jobs = [f"echo:{i}" for i in range(5)]
    outcomes = list(make_executor(method, 2, len(jobs), WorkerSettings(60, 1)).run(Act(tmp_path), jobs))
    assert len({outcome.pid for outcome in outcomes}) == len(jobs)
    shared = Counter(o.pid for o in make_executor(method, 1, len(jobs), WorkerSettings(60, 3)).run(Act(tmp_path), jobs))
    assert sorted(shared.values()) == [2, 3]


def test_little_crosses_the_border_to_a_worker():
    attributes = {f"column_{i}": "some text of a usual length" for i in range(8)}
    region = Region("northern_rockies", Extent(-117, -103, 40, 49), attributes=attributes, origin="regions.csv:7")
    assert len(pickle.dumps(Job(region, Path("/some/folder/of/maps") / "northern_rockies.png"))) < 2000
    task = RenderTask(
        read_config(Path(__file__).parents[2] / "config" / "regionplot.toml"),
        "run",
        LoadPlan(Window(0, 0, 9, 9), windowed=False),
        maps=12,
    )
    size = len(pickle.dumps(task))
    assert size < 8000
    task._renderer = bytearray(1_000_000)
    assert len(pickle.dumps(task)) == size, "what is loaded must not travel"
