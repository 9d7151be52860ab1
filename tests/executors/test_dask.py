"""What is particular to a dask cluster: lost workers, addresses, who is warned of what.

Each test runs in a process of its own, for `distributed` leaves a thread behind, beside which fork is refused.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

KILLED = """
from regionplot.executors.dask import DaskExecutor
from executor_tasks import Act
jobs = ["echo:1", "kill", "echo:2"]
outcomes = {o.job: o for o in DaskExecutor(2).run(Act(Path(sys.argv[1])), jobs)}
print(sorted(outcomes), outcomes["kill"].failure)
"""
INTERRUPTED = """
from regionplot.executors.dask import DaskExecutor
from executor_tasks import Act
run = DaskExecutor(2).run(Act(Path(sys.argv[1])), ["echo:1"] * 50)
next(run)
import psutil
tree = psutil.Process().children(recursive=True)
children = [p for p in tree if "resource_tracker" not in " ".join(p.cmdline())]
run.close()
print(len(children), psutil.wait_procs(children, 20)[1])
"""
NOWHERE = """
from regionplot.errors import ExecutorError
from regionplot.executors.dask import DaskExecutor
import dask
dask.config.set({"distributed.comm.timeouts.connect": "0.2s"})
try:
    DaskExecutor.at("tcp://127.0.0.1:1")
except ExecutorError as error:
    print("refused:", error)
"""
LOCAL_ONLY = """
import distributed, psutil
from regionplot.executors.dask import DaskExecutor
from executor_tasks import Act
run = DaskExecutor(2).run(Act(Path(sys.argv[1])), ["echo:1"] * 50)
next(run)
tree = [psutil.Process(), *psutil.Process().children(recursive=True)]
heard = [c.laddr.ip for p in tree for c in p.net_connections("inet") if c.status == "LISTEN"]
print(sorted(set(heard)))
run.close()
"""


def run(script, *arguments):
    text = "import sys\nfrom pathlib import Path\nif __name__ == '__main__':\n" + "\n".join(
        f"    {line}" for line in script.strip().splitlines()
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    result = subprocess.run(
        [sys.executable, "-c", text, *map(str, arguments)],
        env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_a_worker_that_is_lost_is_its_jobs_failure(tmp_path):
    out = run(KILLED, tmp_path)
    assert "['echo:1', 'echo:2', 'kill']" in out
    assert "cause='killed'" in out


def test_closing_the_run_ends_the_cluster(tmp_path):
    count, alive = run(INTERRUPTED, tmp_path).split(maxsplit=1)
    assert int(count) >= 2
    assert alive.strip() == "[]"


def test_a_cluster_of_our_own_listens_to_this_machine_only(tmp_path):
    assert run(LOCAL_ONLY, tmp_path).strip() == "['127.0.0.1']"


def test_a_cluster_that_is_not_there_is_an_error():
    assert "refused: there is no dask cluster at tcp://127.0.0.1:1" in run(NOWHERE)


@pytest.mark.parametrize(
    ("address", "warned"),
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
def test_a_scheduler_beyond_this_machine_without_encryption_is_warned_of(address, warned, caplog):
    from regionplot.executors.dask import warn_if_unencrypted

    warn_if_unencrypted(address)
    assert ("not encrypted" in caplog.text) == warned
