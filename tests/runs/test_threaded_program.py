"""Maps that are drawn by a program with threads, such as a notebook or a server: `auto` selects forkserver."""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from regionplot.executors.base import Outcome
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.runs.jobs import Job
from regionplot.runs.report import Observer, RunReport
from regionplot.runs.run import render_regions
from regionplot.system.processes import is_running

pytestmark = [
    pytest.mark.timeout(120, method="signal"),  # a timer thread would prevent fork
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]
REGIONS = [Region(f"r{number}", Extent(-125 + 5 * number, -112 + 5 * number, 28, 41)) for number in range(12)]
Draw = Callable[..., RunReport]
Act = Callable[[Outcome[Job]], None]


class Watch(Observer):
    """Measures the private memory of each worker, and acts after each map."""

    def __init__(self, acts: dict[int, Act]) -> None:
        self.acts, self.count = acts, 0
        self.private: dict[int, float] = {}

    def finished(self, outcome: Outcome[Job]) -> None:
        """Measure, then act."""
        with suppress(psutil.NoSuchProcess):
            self.private[outcome.pid] = psutil.Process(outcome.pid).memory_full_info().uss / 2**20
        self.count += 1
        self.acts.get(self.count, lambda _: None)(outcome)


@pytest.fixture
def thread() -> Iterator[Callable[[], None]]:
    """Return a function that starts a thread, which runs until the end of the test."""
    stop = threading.Event()
    started = threading.Thread(target=stop.wait)
    yield started.start
    stop.set()
    started.join()


@pytest.fixture
def draw(make_config: Callable[..., Any], tmp_path: Path) -> Draw:
    def run(name: str, watch: Watch, **settings: Any) -> RunReport:
        config = make_config(
            map={"size": [300, 200]}, features=[{"path": "sample:states"}], output={"directory": tmp_path / name},
            run={"workers": 2, **settings},
        )  # fmt: skip
        return render_regions(REGIONS, config, observer=watch)

    return run


def images(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


def count_loads(caplog: pytest.LogCaptureFixture) -> int:
    return len(re.findall(r"process \d+ loaded the shared data", caplog.text))


def kill_worker(outcome: Outcome[Job]) -> None:
    os.kill(outcome.pid, signal.SIGKILL)


def kill_data_process(outcome: Outcome[Job]) -> None:
    os.kill(psutil.Process(outcome.pid).ppid(), signal.SIGKILL)


def test_a_program_with_threads_loads_once_and_its_workers_share_the_data(
    draw: Draw, thread: Callable[[], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "regionplot")
    forked, shared, killed = Watch({}), Watch({}), Watch({1: kill_worker, 5: kill_data_process})
    assert draw("fork", forked).start_method == "fork"
    thread()
    caplog.clear()
    report = draw("shared", shared)
    assert (report.start_method, len(report.drawn), count_loads(caplog)) == ("forkserver", 12, 1)
    assert report.stages["load"] > 0
    assert max(shared.private.values()) < 1.3 * max(forked.private.values()) + 10
    caplog.clear()
    report = draw("killed", killed)
    assert (len(report.drawn), len(report.failed), count_loads(caplog)) == (12, 0, 2)
    assert "the process that loads the data was killed by SIGKILL" in caplog.text
    assert images(tmp_path / "fork") == images(tmp_path / "shared") == images(tmp_path / "killed")
    assert not any(map(is_running, {*shared.private, *killed.private}))
