"""A report counts outcomes and states them in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from regionplot.executors.base import Failure, Outcome
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.runs.jobs import Job, MapResult
from regionplot.runs.report import NOT_RUN, Observer, RunReport


def outcome(name: str, *, no_data: bool = False, failure: Failure | None = None) -> Outcome[Job]:
    job = Job(Region(name, Extent(0, 1, 0, 1)), f"{name}.png")
    return Outcome(job, None if failure else MapResult(job.target, 1000, no_data), failure)


def test_a_report_states_the_number_of_maps() -> None:
    failed = outcome("c", failure=Failure("timeout", "took more than 300 s"))
    report = RunReport([outcome("a"), outcome("b", no_data=True), failed], 2.345, "fork", 2)
    assert str(report) == "2 maps drawn, 1 without data, 1 failed in 2.3 s"
    assert [o.job.name for o in report.drawn] == ["a", "b"]
    assert report.failed == [failed]
    assert report.exit_code == 1


def test_maps_are_counted_by_state() -> None:
    kept = replace(outcome("b"), value=MapResult(Path("b.png"), 1000, state="unchanged"))
    not_run = outcome("d", failure=Failure(NOT_RUN, "the run ended"))
    report = RunReport([outcome("a"), kept, outcome("c", failure=Failure("died", "x")), not_run], 1, "fork", 2)
    assert report.counts() == {"rendered": 1, "unchanged": 1, "skipped": 0, "failed": 1, "not run": 1}
    assert str(report) == "1 map drawn, 1 unchanged, 1 failed, 1 not run in 1.0 s"
    assert report.unchanged == [kept]
    assert [o.job.name for o in report.failed] == ["c", "d"]
    assert report.exit_code == 1


def test_a_run_without_failures_has_exit_code_0() -> None:
    report = RunReport([outcome("a")], 1, "serial", 1)
    assert str(report) == "1 map drawn in 1.0 s"
    assert report.exit_code == 0


def test_a_problem_of_the_run_gives_exit_code_1() -> None:
    report = RunReport([outcome("a")], 1, "serial", 1, problems=["manifest.json: cannot be written"])
    assert not report.failed
    assert report.exit_code == 1


def test_the_base_class_of_observers_does_nothing() -> None:
    observer = Observer()
    assert observer.preparing() is None
    assert observer.started(1, 1, "fork") is None  # type: ignore[func-returns-value]
    assert observer.finished(outcome("a")) is None  # type: ignore[func-returns-value]
