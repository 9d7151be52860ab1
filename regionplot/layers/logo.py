"""A logo in a corner of the map, from a PNG or SVG file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Annotated, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from regionplot.errors import InputError
from regionplot.layers.base import Layer, LayerSettings, LoadContext, settings_digest
from regionplot.layers.corners import Corner, place_in_corner
from regionplot.settings.base import InputPath
from regionplot.sheet.layout import Page
from regionplot.sheet.marks import Image, PanelMark
from regionplot.sheet.sheet import Sheet

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_PIXELS = 25_000_000
"""Maximum number of pixels of the file. They take 100 MB."""


class LogoSettings(LayerSettings):
    """`[logo]`: a picture in a corner of the map."""

    path: InputPath
    """PNG or SVG file. Transparent pixels show the map. SVG needs the package resvg_py."""
    position: Corner = "lower left"
    """Corner of the map. If it is not free, another place is used."""
    width: Annotated[float, Field(gt=0, le=2000)] = 60.0
    """Width in points, on a sheet of 14 × 9 inches. The height follows from the file."""
    opacity: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Opacity of the logo."""


@dataclass(frozen=True, eq=False)
class Logo(Layer):
    """A logo in the pixels of the sheet."""

    Settings = LogoSettings
    zorder: ClassVar[float] = 64
    ignores_raster: ClassVar[bool] = True
    mark_types: ClassVar[frozenset[type]] = frozenset({Image})
    label_order: ClassVar[int] = 1
    settings: LogoSettings
    pixels: NDArray[np.uint8]
    """Red, green, blue and opacity, shape (height, width, 4)."""
    key: str

    @classmethod
    @override
    def check(cls, settings: LogoSettings) -> None:
        _check_file(settings.path)

    @classmethod
    @override
    def load(cls, settings: LogoSettings, context: LoadContext) -> Self:
        width = max(1, Page(context.config).pixels(settings.width))
        return cls(settings, _read(settings.path, width, settings.opacity), settings_digest(settings))

    @override
    def draw(self, sheet: Sheet) -> Iterator[PanelMark]:
        height, width = self.pixels.shape[:2]
        box = place_in_corner(sheet, width, height, self.settings.position)
        if box is not None:
            yield Image(self.pixels, box)

    @override
    def inks(self) -> None:
        return None


def _check_file(path: Path) -> None:
    """Refuse a file that is neither a PNG nor an SVG.

    Raises
    ------
    InputError
        If the file cannot be read, or has another format.
    """
    start = _content(path, 512)
    if not (start.startswith(_SIGNATURE) or _is_svg(start)):
        raise InputError(f"{path}: the logo is not a PNG or SVG file; convert it to PNG")


def _content(path: Path, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise InputError(f"{path}: the logo cannot be read: {error.strerror or error}") from None


def _is_svg(start: bytes) -> bool:
    return start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"<?xml", b"<svg", b"<!--", b"<!DOCTYPE svg"))


def _read(path: Path, width: int, opacity: float) -> NDArray[np.uint8]:
    """Return the pixels of a PNG or SVG file, scaled to a width.

    Raises
    ------
    InputError
        If the file cannot be read, or is too large.
    """
    from PIL import Image as Pictures  # noqa: PLC0415 (only maps with a logo need Pillow here)

    _check_file(path)
    source: Path | BytesIO = path
    if _is_svg(_content(path, 512)):
        from regionplot.layers.logo_svg import MAX_BYTES, png_of_svg  # noqa: PLC0415 (few logos are SVG)

        source = BytesIO(png_of_svg(_content(path, MAX_BYTES + 1), width, str(path)))
    try:
        with Pictures.open(source, formats=["PNG"]) as file:
            if file.width * file.height > _MAX_PIXELS:
                raise InputError(f"{path}: the logo has more than {_MAX_PIXELS:,} pixels; make it smaller")
            rgba = file.convert("RGBA")
    except (OSError, ValueError, SyntaxError, Pictures.DecompressionBombError) as error:
        raise InputError(f"{path}: the logo cannot be read as PNG: {error}") from None
    if source is path:
        height = max(1, round(rgba.height * width / rgba.width))
        rgba = rgba.resize((width, height), Pictures.Resampling.LANCZOS)
    pixels = np.array(rgba)
    pixels[..., 3] = np.rint(pixels[..., 3] * opacity)
    pixels.flags.writeable = False
    return pixels
