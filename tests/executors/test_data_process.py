"""Test the data process of `forkserver`: it shares the data, and neither its death nor that of the program loses jobs.

All these runs are in a program that may have threads.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from executor_tasks import Act, importing_environment, recorded, running, wait_until

from regionplot.errors import ExecutorError
from regionplot.executors.processes import ForkserverExecutor
from regionplot.executors.supervisor import ProcessSettings

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="other platforms cannot fork safely"),
]
JOBS = [f"echo:{number}" for number in range(8)]


def start(task: Act, jobs: Any, workers: int = 2, **settings: Any) -> Iterator[Any]:
    """Start a run that does not retry and kills late processes soon."""
    limits = ProcessSettings(**{"timeout": 60, "retries": 0, "terminate_timeout": 0.3, **settings})
    return ForkserverExecutor(workers, limits).run(task, jobs)


def processes_of(folder: Path) -> list[int]:
    """Return the data processes and the workers of a run."""
    return recorded(folder, "loads") + recorded(folder, "starts")


@pytest.fixture(autouse=True)
def _no_process_is_left(tmp_path: Path) -> Iterator[None]:
    yield
    wait_until(lambda: not running(processes_of(tmp_path)), 10)


def kill_data_process(folder: Path) -> None:
    os.kill(recorded(folder, "loads")[-1], signal.SIGKILL)


def test_all_workers_share_one_load_while_the_program_has_threads(tmp_path: Path) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    outcomes = list(start(Act(tmp_path), [*JOBS, "meet:2", "meet:2"], jobs_per_worker=3))
    stop.set()
    thread.join()
    assert sorted(outcome.job for outcome in outcomes if outcome.ok) == sorted([*JOBS, "meet:2", "meet:2"])
    (loader,) = recorded(tmp_path, "loads")
    workers = {outcome.pid for outcome in outcomes}
    assert len(workers) >= 3
    assert not workers & {loader, os.getpid()}


def test_large_jobs_and_values_pass_through(tmp_path: Path) -> None:
    jobs = [f"echo:{str(number) * 2_000_000}" for number in range(3)]
    outcomes = list(start(Act(tmp_path), iter(jobs)))
    assert sorted(f"echo:{outcome.value}" for outcome in outcomes) == jobs


def test_faults_of_workers_are_those_of_fork(tmp_path: Path) -> None:
    faults = {"kill": "SIGKILL", "abort": "SIGABRT", "exit": "exit code 0", "fail:x": "ZeroDivision", "refuse:x": "x"}
    found = {outcome.job: outcome for outcome in start(Act(tmp_path), [*JOBS[:4], *faults, "unpicklable"])}
    assert {job for job, outcome in found.items() if outcome.ok} == set(JOBS[:4])
    assert all(text in found[job].failure.message for job, text in faults.items())
    assert "executor_tasks.py" in found["fail:x"].failure.traceback
    assert isinstance(found["fail:x"].failure.error, ZeroDivisionError)
    assert "the result cannot be pickled and sent to the parent" in found["unpicklable"].failure.message
    assert len(recorded(tmp_path, "loads")) == 1


def test_a_killed_worker_is_replaced_without_another_load_and_the_retry_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes = list(start(Act(tmp_path, "log:loading"), ["die_once:x", *JOBS], retries=1))
    assert all(outcome.ok for outcome in outcomes)
    assert outcomes[-1].job == "die_once:x"
    assert set(outcomes[-1].value) == {outcomes[-1].pid}, "another worker was running"
    assert len(recorded(tmp_path, "loads")) == 1
    assert [(record.name, record.levelname) for record in caplog.records] == [("regionplot.executors.jobs", "WARNING")]
    assert caplog.messages[0].startswith("die_once:x: the worker was killed by SIGKILL")


def test_the_program_logs_what_the_data_process_logs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Workers log to stderr, as under all start methods."""
    with caplog.at_level(logging.INFO, "regionplot"):
        list(start(Act(tmp_path, "log:loading", "log:starting"), ["echo:1"]))
    assert [(record.name, record.message) for record in caplog.records] == [("regionplot.test", "loading")]


def test_a_log_record_whose_arguments_do_not_fit_ends_no_process(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "regionplot"):
        (outcome,) = start(Act(tmp_path, "log_damaged:text"), ["echo:1"])
    assert outcome.ok
    assert not caplog.records


def test_no_job_is_lost_when_the_data_process_is_killed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = start(Act(tmp_path), (job for job in ["echo:first", "sleep:0.2", "sleep:0.3", *JOBS]))
    outcomes = [next(run)]
    kill_data_process(tmp_path)
    outcomes += run
    assert sorted(outcome.job for outcome in outcomes) == sorted(["echo:first", "sleep:0.2", "sleep:0.3", *JOBS])
    assert all(outcome.ok for outcome in outcomes)
    assert len(recorded(tmp_path, "loads")) == 2
    (message,) = caplog.messages
    assert message == (
        "the process that loads the data was killed by SIGKILL (out of memory?); a new process loads the data and does "
        "the unfinished jobs"
    )


def test_a_data_process_may_be_killed_again_after_another_outcome(tmp_path: Path) -> None:
    outcomes = []
    for outcome in start(Act(tmp_path), JOBS[:3]):
        outcomes.append(outcome)
        if len(outcomes) < 3:
            kill_data_process(tmp_path)
    assert sorted(outcome.job for outcome in outcomes) == JOBS[:3]
    assert len(recorded(tmp_path, "loads")) == 3


@pytest.mark.parametrize(
    ("action", "message"),
    [("kill", r"was killed by SIGKILL \(out of memory\?\)"), ("hang", r"took longer than 1\.5 s and was stopped")],
)
def test_a_data_process_that_dies_while_it_loads_is_replaced_once(action: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ExecutorError, match=f"the process that loads the data {message}, two times in a row; free"):
        list(start(Act(tmp_path, action), JOBS, start_timeout=1.5 if action == "hang" else 60))
    assert len(recorded(tmp_path, "loads")) == 2 or action == "hang", "a busy machine may not load within the limit"
    assert not recorded(tmp_path, "starts")


def test_a_data_process_that_exits_while_it_loads_is_reported_without_advice_about_memory(tmp_path: Path) -> None:
    with pytest.raises(ExecutorError, match=r"ended with exit code 0 .*, two times in a row; see its error messages"):
        list(start(Act(tmp_path, "exit"), JOBS))


def test_workers_that_die_at_their_start_end_the_run(tmp_path: Path) -> None:
    with pytest.raises(ExecutorError, match="worker processes die before they start a job: the worker was killed by"):
        list(start(Act(tmp_path, at_starting="kill"), JOBS))
    assert len(recorded(tmp_path, "loads")) == 1


@pytest.mark.parametrize(("memory", "is_enough"), [(100, False), (400, True)])
def test_the_memory_limit_applies_to_each_worker(memory: int, is_enough: bool, tmp_path: Path) -> None:
    (outcome,) = start(Act(tmp_path), ["allocate:200"], memory=memory)
    assert outcome.ok == is_enough
    assert is_enough or outcome.failure.cause == "memory"


def test_an_error_in_the_jobs_stops_all_processes(tmp_path: Path) -> None:
    def jobs() -> Iterator[str]:
        yield from ["echo:1", "hang:stubborn"]
        raise ValueError("no more jobs")

    with pytest.raises(ValueError, match="no more jobs"):
        list(start(Act(tmp_path), jobs()))
    assert not running(processes_of(tmp_path))


def test_closing_the_run_stops_all_processes(tmp_path: Path) -> None:
    run = start(Act(tmp_path), ["meet:2", "meet:2", "hang:stubborn", "hang"])
    assert next(run).ok
    assert next(run).ok
    wait_until(lambda: recorded(tmp_path, "hanging"))
    run.close()  # type: ignore[attr-defined]  # it is a generator
    assert not running(processes_of(tmp_path))


@pytest.mark.parametrize("at_loading", ["echo", "hang"])
def test_an_interrupt_stops_all_processes(at_loading: str, tmp_path: Path) -> None:
    def interrupt() -> None:
        wait_until(lambda: recorded(tmp_path, "hanging"))
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        list(start(Act(tmp_path, at_loading), ["hang", "hang"]))
    thread.join()
    assert not running(processes_of(tmp_path))


def test_runs_in_several_threads_do_not_disturb_each_other(tmp_path: Path) -> None:
    found: dict[int, list[str]] = {}

    def draw(number: int) -> None:
        found[number] = sorted(str(outcome.value) for outcome in start(Act(tmp_path), [f"echo:{number}"] * 5))

    threads = [threading.Thread(target=draw, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: [str(number)] * 5 for number in range(3)}
    assert len(set(recorded(tmp_path, "loads"))) == 3


def test_each_worker_loads_if_loading_starts_a_thread(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A library can start a thread that never ends, such as zarr."""
    with caplog.at_level(logging.INFO, "regionplot"):
        outcomes = list(start(Act(tmp_path, "thread"), iter(["meet:2", "meet:2", *JOBS])))
    assert sorted(outcome.job for outcome in outcomes if outcome.ok) == sorted(["meet:2", "meet:2", *JOBS])
    assert len(recorded(tmp_path, "loads")) == 3
    assert caplog.messages == [
        "2 threads run in the process that loads the data, so it cannot fork; each worker loads the data"
    ]


class _OnlyHere:
    """A task that a new process cannot read."""

    def __reduce__(self) -> Any:
        return _refuse, (os.getpid(),)


def _refuse(pid: int) -> Any:
    assert os.getpid() == pid, "defined elsewhere"


def test_a_task_that_a_new_process_cannot_read_gives_one_error() -> None:
    with pytest.raises(ExecutorError, match="a new process cannot read the task: AssertionError: defined elsewhere"):
        list(start(_OnlyHere(), JOBS))  # type: ignore[arg-type]


_PROGRAM = """
import sys, threading, time
from pathlib import Path
from executor_tasks import Act
from regionplot.executors.base import WorkerSettings
from regionplot.executors.choose import make_executor

if "threads at import" in sys.argv:
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
if __name__ == "__main__":
    task = Act(Path(sys.argv[1]), sys.argv[2])
    run = make_executor("forkserver", 2, WorkerSettings()).run(task, sys.argv[3].split(","))
    for outcome in run:
        print(outcome.value, flush=True)
        if "leave" in sys.argv:
            break
"""


def program(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start a program that draws by forkserver."""
    script = folder / "program.py"
    script.write_text(_PROGRAM)
    command = [sys.executable, str(script), str(folder), *arguments]
    return subprocess.Popen(
        command, env=importing_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("at_loading", ["echo", "hang"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=str)
def test_no_process_outlives_the_program(at_loading: str, number: int, tmp_path: Path) -> None:
    """The program does not handle SIGTERM, so it ends at once."""
    with program(tmp_path, at_loading, "hang,hang:stubborn,hang") as started:
        wait_until(lambda: len(recorded(tmp_path, "hanging")) == (2 if at_loading == "echo" else 1))
        tree = psutil.Process(started.pid).children(recursive=True)
        started.send_signal(number)
    wait_until(lambda: not running([process.pid for process in tree]), 10)


def test_a_program_that_ends_in_the_middle_of_a_run_leaves_no_process(tmp_path: Path) -> None:
    begin = time.monotonic()
    with program(tmp_path, "echo", "echo:1,hang,hang", "leave") as started:
        output, errors = started.communicate(timeout=60)
    assert (output, errors, started.returncode) == ("1\n", "", 0)
    assert time.monotonic() - begin < 30


def test_a_script_that_starts_threads_when_it_is_imported_gets_workers_that_load(tmp_path: Path) -> None:
    """The data process imports the script, has a thread then, and must not fork."""
    with program(tmp_path, "echo", "meet:2,meet:2", "threads at import") as started:
        output, errors = started.communicate(timeout=60)
    assert (output, errors, started.returncode) == ("2\n2\n", "", 0)
    assert len(set(recorded(tmp_path, "loads"))) == 2
    assert sorted(recorded(tmp_path, "loads")) == sorted(recorded(tmp_path, "starts"))
