"""Find references to other files in an HDF5 file, before a library opens it.

The HDF5 library follows external links and reads external and virtual datasets automatically. This module visits all
objects that can be reached from the root group, and reads only their headers. The format is described in
https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from regionplot.errors import RasterError
from regionplot.settings.remote_path import is_remote
from regionplot.system.files import Fingerprint
from regionplot.text import plain_text

_MARK = b"\x89HDF\r\n\x1a\n"
_LINK_INFO, _LINK, _EXTERNAL_FILES, _LAYOUT, _CONTINUATION, _SYMBOL_TABLE = 0x02, 0x06, 0x07, 0x08, 0x10, 0x11
"""Types of the messages in an object header that can lead to other objects or files."""
_HARD, _SOFT, _EXTERNAL = 0, 1, 64
"""Types of links."""
_VIRTUAL = 3
"""Class of the layout of a virtual dataset."""
_MAX_BLOCKS = 1_000_000
"""Maximum number of blocks to read. A file with more blocks is refused, because checking it would take too long."""
_MAX_BLOCK_SIZE = 2**26


def check_hdf5(path: Path) -> None:
    """Refuse an HDF5 file that refers to another file. Accept files of all other formats.

    Raises
    ------
    RasterError
        If an object of the file is a link to another file, or its values are in another file, or if the structure of
        the file is damaged.
    """
    if is_remote(path):  # `raster_driver` has refused such a file
        return
    reference = _find_reference(path, Fingerprint.of(path))
    if reference:
        raise RasterError(f"{path}: {reference}")


@lru_cache(maxsize=64)
def _find_reference(path: Path, _: Fingerprint) -> str:
    """Return a message about a reference to another file or about a damaged structure, or an empty text."""
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if _read_at(file.fileno(), len(_MARK), 0) != _MARK:
                return ""
            return next(_File.opened(file.fileno(), size).references(), "")
    except OSError as error:
        return str(error.strerror or error)
    except (ValueError, IndexError, RecursionError):
        return "the HDF5 structure is damaged, or it cannot be checked for references to other files"


def _read_at(descriptor: int, length: int, start: int) -> bytes:
    """Read bytes at a position. Windows has no `os.pread`."""
    os.lseek(descriptor, start, os.SEEK_SET)
    return os.read(descriptor, length)


@dataclass
class _File:
    """An open HDF5 file."""

    descriptor: int
    size: int
    offset_size: int
    length_size: int
    base: int
    root: int
    blocks: int = 0

    @classmethod
    def opened(cls, descriptor: int, size: int) -> _File:
        """Read the superblock."""
        start = _read_at(descriptor, 256, 0)
        version = start[8]
        if version > 3:
            raise ValueError("the version of the superblock is not known")
        offset_size, length_size = (start[13], start[14]) if version < 2 else (start[9], start[10])
        found = cls(descriptor, size, offset_size, length_size, 0, 0)
        position = {0: 24, 1: 28}.get(version, 12)
        fields = _Fields(found, start, position)
        found.base = fields.offset()
        fields.skip((3 if version < 2 else 2) * offset_size)  # free space, end of file and driver, or extension and end
        if version < 2:
            fields.skip(offset_size)  # name of the root group
        found.root = fields.offset()
        return found

    def read(self, address: int, length: int) -> _Fields:
        """Return the fields of a block."""
        self.blocks += 1
        start = self.base + address
        if self.blocks > _MAX_BLOCKS or not 0 <= length <= _MAX_BLOCK_SIZE or start + length > self.size:
            raise ValueError("a block lies outside the file, or there are too many blocks")
        return _Fields(self, _read_at(self.descriptor, length, start))

    def is_defined(self, address: int) -> bool:
        """Return False for the address of all one bits, which stands for a missing block."""
        return address != (1 << 8 * self.offset_size) - 1

    def references(self) -> Iterator[str]:
        """Yield a message for each reference to another file."""
        waiting, seen = [self.root], {self.root}
        while waiting:
            for kind, fields in self._messages(waiting.pop()):
                if kind == _EXTERNAL_FILES:
                    yield "its values are in another file, which is not opened; copy the values into the file"
                elif kind == _LAYOUT and fields.content[0] > 2 and fields.content[1] == _VIRTUAL:
                    yield "it holds a virtual dataset, whose values are in other files; copy the values into one file"
                for link in self._links(kind, fields):
                    if isinstance(link, str):
                        yield f"it holds a link to another file, which is not opened: {plain_text(link)}"
                    elif link not in seen:
                        seen.add(link)
                        waiting.append(link)

    def _messages(self, address: int) -> Iterator[tuple[int, _Fields]]:
        """Yield the type and the fields of each message of an object header."""
        start = self.read(address, min(32, self.size - self.base - address))
        is_new = start.content[:4] == b"OHDR"
        flags = start.content[5] if is_new else 0
        if is_new:
            position = 6 + 16 * bool(flags & 0x20) + 4 * bool(flags & 0x10)
            width = 1 << (flags & 3)
            length = int.from_bytes(start.content[position : position + width], "little")
            waiting = [(address + position + width, length)]
        elif start.content[0] == 1:
            waiting = [(address + 16, int.from_bytes(start.content[8:12], "little"))]
        else:
            raise ValueError("there is no object header")
        while waiting:
            block = self.read(*waiting.pop())
            for kind, fields in _split(block, flags, is_new=is_new):
                if kind == _CONTINUATION:
                    where, length = fields.offset(), fields.length()
                    waiting.append((where + 4, length - 8) if is_new else (where, length))  # signature and checksum
                yield kind, fields

    def _links(self, kind: int, fields: _Fields) -> Iterator[int | str]:
        """Yield the targets of the links in a message: addresses of objects, and names of other files."""
        if kind == _LINK:
            yield from fields.link()
        elif kind == _SYMBOL_TABLE:
            yield from self._symbols(fields.offset(), 0)
        elif kind == _LINK_INFO:
            fields.skip(1)
            fields.skip(8 * (fields.number(1) & 1))
            heap, index = fields.offset(), fields.offset()
            if self.is_defined(heap) and self.is_defined(index):
                yield from _Heap.at(self, heap).links(index)

    def _symbols(self, address: int, depth: int) -> Iterator[int]:
        """Yield the addresses of the objects in a B-tree of version 1, the index of an old group."""
        head = self.read(address, 8)
        count = int.from_bytes(head.content[6:8], "little")
        if head.content[:4] == b"SNOD":
            entry = 2 * self.offset_size + 24
            nodes = self.read(address + 8, count * entry)
            for start in range(0, count * entry, entry):
                nodes.position = start + self.offset_size
                target, is_soft = nodes.offset(), nodes.number(4) == 2
                if not is_soft:
                    yield target
        elif head.content[:5] == b"TREE\0" and depth < 32:
            pair = self.length_size + self.offset_size
            children = self.read(address + 8 + 2 * self.offset_size, count * pair)
            for _ in range(count):
                children.skip(self.length_size)
                yield from self._symbols(children.offset(), depth + 1)
        else:
            raise ValueError("there is no B-tree of symbols")


@dataclass
class _Fields:
    """Consecutive fields of a block."""

    file: _File
    content: bytes
    position: int = 0

    def number(self, width: int) -> int:
        end = self.position + width
        if end > len(self.content):
            raise ValueError("the block is too short")
        value = int.from_bytes(self.content[self.position : end], "little")
        self.position = end
        return value

    def offset(self) -> int:
        return self.number(self.file.offset_size)

    def length(self) -> int:
        return self.number(self.file.length_size)

    def skip(self, width: int) -> None:
        self.position += width

    def link(self) -> Iterator[int | str]:
        """Yield the address of the object, or the name of the file, of a link message. A soft link yields nothing."""
        self.skip(1)
        flags = self.number(1)
        kind = self.number(1) if flags & 8 else _HARD
        self.skip(8 * bool(flags & 4) + bool(flags & 16))
        self.skip(self.number(1 << (flags & 3)))
        if kind == _HARD:
            yield self.offset()
        elif kind != _SOFT:
            value = self.content[self.position + 3 : self.position + 2 + self.number(2)]
            yield value.split(b"\0")[0].decode("utf-8", "replace") or "without a name"


def _split(block: _Fields, flags: int, *, is_new: bool) -> Iterator[tuple[int, _Fields]]:
    """Yield the type and the fields of each message in a block of messages."""
    head = 4 + 2 * bool(flags & 4) if is_new else 8
    while block.position + head <= len(block.content):
        start = block.position
        kind, size = (block.number(1), block.number(2)) if is_new else (block.number(2), block.number(2))
        block.position = start + head + size
        if block.position > len(block.content):
            raise ValueError("a message is longer than its block")
        yield kind, _Fields(block.file, block.content[start + head : block.position])


@dataclass
class _Heap:
    """A fractal heap, which holds the links of a group with many links."""

    file: _File
    id_size: int
    max_size: int
    """Size of the address space of the heap, in bits."""
    length_bytes: int
    """Number of bytes of the length of an object in its id."""
    width: int
    """Number of blocks in a row of the table of blocks."""
    start_size: int
    max_direct_size: int
    root: int
    rows: int
    """Rows of the root block. If it is 0, the root block holds the objects itself."""

    @classmethod
    def at(cls, file: _File, address: int) -> _Heap:
        """Read the header of a heap."""
        head = file.read(address, 22 + 12 * file.length_size + 3 * file.offset_size)
        if head.content[:4] != b"FRHP":
            raise ValueError("there is no heap")
        head.skip(5)
        id_size, filters = head.number(2), head.number(2)
        head.skip(1)
        max_object = head.number(4)
        head.skip(10 * file.length_size + 2 * file.offset_size)
        width, start_size, max_direct = head.number(2), head.length(), head.length()
        max_size = head.number(2)
        head.skip(2)
        root, rows = head.offset(), head.number(2)
        if filters or not width or start_size < 1 or max_direct < start_size:
            raise ValueError("the heap is compressed or damaged")
        length_bytes = _width_of(min(max_direct, max_object))
        return cls(file, id_size, max_size, length_bytes, width, start_size, max_direct, root, rows)

    @property
    def offset_bytes(self) -> int:
        return -(-self.max_size // 8)

    def links(self, index: int) -> Iterator[int | str]:
        """Yield the targets of all links, in the order of an index: a B-tree of version 2."""
        tree = self.file.read(index, 16 + self.file.offset_size + 2)
        if tree.content[:4] != b"BTHD":
            raise ValueError("there is no B-tree")
        tree.skip(6)
        node_size, record_size, depth = tree.number(4), tree.number(2), tree.number(2)
        tree.skip(2)
        root, count = tree.offset(), tree.number(2)
        if record_size != 4 + self.id_size or depth > 16:
            raise ValueError("the B-tree is not an index of names")
        if self.file.is_defined(root):
            for record in self._records(root, count, depth, _node_limits(self.file, node_size, record_size, depth)):
                yield from self._object(record[4:]).link()

    def _records(self, address: int, count: int, depth: int, limits: list[tuple[int, int]]) -> Iterator[bytes]:
        """Yield the records of a node and of the nodes below it."""
        size = 4 + self.id_size
        pointer = self.file.offset_size + limits[0][1] + (limits[depth - 1][1] if depth > 1 else 0)
        node = self.file.read(address, 6 + count * size + (count + 1) * pointer * bool(depth))
        if node.content[:4] != (b"BTIN" if depth else b"BTLF"):
            raise ValueError("there is no node of a B-tree")
        yield from (node.content[start : start + size] for start in range(6, 6 + count * size, size))
        for start in range(6 + count * size, len(node.content), pointer):
            node.position = start
            child, inner = node.offset(), node.number(limits[0][1])
            yield from self._records(child, inner, depth - 1, limits)

    def _object(self, identifier: bytes) -> _Fields:
        """Return the fields of the object with an id."""
        kind = identifier[0] >> 4 & 3
        if kind == 2:  # the id itself holds the object
            return _Fields(self.file, identifier[1:])
        if kind:
            raise ValueError("a link is too long")
        fields = _Fields(self.file, identifier, 1)
        offset, length = fields.number(self.offset_bytes), fields.number(self.length_bytes)
        if not self.rows:
            return self.file.read(self.root + offset, length)
        return self._find(self.root, self.rows, 0, offset, length)

    def _find(self, block: int, rows: int, block_offset: int, offset: int, length: int) -> _Fields:
        """Return the fields of an object below an indirect block."""
        start = block_offset
        for row in range(rows):
            size = self.start_size << max(0, row - 1)
            if offset >= start + self.width * size:
                start += self.width * size
                continue
            column = (offset - start) // size
            head = 5 + self.file.offset_size + self.offset_bytes
            entry = block + head + (row * self.width + column) * self.file.offset_size
            child, child_offset = self.file.read(entry, self.file.offset_size).offset(), start + column * size
            if size <= self.max_direct_size:
                return self.file.read(child + offset - child_offset, length)
            child_rows = (size // (self.start_size * self.width)).bit_length()
            return self._find(child, child_rows, child_offset, offset, length)
        raise ValueError("an object lies outside its heap")


def _width_of(limit: int) -> int:
    """Return the number of bytes that are needed for numbers up to a limit."""
    return max(1, -(-limit.bit_length() // 8))


def _node_limits(file: _File, node_size: int, record_size: int, depth: int) -> list[tuple[int, int]]:
    """Return, for each level of a B-tree, the largest number of records below a node and the width of this number."""
    most = (node_size - 10) // record_size
    limits = [(most, _width_of(most))]
    for level in range(1, depth + 1):
        pointer = file.offset_size + limits[0][1] + (limits[level - 1][1] if level > 1 else 0)
        own = (node_size - 10 - pointer) // (record_size + pointer)
        below = (own + 1) * limits[level - 1][0] + own
        limits.append((below, _width_of(below)))
    return limits
