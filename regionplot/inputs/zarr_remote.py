"""Read Zarr stores in object storage and on web servers. GDAL asks the servers, as for other rasters."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from regionplot.errors import RasterError
from regionplot.inputs.zarr_checks import MAX_METADATA, checked_document, is_plain_key
from regionplot.settings.remote_path import ROOT_METADATA, RemotePath
from regionplot.system.files import Fingerprint
from regionplot.system.remote_objects import forget_objects, read_object
from regionplot.text import plain_text, without_secrets

MAX_CHUNK = 2**30
"""Maximum size of a chunk in bytes, as it is stored."""
_MAX_ARRAYS = 200
"""Maximum number of arrays that the metadata of a variable can name."""


@dataclass(frozen=True)
class RemoteChunks:
    """The chunks of a remote store. See `zarr_objects.Chunks`."""

    path: RemotePath

    def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes | None:
        """Return a range of bytes of a chunk, or None if there is no such chunk."""
        return read_object(self.path.below(key).gdal_name, start, stop, limit=MAX_CHUNK)


def remote_store(path: RemotePath, variable: str | None, fingerprint: Fingerprint) -> Any:
    """Return a store whose metadata are checked. The metadata are read once while the store is unchanged.

    Parameters
    ----------
    path : RemotePath
        Address of the store.
    variable : str, optional
        The variable to read. It must be given if the store has no consolidated metadata.
    fingerprint : Fingerprint
        Fingerprint of the store.

    Returns
    -------
    zarr.abc.store.Store

    Raises
    ------
    RasterError
        If the metadata cannot be read, or are refused.
    """
    return _store(path, path.gdal_name, variable, fingerprint)


@lru_cache(maxsize=4)
def _store(path: RemotePath, name: str, variable: str | None, _: Fingerprint) -> Any:
    try:
        from regionplot.inputs.zarr_objects import ObjectStore  # noqa: PLC0415 (few rasters are Zarr stores)
    except ImportError:
        raise RasterError(f"{path}: remote Zarr stores need zarr 3: pip install 'zarr>=3'") from None
    forget_objects(name.partition("?")[0])
    return ObjectStore(_Metadata(path, variable).read(), RemoteChunks(path))


@dataclass(frozen=True)
class _Metadata:
    """The metadata of a remote store."""

    path: RemotePath
    variable: str | None

    def read(self) -> dict[str, bytes]:
        """Return the checked metadata by key."""
        for key in ROOT_METADATA:
            if (document := self._document(key)) is not None:
                break
        else:
            raise RasterError(f"{self.path}: not a Zarr store, because there is no {', '.join(ROOT_METADATA)}")
        if (consolidated := consolidated_metadata(key, document)) is not None:
            return consolidated
        if self.variable is None:
            raise RasterError(
                f"{self.path}: the store has no consolidated metadata; name the variable (variable in [raster]), or "
                "consolidate the metadata (zarr.consolidate_metadata)"
            )
        return self._metadata_of_variable(self.variable, {key: document})

    def _metadata_of_variable(self, variable: str, found: dict[str, Any]) -> dict[str, bytes]:
        """Return the metadata of a variable, and of the coordinates and the grid mapping that its metadata name."""
        names, seen = [variable], {variable}
        while names and len(seen) < _MAX_ARRAYS:
            name = names.pop()
            if not is_plain_key(name):
                continue
            documents = {key: self._document(key) for key in (f"{name}/{end}" for end in self._ends(found))}
            found.update({key: document for key, document in documents.items() if document is not None})
            more = {each for document in documents.values() for each in _named_arrays(document)} - seen
            names.extend(sorted(more))
            seen |= more
        return {key: json.dumps(document).encode() for key, document in found.items()}

    @staticmethod
    def _ends(found: Mapping[str, Any]) -> tuple[str, ...]:
        return ("zarr.json",) if "zarr.json" in found else (".zarray", ".zattrs")

    def _document(self, key: str) -> Any:
        """Return one checked object of metadata, or None if there is no such object."""
        try:
            content = read_object(self.path.below(key).gdal_name, limit=MAX_METADATA)
        except OSError as error:
            problem = plain_text(without_secrets(error.strerror or str(error)))
            raise RasterError(f"{self.path}: {plain_text(key)}: cannot be read: {problem}") from None
        return None if content is None else checked_document(f"{self.path}: {plain_text(key)}", content)


def consolidated_metadata(key: str, document: Any) -> dict[str, bytes] | None:
    """Return the metadata in a consolidated document, by key. Return None if there are none.

    Parameters
    ----------
    key : str
        `zarr.json`, or `.zmetadata`.
    document : object
        The checked document.
    """
    found: Any = document if isinstance(document, Mapping) else {}
    if key == ".zmetadata":
        entries = found.get("metadata")
        named = entries.items() if isinstance(entries, Mapping) else ()
        kept = {name: each for name, each in named if is_plain_key(name)}
    else:
        inner = found.get("consolidated_metadata")
        entries = inner.get("metadata") if isinstance(inner, Mapping) else None
        if not isinstance(entries, Mapping):
            return None
        kept = {f"{name}/zarr.json": each for name, each in entries.items() if is_plain_key(name)}
        kept["zarr.json"] = {name: each for name, each in found.items() if name != "consolidated_metadata"}
    return {name: json.dumps(each).encode() for name, each in kept.items()}


def _named_arrays(document: Any) -> Iterator[str]:
    """Yield the names of arrays in the metadata of an array: its dimensions, coordinates and grid mapping."""
    if not isinstance(document, Mapping):
        return
    inner = document.get("attributes")
    attributes = inner if isinstance(inner, Mapping) else document
    for names in (document.get("dimension_names"), attributes.get("_ARRAY_DIMENSIONS")):
        yield from (str(name) for name in names if name is not None) if isinstance(names, list) else ()
    for key in ("coordinates", "grid_mapping"):
        yield from (name.rstrip(":") for name in str(attributes.get(key, "")).split())
