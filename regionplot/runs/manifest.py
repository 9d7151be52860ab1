"""Read and write `manifest.json`: the result of a run, and the maps that the next run may keep.

`docs/manifest.schema.json` describes it. A map that this run had nothing to do with (another table, `--only`) keeps the
entry that an earlier run gave it.
"""

from __future__ import annotations

import json
import logging
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from regionplot.errors import OutputError
from regionplot.executors.base import Outcome
from regionplot.runs.jobs import Job, PreviousMap
from regionplot.runs.report import RunReport, state_of
from regionplot.system.files import atomic_replace, open_exclusive

logger = logging.getLogger(__name__)


NAME = "manifest.json"


VERSION = 1


_MOST_BYTES = 200 * 2**20


_LONGEST = 1000
"""Letters of a file's name and its folders."""


Entries = Mapping[str, Mapping[str, Any]]
"""Entries of maps by file name, relative to the folder."""


def read_entries(folder: Path) -> Entries:
    """The entries of a folder's manifest; none if there is no manifest, or it cannot be used."""
    path = folder / NAME
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST_BYTES:
            raise ValueError("it is no file, or too large")
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["version"] != VERSION:
            return {}
        return {entry["file"]: entry for entry in document["regions"] if is_valid_entry(entry)}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        logger.warning("%s: cannot be used (%s); every map is drawn anew", path, error)
        return {}


def is_valid_entry(entry: Mapping[str, Any]) -> bool:
    """Whether an entry names a file within the folder; others are dropped, whoever has written them."""
    file = entry["file"]
    return isinstance(file, str) and 0 < len(file) <= _LONGEST and not {"", ".", ".."} & set(file.split("/"))


def known_map(entries: Entries, folder: Path, file: str) -> PreviousMap | None:
    """What a manifest tells of a map that an earlier run drew; None if it tells nothing."""
    entry = entries.get(file, {})
    digest, size = entry.get("digest"), entry.get("bytes")
    if not (isinstance(digest, str) and isinstance(size, int)):
        return None
    return PreviousMap(folder / file, digest, size, bool(entry.get("no_data")))


def write_manifest(folder: Path, run: Mapping[str, Any], report: RunReport, before: Entries) -> Path:
    """Write a run's manifest, whole or not at all.

    Parameters
    ----------
    folder : Path
        Where the maps are.
    run : Mapping
        What is to be said of the run beside the report.
    report : RunReport
        What became of it; all its targets lie in `folder`.
    before : Mapping
        The entries of the manifest that is replaced.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    entries = {str(entry["file"]): entry for entry in _entries(folder, report, str(run["id"]), before)}
    kept = {file: entry for file, entry in before.items() if file not in entries and is_there(folder / file)}
    summary = {**run, "seconds": _rounded(report.stages), "counts": report.counts()}
    return _write(folder / NAME, _text(summary, [*entries.values(), *kept.values()]), str(run["id"]))


def _text(summary: Mapping[str, Any], entries: Iterable[Mapping[str, Any]]) -> str:
    """JSON with a line for each region: to be read by eye, and made fast for a hundred thousand."""
    lines = ",\n".join(map(json.dumps, entries))
    return f'{{"version": {VERSION},\n"run": {json.dumps(summary, indent=1)},\n"regions": [\n{lines}\n]}}\n'


def is_there(path: Path) -> bool:
    """Whether there is such a file; a name that no file can have is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _entries(folder: Path, report: RunReport, run: str, before: Entries) -> Iterator[dict[str, Any]]:
    inside = f"{folder.as_posix().rstrip('/')}/"
    for outcome in report.outcomes:
        file = outcome.job.target.as_posix().removeprefix(inside)  # `relative_to` takes ten times as long
        yield _entry(outcome, file, run, before.get(file, {}))


def _entry(outcome: Outcome[Job], file: str, run: str, before: Mapping[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": outcome.job.name,
        "origin": outcome.job.region.origin,
        "state": state_of(outcome),
        "file": file,
        "run": run,
    }
    still = {key: before.get(key) for key in ("digest", "bytes")}  # of an older image, if one is there
    if outcome.failure is not None:
        return {**entry, **still, "error": {"cause": outcome.failure.cause, "message": outcome.failure.message}}
    drawn = outcome.value
    made = still if drawn.state == "skipped" else {"digest": drawn.digest, "bytes": drawn.bytes}
    return {
        **entry,
        **made,
        "no_data": drawn.no_data,
        "seconds": _rounded(drawn.stages),
        "peak_memory": drawn.peak_memory,
    }


def _rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    return {stage: round(value, 6) for stage, value in seconds.items()}


def _write(path: Path, text: str, run: str) -> Path:
    try:
        with atomic_replace(path, run) as temporary, open_exclusive(temporary) as file:
            file.write(text.encode())
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from None
    return path
