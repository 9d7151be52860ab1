"""Test that a worker that dies, crashes or hangs fails its own job only, and that no worker outlives its parent."""

from __future__ import annotations

import errno
import gc
import itertools
import logging
import multiprocessing.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from executor_tasks import Act, importing_environment, recorded, running, wait_until

from regionplot.errors import ExecutorError
from regionplot.executors.processes import ForkExecutor, SpawnExecutor
from regionplot.executors.supervisor import ProcessSettings

pytestmark = [
    pytest.mark.timeout(120, method="signal"),  # a timer thread would prevent fork
    pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"),
]

OTHERS = [f"echo:{i}" for i in range(8)]
FAULTS = {
    "kill": ("killed", "SIGKILL"),
    "abort": ("killed", "SIGABRT"),
    "crash": ("killed", "SIGSEGV"),
    "exit": ("died", "exit code 0"),
    "disconnect": ("killed", "SIGKILL"),
    "hang": ("timeout", "took longer than 2 s and was stopped"),
    "hang:stubborn": ("timeout", "took longer than 2 s and was stopped"),
}
CHEAP_FAULTS = ["kill", "abort", "exit"]
EXECUTORS = {"fork": ForkExecutor, "spawn": SpawnExecutor}


def settings_of(**changes):
    """Return settings that kill late workers soon and do not retry."""
    return ProcessSettings(**{"timeout": 60, "retries": 0, "terminate_timeout": 0.3, **changes})


def fork(workers, free_memory=lambda: 2**40, can_limit_memory=lambda: True, **settings):
    return ForkExecutor(workers, settings_of(**settings), free_memory, can_limit_memory)


@pytest.fixture
def children():
    """Return a function that returns the process ids of children that were started during the test."""
    before = {child.pid for child in psutil.Process().children()}

    def started_since():
        return [child.pid for child in psutil.Process().children() if child.pid not in before]

    return started_since


@pytest.mark.parametrize(
    ("method", "faults"),
    [*(("fork", [fault]) for fault in FAULTS), ("fork", list(FAULTS)), ("spawn", CHEAP_FAULTS)],
    ids=lambda value: value if isinstance(value, str) else "+".join(value) if len(value) < 4 else "all",
)
def test_fault_fails_its_own_job_only(method, faults, tmp_path, children):
    jobs = [*OTHERS[:4], *faults, *OTHERS[4:]]
    executor = EXECUTORS[method](2, settings_of(timeout=2 if method == "fork" else 60, jobs_per_worker=5))
    outcomes = list(executor.run(Act(tmp_path), jobs))
    assert sorted(outcome.job for outcome in outcomes) == sorted(jobs)
    assert {outcome.job for outcome in outcomes if outcome.ok} == set(OTHERS)
    for outcome in outcomes:
        if outcome.failure:
            cause, message = FAULTS[outcome.job]
            assert outcome.failure.cause == cause
            assert message in outcome.failure.message
            assert not running([outcome.pid])
    assert method != "fork" or not children()


def test_job_that_finishes_while_its_worker_is_stopped_does_not_fail_the_next_job(tmp_path):
    """The worker is already being stopped, so the next job must go to another worker."""
    run = fork(1, timeout=1, jobs_per_worker=10).run(Act(tmp_path), ["finish_late:x", "kill", "echo:1"])
    outcomes = {outcome.job: outcome for outcome in run}
    assert outcomes["finish_late:x"].value == "x"
    assert outcomes["kill"].failure.cause == "killed"
    assert outcomes["kill"].pid != outcomes["finish_late:x"].pid
    assert outcomes["echo:1"].ok


def test_death_of_a_worker_is_detected_although_its_child_keeps_the_pipe_open(tmp_path):
    outcomes = {o.job: o for o in fork(1, timeout=1.5).run(Act(tmp_path), ["die_with_child", "echo:1"])}
    os.kill(recorded(tmp_path, "hanging")[0], signal.SIGKILL)
    assert outcomes["die_with_child"].failure.cause == "killed"
    assert outcomes["die_with_child"].seconds < 30
    assert outcomes["echo:1"].ok


def test_workers_do_not_inherit_signal_handlers(tmp_path):
    """With the handler of the host program, the worker would ignore SIGTERM and run until SIGKILL."""
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        (outcome,) = fork(1, timeout=0.5, terminate_timeout=30).run(Act(tmp_path), ["hang"])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert outcome.failure.cause == "timeout"
    assert outcome.seconds < 15


def test_idle_worker_is_not_stopped_when_the_deadline_of_its_last_job_passes(tmp_path, caplog):
    """The worker of the second job is idle from 1.5 s on, until the third job ends at 3.5 s."""
    outcomes = list(fork(2, timeout=2.5).run(Act(tmp_path), ["sleep:1.3", "sleep:1.5", "sleep:2.2"]))
    assert all(outcome.ok for outcome in outcomes)
    assert caplog.messages == []


@pytest.mark.parametrize("max_failed_starts", [3, 5])
def test_workers_that_die_before_they_start_a_job_end_the_run(max_failed_starts, tmp_path, children):
    run = fork(1, max_failed_starts=max_failed_starts).run(Act(tmp_path, at_starting="kill"), OTHERS)
    with pytest.raises(ExecutorError, match=r"die before they start a job: the worker was killed by SIGKILL"):
        list(run)
    assert len(recorded(tmp_path, "starts")) == max_failed_starts
    assert len(recorded(tmp_path, "loads")) == 1
    assert not children()


def test_only_consecutive_failed_starts_end_the_run(tmp_path):
    """Each started job resets the count. 2 + 2 + 2 deaths do not end a run that allows 2 consecutive deaths."""
    task = Act(tmp_path, at_starting="die_at:1,2,4,5,7,8")
    outcomes = list(fork(1, jobs_per_worker=1, max_failed_starts=3).run(task, OTHERS[:3]))
    assert [outcome.job for outcome in outcomes if outcome.ok] == OTHERS[:3]
    assert len(recorded(tmp_path, "starts")) == 9


def test_worker_that_does_not_load_in_time_is_stopped(tmp_path):
    run = SpawnExecutor(1, settings_of(start_timeout=2, max_failed_starts=1)).run(Act(tmp_path, "hang"), OTHERS)
    with pytest.raises(ExecutorError, match="die before they start a job: took longer than 2 s and was stopped"):
        list(run)
    assert not running(recorded(tmp_path, "hanging"))


@pytest.mark.parametrize(
    ("method", "settings", "seconds"),
    [
        ("fork", {"timeout": 0.5}, 0.5),
        ("spawn", {"timeout": 1.5, "load_timeout": 0.1}, 1.5),
        ("spawn", {"timeout": 0.1, "load_timeout": 1.5}, 1.5),
    ],
)
def test_the_time_limit_of_a_job_counts_from_the_start_of_a_worker(method, settings, seconds, tmp_path):
    task = Act(tmp_path, at_starting="hang")
    run = EXECUTORS[method](1, settings_of(max_failed_starts=1, **settings)).run(task, OTHERS)
    start = time.monotonic()
    with pytest.raises(ExecutorError, match=f"die before they start a job: took longer than {seconds} s"):
        list(run)
    assert seconds < time.monotonic() - start < seconds + 20


@pytest.mark.parametrize("job", ["hang", "hang:stubborn"])
def test_closing_the_iterator_stops_the_workers(job, tmp_path, children):
    run = fork(3).run(Act(tmp_path), ["echo:1", job, job, job])
    assert next(run).job == "echo:1"
    assert len(children()) == 3
    run.close()
    assert not children()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_interrupt_stops_the_workers(method, tmp_path, children):
    run = EXECUTORS[method](2, settings_of()).run(Act(tmp_path), ["hang", "interrupt:1", *OTHERS])
    with pytest.raises(KeyboardInterrupt):
        list(run)
    assert not running(recorded(tmp_path, "hanging"))
    assert method != "fork" or not children()


_PARENT = """
import sys
import time
from pathlib import Path
from executor_tasks import Act
from regionplot.executors.base import WorkerSettings
from regionplot.executors.choose import make_executor

if __name__ == "__main__":
    executor = make_executor(sys.argv[1], 2, WorkerSettings(600))
    list(executor.run(Act(Path(sys.argv[2])), ["hang", "hang:stubborn", "hang"]))
"""


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_no_worker_outlives_a_killed_parent(method, tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(_PARENT)
    parent = subprocess.Popen([sys.executable, script, method, tmp_path], env=importing_environment())
    try:
        workers = wait_until(lambda: len(pids := recorded(tmp_path, "hanging")) == 2 and pids)
        assert running(workers) == workers
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    wait_until(lambda: not running(workers), 10)  # 2 s on an idle machine


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_job_of_a_dead_worker_is_retried_alone_after_all_others(method, tmp_path):
    jobs = ["die_once:x", "die_once:y", *OTHERS] if method == "fork" else ["die_once:x", "echo:1"]
    before = {child.pid for child in psutil.Process().children()}
    executor = EXECUTORS[method](2, settings_of(jobs_per_worker=5, retries=1))
    outcomes = list(executor.run(Act(tmp_path), jobs))
    assert sorted(outcome.job for outcome in outcomes) == sorted(jobs)
    assert all(outcome.ok for outcome in outcomes)
    retried = [outcome for outcome in outcomes if outcome.job.startswith("die_once")]
    assert outcomes[-len(retried) :] == retried
    workers = {outcome.pid for outcome in outcomes}
    for outcome in retried:
        others = set(outcome.value) - before
        assert (others if method == "fork" else others & workers) == {outcome.pid}, "another worker was running"


def test_retry_is_logged_and_the_final_error_mentions_the_previous_attempt(tmp_path, caplog):
    task = Act(tmp_path)
    (outcome,) = fork(1, retries=2).run(task, ["die_then_fail:x"])
    assert outcome.failure.message == (
        "ZeroDivisionError: division by zero (previous attempt: the worker was killed by SIGKILL (out of memory?))"
    )
    assert caplog.messages == [
        "die_then_fail:x: the worker was killed by SIGKILL (out of memory?); "
        "the job is retried alone after all other jobs"
    ]


def test_job_that_runs_out_of_memory_is_retried_in_a_fresh_worker(tmp_path):
    run = fork(2, retries=2, memory=300).run(Act(tmp_path), ["exhaust:a page", "echo:1"])
    outcomes = {outcome.job: outcome for outcome in run}
    failure = outcomes["exhaust:a page"].failure
    assert (failure.cause, failure.memory) == ("memory", 300)
    assert failure.message == (
        "out of memory: no room for a map; a worker may use 300 MB in addition to the shared data; "
        "it failed 3 times, the last time with no other job running"
    )
    assert "MemoryError: a page" in failure.traceback
    assert len(set(recorded(tmp_path, "exhausted"))) == 3
    assert outcomes["echo:1"].ok


def test_failure_without_a_memory_limit_mentions_no_limit(tmp_path):
    (outcome,) = fork(1).run(Act(tmp_path), ["exhaust:a page"])
    assert (outcome.failure.message, outcome.failure.memory) == ("out of memory: no room for a map", None)


@pytest.mark.skipif(sys.platform != "linux", reason="memory limits need Linux")
@pytest.mark.parametrize(("memory", "is_enough"), [(100, False), (400, True)])
def test_memory_limit_does_not_count_the_shared_data(memory, is_enough, tmp_path):
    (outcome,) = fork(1, memory=memory).run(Act(tmp_path), ["allocate:200"])
    assert outcome.ok == is_enough
    assert is_enough or outcome.failure.cause == "memory"


@pytest.mark.parametrize("job", ["fail:x", "refuse:x", "unpicklable", "hang"])
def test_other_failures_are_not_retried(job, tmp_path):
    (outcome,) = fork(1, timeout=0.5, retries=3).run(Act(tmp_path), [job])
    assert outcome.failure.cause not in ("killed", "died", "memory")
    assert len(recorded(tmp_path, "hanging")) == (job == "hang")
    assert "previous attempt" not in outcome.failure.message


@pytest.mark.parametrize(
    ("settings", "free"), [({}, 255), ({"memory": 500}, 499), ({"memory_reserve": 1000}, 999)], ids=str
)
def test_little_free_memory_means_fewer_workers(settings, free, tmp_path, caplog):
    outcomes = list(fork(3, lambda: free << 20, **settings).run(Act(tmp_path), OTHERS))
    assert len({outcome.pid for outcome in outcomes if outcome.ok}) == 1
    assert len(outcomes) == len(OTHERS)
    assert caplog.messages == [f"only {free} MB of memory is free; continuing with 1 of 3 workers"]


@pytest.mark.parametrize(("settings", "free"), [({}, 256), ({"memory": 200}, 200)], ids=str)
def test_just_enough_free_memory_means_all_workers(settings, free, tmp_path, caplog):
    outcomes = list(fork(2, lambda: free << 20, **settings).run(Act(tmp_path), ["meet:2", "meet:2"]))
    assert len({outcome.pid for outcome in outcomes if outcome.ok}) == 2
    assert caplog.messages == []


def test_workers_are_started_when_memory_is_free_again(tmp_path):
    done = []
    run = fork(2, lambda: 2**40 if done else 0).run(Act(tmp_path), ["echo:1", "meet:2", "meet:2"])
    done.append(next(run))
    assert all(outcome.ok for outcome in run)
    assert len(set(recorded(tmp_path, "meeting"))) == 2


@pytest.fixture
def limit_forks(monkeypatch, children):
    """Return a function that makes fork fail with an error code if a number of workers is running."""
    real_fork = os.fork

    def limit(code, workers):
        def failing_fork():
            if len(running(children())) >= workers:
                raise OSError(code, os.strerror(code))
            return real_fork()

        monkeypatch.setattr(os, "fork", failing_fork)

    return limit


@pytest.mark.parametrize("jobs_per_worker", [1, 50])
@pytest.mark.parametrize("code", [errno.EAGAIN, errno.ENOMEM])
def test_run_continues_if_no_more_workers_can_be_forked(code, jobs_per_worker, limit_forks, tmp_path, caplog, children):
    limit_forks(code, 1)
    outcomes = list(fork(3, jobs_per_worker=jobs_per_worker).run(Act(tmp_path), OTHERS))
    assert len([outcome for outcome in outcomes if outcome.ok]) == len(OTHERS)
    assert len({outcome.pid for outcome in outcomes}) == (len(OTHERS) if jobs_per_worker == 1 else 1)
    assert caplog.messages == [f"no more workers can be started: {os.strerror(code)}; continuing with 1"]
    assert not children()


@pytest.mark.parametrize(("code", "remedy"), [(errno.EAGAIN, "ulimit -u"), (errno.ENOMEM, "free some memory")])
def test_error_names_the_resource_if_no_worker_can_be_forked(code, remedy, limit_forks, tmp_path):
    limit_forks(code, 0)
    with pytest.raises(ExecutorError, match=f"no worker process can be started: {os.strerror(code)}.*{remedy}") as e:
        list(fork(3).run(Act(tmp_path), OTHERS))
    assert e.value.__cause__.errno == code
    assert "[run]" not in str(e.value), "executors must not mention settings"


def test_unsupported_memory_limit_causes_one_warning(tmp_path, caplog):
    run = fork(2, can_limit_memory=lambda: False, jobs_per_worker=1, memory=1).run(Act(tmp_path), ["allocate:50"] * 3)
    assert all(outcome.ok for outcome in run)
    (message,) = caplog.messages
    assert message.startswith("the memory limit of workers is ignored: this platform cannot limit")


_COUNT = """
import sys
from pathlib import Path
from executor_tasks import Act
from regionplot.executors.processes import ForkExecutor
from regionplot.executors.supervisor import ProcessSettings

run = ForkExecutor(2, ProcessSettings(timeout=60, retries=0, jobs_per_worker=1)).run(
    Act(Path(sys.argv[1])), [f"echo:{i}" for i in range(200)]
)
print(*(len(list(Path("/proc/self/fd").iterdir())) for _ in run))
"""


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts descriptors in /proc")
def test_number_of_descriptors_does_not_grow(tmp_path):
    """The workers are forks of a small process, because 200 forks of the process of the tests take 4 s."""
    command = [sys.executable, "-c", _COUNT, tmp_path]
    result = subprocess.run(command, env=importing_environment(), capture_output=True, text=True, check=True)
    counts = [int(count) for count in result.stdout.split()]
    assert len(counts) == 200
    assert max(counts[100:]) <= max(counts[:20]) + 8


@pytest.mark.parametrize(("level", "is_logged"), [(logging.INFO, True), (logging.WARNING, False)])
def test_spawned_workers_log_at_the_level_of_the_parent(level, is_logged, tmp_path, caplog, capfd):
    with caplog.at_level(level, "regionplot"):
        (outcome,) = SpawnExecutor(1, settings_of()).run(Act(tmp_path), ["log:hello"])
    assert outcome.ok
    assert ("INFO: hello\n" in capfd.readouterr().err) == is_logged


@pytest.mark.usefixtures("thawed")
def test_loaded_objects_are_frozen_in_forked_workers_only(tmp_path):
    before = gc.get_freeze_count()
    (outcome,) = fork(1).run(Act(tmp_path), ["count_frozen"])
    assert outcome.value > before + 1000
    assert gc.get_freeze_count() == 0


_START_METHOD = """
import multiprocessing, sys
from pathlib import Path
from executor_tasks import Act
from regionplot.executors.base import WorkerSettings
from regionplot.executors.choose import make_executor

if __name__ == "__main__":
    assert all(o.ok for o in make_executor(sys.argv[1], 1, WorkerSettings()).run(Act(Path(sys.argv[2])), ["echo:1"]))
    print(multiprocessing.get_start_method(allow_none=True))
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_default_start_method_of_the_host_program_stays_unset(method, tmp_path):
    script = tmp_path / "host.py"
    script.write_text(_START_METHOD)
    command = [sys.executable, script, method, tmp_path]
    result = subprocess.run(command, env=importing_environment(), capture_output=True, text=True, check=True)
    assert result.stdout == "None\n"


@pytest.mark.parametrize("source", ["stdin", "-c"])
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_script_that_is_not_a_file_can_start_workers(method, source, tmp_path):
    """Workers would run the script again, and each worker would print that there is no file `<stdin>`."""
    arguments = ["-"] if source == "stdin" else ["-c", _START_METHOD]
    result = subprocess.run(
        [sys.executable, *arguments, method, tmp_path],
        input=_START_METHOD, env=importing_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (result.stdout, result.stderr) == ("None\n", "")


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts descriptors in /proc")
def test_workers_close_the_pipes_of_other_workers(tmp_path):
    counts = {outcome.value for outcome in fork(4).run(Act(tmp_path), ["count_sockets:4"] * 4)}
    assert len(counts) == 1, "workers inherited pipes of other workers and kept them open"


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_changes_of_the_wall_clock_do_not_change_time_limits(method, tmp_path, monkeypatch):
    times = itertools.cycle([1e9, 4e9])  # the clock jumps by a century at each call
    monkeypatch.setattr("time.time", lambda: next(times))
    outcomes = list(EXECUTORS[method](2, settings_of(timeout=1.2)).run(Act(tmp_path), ["hang", *OTHERS]))
    assert [outcome.job for outcome in outcomes if not outcome.ok] == ["hang"]


def test_late_worker_writes_its_stack_before_it_is_terminated(tmp_path, capfd, caplog):
    list(fork(1, timeout=0.5, stack_timeout=1.0).run(Act(tmp_path), ["hang"]))
    assert "in _hang" in capfd.readouterr().err
    assert any("hang: worker" in message and message.endswith("its stack:") for message in caplog.messages)


class _ParentInterrupted(BaseException):
    """Raised by the signal handler of the parent. It must not be raised in a worker."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=str)
def test_a_signal_before_a_worker_has_its_own_handlers_leaves_no_traceback(number, tmp_path, capfd):
    """A worker is held just after its fork. SIGTERM and SIGHUP then end it, and another worker does the job."""
    held = tmp_path / "held"

    def hold(_executor):
        if not held.exists():
            held.write_text(str(os.getpid()))
            os.kill(os.getpid(), number)
            time.sleep(0.2)

    def interrupt(*_):
        raise _ParentInterrupted

    executor = fork(1)
    multiprocessing.util.register_after_fork(executor, hold)
    before = {each: signal.signal(each, interrupt) for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        (outcome,) = executor.run(Act(tmp_path), ["echo:1"])
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    assert outcome.ok
    assert (outcome.pid == int(held.read_text())) == (number == signal.SIGINT), "only SIGINT is ignored by a worker"
    assert capfd.readouterr().err == ""
