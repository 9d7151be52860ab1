"""Read kerchunk references: files that name the bytes of other files as the chunks of a Zarr store.

The format is described at https://fsspec.github.io/kerchunk/spec.html. All files that the references name, and all
codecs, are checked before a library sees any part of the references.
"""

from __future__ import annotations

import base64
import binascii
import errno
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from regionplot.errors import RasterError
from regionplot.inputs.zarr_checks import MAX_METADATA, checked_document, is_metadata
from regionplot.inputs.zarr_remote import MAX_CHUNK, consolidated_metadata
from regionplot.settings.named_files import NamedFileError, named_file
from regionplot.settings.remote_path import RemotePath
from regionplot.system.files import Fingerprint
from regionplot.system.remote_objects import read_object
from regionplot.text import plain_text, without_secrets

_MAX_BYTES = 256 * 2**20
"""Maximum size of a file of references in bytes."""
_MAX_TARGETS = 100_000
_MAX_NAME = 8192
"""Maximum number of characters of the name of a file, and of the text of a template."""
_BASE64 = "base64:"
_CONSOLIDATED = ".zmetadata"


class Bytes(NamedTuple):
    """A range of the bytes of a file."""

    file: str
    """Name of the file in the references."""
    offset: int = 0
    size: int | None = None
    """Number of bytes. None: all bytes from the offset on."""


class ReferencesError(ValueError):
    """The reason why references are refused. The message does not name the file."""


@dataclass(frozen=True)
class Targets:
    """The files that references may name."""

    owner: Path
    """The file or folder of the references."""
    allows_remote: bool
    _found: dict[str, Path] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        """Return the path of a file that references name. See `named_file`.

        Raises
        ------
        ReferencesError
            If the file is not allowed.
        """
        if name not in self._found:
            if len(self._found) >= _MAX_TARGETS:
                raise ReferencesError(f"they name more than {_MAX_TARGETS:,} files")
            text = f"gs{name[3:]}" if name.startswith("gcs://") else name
            try:
                self._found[name] = named_file(self.owner, text, allows_remote=self.allows_remote)
            except NamedFileError as error:
                raise ReferencesError(f"they name {error}") from None
        return self._found[name]

    def read(self, wanted: Bytes, start: int = 0, stop: int | None = None, limit: int = MAX_CHUNK) -> bytes:
        """Return a part of a range of bytes.

        Raises
        ------
        OSError
            If the bytes cannot be read.
        """
        path = self.path(wanted.file)
        if wanted.size is None and start < 0:
            first, last = start, None
        else:
            length = wanted.size
            first = wanted.offset + (max(0, start + (length or 0)) if start < 0 else start)
            ends = [wanted.offset + end for end in (length, stop) if end is not None]
            last = min(ends) if ends else None
        if isinstance(path, RemotePath):
            if (found := read_object(path.gdal_name, first, last, limit=limit)) is None:
                raise OSError(errno.ENOENT, f"there is no such object: {path}")
            return found
        return local_bytes(path, first, last, limit)


@dataclass(frozen=True)
class ReferencedChunks:
    """The chunks that references name. See `zarr_objects.Chunks`."""

    references: Mapping[str, bytes | Bytes]
    targets: Targets

    def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes | None:
        """Return a range of the bytes of a chunk, or None if there is no such chunk."""
        found = self.references.get(key)
        return self.targets.read(found, start, stop) if isinstance(found, Bytes) else found and found[start:stop]


def reference_store(path: Path, fingerprint: Fingerprint, *, allows_remote: bool) -> Any:
    """Return a store of the chunks that a file of references names.

    Parameters
    ----------
    path : Path
        The file, in JSON.
    fingerprint : Fingerprint
        Fingerprint of the file. The file is read once while it is unchanged.
    allows_remote : bool
        True if the references may name remote objects.

    Returns
    -------
    zarr.abc.store.Store

    Raises
    ------
    RasterError
        If the references cannot be read, or are refused.
    """
    return _store(path, str(getattr(path, "gdal_name", path)), fingerprint, allows_remote)


@lru_cache(maxsize=4)
def _store(path: Path, _name: str, _fingerprint: Fingerprint, allows_remote: bool) -> Any:
    try:
        references = _references(path)
        targets = Targets(path, allows_remote)
        for name in dict.fromkeys(each.file for each in references.values() if isinstance(each, Bytes)):
            targets.path(name)
        return store_of(path, checked_metadata(path, references, targets), ReferencedChunks(references, targets))
    except ReferencesError as error:
        raise RasterError(f"{path}: the references are not read: {error}") from None


def check_kind(path: Path) -> None:
    """Check that a file holds references. Files of other kinds can have the same suffix.

    Raises
    ------
    RasterError
        If it does not, or it cannot be read.
    """
    try:
        _references(path)
    except ReferencesError as error:
        raise RasterError(f"{path}: not read as a raster: {error}") from None


def store_of(path: Path, metadata: Mapping[str, bytes], chunks: Any) -> Any:
    """Return a store that the zarr library reads.

    Raises
    ------
    RasterError
        If zarr is not installed, or is too old.
    """
    try:
        from regionplot.inputs.zarr_objects import ObjectStore  # noqa: PLC0415 (few rasters are references)
    except ImportError:
        raise RasterError(f"{path}: kerchunk references need zarr 3: pip install 'zarr>=3'") from None
    return ObjectStore(metadata, chunks)


def checked_metadata(path: Path, references: Mapping[str, bytes | Bytes], targets: Targets) -> dict[str, bytes]:
    """Return the metadata in references, after they have been checked.

    Raises
    ------
    RasterError
        If the metadata cannot be read, or are refused.
    ReferencesError
        If the references hold no metadata.
    """
    found: dict[str, bytes] = {}
    for key in (key for key in references if is_metadata(key)):
        where, value = f"{path}: {plain_text(key, 100)}", references[key]
        try:
            content = targets.read(value, limit=MAX_METADATA) if isinstance(value, Bytes) else value
        except OSError as error:
            raise RasterError(f"{where}: {plain_text(without_secrets(error.strerror or str(error)))}") from None
        document = checked_document(where, content)
        more = (consolidated_metadata(key, document) or {}) if key == _CONSOLIDATED else {key: content}
        found = {**more, **found}
    if not found:
        raise ReferencesError("they hold no metadata of Zarr")
    return found


def reference_fingerprint(path: Path) -> Fingerprint:
    """Return the fingerprint of a file of references, and of all local files that it names.

    Raises
    ------
    RasterError
        If there is no such file.
    """
    own = Fingerprint.of(path)
    if own is None:
        raise RasterError(f"{path}: there is no such file, or its server does not answer")
    if isinstance(path, RemotePath):
        return own
    size, modified, changed = own.size, own.modified, own.changed
    for target in _local_targets(path, own):
        if (found := Fingerprint.of(target)) is not None:
            size, modified, changed = size + found.size, max(modified, found.modified), max(changed, found.changed)
    return Fingerprint(own.device, own.inode, size, modified, changed)


@lru_cache(maxsize=4)
def _local_targets(path: Path, _own: Fingerprint) -> tuple[Path, ...]:
    """Return the local files that references name. Return none if the references are refused."""
    targets = Targets(path, allows_remote=True)
    try:
        names = dict.fromkeys(each.file for each in _references(path).values() if isinstance(each, Bytes))
        return tuple(found for found in map(targets.path, names) if not isinstance(found, RemotePath))
    except (ReferencesError, RasterError):
        return ()


def _references(path: Path) -> dict[str, bytes | Bytes]:
    """Return the references in a JSON file by key."""
    try:
        document = json.loads(_content(path))
    except (ValueError, RecursionError):
        raise ReferencesError("the file is not valid JSON") from None
    named = document.get("refs", document) if isinstance(document, Mapping) else None
    if not isinstance(named, Mapping) or not any(is_metadata(str(key)) for key in named):
        if isinstance(document, Mapping) and "stac_version" in document:
            raise ReferencesError("a STAC item is read only as path in [raster]")
        raise ReferencesError("the JSON holds neither references of kerchunk nor a STAC item")
    if "refs" in document and document.get("gen"):
        raise ReferencesError("generated references (gen) are not read; write all of them")
    templates = document.get("templates") if "refs" in document else None
    texts = {key: str(text) for key, text in templates.items()} if isinstance(templates, Mapping) else {}
    return dict(_parsed(named, texts))


def _content(path: Path) -> bytes:
    try:
        if isinstance(path, RemotePath):
            found = read_object(path.gdal_name, limit=_MAX_BYTES)
            return b"" if found is None else found
        return local_bytes(path, 0, None, _MAX_BYTES)
    except OSError as error:
        raise RasterError(f"{path}: {plain_text(without_secrets(error.strerror or str(error)))}") from None


def _parsed(named: Mapping[str, Any], templates: Mapping[str, str]) -> Iterator[tuple[str, bytes | Bytes]]:
    for key, value in named.items():
        try:
            yield key, _inline(value) if isinstance(value, str | Mapping) else _range(value, templates)
        except (TypeError, ValueError, binascii.Error) as error:
            kind = f": {error}" if isinstance(error, ReferencesError) else ""
            raise ReferencesError(f"the reference of {plain_text(key, 100)!r} is damaged{kind}") from None


def _inline(value: str | Mapping[str, Any]) -> bytes:
    """Return the bytes of a chunk that the references hold themselves."""
    if isinstance(value, Mapping):
        return json.dumps(value).encode()
    return base64.b64decode(value.removeprefix(_BASE64)) if value.startswith(_BASE64) else value.encode()


def _range(value: Any, templates: Mapping[str, str]) -> Bytes:
    """Return the range of bytes that a reference names: a list of a file and, if it is a part, offset and size."""
    name, *numbers = value
    if not isinstance(name, str) or len(numbers) not in (0, 2):
        raise ReferencesError("it must have a file, and an offset and a size")
    name = _filled(name, templates)
    if not all(type(number) is int and 0 <= number < 2**62 for number in numbers):
        raise ReferencesError("its offset and size must be whole numbers")
    return Bytes(name, *numbers)


def _filled(name: str, templates: Mapping[str, str]) -> str:
    """Return the name of a file with the texts of the templates in it."""
    for template, text in templates.items() if "{{" in name else ():
        if max(len(name), len(text)) > _MAX_NAME:
            raise ReferencesError(f"the name of its file, or a template, has more than {_MAX_NAME:,} characters")
        name = name.replace(f"{{{{{template}}}}}", text)
    if "{{" in name:
        raise ReferencesError("templates with arguments are not read")
    return name


def local_bytes(path: Path, first: int, last: int | None, limit: int) -> bytes:
    """Return a range of the bytes of a local file."""
    if not path.is_file():
        raise OSError(f"{path.name} is not a file")
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        start = max(0, size + first) if first < 0 else min(first, size)
        count = max(0, (size if last is None else min(last, size)) - start)
        if count > limit:
            raise OSError(f"{path.name}: {count:,} bytes are more than {limit:,}")
        file.seek(start)
        return file.read(count)
