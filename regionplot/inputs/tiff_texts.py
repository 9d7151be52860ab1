"""Read the texts in the tags of a TIFF file, without GDAL and without reading the cells."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

_CLASSIC, _BIG = 42, 43
_TEXT_TYPES = (1, 2, 7)
"""Types of values that can hold text: BYTE, ASCII and UNDEFINED."""
_FIRST_PRIVATE = 32_768
"""Number of the first private tag. CRSs and metadata are in private tags."""
_MAX_BYTES = 64 * 2**20
"""Maximum length of all texts."""
_MAX_PAGES = 256


def tiff_texts(file: BinaryIO) -> list[str] | None:
    """Return the texts of the private tags of all pages of a TIFF file. Return None if the file is not a TIFF.

    Parameters
    ----------
    file : binary file
        The file. Only its header and the texts are read.

    Raises
    ------
    OSError
        If the texts are very long.
    """
    file.seek(0)
    start = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(start[:2])
    if order is None or len(start) < 16:
        return None
    version = struct.unpack(f"{order}H", start[2:4])[0]
    if version not in (_CLASSIC, _BIG):
        return None
    try:
        return list(_texts(file, order, version == _BIG))
    except struct.error:  # the file is too short: GDAL reports the damage
        return []


def _texts(file: BinaryIO, order: str, is_big: bool) -> Iterator[str]:
    offset_kind, count_kind, entry_size = ("Q", "Q", 20) if is_big else ("I", "H", 12)
    width = struct.calcsize(offset_kind)
    offset = _number(file, order, offset_kind, 8 if is_big else 4)
    left = _MAX_BYTES
    for _ in range(_MAX_PAGES):
        if not offset:
            return
        count = _number(file, order, count_kind, offset)
        first = offset + struct.calcsize(count_kind)
        file.seek(first)
        entries = file.read(min(count, 4096) * entry_size)
        for position in range(0, len(entries) - entry_size + 1, entry_size):
            tag, kind, length = struct.unpack_from(f"{order}HH{offset_kind}", entries, position)
            if tag >= _FIRST_PRIVATE and kind in _TEXT_TYPES:
                inline = first + position + entry_size - width
                file.seek(inline if length <= width else _number(file, order, offset_kind, inline))
                text = file.read(min(length, left + 1))
                left -= len(text)
                if left < 0:
                    limit = f"its tags hold more than {_MAX_BYTES // 2**20} MB of text"
                    raise OSError(f"{limit}; copy the raster without its metadata (gdalwarp -nomd)")
                yield text.decode("latin-1")
        offset = _number(file, order, offset_kind, first + count * entry_size)


def _number(file: BinaryIO, order: str, kind: str, offset: int) -> int:
    file.seek(offset)
    return int(struct.unpack(f"{order}{kind}", file.read(struct.calcsize(kind)))[0])
