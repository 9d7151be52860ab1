"""Metrics of a run in the text format of Prometheus."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from regionplot.errors import OutputError
from regionplot.executors.base import Failure, Outcome
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.runs.jobs import Job, MapResult
from regionplot.runs.metrics import Family, check_target, metrics_text, write_metrics
from regionplot.runs.report import RunReport


def outcome(name: str, *, failed: bool = False) -> Outcome[Job]:
    job = Job(Region(name, Extent(0, 1, 0, 1)), f"{name}.png")
    return Outcome(job, None if failed else MapResult(job.target, 1000), Failure("timeout", "late") if failed else None)


REPORT = RunReport([outcome("a"), outcome("b"), outcome("c", failed=True)], 2.5, "fork", 2, {"load": 0.5, "draw": 2.0})
NOTHING = RunReport((), 0.1, "", 0)


def parse(text: str) -> dict[str, float]:
    """Return samples by name and label value, as the Prometheus parser reads them."""
    families = list(text_string_to_metric_families(text))
    assert all(family.documentation and family.type == "gauge" for family in families)
    samples = [sample for family in families for sample in family.samples]
    assert len({(sample.name, *sample.labels.values()) for sample in samples}) == len(samples)
    return {
        " ".join([sample.name, *sample.labels.values()]).removeprefix("regionplot_"): sample.value for sample in samples
    }


def test_a_report_becomes_samples_that_prometheus_reads() -> None:
    text = metrics_text(REPORT, 1, ended=1_700_000_000.25, last_success=1_600_000_000, peak_memory=2**31)
    assert parse(text) == {
        "last_run_timestamp_seconds": 1_700_000_000.25,
        "last_success_timestamp_seconds": 1_600_000_000,
        "run_duration_seconds": 2.5,
        "exit_code": 1,
        "regions rendered": 2,
        "regions unchanged": 0,
        "regions failed": 1,
        "regions skipped": 0,
        "regions not_run": 0,
        "stage_seconds load": 0.5,
        "stage_seconds draw": 2.0,
        "bytes_written": 2000,
        "peak_memory_bytes": 2**31,
    }


def test_help_and_type_come_before_the_samples() -> None:
    lines = metrics_text(REPORT, 0, ended=1.0).splitlines()
    for number, line in enumerate(lines):
        if line.startswith("# HELP "):
            name = line.split()[2]
            assert lines[number + 1] == f"# TYPE {name} gauge"
            assert lines[number + 2].startswith((f"{name} ", f"{name}{{"))
    assert metrics_text(REPORT, 0, ended=1.0).endswith("\n")


def test_labels_cannot_break_a_line() -> None:
    text = str(Family("x", "What.", {'a"b\\c\nd': 1}, "stage")) + "\n"
    ((sample,),) = [family.samples for family in text_string_to_metric_families(text)]
    assert sample.labels == {"stage": 'a"b\\c\nd'}


def test_counts_can_be_those_of_an_interrupted_run() -> None:
    found = parse(metrics_text(NOTHING, 143, ended=1.0, counts={"not run": 12}))
    assert (found["regions not_run"], found["regions rendered"], found["exit_code"]) == (12, 0, 143)


def test_failures_keep_the_time_of_the_last_success(tmp_path: Path) -> None:
    path = tmp_path / "run.prom"
    write_metrics(path, REPORT, 1)
    assert parse(path.read_text())["last_success_timestamp_seconds"] == 0
    write_metrics(path, REPORT, 0)
    success = parse(path.read_text())
    assert success["last_success_timestamp_seconds"] == success["last_run_timestamp_seconds"] > 1.6e9
    for code in (1, 3):
        write_metrics(path, NOTHING, code)
    failure = parse(path.read_text())
    assert failure["last_success_timestamp_seconds"] == success["last_success_timestamp_seconds"]
    assert failure["last_run_timestamp_seconds"] > failure["last_success_timestamp_seconds"]


@pytest.mark.parametrize("old", [b"", b"\xff\x00garbage", b"regionplot_last_success_timestamp_seconds NaN\n"])
def test_a_damaged_old_file_states_no_success(old: bytes, tmp_path: Path) -> None:
    (tmp_path / "run.prom").write_bytes(old)
    write_metrics(tmp_path / "run.prom", REPORT, 1)
    assert parse((tmp_path / "run.prom").read_text())["last_success_timestamp_seconds"] == 0


def test_the_file_is_replaced_atomically_and_readable_by_others(tmp_path: Path) -> None:
    path = tmp_path / "run.prom"
    mask = os.umask(0o022)
    try:
        write_metrics(path, REPORT, 0)
    finally:
        os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]
    assert parse(path.read_text())["peak_memory_bytes"] > 2**20


def test_a_link_at_the_path_of_the_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "run.prom").symlink_to(tmp_path / "precious")
    write_metrics(tmp_path / "run.prom", REPORT, 0)
    assert (tmp_path / "precious").read_text() == "kept"
    assert not (tmp_path / "run.prom").is_symlink()


def test_an_error_states_why_the_file_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"run.prom: the metrics cannot be written: No such file"):
        write_metrics(tmp_path / "none" / "run.prom", REPORT, 0)
    with pytest.raises(OutputError, match=r"there is no folder .*none"):
        check_target(tmp_path / "none" / "run.prom")
    with pytest.raises(OutputError, match="the path is a folder"):
        check_target(tmp_path)
    assert check_target(tmp_path / "run.prom") == tmp_path / "run.prom"


def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "run.prom"
    os.mkfifo(pipe)
    with pytest.raises(OutputError, match="a pipe or a device"):
        check_target(pipe)
    assert pipe.is_fifo()
