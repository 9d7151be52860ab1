"""Read and write `manifest.json`: the result of a run, and the maps that the next run can keep.

`docs/manifest.schema.json` describes the format. If a run did not include a map (because of another
table or `--only`), the manifest keeps the entry of the earlier run.
"""

from __future__ import annotations

import json
import logging
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from regionplot.errors import OutputError
from regionplot.executors.base import Outcome
from regionplot.runs.jobs import Job, MapResult, PreviousMap
from regionplot.runs.marks import mark_items, mark_of
from regionplot.runs.report import RunReport, state_of
from regionplot.runs.sidecars import KEY as SIDECARS
from regionplot.runs.sidecars import sidecars_of
from regionplot.system.files import PRIVATE_FILE, atomic_replace, open_exclusive, open_plain_file

logger = logging.getLogger(__name__)
NAME = "manifest.json"
VERSION = 1
_MAX_BYTES = 400 * 2**20
_MAX_NAME = 1000
"""Maximum number of characters in the path of a file."""
_PLACE = "georeference"
_FILE_KEYS = ("digest", "bytes", "sha256")
"""Keys of an entry that describe the file of the map."""
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, RecursionError)
"""Errors of reading a manifest that is missing or damaged."""
Entries = Mapping[str, Mapping[str, Any]]
"""Entries of maps by file name, relative to the folder of the manifest."""


def read_entries(folder: Path) -> Entries:
    """Return the entries of a folder's manifest. Return no entries if the manifest is missing or unreadable."""
    path = folder / NAME
    try:
        return _entries_of(path)
    except FileNotFoundError:
        return {}
    except _UNREADABLE as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        logger.warning("%s: the manifest cannot be used (%s); all maps are drawn again", path, reason)
        return {}


def is_readable(folder: Path) -> bool:
    """Return True if a folder has a manifest whose entries `read_entries` can return."""
    try:
        return bool(_entries_of(folder / NAME))
    except _UNREADABLE:
        return False


def _entries_of(path: Path) -> Entries:
    document = json.loads(_read_text(path))
    if document["version"] != VERSION:
        return {}
    return {entry["file"]: entry for entry in document["regions"] if is_valid_entry(entry)}


def _read_text(path: Path) -> str:
    with open_plain_file(path) as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ValueError("the file is too large")
    return content.decode()


def is_valid_entry(entry: Mapping[str, Any]) -> bool:
    """Return True if an entry names a file inside the folder. Other entries are dropped because they may be forged."""
    file = entry["file"]
    return isinstance(file, str) and 0 < len(file) <= _MAX_NAME and not {"", ".", ".."} & set(file.split("/"))


def previous_map(entries: Entries, folder: Path, file: str) -> PreviousMap | None:
    """Return the previous map that a manifest describes, or None if its entry is missing or incomplete."""
    entry = entries.get(file, {})
    digest, size, sha256 = (entry.get(key) for key in _FILE_KEYS)
    if not (isinstance(digest, str) and isinstance(size, int) and isinstance(sha256, str)):
        return None
    return PreviousMap(folder / file, digest, size, sha256, bool(entry.get("no_data")), sidecars_of(entry, file))


def read_permissions(folder: Path) -> int:
    """Return the permissions for the next manifest of a folder. Without a manifest, only the owner may read it.

    A manifest holds names, paths and messages, so a new manifest is private. If the owner changes the permissions, the
    next manifest keeps them.
    """
    try:
        found = (folder / NAME).lstat()
    except OSError:
        return PRIVATE_FILE
    is_own = not hasattr(os, "geteuid") or found.st_uid == os.geteuid()
    return stat.S_IMODE(found.st_mode) & 0o666 if stat.S_ISREG(found.st_mode) and is_own else PRIVATE_FILE


def write_manifest(
    folder: Path, run: Mapping[str, Any], report: RunReport, previous: Entries, permissions: int = PRIVATE_FILE
) -> Path:
    """Write the manifest of a run atomically.

    Parameters
    ----------
    folder : Path
        Folder of the maps.
    run : Mapping
        Facts about the run that the report does not contain.
    report : RunReport
        Results of the run. All its targets are inside `folder`.
    previous : Mapping
        Entries of the previous manifest.
    permissions : int
        Permissions of the file, as in chmod(2).

    Raises
    ------
    OutputError
        If the manifest cannot be written.
    """
    entries = {str(entry["file"]): entry for entry in _entries(folder, report, str(run["id"]), previous)}
    kept = {file: entry for file, entry in previous.items() if file not in entries and is_file(folder / file)}
    summary = {**run, "seconds": _rounded(report.stages), "counts": report.counts()}
    return _write(folder / NAME, _text(summary, [*entries.values(), *kept.values()]), str(run["id"]), permissions)


def _text(summary: Mapping[str, Any], entries: Iterable[Mapping[str, Any]]) -> str:
    """Return JSON with one line per region, which is easy to read and fast to write for 100,000 regions."""
    lines = ",\n".join(map(json.dumps, entries))
    return f'{{"version": {VERSION},\n"run": {json.dumps(summary, indent=1)},\n"regions": [\n{lines}\n]}}\n'


def is_file(path: Path) -> bool:
    """Return True if a file exists. Return False if the system does not accept the file name."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _entries(folder: Path, report: RunReport, run: str, previous: Entries) -> Iterator[dict[str, Any]]:
    inside = f"{folder.as_posix().rstrip('/')}/"
    for outcome in report.outcomes:
        file = outcome.job.file.removeprefix(inside)  # `relative_to` takes ten times as long
        yield _entry(outcome, file, run, previous.get(file, {}))


def _entry(outcome: Outcome[Job], file: str, run: str, previous: Mapping[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": outcome.job.region.name,
        **_field(outcome.job),
        "origin": outcome.job.region.origin,
        "state": state_of(outcome),
        "file": file,
        "run": run,
    }
    if outcome.failure is not None:
        error = {"cause": outcome.failure.cause, "message": outcome.failure.message}
        return {**entry, **_older_file(previous), "error": error}
    result = outcome.value
    return {
        **entry,
        **_file(result, previous),
        **({"reason": result.reason} if result.reason else {}),
        **({"statistics": dict(result.statistics)} if result.statistics else {}),
        "seconds": _rounded(result.stages),
        "peak_memory": result.peak_memory,
        **({"network": result.network._asdict()} if result.network else {}),
    }


def _older_file(previous: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts about the map of an earlier run that stays. Without such a map, they are None."""
    if previous.get("digest") is None:
        return dict.fromkeys(_FILE_KEYS)
    described = {key: previous[key] for key in ("alt", "no_data", _PLACE, SIDECARS) if key in previous}
    return {**{key: previous.get(key) for key in _FILE_KEYS}, **mark_items(mark_of(previous)), **described}


def _file(result: MapResult, previous: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts about the file of a map. Without a map, they are None."""
    if result.state == "skipped":
        older = _older_file(previous if result.keeps_old else {})
        return {"no_data": result.no_data, **_alt(result), **older}
    mark = mark_of(previous) if result.state == "unchanged" else result.mark
    own = {"digest": result.digest, "bytes": result.bytes, "sha256": result.sha256, "no_data": result.no_data}
    return {**own, **_alt(result), **mark_items(mark), **_place(result, previous), **_sidecars(result)}


def _place(result: MapResult, previous: Mapping[str, Any]) -> dict[str, Any]:
    """Return the place of the panel on the sheet and on the earth. An unchanged map has the place of the older map."""
    if result.georeference:
        return {_PLACE: json.loads(result.georeference)}
    is_known = result.state == "unchanged" and isinstance(previous.get(_PLACE), Mapping)
    return {_PLACE: previous[_PLACE]} if is_known else {}


def _sidecars(result: MapResult) -> dict[str, Any]:
    return {SIDECARS: [each._asdict() for each in result.sidecars]} if result.sidecars else {}


def _alt(result: MapResult) -> dict[str, str]:
    return {"alt": result.alt} if result.alt else {}


def _field(job: Job) -> dict[str, str]:
    """Return the product and the time of a map, if the run draws several."""
    found = {"product": job.field.product, "time": job.field.time}
    return {key: text for key, text in found.items() if text}


def _rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    return {stage: round(value, 6) for stage, value in seconds.items()}


def _write(path: Path, text: str, run: str, permissions: int) -> Path:
    try:
        with atomic_replace(path, run) as temporary, open_exclusive(temporary, PRIVATE_FILE) as file:
            file.write(text.encode(errors="backslashreplace"))
            if permissions != PRIVATE_FILE:
                temporary.chmod(permissions)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror or error}") from None
    return path
