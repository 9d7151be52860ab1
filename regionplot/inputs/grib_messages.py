"""Find the messages of a GRIB file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_MARK = b"GRIB"
_BLOCK = 2**16
"""Bytes that are read at once to find a message."""
_MAX_MESSAGES = 200_000
_SECTION_0 = 16
"""Length of section 0 of edition 2. That of edition 1 has 8 octets."""
_LARGE = 0x800000
"""Bit of the length of a message of edition 1 that is longer than 8 MB. The length is then not usable."""


class Message(NamedTuple):
    """A message of a GRIB file."""

    start: int
    end: int
    """The same as `start` if the length of the message is not usable."""
    edition: int


def read_at(file: BinaryIO, position: int, size: int) -> bytes:
    """Return bytes of a file. There are fewer at its end."""
    file.seek(position)
    return file.read(size)


def messages(file: BinaryIO) -> Iterator[Message]:
    """Yield the messages of a file. As in GDAL, bytes between messages are skipped. At most 200,000 are found."""
    start = _find(file, 0)
    for _ in range(_MAX_MESSAGES):
        if start < 0:
            return
        head = read_at(file, start, _SECTION_0)
        end = _end(head, start)
        yield Message(start, end, int.from_bytes(head[7:8], "big"))
        start = _find(file, max(start + len(_MARK), end))


def _end(head: bytes, start: int) -> int:
    if head[7:8] == b"\x02":
        return start + int.from_bytes(head[8:16], "big")
    length = int.from_bytes(head[4:7], "big")
    return start if length & _LARGE else start + length


def _find(file: BinaryIO, position: int) -> int:
    """Return the position of the next message, or -1 if there is none."""
    if read_at(file, position, len(_MARK)) == _MARK:
        return position
    while block := read_at(file, position, _BLOCK):
        found = block.find(_MARK)
        if found >= 0:
            return position + found
        position += max(len(block) - 3, 1)
    return -1
