"""Write PNG files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from regionplot.system.files import open_exclusive

if TYPE_CHECKING:
    from numpy.typing import NDArray


DIGEST = "regionplot-digest"
"""The PNG text chunk that holds a map's digest."""


def encode_png(
    path: Path, pixels: NDArray[Any], text: Mapping[str, str], palette: NDArray[Any] | None, compression: int
) -> None:
    """Write pixels and text chunks as a PNG file."""
    with open_exclusive(path) as file:
        save_png(file, pixels, text, palette, compression)


def save_png(
    file: IO[bytes], pixels: NDArray[Any], text: Mapping[str, str], palette: NDArray[Any] | None, compression: int
) -> None:
    """Write pixels and text chunks as PNG into an open file."""
    from PIL import Image, PngImagePlugin  # noqa: PLC0415 (only who writes maps needs it)

    chunks = PngImagePlugin.PngInfo()
    for key, value in text.items():
        chunks.add_itxt(key, value) if not value.isascii() else chunks.add_text(key, value)
    mode = "RGB" if palette is None else "P"
    image = Image.frombuffer(mode, (pixels.shape[1], pixels.shape[0]), pixels, "raw", mode, 0, 1)
    if palette is not None:
        image.putpalette(palette.tobytes())
    image.save(file, "PNG", compress_level=compression, pnginfo=chunks)


def verify_png(path: Path) -> int:
    """Read an image back; its size in bytes."""
    from PIL import Image  # noqa: PLC0415

    with Image.open(path) as written:
        written.verify()
    return path.stat().st_size


def read_digest(path: Path) -> str | None:
    """The digest that a map carries; None if it carries none, or cannot be read whole."""
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 (only who writes maps needs it)

    try:
        if path.is_symlink():
            return None
        with Image.open(path, formats=("PNG",)) as image:
            digest = image.info.get(DIGEST)
            image.verify()
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError):
        return None
    return digest if isinstance(digest, str) else None
