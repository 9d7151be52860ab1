"""Write metrics of a run in the Prometheus text format 0.0.4, for the textfile collector of node_exporter.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from regionplot.errors import OutputError
from regionplot.runs.report import STATES, RunReport
from regionplot.system.files import atomic_replace, new_run, open_exclusive
from regionplot.system.machine import peak_memory_with_children

_LAST_SUCCESS = "regionplot_last_success_timestamp_seconds"
_OLD_SUCCESS = re.compile(rf"^{_LAST_SUCCESS} (\d+(?:\.\d+)?)$", re.MULTILINE | re.ASCII)
_MAX_READ = 1_000_000
"""Maximum number of characters of an old file that are searched."""


class Family(NamedTuple):
    """One metric."""

    name: str
    meaning: str
    samples: Mapping[str, float]
    """Value of the metric for each value of the label. Without a label, the only key is `""`."""
    label: str = ""
    """Name of the label. Empty: the metric has no label."""

    def __str__(self) -> str:
        lines = [f"# HELP {self.name} {self.meaning}", f"# TYPE {self.name} gauge"]
        for value, number in self.samples.items():
            labels = f'{{{self.label}="{_escaped(value)}"}}' if self.label else ""
            lines.append(f"{self.name}{labels} {_number(number)}")
        return "\n".join(lines)


def metrics_text(
    report: RunReport,
    exit_code: int,
    *,
    ended: float,
    last_success: float = 0.0,
    counts: Mapping[str, int] | None = None,
    peak_memory: int | None = None,
) -> str:
    """Return the metrics of a run as text for Prometheus.

    Parameters
    ----------
    report : RunReport
        Outcomes of the run. If the run ended early, outcomes are missing.
    exit_code : int
        Exit code of the command.
    ended : float
        Unix time at which the run ended.
    last_success : float
        Unix time at which the previous successful run ended. 0: no earlier run was successful.
    counts : Mapping, optional
        Number of regions by state. By default, the numbers are taken from the report.
    peak_memory : int, optional
        Maximum resident memory of one process in bytes.
    """
    success = ended if exit_code == 0 else last_success
    families = _families(report, exit_code, ended, success, report.counts() if counts is None else counts)
    lines = [str(family) for family in families]
    if peak_memory is not None:
        meaning = "Maximum resident memory in bytes of one process of the last run, including shared memory."
        lines.append(str(Family("regionplot_peak_memory_bytes", meaning, {"": peak_memory})))
    return "\n".join([*lines, ""])


def _families(
    report: RunReport, exit_code: int, ended: float, success: float, counts: Mapping[str, int]
) -> Iterator[Family]:
    size = sum(outcome.value.bytes for outcome in report.drawn)
    states = {
        state.replace(" ", "_"): counts.get(state, 0) for state in STATES
    }  # includes states without regions, so that each series always exists
    yield Family("regionplot_last_run_timestamp_seconds", "Unix time at which the last run ended.", {"": ended})
    yield Family(_LAST_SUCCESS, "Unix time at which a run last ended with exit code 0; 0 if never.", {"": success})
    yield Family("regionplot_run_duration_seconds", "Wall time of the last run in seconds.", {"": report.seconds})
    yield Family("regionplot_exit_code", "Exit code of the last run.", {"": exit_code})
    yield Family("regionplot_regions", "Regions of the last run by state.", states, "state")
    if report.stages:
        yield Family(
            "regionplot_stage_seconds", "Wall time of the last run in seconds by stage.", report.stages, "stage"
        )
    yield Family("regionplot_bytes_written", "Total size in bytes of the images that the last run wrote.", {"": size})


def write_metrics(path: Path, report: RunReport, exit_code: int, counts: Mapping[str, int] | None = None) -> None:
    """Write the metrics of a run that has just ended. The file is replaced atomically.

    Raises
    ------
    OutputError
        If the metrics cannot be written. The old file stays.
    """
    text = metrics_text(
        report,
        exit_code,
        ended=time.time(),
        last_success=_old_success(path),
        counts=counts,
        peak_memory=peak_memory_with_children(),
    )
    try:
        with atomic_replace(path, new_run()) as temporary, open_exclusive(temporary) as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OutputError(f"{path}: the metrics cannot be written: {error.strerror or error}") from error


def check_target(path: Path) -> Path:
    """Return the path if a file can be written there.

    Raises
    ------
    OutputError
        If no file can be written there.
    """
    if path.is_dir():
        raise OutputError(f"{path}: the metrics cannot be written: the path is a folder; add a file name")
    if path.exists() and not path.is_file():  # a rename would replace the pipe or device
        raise OutputError(f"{path}: the metrics cannot be written: the path is a pipe or a device; give a file")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: the metrics cannot be written: there is no folder {path.parent}; create it")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputError(f"{path}: the metrics cannot be written: the folder is read-only; choose another one")
    return path


def _old_success(path: Path) -> float:
    """Return the time of the last success from the old metrics file, or 0 if the file does not contain this time."""
    try:
        if not path.is_file():
            return 0.0
        with path.open(encoding="utf-8", errors="replace") as file:
            found = _OLD_SUCCESS.search(file.read(_MAX_READ))
    except OSError:
        return 0.0
    return float(found[1]) if found else 0.0


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(number: float) -> str:
    """Return a number without an exponent, so that shell scripts can read it."""
    return str(number) if isinstance(number, int) else f"{number:.6f}"
