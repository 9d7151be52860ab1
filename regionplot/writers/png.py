"""Write PNG files, with a palette or in RGB."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from typing_extensions import override

from regionplot.settings.base import Section
from regionplot.writers.base import PaletteUse, Picture, Writer
from regionplot.writers.png_format import encode_png


class PngSettings(Section):
    """`[output.png]`: settings of PNG files."""

    mode: PaletteUse = "auto"
    """`palette` files are less than half the size of `rgb` files, and are drawn in less time. `auto` uses a palette if
    the map has levels or classes. In the style `plain`, all lines must also have one dark color. In other styles, maps
    of continuous scales and shaded maps have a palette, too. Colors of classes are exact. At the edges of lines and
    letters, no channel differs by more than 16 of 255 from `rgb`, or by more than 32 if lines have several colors. On
    maps without classes, no channel differs by more than 24."""
    compression: Annotated[int, Field(ge=0, le=9)] = 2
    """Compression level: 0 is no compression, 1 is the fastest, 9 makes the smallest files. Levels 1 and 2 use ISA-L if
    the package isal is installed. The other levels use zlib."""


class PngWriter(Writer[Picture]):
    """Write PNG files. Metadata become text chunks."""

    suffixes: ClassVar[tuple[str, ...]] = (".png",)
    media_type: ClassVar[str] = "image/png"
    needs: ClassVar[Literal["pixels"]] = "pixels"
    adapts_palette: ClassVar[bool] = True
    Settings: ClassVar[type[PngSettings]] = PngSettings

    def __init__(self, settings: PngSettings) -> None:
        self.palette = settings.mode
        self._compression = settings.compression

    @override
    def encode(self, picture: Picture, metadata: Mapping[str, str]) -> bytes:
        return encode_png(picture, metadata, self._compression)
