"""Write PNG files, with a palette or in RGB."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from regionplot.settings.base import Section
from regionplot.writers.base import PaletteUse, Picture, Writer


class PngSettings(Section):
    """`[output.png]`: settings of PNG files."""

    mode: PaletteUse = "auto"
    """`palette` files are a third of the size of `rgb` files, and are written in a fifth of the time. Line edges then
    have about 15 shades: no channel differs by more than 16 of 255 from `rgb`. `auto` uses a palette if the map has
    levels or classes, and lines of one dark color."""
    compression: Annotated[int, Field(ge=0, le=9)] = 2
    """Compression level of zlib: 0 is no compression, 1 is the fastest, 9 makes the smallest files."""


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
        from PIL import Image, PngImagePlugin  # noqa: PLC0415 (only processes that draw need Pillow)

        chunks = PngImagePlugin.PngInfo()
        for key, value in metadata.items():
            chunks.add_text(key, value) if value.isascii() else chunks.add_itxt(key, value)
        height, width = picture.image.shape[:2]
        mode = "RGB" if picture.palette is None else "P"
        image = Image.frombuffer(mode, (width, height), picture.image, "raw", mode, 0, 1)
        if picture.palette is not None:
            image.putpalette(picture.palette.tobytes())
        file = io.BytesIO()
        image.save(file, "PNG", compress_level=self._compression, pnginfo=chunks)
        return file.getvalue()
