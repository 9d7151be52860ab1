"""Check the metadata of a Zarr store before a library opens it.

A codec can run code (`pickle`), and a link can lead to another folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from regionplot.errors import RasterError
from regionplot.system.files import Fingerprint
from regionplot.text import plain_text

_METADATA = frozenset({".zarray", ".zgroup", ".zmetadata", "zarr.json"})
_LISTS = ("codecs", "filters", "index_codecs")
_CODECS = frozenset(
    {
        *("adler32", "bitround", "blosc", "bytes", "bz2", "crc32", "crc32c", "delta", "fixedscaleoffset", "fletcher32"),
        *("gzip", "jenkins_lookup3", "lz4", "lzma", "packbits", "quantize", "sharding_indexed", "shuffle", "transpose"),
        *("vlen-bytes", "vlen-utf8", "zlib", "zstd"),
    }
)
"""Codecs that only compute."""
MAX_METADATA = 64 * 2**20
"""Maximum size of one object of metadata in bytes."""
_MAX_FILES = 2_000_000


def check_store(path: Path) -> Fingerprint:
    """Check the metadata of a Zarr store, and return its fingerprint. See `folder_fingerprint`.

    Parameters
    ----------
    path : Path
        Folder of the store.

    Raises
    ------
    RasterError
        If the folder is no Zarr store, holds links, pipes or devices, or an array has a codec that is not known to only
        compute.
    """
    try:
        metadata = [entry for entry in _files(path) if entry.name in _METADATA]
        for entry in metadata:
            _check_metadata(path, entry)
    except OSError as error:
        raise RasterError(f"{path}: {error.strerror or error}") from None
    if not metadata:
        raise RasterError(f"{path}: the folder is not a Zarr store, because it holds no metadata of Zarr")
    return folder_fingerprint(path)


def folder_fingerprint(path: Path) -> Fingerprint:
    """Return the fingerprint of a folder: facts about all its files together. Their contents are not read.

    Raises
    ------
    RasterError
        If the folder cannot be read, or holds links, pipes, devices or too many files.
    """
    count = size = newest = 0
    try:
        for entry in _files(path):
            facts = entry.stat(follow_symlinks=False)
            count, size, newest = count + 1, size + facts.st_size, max(newest, facts.st_mtime_ns)
            if count > _MAX_FILES:
                raise RasterError(f"{path}: the store has more than {_MAX_FILES:,} files; use larger chunks or shards")
        root = path.stat()
    except OSError as error:
        raise RasterError(f"{path}: {error.strerror or error}") from None
    return Fingerprint(root.st_dev, root.st_ino, size, newest, count)


def _files(folder: str | Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path)
            elif entry.is_file(follow_symlinks=False):
                yield entry
            else:
                raise RasterError(
                    f"{entry.path}: a Zarr store with links, pipes or devices is not read; copy the files"
                )


def _check_metadata(path: Path, entry: os.DirEntry[str]) -> None:
    name = f"{path}: {Path(entry.path).relative_to(path)}"
    if entry.stat().st_size > MAX_METADATA:
        raise RasterError(f"{name}: the metadata are too large")
    checked_document(name, Path(entry.path).read_bytes())


def is_metadata(key: str) -> bool:
    """Return True if a key of a Zarr store is that of metadata, not that of a chunk."""
    return key.rpartition("/")[2] in _METADATA or key.rpartition("/")[2] == ".zattrs"


def is_plain_key(key: str) -> bool:
    """Return True if a key leads to no other place than below the store."""
    return {"", ".", ".."}.isdisjoint(key.split("/"))


def checked_document(name: str, content: bytes) -> Any:
    """Return metadata of a Zarr store, which can name codecs only if these only compute.

    Parameters
    ----------
    name : str
        Name of the store and of the metadata, for messages.
    content : bytes
        The metadata in JSON.

    Raises
    ------
    RasterError
        If the metadata are damaged or too large, or name another codec.
    """
    if len(content) > MAX_METADATA:
        raise RasterError(f"{name}: the metadata are too large")
    try:
        document = json.loads(content)
        for codec in _codecs(document):
            if codec.removeprefix("numcodecs.") not in _CODECS:
                shown = plain_text(codec, 40)
                raise RasterError(f"{name}: the codec {shown!r} is not allowed; write the store without it")
    except (ValueError, RecursionError):
        raise RasterError(f"{name}: the metadata are damaged") from None
    return document


def _codecs(document: Any) -> Iterator[str]:
    """Yield the names of all codecs in metadata, at any depth."""
    if isinstance(document, list):
        for item in document:
            yield from _codecs(item)
    if not isinstance(document, Mapping):
        return
    for key, value in document.items():
        named = value if key in _LISTS and isinstance(value, list) else [value] if key == "compressor" else []
        for codec in named:
            if isinstance(codec, Mapping):
                yield str(codec.get("id", codec.get("name", "")))
            elif codec is not None:
                yield str(codec)
        yield from _codecs(value)
