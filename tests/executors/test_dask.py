"""Test dask clusters: lost workers, addresses, threads of a worker.

They run in another process, because `distributed` leaves a thread, which would prevent fork.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any
from unittest import mock

import dask_process
import pytest
from executor_tasks import importing_environment, recorded

from regionplot.executors.dask import warn_if_unencrypted
from regionplot.executors.dask_task import difference, is_short_of_memory, refusal

_HEADER = """
import json, logging, os, sys, time
from pathlib import Path
from executor_tasks import Act, recorded
from regionplot.errors import ExecutorError
from regionplot.executors.base import WorkerSettings
from regionplot.executors.dask import DaskExecutor
from regionplot.executors.dask_task import LoadedTask
"""


def run(script: str, *arguments: object) -> Any:
    """Run a script in the process for dask and return the value that it prints as JSON."""
    return json.loads(dask_process.run_script(f"{_HEADER}\n{script}", *arguments))


def run_alone(script: str, *arguments: object) -> Any:
    """Run a script in a process of its own, whose workers are spawned, and return the value that it prints as JSON."""
    text = f"{_HEADER}\nif __name__ == '__main__':\n" + "\n".join(f"    {line}" for line in script.strip().splitlines())
    result = subprocess.run(
        [sys.executable, "-c", text, *map(str, arguments)],
        env=importing_environment(), capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


_JOBS = """
workers, retries, *jobs = json.loads(sys.argv[2])
outcomes = DaskExecutor(workers, WorkerSettings(retries=retries)).run(Act(Path(sys.argv[1])), jobs)
print(json.dumps([(o.job, o.failure and [o.failure.cause, o.failure.message]) for o in outcomes]))
"""


_DEATHS = """
settings = WorkerSettings(retries=1, max_deaths=3)
run = DaskExecutor(1, settings).run(Act(Path(sys.argv[1])), (each for each in ["kill"] * 50))
first = next(run)
run.close()
print(json.dumps([first.failure.cause, len((Path(sys.argv[1]) / "starts").read_text().split()) < 6]))
"""


def test_a_run_stops_after_some_consecutive_deaths(tmp_path):
    """Otherwise each of the jobs kills a worker before the first job is retried."""
    assert run(_DEATHS, tmp_path) == ["killed", True]


def failures_of(folder, workers, retries, *jobs):
    outcomes = run(_JOBS, folder, json.dumps([workers, retries, *jobs]))
    assert sorted(job for job, _ in outcomes) == sorted(jobs), "a job has no outcome or several"
    return {job: failure for job, failure in outcomes if failure}


def test_lost_worker_fails_its_job_only(tmp_path):
    """The shared task is lost with the only worker, so the task must be sent again."""
    failures = failures_of(tmp_path, 1, 0, "echo:1", "kill", *(f"echo:{i}" for i in range(2, 8)))
    assert list(failures) == ["kill"]
    cause, message = failures["kill"]
    assert cause == "killed"
    assert message.startswith("the worker was lost: KilledWorker")


def test_job_of_a_lost_worker_is_retried_after_all_others(tmp_path):
    failures = failures_of(tmp_path, 2, 2, "kill", "echo:1", "die_at:1", "echo:2")
    assert list(failures) == ["kill"]
    assert failures["kill"][1].endswith("; it failed 3 times, the last time with no other job running")


def test_every_job_has_an_outcome_if_all_running_jobs_finish_at_once(tmp_path):
    """The next job must be submitted although no job is running. Results that do not unpickle are not retried."""
    failures = failures_of(tmp_path, 1, 3, "not_unpicklable", *(f"echo:{i}" for i in range(50)))
    assert failures == {"not_unpicklable": ["TypeError", _UNPICKLED]}


_UNPICKLED = "TypeError: the result cannot be unpickled: must not be unpickled"
_PICKLED = """
import pickle
task = LoadedTask(Act(Path(sys.argv[1])))
task.load()
copy = pickle.loads(pickle.dumps(task))
print(json.dumps([task.is_loaded, copy.is_loaded, copy.parent == os.getpid()]))
"""


def test_copy_of_a_loaded_task_is_not_loaded(tmp_path):
    """Dask may copy the task from another worker to a restarted worker."""
    assert run(_PICKLED, tmp_path) == [True, False, True]


_IN_PROCESS = """
import distributed
with distributed.Client(processes=False, n_workers=1, threads_per_worker=4, dashboard_address=None) as client:
    executor = DaskExecutor.at(client)
    outcomes = list(executor.run(Act(Path(sys.argv[1])), ["meet:2", "meet:2", "echo:1"]))
print(json.dumps([executor.workers, [o.ok for o in outcomes], {o.pid for o in outcomes} == {os.getpid()}]))
"""


def test_worker_threads_in_this_process_load_once_and_start_no_worker(tmp_path):
    """Setting up a worker closes the caller's output file, so it must not happen in the caller's process."""
    assert run(_IN_PROCESS, tmp_path) == [4, [True] * 3, True]
    assert recorded(tmp_path, "starts") == []
    assert len(recorded(tmp_path, "loads")) == 1


_COPIES_DROPPED = """
import dask, distributed, gc
def count_tasks():
    return sum(type(each) is LoadedTask for each in gc.get_objects())
def wait_until(is_true):
    end = time.monotonic() + 30
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.01)
def jobs():
    yield from ["meet:2"] * 2
    wait_until(lambda: [len(copies) for copies in client.who_has().values()] == [1] * 2)
    yield from ["meet:4"] * 2
manager = "distributed.scheduler.active-memory-manager."
settings = {manager + "start": True, manager + "interval": "20ms"}
with dask.config.set(settings), distributed.Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
    outcomes = list(DaskExecutor.at(client).run(Act(Path(sys.argv[1])), jobs()))
    wait_until(lambda: not any(client.run(count_tasks).values()))
print(json.dumps([o.ok for o in outcomes]))
"""


def test_data_is_loaded_once_although_dask_drops_and_copies_the_task_between_jobs(tmp_path):
    """Dask drops each copy that no running job needs. When the run has ended, no worker keeps the data."""
    assert run(_COPIES_DROPPED, tmp_path) == [True] * 4
    for record in ("starts", "loads"):
        assert len(recorded(tmp_path, record)) == len(set(recorded(tmp_path, record))) == 2


_LOCAL = """
import distributed
import psutil
messages = []
handler = logging.Handler()
handler.emit = lambda entry: messages.append(entry.getMessage())
logging.getLogger("regionplot").addHandler(handler)
logging.getLogger("regionplot").setLevel(logging.INFO)
level = logging.getLogger("distributed").level
run = DaskExecutor(2).run(Act(Path(sys.argv[1])), ["echo:1"] * 50)
next(run)
children = psutil.Process().children(recursive=True)
addresses = [c.laddr.ip for p in [psutil.Process(), *children]
             for c in p.net_connections("inet") if c.status == "LISTEN"]
children = [p for p in children if "resource_tracker" not in " ".join(p.cmdline())]
run.close()
print(json.dumps({
    "messages": messages, "addresses": sorted(set(addresses)), "children": len(children),
    "alive": [p.pid for p in psutil.wait_procs(children, 20)[1]],
    "level": [level, logging.getLogger("distributed").level],
}))
"""


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """Return facts about a local cluster whose run was closed early."""
    return run_alone(_LOCAL, tmp_path_factory.mktemp("local"))


def test_closing_the_run_ends_the_local_cluster(local):
    assert local["children"] >= 2
    assert local["alive"] == []


def test_local_cluster_listens_on_the_loopback_interface_only(local):
    assert local["addresses"] == ["127.0.0.1"]


def test_local_cluster_is_logged_and_leaves_other_logs_alone(local):
    (message,) = local["messages"]
    assert re.fullmatch(r"started a local dask cluster: tcp://127\.0\.0\.1:\d+, workers: 2", message)
    assert local["level"][0] == local["level"][1]


_MISSING = """
import dask
with dask.config.set({"distributed.comm.timeouts.connect": "0.2s"}):
    try:
        DaskExecutor.at("tcp://127.0.0.1:1")
    except ExecutorError as error:
        print(json.dumps(str(error)))
"""


def test_missing_cluster_is_an_error():
    assert run(_MISSING).startswith("there is no dask cluster at tcp://127.0.0.1:1: ")


_NO_WORKERS = """
import dask, distributed
dask.config.set({"distributed.comm.timeouts.connect": "0.2s"})
with distributed.Client(processes=False, n_workers=0, dashboard_address=None, timeout=1) as client:
    try:
        list(DaskExecutor.at(client).run(Act(Path(sys.argv[1])), ["echo:1"]))
    except ExecutorError as error:
        print(json.dumps(str(error)))
"""


def test_cluster_without_workers_is_an_error(tmp_path):
    assert run(_NO_WORKERS, tmp_path).startswith("the dask cluster has no workers: ")


@pytest.mark.parametrize(
    ("address", "is_warned"),
    [
        ("tcp://192.0.2.1:8786", True),
        ("192.0.2.1:8786", True),
        ("ws://example.org/", True),
        ("tls://192.0.2.1:8786", False),
        ("tcp://127.0.0.1:8786", False),
        ("tcp://localhost:8786", False),
        ("tcp://[::1]:8786", False),
        ("inproc://192.0.2.1/5/1", False),
    ],
)
def test_unencrypted_connection_to_another_host_causes_a_warning(address, is_warned, caplog):
    warn_if_unencrypted(address)
    assert ("not encrypted" in caplog.text) == is_warned


_COPIES = """
import pickle
sent = pickle.dumps(LoadedTask(Act(Path(sys.argv[1]))))
one, other = pickle.loads(sent), pickle.loads(sent)
one.load()
other.load()
print(json.dumps([one is other, pickle.loads(pickle.dumps(LoadedTask(Act(Path(sys.argv[1]))))) is one]))
"""


def test_a_task_that_a_worker_gets_twice_is_loaded_once(tmp_path):
    assert run(_COPIES, tmp_path) == [True, False]
    assert len(recorded(tmp_path, "loads")) == 1


_ADDRESSES = """
import asyncio
import threading
import dask
known = threading.enumerate()
dask.config.set({"distributed.comm.timeouts.connect": "0.2s"})
def message(executor):
    try:
        DaskExecutor.at(executor)
    except ExecutorError as error:
        return str(error)
async def in_a_loop():
    return message("tcp://127.0.0.1:9")
names = ["tcp://127.0.0.1:9", "tcp://", "foo://127.0.0.1:9", "tls://127.0.0.1:9", "inproc://x", "tcp://127.0.0.1:99999999"]
messages = [message(name) for name in names] + [asyncio.run(in_a_loop())]
threads = [thread.name for thread in threading.enumerate() if thread not in known]
import distributed
with distributed.Client(processes=False, n_workers=1, threads_per_worker=3, dashboard_address=None) as client:
    workers = DaskExecutor.at(client.scheduler.address).workers
print(json.dumps([messages, threads, workers, message(client)]))
"""


def test_a_failed_connection_leaves_no_thread(tmp_path):
    messages, threads, workers, closed = run(_ADDRESSES, tmp_path)
    assert threads == []
    assert all("; check the address" in text or "TLS expects" in text for text in messages)
    assert workers == 3
    assert closed == "the client of the dask cluster is closed; pass a connected client"


_ENDS = """
import distributed
with distributed.Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
    outcomes = list(DaskExecutor.at(client).run(Act(Path(sys.argv[1])), ["generator_exit", "keyboard", "echo:1"]))
print(json.dumps([o.failure and o.failure.cause for o in sorted(outcomes, key=lambda o: o.job)]))
"""


def test_exceptions_that_end_threads_and_programs_are_failures(tmp_path):
    """GeneratorExit would end the thread of the client, which would then wait for ever."""
    assert run(_ENDS, tmp_path) == [None, "GeneratorExit", "KeyboardInterrupt"]


_NO_START = """
import distributed
def fails(*_args, **_options):
    raise RuntimeError("Nanny failed to start.")
distributed.LocalCluster = fails
try:
    list(DaskExecutor(1).run(Act(Path(sys.argv[1])), ["echo:1"]))
except ExecutorError as error:
    print(json.dumps(str(error)))
"""


def test_a_local_cluster_that_does_not_start_is_named(tmp_path):
    assert run_alone(_NO_START, tmp_path) == "the local dask cluster cannot be started: Nanny failed to start."


def test_a_worker_with_other_versions_is_named_with_each_difference():
    expected = {"Python": "3.12", "numpy": "2.1"}
    problem = difference({"Python": "3.12", "numpy": "2.0", "more": "1"}, expected)
    assert problem == "has numpy 2.0 instead of 2.1, has more 1 instead of None"
    assert refusal("tcp://a:1", problem).startswith("dask worker tcp://a:1 has numpy 2.0 instead of 2.1")
    assert difference(dict(expected), expected) == ""


_OTHER_PROGRAM = """
task = LoadedTask(Act(Path(sys.argv[1])))
task.program = {**task.program, "numpy": "0.1"}
task.load()
print(json.dumps([type(task.error).__name__, str(task.error)]))
"""


def test_a_worker_that_joins_with_other_versions_loads_nothing(tmp_path):
    kind, message = run(_OTHER_PROGRAM, tmp_path)
    assert kind == "ExecutorError"
    assert "instead of 0.1; install the same versions" in message
    assert recorded(tmp_path, "loads") == []


_SHIPPED = """
import importlib, pickle, shutil, functools
from regionplot.executors.dask_sources import sources_of
from regionplot.executors.dask_task import end_task
folder = Path(sys.argv[1])
found = []
def forget():
    for name in [name for name in sys.modules if name.startswith("shipped_")]:
        del sys.modules[name]
    importlib.invalidate_caches()
for color in ["red", "blue"]:
    home = folder / color
    (home / "shipped_pkg").mkdir(parents=True)
    (home / "shipped_pkg" / "__init__.py").touch()
    (home / "shipped_pkg" / "marks.py").write_text("from shipped_helper import COLOR")
    (home / "shipped_helper.py").write_text(f"COLOR = {color!r}")
    (home / "shipped_plots.py").write_text("import shipped_pkg.marks\\ndef draw(): return shipped_pkg.marks.COLOR")
    sys.path.insert(0, str(home))
    forget()
    task = functools.partial(importlib.import_module("shipped_plots").draw)
    sent = pickle.dumps(LoadedTask(task, sources=sources_of(task)))
    sys.path.remove(str(home))
    shutil.rmtree(home)
    forget()
    received = pickle.loads(sent)
    again = pickle.loads(pickle.dumps(received))  # dask copies a task from one worker to another
    found.append([received.task(), again is received, sorted(received.sources.files)])
    end_task(received.key)
paths = [entry for entry in sys.path if "regionplot-modules" in entry]
print(json.dumps([found, len(paths)]))
"""


def test_workers_get_the_modules_of_the_user_that_they_do_not_have(tmp_path):
    """A changed module replaces the module of an earlier run."""
    files = ["shipped_helper.py", "shipped_pkg/__init__.py", "shipped_pkg/marks.py", "shipped_plots.py"]
    assert run(_SHIPPED, tmp_path) == [[["red", True, files], ["blue", True, files]], 1]


_NO_PACKAGE = """
import distributed, functools, importlib
(folder := Path(sys.argv[1], "site-packages")).mkdir()
(folder / "not_on_workers.py").write_text("def draw(job): return job")
sys.path.insert(0, str(folder))
draw = importlib.import_module("not_on_workers").draw
sys.path.remove(str(folder))
client = distributed.Client(n_workers=1, threads_per_worker=1, dashboard_address=None)
with client:
    try:
        list(DaskExecutor.at(client).run(Act(Path(sys.argv[1]), at_loading=draw), ["echo:1"]))
    except ExecutorError as error:
        print(json.dumps(str(error)))
    client.cluster.close()
"""


def test_a_package_that_a_worker_does_not_have_is_named(tmp_path):
    message = run(_NO_PACKAGE, tmp_path)
    assert re.match(r"dask worker tcp://.* has no package not_on_workers, which your functions need; install", message)


_OWN_FILES = """
import pickle, executor_tasks
from regionplot.executors.dask_sources import sources_of
task = Act(Path(sys.argv[1]))
sources = sources_of(task)
pickle.loads(pickle.dumps(LoadedTask(task, sources=sources)))
has_own = not any("regionplot-modules" in entry for entry in sys.path)
is_same = has_own and sys.modules["executor_tasks"] is executor_tasks
print(json.dumps(["executor_tasks.py" in sources.files, is_same]))
"""


def test_a_worker_that_has_the_same_modules_uses_its_own(tmp_path):
    """The modules may read files beside them."""
    assert run(_OWN_FILES, tmp_path) == [True, True]


_ENDED = """
task = LoadedTask(Act(Path(sys.argv[1])))
import pickle
from regionplot.executors.dask_task import end_task, run_jobs
received = pickle.loads(pickle.dumps(task))
def jobs():
    yield "echo:1"
    end_task(received.key)
    yield from ["echo:2"] * 5
print(json.dumps([len(run_jobs(received.key, jobs())[1]), run_jobs(received.key, ["echo:1"])[0]]))
"""


def test_a_running_batch_ends_with_its_run(tmp_path):
    """Otherwise workers would still write maps after Ctrl-C."""
    assert run(_ENDED, tmp_path) == [1, "unknown"]


_JOINS = """
import distributed
from regionplot.executors.dask_task import end_task
def jobs(cluster):
    yield from ["echo:1"] * 3
    cluster.scale(2)
    cluster_client.wait_for_workers(2, timeout=30)
    yield from ["meet:2"] * 2
options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as cluster_client:
    outcomes = list(DaskExecutor.at(cluster_client).run(Act(Path(sys.argv[1])), jobs(cluster)))
print(json.dumps([o.ok for o in outcomes]))
"""


def test_a_worker_that_joins_gets_the_task_and_jobs(tmp_path):
    assert run(_JOINS, tmp_path) == [True] * 5
    assert len(recorded(tmp_path, "loads")) == 2


_ALL_LOST = """
import dask, distributed, signal
dask.config.set({"distributed.comm.timeouts.connect": "1s"})
def jobs(cluster):
    yield "echo:1"
    for worker in list(cluster.workers.values()):
        cluster_client.sync(worker.close)
    yield from ["echo:2"] * 50
options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as cluster_client:
    began = time.monotonic()
    try:
        list(DaskExecutor.at(cluster_client).run(Act(Path(sys.argv[1])), jobs(cluster)))
    except ExecutorError as error:
        print(json.dumps([str(error), time.monotonic() - began < 20]))
"""


def test_a_run_ends_if_its_cluster_has_no_workers_any_more(tmp_path):
    message, is_soon = run(_ALL_LOST, tmp_path)
    assert message.startswith("the dask cluster has no workers any more; finished jobs are kept; start workers")
    assert is_soon


_SLOW_RESULTS = """
import distributed
from regionplot.executors import dask_run
fetch, waits = distributed.Future.result, []
def result(self, timeout=None):
    waits.append(timeout)
    if len(waits) < 3:
        raise TimeoutError
    return fetch(self, timeout)
distributed.Future.result = result
try:
    outcomes = list(DaskExecutor(1).run(Act(Path(sys.argv[1])), ["echo:1", "echo:2"]))
finally:
    distributed.Future.result = fetch
print(json.dumps([sorted(o.job for o in outcomes if o.ok), waits]))
"""


def test_a_result_that_cannot_be_fetched_is_asked_for_again(tmp_path):
    """The scheduler can take 30 s to notice that it cannot connect to a worker that has died."""
    jobs, waits = run(_SLOW_RESULTS, tmp_path)
    assert jobs == ["echo:1", "echo:2"]
    assert waits[:3] == [3.0, 6.0, 12.0]


@pytest.mark.parametrize(("limit", "is_short"), [(1000, True), (2000, False), (None, False)])
def test_a_worker_that_uses_much_of_its_memory_limit_frees_the_data(limit, is_short):
    """Dask would pause it before it draws the next map."""
    worker = mock.Mock()
    worker.memory_manager.memory_limit = limit
    worker.monitor.proc.memory_info.return_value.rss = 700
    assert is_short_of_memory(worker) == is_short
    assert not is_short_of_memory(None)
