"""Give the zarr library a store whose metadata are checked, and whose chunks are read from elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Protocol

from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import Buffer, BufferPrototype, default_buffer_prototype

from regionplot.inputs.zarr_checks import is_metadata, is_plain_key


class Chunks(Protocol):
    """The objects of a store that are not metadata."""

    def read(self, key: str, start: int = 0, stop: int | None = None) -> bytes | None:
        """Return a range of bytes of an object, or None if there is no such object.

        Parameters
        ----------
        key : str
            Key of the object.
        start : int
            First byte. A negative number counts from the end.
        stop : int, optional
            Byte after the last one. Default: the size of the object.

        Raises
        ------
        OSError
            If the object cannot be read.
        """
        ...


class ObjectStore(Store):
    """A store that can only be read.

    The zarr library sees exactly the metadata that were checked, also if the metadata change later.

    Parameters
    ----------
    metadata : mapping
        Checked metadata by key, such as `snow/zarr.json`.
    chunks : Chunks
        All other objects. Several threads read them at the same time.
    """

    supports_writes = False
    supports_deletes = False
    supports_listing = True

    def __init__(self, metadata: Mapping[str, bytes], chunks: Chunks) -> None:
        super().__init__(read_only=True)
        self._metadata = metadata
        self._chunks = chunks

    def with_read_only(self, read_only: bool = False) -> Store:
        """Return the store itself. It can only be read."""
        if not read_only:
            raise ValueError("the store can only be read")
        return self

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return an object, or a range of its bytes. Return None if there is no such object."""
        start, stop = _limits(byte_range)
        if is_metadata(key):
            content = self._metadata.get(key)
            content = content if content is None or byte_range is None else content[start:stop]
        elif not is_plain_key(key):
            content = None  # the key would lead out of the store
        else:
            content = await asyncio.to_thread(self._chunks.read, key, start, stop)
        return None if content is None else (prototype or default_buffer_prototype()).buffer.from_bytes(content)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Return ranges of bytes of several objects."""
        return list(await asyncio.gather(*(self.get(key, prototype, wanted) for key, wanted in key_ranges)))

    async def exists(self, key: str) -> bool:
        """Return True if there is an object."""
        return await self.get(key) is not None

    async def set(self, key: str, value: Buffer) -> None:
        """Refuse to write."""
        raise NotImplementedError(key)

    async def delete(self, key: str) -> None:
        """Refuse to delete."""
        raise NotImplementedError(key)

    async def list(self) -> AsyncIterator[str]:
        """Yield the keys of the metadata."""
        for key in self._metadata:
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Yield the keys of metadata that begin with a prefix."""
        for key in self._metadata:
            if key.startswith(prefix):
                yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Yield the names of metadata and groups directly below a prefix."""
        start = f"{prefix.rstrip('/')}/" if prefix else ""
        for name in dict.fromkeys(
            key.removeprefix(start).partition("/")[0] for key in self._metadata if key.startswith(start)
        ):
            yield name

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = Store.__hash__


def _limits(wanted: ByteRequest | None) -> tuple[int, int | None]:
    """Return the first byte, and the byte after the last one."""
    if isinstance(wanted, RangeByteRequest):
        return wanted.start, wanted.end
    if isinstance(wanted, OffsetByteRequest):
        return wanted.offset, None
    if isinstance(wanted, SuffixByteRequest):
        return -wanted.suffix, None
    return 0, None
