"""`manifest.json`: what became of a run, and what the next run may leave as it is.

`docs/manifest.schema.json` describes it. A map that this run had nothing to do with (another table, `--only`) keeps the
entry that an earlier run gave it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from regionplot.errors import OutputError
from regionplot.files import create, replacing
from regionplot.models import Job, Known, Outcome
from regionplot.report import RunReport, state_of

logger = logging.getLogger(__name__)

NAME = "manifest.json"
VERSION = 1
_MOST_BYTES = 200 * 2**20

Entries = Mapping[str, Mapping[str, Any]]
"""Entries of maps by file name, relative to the folder."""


def read_entries(folder: Path) -> Entries:
    """The entries of a folder's manifest; none if there is no manifest, or it cannot be used."""
    path = folder / NAME
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError("it is too large")
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["version"] != VERSION:
            return {}
        return {str(entry["file"]): entry for entry in document["regions"]}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        logger.warning("%s: cannot be used (%s); every map is drawn anew", path, error)
        return {}


def known_map(entries: Entries, folder: Path, file: str) -> Known | None:
    """What a manifest tells of a map that an earlier run drew; None if it tells nothing."""
    entry = entries.get(file, {})
    digest, size = entry.get("digest"), entry.get("bytes")
    if not (isinstance(digest, str) and isinstance(size, int)):
        return None
    return Known(folder / file, digest, size, bool(entry.get("no_data")))


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
    kept = {file: entry for file, entry in before.items() if file not in entries and (folder / file).is_file()}
    document = {
        "version": VERSION,
        "run": {**run, "seconds": _rounded(report.stages), "counts": report.counts()},
        "regions": [*entries.values(), *kept.values()],
    }
    return _write(folder / NAME, json.dumps(document, ensure_ascii=False, indent=1) + "\n", str(run["id"]))


def _entries(folder: Path, report: RunReport, run: str, before: Entries) -> Iterator[dict[str, Any]]:
    for outcome in report.outcomes:
        file = outcome.job.target.relative_to(folder).as_posix()
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
        with replacing(path, run) as temporary, create(temporary) as file:
            file.write(text.encode())
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from None
    return path
