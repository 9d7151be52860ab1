"""Write PNG files, with a palette or in RGB.

The format: https://www.w3.org/TR/png-3/.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field
from typing_extensions import override

from regionplot.settings.base import Section
from regionplot.writers.base import Bytes, PaletteUse, Picture, Writer

try:
    from isal.isal_zlib import compress as compress_fast
except ImportError:  # there is no wheel of isal for this platform
    from zlib import compress as compress_fast

_FAST_LEVELS = (1, 2)
"""Levels at which ISA-L is used. It is six times as fast as zlib, and its files have the same size."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_DEPTH = 8
"""Bits per channel, or per index into the palette."""
_RGB, _PALETTE = 2, 3
"""Color types."""
_UP = 2
"""Filter that stores the difference of each byte to the byte above it."""


class PngSettings(Section):
    """`[output.png]`: settings of PNG files."""

    mode: PaletteUse = "auto"
    """`palette` files are less than half the size of `rgb` files, and are drawn in less time. Line edges then
    have about 15 shades: no channel differs by more than 16 of 255 from `rgb`. `auto` uses a palette if the map has
    levels or classes, and lines of one dark color."""
    compression: Annotated[int, Field(ge=0, le=9)] = 2
    """Compression level: 0 is no compression, 1 is the fastest, 9 makes the smallest files. Levels 1 and 2 use ISA-L if
    the package isal is installed. The other levels use zlib."""


class PngWriter(Writer[Picture]):
    """Write PNG files. Metadata become text chunks."""

    suffixes: ClassVar[tuple[str, ...]] = (".png",)
    media_type: ClassVar[str] = "image/png"
    needs: ClassVar[Literal["pixels"]] = "pixels"
    Settings: ClassVar[type[PngSettings]] = PngSettings

    def __init__(self, settings: PngSettings) -> None:
        self.palette = settings.mode
        self._compression = settings.compression

    @override
    def encode(self, picture: Picture, metadata: Mapping[str, str]) -> bytes:
        height, width = picture.image.shape[:2]
        kind = _RGB if picture.palette is None else _PALETTE
        compress = compress_fast if self._compression in _FAST_LEVELS else zlib.compress
        chunks = [_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, _DEPTH, kind, 0, 0, 0))]
        if picture.palette is not None:
            chunks.append(_chunk(b"PLTE", picture.palette.tobytes()))
        chunks += [_text_chunk(key, value) for key, value in metadata.items()]
        chunks.append(_chunk(b"IDAT", compress(_filtered(picture.image).data, self._compression)))
        return b"".join((_SIGNATURE, *chunks, _chunk(b"IEND", b"")))


def _filtered(image: Bytes) -> Bytes:
    """Return the rows of an image after the filter `up`, each with the number of the filter before it.

    The other filters make larger files of maps, or take more time (docs/performance.md).
    """
    rows = image.reshape(len(image), -1)
    result = np.empty((len(rows), rows.shape[1] + 1), np.uint8)
    result[:, 0] = _UP
    result[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=result[1:, 1:])
    return result


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _text_chunk(key: str, value: str) -> bytes:
    """Return a `tEXt` chunk for ASCII, otherwise an uncompressed `iTXt` chunk in UTF-8 without a language."""
    start = key.encode("latin-1") + b"\0"
    if value.isascii():
        return _chunk(b"tEXt", start + value.encode())
    return _chunk(b"iTXt", start + b"\0\0\0\0" + value.encode())
