"""Find the messages of a GRIB file."""

from __future__ import annotations

from typing import BinaryIO

_MARK = b"GRIB"
_BLOCK = 2**16
"""Bytes that are read at once to find a message."""


def read_at(file: BinaryIO, position: int, size: int) -> bytes:
    """Return bytes of a file. There are fewer at its end."""
    file.seek(position)
    return file.read(size)


def find_message(file: BinaryIO, position: int) -> int:
    """Return the position of the next message, or -1 if there is none. GDAL also skips bytes between messages."""
    if read_at(file, position, len(_MARK)) == _MARK:
        return position
    while block := read_at(file, position, _BLOCK):
        found = block.find(_MARK)
        if found >= 0:
            return position + found
        position += max(len(block) - 3, 1)
    return -1
