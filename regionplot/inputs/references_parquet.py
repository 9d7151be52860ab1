"""Read kerchunk references in Parquet: a folder with the metadata of a Zarr store, and tables of references.

The table `NAME/refs.N.parq` holds the references of the chunks from `N * record_size` on. A reference is a row with the
columns `path`, `offset`, `size` and `raw`.
"""

from __future__ import annotations

import io
import json
import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from regionplot.errors import RasterError
from regionplot.inputs.references import Bytes, ReferencesError, Targets, local_bytes, store_of
from regionplot.inputs.zarr_checks import MAX_METADATA, checked_document
from regionplot.inputs.zarr_remote import consolidated_metadata
from regionplot.settings.remote_path import RemotePath
from regionplot.system.files import Fingerprint
from regionplot.system.remote_objects import forget_objects, read_object
from regionplot.text import plain_text, without_secrets

_METADATA = ".zmetadata"
_MAX_TABLE = 64 * 2**20
"""Maximum size of a table in bytes."""
MAX_UNPACKED = 512 * 2**20
"""Maximum size of a table in bytes after it has been unpacked."""
_MAX_TABLES = 32
_MAX_RECORDS = 10_000_000
_COLUMNS = ["path", "offset", "size", "raw"]


def reference_store(path: Path, fingerprint: Fingerprint, *, allows_remote: bool) -> Any:
    """Return a store of the chunks that a folder of references names. See `references.reference_store`."""
    return _store(path, str(getattr(path, "gdal_name", path)), fingerprint, allows_remote)


@lru_cache(maxsize=4)
def _store(path: Path, _name: str, _fingerprint: Fingerprint, allows_remote: bool) -> Any:
    try:
        import pyarrow.parquet  # noqa: F401, PLC0415 (few rasters are references)
    except ImportError:
        raise RasterError(f"{path}: references in Parquet need pyarrow: pip install pyarrow") from None
    if isinstance(path, RemotePath):
        forget_objects(path.gdal_name.partition("?")[0])
    try:
        content = _content(path, _METADATA, MAX_METADATA)
    except OSError as error:
        problem = plain_text(without_secrets(error.strerror or str(error)))
        raise RasterError(f"{path}: {_METADATA}: cannot be read: {problem}") from None
    document = checked_document(f"{path}: {_METADATA}", content)
    metadata = consolidated_metadata(_METADATA, document) or {}
    size = document.get("record_size") if isinstance(document, Mapping) else None
    if type(size) is not int or not 0 < size <= _MAX_RECORDS or not metadata:
        raise RasterError(f"{path}: not a folder of kerchunk references, because {_METADATA} has no record_size")
    grids = {key.removesuffix("/.zarray"): _grid(path, value) for key, value in metadata.items() if ".zarray" in key}
    return store_of(path, metadata, ParquetChunks(path, grids, size, Targets(path, allows_remote)))


def _grid(path: Path, content: bytes) -> tuple[int, ...]:
    """Return the number of chunks along each axis of an array."""
    try:
        array = json.loads(content)
        return tuple(math.ceil(n / chunk) for n, chunk in zip(array["shape"], array["chunks"], strict=True))
    except (KeyError, TypeError, ValueError, ArithmeticError):
        raise RasterError(f"{path}: {_METADATA}: the shape of an array is damaged") from None


@dataclass(frozen=True)
class ParquetChunks:
    """The chunks that tables of references name. See `zarr_objects.Chunks`."""

    path: Path
    grids: Mapping[str, tuple[int, ...]]
    """Number of chunks along each axis, by the name of the array."""
    record_size: int
    """Number of references in a table."""
    targets: Targets
    _tables: OrderedDict[str, Any] = field(default_factory=OrderedDict)
    """The last tables that were read, by key."""

    def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes | None:
        """Return a range of the bytes of a chunk, or None if there is no such chunk."""
        name, _, place = key.rpartition("/")
        number = _number(place, self.grids.get(name))
        if number is None:
            return None
        try:
            found = _reference(self._table(f"{name}/refs.{number // self.record_size}.parq"), number % self.record_size)
            return self.targets.read(found, start, stop) if isinstance(found, Bytes) else found and found[start:stop]
        except ReferencesError as error:
            raise OSError(f"the references are not read: {error}") from None

    def _table(self, key: str) -> Any:
        """Return a table of references. Two threads can read the same table."""
        found = self._tables.get(key)
        if found is None:
            found = read_table(self.path, key)
            self._tables[key] = found
            if len(self._tables) > _MAX_TABLES:
                self._tables.popitem(last=False)
        return found


def _number(place: str, grid: tuple[int, ...] | None) -> int | None:
    """Return the number of a chunk in the order of rows, or None if it is not a chunk of the array."""
    if grid is None:
        return None
    indices = place.split(".")
    if not grid:
        return 0 if place == "0" else None
    if len(indices) != len(grid) or not all(index.isdecimal() for index in indices):
        return None
    number = 0
    for index, count in zip(map(int, indices), grid, strict=True):
        if index >= count:
            return None
        number = number * count + index
    return number


def _reference(table: Any, row: int) -> bytes | Bytes | None:
    """Return one reference. Return None if the table has no such row, or the chunk is missing."""
    if row >= table.num_rows:
        return None
    values = {name: table.column(name)[row].as_py() for name in table.column_names}
    if (raw := values.get("raw")) is not None:
        return raw if isinstance(raw, bytes) else str(raw).encode()
    if (name := values.get("path")) is None:
        return None
    if not isinstance(name, str):
        raise ReferencesError("a path is not a text")
    offset, size = values.get("offset") or 0, values.get("size") or 0
    if not (isinstance(offset, int) and isinstance(size, int) and offset >= 0 and size >= 0):
        raise ReferencesError("an offset or a size is not a whole number")
    return Bytes(name, offset, size or None)


def _texts() -> tuple[Any, ...]:
    import pyarrow  # noqa: PLC0415 (few rasters are references)

    return pyarrow.string(), pyarrow.binary()


def read_table(path: Path, key: str) -> Any:
    """Read a table of references.

    Raises
    ------
    OSError
        If the table cannot be read, or is too large.
    """
    import pyarrow  # noqa: PLC0415 (few rasters are references)
    import pyarrow.parquet  # noqa: PLC0415

    content = _content(path, key, _MAX_TABLE)
    try:
        schema = pyarrow.parquet.read_schema(io.BytesIO(content))
        texts = [name for name in _COLUMNS if name in schema.names and schema.field(name).type in _texts()]
        with pyarrow.parquet.ParquetFile(  # this starts no threads
            io.BytesIO(content),
            pre_buffer=False,
            read_dictionary=texts,  # equal texts take memory once
        ) as file:
            facts = file.metadata
            size = sum(facts.row_group(number).total_byte_size for number in range(facts.num_row_groups))
            if size > MAX_UNPACKED or facts.num_rows > _MAX_RECORDS:
                raise OSError(f"the table has {facts.num_rows:,} rows and {size:,} bytes, which is too large")
            if not {"path", "raw"} & set(schema.names):
                raise OSError("the table has no references, because it has neither the column path nor raw")
            return file.read([name for name in _COLUMNS if name in schema.names], use_threads=False)
    except (pyarrow.ArrowException, ValueError, OSError) as error:
        raise OSError(f"{key}: {plain_text(str(error))}") from None


def _content(path: Path, key: str, limit: int) -> bytes:
    """Return a file of the folder."""
    if not isinstance(path, RemotePath):
        return local_bytes(path / key, 0, None, limit)
    if (found := read_object(path.below(key).gdal_name, limit=limit)) is None:
        raise OSError(f"there is no {key}")
    return found
