"""A file is read in a child process, so a library that hangs or crashes cannot stop or crash this process."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import shapely

from regionplot.errors import ConfigError, FeaturesError
from regionplot.geo.crs import parse_crs
from regionplot.inputs.isolation import start_reading, time_limit
from regionplot.inputs.vector_files import check_layer
from regionplot.inputs.vector_layers import load_layer
from regionplot.inputs.vector_table import read_features
from regionplot.layers.features import FeatureSettings

PATH = Path("layer.gpkg")


def readers() -> list[psutil.Process]:
    """Return the child processes of this process, without the servers that other tests start."""
    servers = ("forkserver", "resource_tracker", "warm_start.py")
    commands = ((child, " ".join(child.cmdline())) for child in psutil.Process().children())
    return [child for child, command in commands if not any(server in command for server in servers)]


def result(read: Callable[[], Any], timeout: float = 60.0) -> Any:
    with time_limit(timeout):
        return start_reading(read, PATH, FeaturesError)()


def test_arrays_come_back_unchanged() -> None:
    arrays = {"a": np.arange(6.0).reshape(3, 2), "b": np.arange(5, dtype=np.int64), "none": np.empty((0, 2))}
    found = result(lambda: arrays)
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_the_file_is_read_in_another_process() -> None:
    assert result(lambda: {"pid": np.array(os.getpid())})["pid"] != os.getpid()


def test_a_process_with_threads_reads_the_file_itself() -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        assert result(lambda: {"pid": np.array(os.getpid())})["pid"] == os.getpid()
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("number", [signal.SIGBUS, signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_a_crash_is_an_error_that_names_the_file_and_the_signal(number: signal.Signals) -> None:
    with pytest.raises(FeaturesError, match=rf"layer\.gpkg: the process .* killed by {number.name}; "):
        result(lambda: os.kill(os.getpid(), number))


@pytest.mark.parametrize("ignored", [(), (signal.SIGTERM,)])
def test_a_read_that_never_ends_is_killed_at_the_timeout(ignored: tuple[signal.Signals, ...]) -> None:
    def hang() -> Any:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)
        time.sleep(60)

    start = time.monotonic()
    with pytest.raises(FeaturesError, match=r"layer\.gpkg: the file was not read within 0\.2 s \(\[run\] timeout\)"):
        result(hang, 0.2)
    assert time.monotonic() - start < 10
    assert not readers()


def test_an_interrupt_ends_the_child() -> None:
    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        finish = start_reading(lambda: time.sleep(60), PATH, FeaturesError)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            finish()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert not readers()


def test_a_child_that_nobody_waits_for_is_ended() -> None:
    finish = start_reading(lambda: time.sleep(60), PATH, FeaturesError)
    assert readers()
    del finish
    assert not readers()


@pytest.mark.parametrize("error", [FeaturesError("a: no", "b: no"), ConfigError("crs: no")])
def test_errors_of_this_package_keep_their_class_and_problems(error: Any) -> None:
    def fail() -> Any:
        raise error

    with pytest.raises(type(error)) as caught:
        result(fail)
    assert [str(problem) for problem in caught.value.problems] == [str(problem) for problem in error.problems]


def test_too_little_memory_is_an_error_that_names_the_file() -> None:
    def fail() -> Any:
        raise MemoryError

    with pytest.raises(FeaturesError, match=r"layer\.gpkg: there is not enough memory"):
        result(fail)


def test_a_child_cannot_use_all_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regionplot.inputs.isolation.available_memory", lambda: 100 * 2**20)
    with pytest.raises(FeaturesError, match=r"layer\.gpkg: there is not enough memory"):
        result(lambda: {"large": np.ones(2**25)})
    assert result(lambda: {"small": np.ones(2**20)})["small"].size == 2**20


def test_an_unexpected_error_keeps_its_traceback() -> None:
    def fail() -> Any:
        raise KeyError("lost")

    with pytest.raises(RuntimeError, match=r"(?s)Traceback.*KeyError: 'lost'"):
        result(fail)


def test_log_records_and_warnings_reach_the_log_of_this_process(caplog: pytest.LogCaptureFixture) -> None:
    def read() -> Any:
        logging.getLogger("regionplot.inputs").info("skipped %d", 2)
        warnings.warn("a library warns", stacklevel=1)
        return {}

    with caplog.at_level("INFO"):
        result(read)
    assert "skipped 2" in caplog.text
    assert "a library warns" in caplog.text


VectorRead = Callable[[Path], Any]


def layer_of(path: Path) -> list[Any]:
    """Return all parts of a vector layer, as WKB."""
    layer = load_layer(FeatureSettings(path=path, facecolor="red"), parse_crs("EPSG:3857"))
    parts = (layer.lines, layer.polygons, layer.points)
    assert all(len(part) for part in parts)
    return [shapely.to_wkb(part).tolist() for part in parts]


def table_of(path: Path) -> list[Any]:
    """Return the columns, the rows and the geometries of a vector file."""
    table = read_features(path)
    return [table.columns, table.rows, shapely.to_wkb(table.geometries).tolist(), table.crs]


@pytest.fixture
def mixed_file(write_vector: Callable[..., Path]) -> Path:
    """Write an area, a line and a point to a file."""
    geometries = [shapely.box(0, 0, 10, 10), shapely.LineString([(20, 0), (30, 5)]), shapely.Point(40, 1)]
    return write_vector(geometries, name="mixed.gpkg", geometry_type="Unknown")


@pytest.mark.parametrize("read", [layer_of, table_of])
def test_a_child_reads_the_same_from_a_vector_file(
    mixed_file: Path, read: VectorRead, request: pytest.FixtureRequest
) -> None:
    in_child = read(mixed_file)
    request.getfixturevalue("read_in_process")
    assert read(mixed_file) == in_child


@pytest.mark.parametrize("read", [layer_of, table_of, lambda path: check_layer(FeatureSettings(path=path))])
def test_a_child_reports_the_same_problem_of_a_vector_file(
    mixed_file: Path, read: VectorRead, request: pytest.FixtureRequest
) -> None:
    mixed_file.write_bytes(b"nothing")
    with pytest.raises(FeaturesError) as in_child:
        read(mixed_file)
    request.getfixturevalue("read_in_process")
    with pytest.raises(FeaturesError) as here:
        read(mixed_file)
    assert [str(problem) for problem in here.value.problems] == [str(problem) for problem in in_child.value.problems]
