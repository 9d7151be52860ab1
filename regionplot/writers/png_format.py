"""Encode pictures in the PNG format: https://www.w3.org/TR/png-3/. This module imports no settings."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping

import numpy as np

from regionplot.system.crc import crc32
from regionplot.writers.picture import Bytes, Picture, RowFilter

try:
    from isal.isal_zlib import compressobj as fast_compressor
except ImportError:  # there is no wheel of isal for this platform
    from zlib import compressobj as fast_compressor  # type: ignore[assignment]

_FAST_LEVELS = (1, 2)
"""Levels at which ISA-L is used. It is six times as fast as zlib, and its files have the same size."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_STRIP_BYTES = 2**18
"""Approximate number of bytes that are filtered at a time, so that they stay in the CPU cache."""
_DEPTH = 8
"""Bits per channel, or per index into the palette."""
_RGB, _PALETTE, _RGBA = 2, 3, 6
"""Color types."""
_OPAQUE = 255
_FILTERS = {"none": 0, "up": 2}
"""Numbers of the filters. `up` stores the difference of each byte to the byte above it."""


def encode_png(picture: Picture, metadata: Mapping[str, str], compression: int) -> bytes:
    """Return the content of a PNG file.

    Parameters
    ----------
    picture : Picture
        The map.
    metadata : mapping of str to str
        Texts to store in the file.
    compression : int
        Compression level from 0 to 9.
    """
    height, width = picture.image.shape[:2]
    kind = _RGB if picture.palette is None else _PALETTE
    parts = [_SIGNATURE, *_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, _DEPTH, kind, 0, 0, 0))]
    if picture.palette is not None:
        parts += _chunk(b"PLTE", picture.palette.tobytes())
    for key, value in metadata.items():
        parts += _text_chunk(key, value)
    parts += _chunk(b"IDAT", _compressed(picture.image, picture.row_filter, compression))
    return b"".join((*parts, *_chunk(b"IEND", b"")))


def encode_transparent_png(image: Bytes, palette: Bytes | None, compression: int) -> bytes:
    """Return the content of a PNG file with transparency. If all pixels are opaque, the file has no opacity.

    Parameters
    ----------
    image : ndarray
        Red, green, blue and opacity, shape (height, width, 4). With a palette: its rows, shape (height, width).
    palette : ndarray or None
        Red, green, blue and opacity, shape (n, 4).
    compression : int
        Compression level from 0 to 9.
    """
    height, width = image.shape[:2]
    tables: list[bytes] = []
    if palette is None:
        kind = _RGBA
        if (image[..., 3] == _OPAQUE).all():
            kind, image = _RGB, np.ascontiguousarray(image[..., :3])
    else:
        kind = _PALETTE
        tables += _chunk(b"PLTE", palette[:, :3].tobytes())
        clear = np.flatnonzero(palette[:, 3] != _OPAQUE)
        if clear.size:
            tables += _chunk(b"tRNS", palette[: clear[-1] + 1, 3].tobytes())
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, _DEPTH, kind, 0, 0, 0))
    content = _chunk(b"IDAT", _compressed(image, "up", compression))
    return b"".join((_SIGNATURE, *header, *tables, *content, *_chunk(b"IEND", b"")))


def _compressed(image: Bytes, row_filter: RowFilter, compression: int) -> bytes:
    """Return the compressed rows of an image. They are filtered in strips, which takes no memory for a second image."""
    compressor = (fast_compressor if compression in _FAST_LEVELS else zlib.compressobj)(compression)
    parts = [compressor.compress(strip.data) for strip in _filtered(image, row_filter)]
    return b"".join((*parts, compressor.flush()))


def _filtered(image: Bytes, row_filter: RowFilter) -> Iterator[Bytes]:
    """Yield strips of the rows of an image after a filter, each row with the number of the filter before it.

    The other filters make larger files of maps, or take more time (docs/performance.md).
    """
    rows = image.reshape(len(image), -1)
    height = max(1, _STRIP_BYTES // rows.shape[1])
    buffer = np.empty((min(height, len(rows)), rows.shape[1] + 1), np.uint8)
    buffer[:, 0] = _FILTERS[row_filter]
    above = np.zeros_like(rows[:1])
    for first in range(0, len(rows), height):
        strip = rows[first : first + height]
        found = buffer[: len(strip), 1:]
        if row_filter == "none":
            found[...] = strip
        else:
            np.subtract(strip[:1], above, out=found[:1])
            np.subtract(strip[1:], strip[:-1], out=found[1:])
        above = strip[-1:]
        yield buffer[: len(strip)]


def _chunk(kind: bytes, content: bytes) -> tuple[bytes, ...]:
    """Return the parts of a chunk. They are joined once, with those of all chunks, because a map has a megabyte."""
    checksum = crc32(content, crc32(kind))
    return struct.pack(">I", len(content)), kind, content, struct.pack(">I", checksum)


def _text_chunk(key: str, value: str) -> tuple[bytes, ...]:
    """Return a `tEXt` chunk for ASCII, otherwise an uncompressed `iTXt` chunk in UTF-8 without a language."""
    start = key.encode("latin-1") + b"\0"
    if value.isascii():
        return _chunk(b"tEXt", start + value.encode())
    return _chunk(b"iTXt", start + b"\0\0\0\0" + value.encode())
