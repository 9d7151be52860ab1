"""A worker's death, crash or hang costs its own job and no other; no worker outlives its parent."""

from __future__ import annotations

import dataclasses
import errno
import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from executor_tasks import Act, alive, noted, wait_until

from regionplot.errors import ExecutorError
from regionplot.executors import processes
from regionplot.executors.base import WorkerSettings
from regionplot.executors.processes import ProcessExecutor

pytestmark = [
    pytest.mark.timeout(120, method="signal"),  # a thread would make fork unsafe
    pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"),
]

OTHERS = [f"echo:{i}" for i in range(8)]
FAULTS = {
    "kill": ("killed", "SIGKILL"),
    "abort": ("killed", "SIGABRT"),
    "crash": ("killed", "SIGSEGV"),
    "exit": ("died", "exit code 0"),
    "disconnect": ("killed", "SIGKILL"),
    "hang": ("timeout", "took longer than 2 s"),
    "hang:stubborn": ("timeout", "took longer than 2 s"),
}
CHEAP_FAULTS = ["kill", "abort", "exit"]


def executor(method, workers, timeout, jobs_per_worker, **settings):
    """An executor that gives up at the first failure, unless told otherwise."""
    return ProcessExecutor(method, workers, WorkerSettings(timeout, jobs_per_worker, **{"retries": 0, **settings}))


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch):
    monkeypatch.setattr(processes, "_GRACE", 0.3)


@pytest.fixture
def children():
    """The processes that a test has left behind so far."""
    before = {child.pid for child in psutil.Process().children()}

    def started_since():
        return [child.pid for child in psutil.Process().children() if child.pid not in before]

    return started_since


@pytest.mark.parametrize(
    ("method", "faults"),
    [*(("fork", [fault]) for fault in FAULTS), ("fork", list(FAULTS)), ("spawn", CHEAP_FAULTS)],
    ids=lambda value: value if isinstance(value, str) else "+".join(value) if len(value) < 4 else "all",
)
def test_fault_costs_its_own_job_only(method, faults, tmp_path, children):
    jobs = [*OTHERS[:4], *faults, *OTHERS[4:]]
    outcomes = list(executor(method, 2, 2 if method == "fork" else 60, 5).run(Act(tmp_path), jobs))
    assert sorted(outcome.job for outcome in outcomes) == sorted(jobs)
    assert {outcome.job for outcome in outcomes if outcome.ok} == set(OTHERS)
    for outcome in outcomes:
        if outcome.failure:
            cause, message = FAULTS[outcome.job]
            assert outcome.failure.cause == cause
            assert message in outcome.failure.message
            assert not alive([outcome.pid])
    assert method != "fork" or not children()


def test_job_done_just_in_time_does_not_burden_the_next(tmp_path):
    """Its worker was told to end already; what the next job comes to must not be blamed on the time limit."""
    outcomes = {o.job: o for o in executor("fork", 1, 1, 10).run(Act(tmp_path), ["in_time:x", "kill", "echo:1"])}
    assert outcomes["in_time:x"].value == "x"
    assert outcomes["kill"].failure.cause == "killed"
    assert outcomes["kill"].pid != outcomes["in_time:x"].pid
    assert outcomes["echo:1"].ok


def test_workers_that_die_before_they_can_work_end_the_run(tmp_path, children):
    run = executor("fork", 1, 60, 10).run(Act(tmp_path, "kill_children"), OTHERS)
    with pytest.raises(ExecutorError, match=r"die before they can work.*SIGKILL"):
        list(run)
    assert len(noted(tmp_path, "loads")) == 1 + 3
    assert not children()


@pytest.mark.parametrize("job", ["hang", "hang:stubborn"])
def test_closing_the_run_ends_its_workers(job, tmp_path, children):
    run = executor("fork", 3, 60, 10).run(Act(tmp_path), ["echo:1", job, job, job])
    assert next(run).job == "echo:1"
    assert len(children()) == 3
    run.close()
    assert not children()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_interrupt_ends_the_workers(method, tmp_path, children):
    run = executor(method, 2, 60, 10).run(Act(tmp_path), ["hang", "interrupt:1", *OTHERS])
    with pytest.raises(KeyboardInterrupt):
        list(run)
    assert not alive(noted(tmp_path, "hanging"))
    assert method != "fork" or not children()


_PARENT = """
import sys
from pathlib import Path
from executor_tasks import Act
from regionplot.executors import ProcessExecutor, WorkerSettings

if __name__ == "__main__":
    executor = ProcessExecutor(sys.argv[1], 2, WorkerSettings(600, 10))
    list(executor.run(Act(Path(sys.argv[2])), ["hang", "hang:stubborn", "hang"]))
"""


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_no_worker_outlives_a_killed_parent(method, tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(_PARENT)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    parent = subprocess.Popen([sys.executable, script, method, tmp_path], env=environment)
    try:
        workers = wait_until(lambda: len(pids := noted(tmp_path, "hanging")) == 2 and pids)
        assert alive(workers) == workers
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    wait_until(lambda: not alive(workers), 10)  # 2 s on an idle machine


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_job_of_a_dead_worker_is_tried_again_alone_in_the_end(method, tmp_path):
    jobs = ["once:x", "once:y", *OTHERS] if method == "fork" else ["once:x", "echo:1"]
    before = {child.pid for child in psutil.Process().children()}
    outcomes = list(executor(method, 2, 60, 5, retries=1).run(Act(tmp_path), jobs))
    assert sorted(outcome.job for outcome in outcomes) == sorted(jobs)
    assert all(outcome.ok for outcome in outcomes)
    retried = [outcome for outcome in outcomes if outcome.job.startswith("once")]
    assert outcomes[-len(retried) :] == retried
    workers = {outcome.pid for outcome in outcomes}
    for outcome in retried:
        beside = set(outcome.value) - before
        assert (beside if method == "fork" else beside & workers) == {outcome.pid}, "alone"


def test_want_of_memory_is_tried_again_in_a_fresh_worker(tmp_path):
    run = executor("fork", 2, 60, 50, retries=2, memory=300).run(Act(tmp_path), ["want:a page", "echo:1"])
    outcomes = {outcome.job: outcome for outcome in run}
    failure = outcomes["want:a page"].failure
    assert failure.cause == "memory"
    assert failure.message.startswith("out of memory: no room for a map; a worker may take 300 MB")
    assert failure.message.endswith("; it failed 3 times, the last time alone")
    assert "MemoryError: a page" in failure.traceback
    assert len(set(noted(tmp_path, "wanting"))) == 3
    assert outcomes["echo:1"].ok


@pytest.mark.parametrize("job", ["fail:x", "refuse:x", "unpicklable", "hang"])
def test_what_is_not_the_machines_fault_is_not_tried_again(job, tmp_path):
    (outcome,) = executor("fork", 1, 0.5, 5, retries=3).run(Act(tmp_path), [job])
    assert outcome.failure.cause not in ("killed", "died", "memory")
    assert len(noted(tmp_path, "hanging")) == (job == "hang")
    assert "tried again" not in outcome.failure.message


@pytest.mark.parametrize(("memory", "free"), [(None, 255), (500, 499)])
def test_where_memory_is_short_there_are_fewer_workers(memory, free, tmp_path, caplog):
    one = dataclasses.replace(executor("fork", 3, 60, 50, memory=memory), free_memory=lambda: free << 20)
    outcomes = list(one.run(Act(tmp_path), OTHERS))
    assert len({outcome.pid for outcome in outcomes if outcome.ok}) == 1
    assert len(outcomes) == len(OTHERS)
    assert caplog.messages == [f"only {free} MB of memory are available: going on with 1 of 3 workers"]


def test_workers_come_back_with_the_memory(tmp_path):
    done = []
    two = dataclasses.replace(executor("fork", 2, 60, 50), free_memory=lambda: 2**40 if done else 0)
    run = two.run(Act(tmp_path), ["echo:1", "meet:2", "meet:2"])
    done.append(next(run))
    assert all(outcome.ok for outcome in run)
    assert len(set(noted(tmp_path, "meeting"))) == 2


@pytest.fixture
def fork_fails(monkeypatch, children):
    """Have fork fail where there are so many workers already."""
    fork = os.fork

    def arrange(code, workers):
        def failing():
            if len(alive(children())) >= workers:
                raise OSError(code, os.strerror(code))
            return fork()

        monkeypatch.setattr(os, "fork", failing)

    return arrange


@pytest.mark.parametrize("jobs_per_worker", [1, 50])
@pytest.mark.parametrize("code", [errno.EAGAIN, errno.ENOMEM])
def test_where_no_more_can_be_forked_the_run_goes_on(code, jobs_per_worker, fork_fails, tmp_path, caplog, children):
    fork_fails(code, 1)
    outcomes = list(executor("fork", 3, 60, jobs_per_worker).run(Act(tmp_path), OTHERS))
    assert len([outcome for outcome in outcomes if outcome.ok]) == len(OTHERS)
    assert len({outcome.pid for outcome in outcomes}) == len(OTHERS) if jobs_per_worker == 1 else 1
    assert caplog.messages == [f"no more workers can be started, going on with 1: {os.strerror(code)}"]
    assert not children()


@pytest.mark.parametrize(("code", "remedy"), [(errno.EAGAIN, "ulimit -u"), (errno.ENOMEM, "free some memory")])
def test_where_none_can_be_forked_it_is_told_what_ran_out(code, remedy, fork_fails, tmp_path):
    fork_fails(code, 0)
    with pytest.raises(ExecutorError, match=f"no worker process can be started: {os.strerror(code)}.*{remedy}"):
        list(executor("fork", 3, 60, 5).run(Act(tmp_path), OTHERS))


def test_memory_limit_that_the_platform_lacks_is_told_once(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("regionplot.system.machine._STATUS", tmp_path / "none")
    outcomes = list(executor("fork", 2, 60, 1, memory=300).run(Act(tmp_path), OTHERS))
    assert all(outcome.ok for outcome in outcomes)
    assert caplog.messages == ["worker_memory is ignored: this platform does not limit the memory of a process"]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts descriptors in /proc")
def test_descriptors_do_not_add_up(tmp_path):
    jobs = [f"echo:{i}" for i in range(200)]
    counts = [len(list(Path("/proc/self/fd").iterdir())) for _ in executor("fork", 2, 60, 1).run(Act(tmp_path), jobs)]
    assert len(counts) == 200
    assert max(counts[100:]) <= max(counts[:20]) + 8


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_steps_of_the_clock_that_people_set_change_no_time_limit(method, tmp_path, monkeypatch):
    steps = itertools.cycle([1e9, 4e9])  # some decades to and fro, at each look
    monkeypatch.setattr("time.time", lambda: next(steps))
    outcomes = list(executor(method, 2, 2.0, 10).run(Act(tmp_path), ["hang", *OTHERS]))
    assert [outcome.job for outcome in outcomes if not outcome.ok] == ["hang"]
