"""Check that a run can be recorded as known: all maps are up to date, and the marks of the inputs are certain."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from regionplot.inputs.arrival import LOCAL_FILE_SYSTEMS, file_system
from regionplot.runs.identity import are_older
from regionplot.runs.report import RunReport, state_of
from regionplot.system.marks import Marks


def is_up_to_date(report: RunReport) -> bool:
    """Return True if all maps of a run were drawn or kept, and no map was removed."""
    states = {state_of(outcome) for outcome in report.outcomes}
    return report.exit_code == 0 and bool(states) and states <= {"rendered", "unchanged"} and not report.removed


def are_local(paths: Iterable[str]) -> bool:
    """Return True if only processes on this machine can write to the files."""
    try:
        return {file_system(folder) for folder in {Path(path).parent for path in paths}} <= LOCAL_FILE_SYSTEMS
    except OSError:
        return False


def with_certain_raster(marks: Marks, raster: str, began: float) -> Marks:
    """Return marks in which the mark of the raster is None if a later write could leave the mark unchanged.

    Parameters
    ----------
    marks : mapping
        Marks of the inputs before the run.
    raster : str
        Path of the raster.
    began : float
        Time of the start of the run.
    """
    mark = {raster: marks[raster]}
    return marks if are_older(mark, began) and are_local(mark) else {**marks, raster: None}
