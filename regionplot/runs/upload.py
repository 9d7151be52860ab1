"""Copy the maps of a run to object storage: one PUT for each new map, then the manifest.

The maps are drawn into a local folder. It is kept, so the next run finds the unchanged maps there. Each object is
compared with the state after the last run: its size and its ETag.

::

    map is drawn ─► Upload.add ─► UploadWhileDrawing: PUT in a thread ─┐
                                  Upload: nothing ─────────────────────┴─► finish: PUT the rest, check, manifest
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from regionplot.errors import OutputError
from regionplot.executors.choose import executor_class
from regionplot.runs.child_call import call_in_child
from regionplot.runs.jobs import MapResult
from regionplot.runs.manifest import NAME as MANIFEST
from regionplot.runs.publication import LATEST
from regionplot.system.files import PRIVATE_FILE, RUN, atomic_replace, new_run, open_exclusive
from regionplot.text import plain_text, without_secrets

_RECORD = ".uploaded.json"
_POINTER = f"{LATEST}.json"
_THREADS = 8
_PAUSES = (0.5, 2.0)
"""Seconds before each further attempt. The libraries repeat requests, too."""


class Uploaded(NamedTuple):
    """Result of an upload."""

    url: str
    written: int
    unchanged: int
    problems: tuple[str, ...]
    """One message for each object that could not be written."""

    def __str__(self) -> str:
        """Return the numbers for a message."""
        return f"{self.written} objects written to {self.url}, {self.unchanged} unchanged"


class Bucket:
    """A place in object storage, such as `s3://bucket/maps`.

    Parameters
    ----------
    url : str
        Any URL that fsspec knows.

    Raises
    ------
    OutputError
        If fsspec or the package for this kind of storage is not installed, or the storage does not answer.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        try:
            import fsspec  # noqa: PLC0415 (only object storage needs it)

            self._system, root = fsspec.core.url_to_fs(self.url)
        except (ImportError, ValueError, OSError) as error:
            raise OutputError(f"{self.url}: {_text(error)}; pip install fsspec s3fs") from None
        self._root = root.rstrip("/")
        self.objects()

    def objects(self) -> dict[str, Mapping[str, Any]]:
        """Return the facts about all objects, by their names in this place.

        Raises
        ------
        OutputError
            If the storage does not answer.
        """
        try:
            self._system.invalidate_cache()
            found: dict[str, Mapping[str, Any]] = self._system.find(self._root, detail=True)
        except FileNotFoundError:
            return {}
        except Exception as error:  # each kind of storage has its own errors
            raise OutputError(f"{self.url}: the objects cannot be listed: {_text(error)}") from None
        return {name.removeprefix(self._root).lstrip("/"): facts for name, facts in found.items()}

    def put(self, name: str, content: bytes) -> str:
        """Write an object. Return an empty text, or a message if it cannot be written after several attempts."""
        for pause in (*_PAUSES, None):
            try:
                self._system.pipe_file(f"{self._root}/{name}", content)
            except Exception as error:  # each kind of storage has its own errors
                if pause is None:
                    return f"{self.url}/{name}: cannot be written: {_text(error)}"
                time.sleep(pause)
            else:
                return ""
        return ""

    def remove(self, names: list[str]) -> None:
        """Remove objects, if possible."""
        with suppress(Exception):  # they are not part of the manifest
            for name in names:
                self._system.rm_file(f"{self._root}/{name}")


def _text(error: BaseException) -> str:
    return plain_text(without_secrets(str(error).strip() or type(error).__name__))


class Upload:
    """Copy the maps and the manifest of a run to object storage when the run has ended.

    Parameters
    ----------
    url : str
        The place.
    directory : Path
        Output folder of the run.
    run : str
        Folder of the run, with `publish = "runs"`. The object `latest.json` then names this run.

    Raises
    ------
    OutputError
        If the storage does not answer.
    """

    def __init__(self, url: str, directory: Path, run: str = "") -> None:
        self._url, self._directory, self._run = url, directory, run
        self._connect()

    def _connect(self) -> None:
        self._bucket = Bucket(self._url)

    def add(self, result: MapResult) -> None:
        """Take a map that is complete."""

    def cancel(self) -> None:
        """End the upload of a run that is not published."""

    def finish(self) -> Uploaded:
        """Copy the maps that are not copied yet, and the manifest.

        Returns
        -------
        Uploaded
            If a map cannot be written, neither the manifest nor `latest.json` is written.

        Raises
        ------
        OutputError
            If the storage does not answer.
        """
        return self._finish({})

    def _finish(self, sent: Mapping[str, str]) -> Uploaded:
        """Copy the rest. `sent` holds the checksums of the maps that this run has already written, by name."""
        bucket, directory, run = self._bucket, self._directory, self._run
        prefix = f"{run}/" if run else ""
        known, objects = _read_record(directory), bucket.objects()
        maps = {f"{prefix}{name}": sha256 for name, sha256 in _files(directory / run)}
        early = {name for name, sha256 in maps.items() if sent.get(name) == sha256}
        new = {
            name
            for name, sha256 in maps.items()
            if name not in early and not _is_current(known.get(name), objects.get(name), sha256)
        }
        failed = _put_all(bucket, directory, sorted(new))
        found = bucket.objects()
        for name in (new | early) - failed.keys():
            size = found.get(name, {}).get("size")
            if size is None or size != _size(directory / name):
                failed[name] = f"{bucket.url}/{name}: cannot be written: it has {size} bytes after it was written"
        problems = [*failed.values()]
        if not problems:
            problems += filter(None, [_put_file(bucket, directory, f"{prefix}{MANIFEST}")])
        if run and not problems:
            problems += filter(None, [bucket.put(_POINTER, json.dumps({"run": run}).encode())])
        if not problems:
            bucket.remove([name for name in found if _is_old(name, known, maps, directory)])
        state = {name: [sha256, _tag(found.get(name, {}))] for name, sha256 in maps.items() if name not in failed}
        _write_record(directory, {**{name: each for name, each in known.items() if name not in maps}, **state})
        written = len(new) + len(early) - len(failed)
        return Uploaded(bucket.url, written, len(maps) - len(new) - len(early), tuple(problems))


class UploadInChild(Upload):
    """Copy the maps in a child process when the run has ended.

    The libraries for object storage start threads. This process has none, so it can fork workers, also for later runs.
    """

    def _connect(self) -> None:
        """Check that the storage answers."""
        call_in_child(super()._connect, self._url)

    def finish(self) -> Uploaded:
        """Copy the maps and the manifest. See `Upload.finish`."""
        return call_in_child(lambda: Upload(self._url, self._directory, self._run).finish(), self._url)


class UploadWhileDrawing(Upload):
    """Copy each map in a thread as soon as it is complete. A program with threads must not fork."""

    def __init__(self, url: str, directory: Path, run: str = "") -> None:
        super().__init__(url, directory, run)
        self._known, self._objects = _read_record(directory), self._bucket.objects()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="regionplot-upload")
        self._running: dict[str, tuple[str, Future[str]]] = {}

    def add(self, result: MapResult) -> None:
        """Copy a map and its sidecars, unless they are unchanged."""
        if not result.sha256:
            return
        folder = result.path.parent.relative_to(self._directory)
        files = [(result.path.name, result.sha256), *((each.name, each.sha256) for each in result.sidecars)]
        for file, sha256 in files:
            name = (folder / file).as_posix()
            if not _is_current(self._known.get(name), self._objects.get(name), sha256):
                self._running[name] = sha256, self._pool.submit(_put_file, self._bucket, self._directory, name)

    def finish(self) -> Uploaded:
        """Wait for the maps that are being copied, and copy the rest. See `Upload.finish`."""
        self._pool.shutdown()
        return self._finish(self._sent())

    def cancel(self) -> None:
        """Cancel what is queued. Record what is written, so that the next run does not write it again.

        Raises
        ------
        OutputError
            If the storage does not answer.
        """
        self._pool.shutdown(cancel_futures=True)
        sent = self._sent()
        if sent:
            found = self._bucket.objects()
            state = {name: [sha256, _tag(found.get(name, {}))] for name, sha256 in sent.items()}
            _write_record(self._directory, {**self._known, **state})

    def _sent(self) -> dict[str, str]:
        """Return the checksums of the maps that are written, by name."""
        return {
            name: sha256
            for name, (sha256, future) in self._running.items()
            if not future.cancelled() and not future.result()
        }


def start_upload(url: str, directory: Path, folder: Path, start_method: str) -> Upload:
    """Return the upload of a run. Connect to the storage.

    Parameters
    ----------
    url : str
        The place.
    directory : Path
        Output folder.
    folder : Path
        Folder of the run.
    start_method : str
        Name of the executor. If it forks this process, maps are copied at the end of the run.

    Raises
    ------
    OutputError
        If the storage does not answer.
    """
    abilities = executor_class(start_method).abilities
    kind = UploadInChild if abilities.shares_memory and abilities.survives_crashes else UploadWhileDrawing
    return kind(url, directory, "" if folder == directory else folder.name)


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the names and checksums of the files that the manifest of a folder names."""
    for entry in json.loads((folder / MANIFEST).read_bytes())["regions"]:
        if entry.get("sha256"):
            yield entry["file"], entry["sha256"]
            base = entry["file"].rpartition("/")[0]
            for each in entry.get("sidecars", ()):
                yield (f"{base}/{each['name']}" if base else each["name"]), each["sha256"]


def _is_current(known: Any, found: Mapping[str, Any] | None, sha256: str) -> bool:
    """Return True if an object has not changed since this content was written."""
    return found is not None and known == [sha256, _tag(found)]


def _tag(found: Mapping[str, Any]) -> str:
    return f"{found.get('size')} {found.get('ETag') or found.get('etag') or found.get('md5Hash') or ''}"


def _put_file(bucket: Bucket, directory: Path, name: str) -> str:
    """Write a file of the output folder. Return an empty text, or a message if it cannot be read or written."""
    try:
        content = (directory / name).read_bytes()
    except OSError as error:
        return f"{directory / name}: cannot be read: {error.strerror or error}"
    return bucket.put(name, content)


def _size(path: Path) -> int | None:
    with suppress(OSError):
        return path.stat().st_size
    return None


def _put_all(bucket: Bucket, directory: Path, names: list[str]) -> dict[str, str]:
    """Write objects. Return a message for each object that could not be written."""
    with ThreadPoolExecutor(_THREADS) as pool:
        texts = pool.map(lambda name: _put_file(bucket, directory, name), names)
        return {name: text for name, text in zip(names, texts, strict=True) if text}


def _is_old(name: str, known: Mapping[str, Any], maps: Mapping[str, str], directory: Path) -> bool:
    """Return True if this program has written an object that no run in the output folder has any more."""
    run, _, rest = name.partition("/")
    is_of_run = re.fullmatch(RUN, run) is not None and (rest == MANIFEST or name in known)
    if is_of_run:
        return not (directory / run).is_dir()
    return name in known and name not in maps and not (directory / name).exists()


def _read_record(directory: Path) -> dict[str, Any]:
    try:
        found = json.loads((directory / _RECORD).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write_record(directory: Path, state: Mapping[str, Any]) -> None:
    with atomic_replace(directory / _RECORD, new_run()) as temporary, open_exclusive(temporary, PRIVATE_FILE) as file:
        file.write(json.dumps(state).encode())
