"""A worker's death, crash or hang costs its own job and no other; no worker outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from executor_tasks import Act, alive, noted, wait_until

from regionplot.errors import ExecutorError
from regionplot.executors import ProcessExecutor, WorkerSettings, processes

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


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts descriptors in /proc")
def test_descriptors_do_not_add_up(tmp_path):
    jobs = [f"echo:{i}" for i in range(200)]
    counts = [len(list(Path("/proc/self/fd").iterdir())) for _ in executor("fork", 2, 60, 1).run(Act(tmp_path), jobs)]
    assert len(counts) == 200
    assert max(counts[100:]) <= max(counts[:20]) + 8
