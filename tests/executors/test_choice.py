"""Test the names of executors, the choice of `auto`, and the number of workers."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from regionplot.errors import ConfigError, ExecutorError
from regionplot.executors.base import Abilities, WorkerSettings
from regionplot.executors.choose import count_workers, executor_class, make_executor, resolve_executor
from regionplot.executors.supervisor import ProcessSettings
from regionplot.registry import EXECUTORS
from regionplot.settings.loading import read_config


@pytest.fixture
def second_thread():
    event = threading.Event()
    thread = threading.Thread(target=event.wait)
    thread.start()
    yield
    event.set()
    thread.join()


@pytest.mark.skipif(sys.platform != "linux", reason="auto is fork on Linux only")
def test_auto_is_fork_in_a_program_without_threads():
    script = "from regionplot.executors.choose import resolve_executor as r; print(r('auto'), r('fork'))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "fork fork\n"


@pytest.mark.usefixtures("second_thread")
def test_a_program_with_threads_does_not_fork():
    assert resolve_executor("auto") == "forkserver"
    with pytest.raises(ExecutorError, match=r"'fork' cannot be used: fork is unsafe .* \d threads; use 'auto'"):
        resolve_executor("fork")


@pytest.mark.parametrize("name", sorted(set(EXECUTORS.builtin) - {"fork"}))
@pytest.mark.usefixtures("second_thread")
def test_other_executors_are_used_as_requested(name):
    assert resolve_executor(name) == name


def test_unknown_name_is_refused():
    with pytest.raises(ExecutorError, match="no executor 'teleport'; use one of auto, fork, forkserver, spawn, serial"):
        resolve_executor("teleport")


def test_start_method_that_the_platform_lacks_is_refused(monkeypatch):
    monkeypatch.setattr("multiprocessing.get_all_start_methods", lambda: ["spawn"])
    assert resolve_executor("auto") == "spawn"
    with pytest.raises(ExecutorError, match="'forkserver' cannot be used: this platform cannot start processes by"):
        resolve_executor("forkserver")


def test_dask_without_its_package_is_refused(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ExecutorError, match=r"'dask' cannot be used: .* pip install distributed"):
        resolve_executor("dask")
    with pytest.raises(ExecutorError, match=r"'dask' cannot be used: .* pip install distributed"):
        executor_class("dask").at("tcp://127.0.0.1:1")


@pytest.mark.parametrize("name", EXECUTORS.builtin)
def test_every_executor_has_abilities_settings_and_workers(name):
    cls = executor_class(name)
    assert isinstance(cls.abilities, Abilities)
    assert issubclass(cls.Settings, WorkerSettings)
    executor = make_executor(name, 3, WorkerSettings(60, 12, nice=5))
    assert executor.workers == (1 if name == "serial" else 3)
    assert executor.settings == cls.Settings(60, 12, nice=5)


def test_settings_of_an_executor_are_kept():
    settings = ProcessSettings(terminate_timeout=0.25)
    assert make_executor("spawn", 2, settings).settings is settings


@pytest.mark.parametrize(
    ("requested", "jobs", "expected"), [("auto", 100, 3), ("auto", 2, 2), (8, 5, 5), (1, 5, 1), (4, 0, 1)]
)
def test_there_are_never_more_workers_than_jobs(requested, jobs, expected):
    assert count_workers(requested, jobs, cpus=3) == expected


_PLUGIN = """
import logging
from dataclasses import dataclass
from regionplot.executors.base import Abilities, WorkerSettings
from regionplot.executors.serial import SerialExecutor

class QueueExecutor(SerialExecutor):
    abilities = Abilities(shares_memory=False, survives_crashes=True, distributed=True, limits_time=False)

    @classmethod
    def unavailable(cls):
        return None
"""


@pytest.fixture
def _installed_plugin(tmp_path: Path, monkeypatch):
    """Install a package that adds the executor `queue` by an entry point."""
    (tmp_path / "queue_executor.py").write_text(_PLUGIN)
    information = tmp_path / "queue_executor-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: queue-executor\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[regionplot.executors]\nqueue = queue_executor:QueueExecutor\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("_installed_plugin")
def test_an_executor_of_another_package_draws_maps(make_config):
    from regionplot.geo.extent import Extent
    from regionplot.geo.region import Region
    from regionplot.runs.run import render_regions

    config = make_config(map={"size": [300, 200]}, run={"start_method": "queue"})
    report = render_regions([Region("east", Extent(-84.5, -75.3, 33.8, 36.7))], config)
    assert (report.start_method, report.exit_code, len(report.drawn)) == ("queue", 0, 1)


@pytest.mark.usefixtures("_installed_plugin")
def test_the_command_accepts_an_executor_of_another_package():
    import click

    from regionplot.cli.executors import ExecutorName

    assert ExecutorName().convert("queue", None, None) == "queue"
    assert ExecutorName().convert("dask", None, None) == "dask"
    with pytest.raises(click.BadParameter, match="'teleport' is not one of 'auto', 'fork'"):
        ExecutorName().convert("teleport", None, None)


def test_error_about_an_unknown_start_method_lists_the_executors():
    names = ", ".join(["auto", *EXECUTORS])
    with pytest.raises(ConfigError, match=rf"start_method: use one of {names} \(it is 'thread'\)"):
        read_config({"raster": {"path": "sample:relief"}, "run": {"start_method": "thread"}})
