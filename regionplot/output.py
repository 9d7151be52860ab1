"""File names that stay in the output folder, and images that appear whole or not at all."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regionplot import phases, templates
from regionplot.errors import OutputError, RegionplotError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LONGEST_NAME = 200
_HASH_LENGTH = 8
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def file_name(template: str, fields: Mapping[str, str]) -> str:
    """A relative path from a template; fields become single, harmless path components.

    Parameters
    ----------
    template : str
        With `{field}`s, and `/` for folders.
    fields : Mapping
        Text by name.

    Raises
    ------
    TemplateError
        As `regionplot.templates.render`.

    Examples
    --------
    >>> file_name("{state}/{name}.png", {"state": "NC", "name": "../../etc/passwd"})
    'NC/_.._etc_passwd.png'
    """
    rendered = templates.render(template, {name: _slug(text) for name, text in fields.items()})
    return "/".join(_component(part) for part in rendered.split("/") if part not in ("", ".", ".."))


def _slug(text: str) -> str:
    """Letters, digits and a few marks of any script; anything else, separators above all, becomes `_`."""
    composed = unicodedata.normalize("NFC", text).strip()
    kept = "".join(c if c.isalnum() or c in " ._-+,()" or unicodedata.combining(c) else "_" for c in composed)
    return kept.lstrip(". ") if kept.strip(".- ") else "_"


def _component(name: str) -> str:
    """One file or folder name that every file system takes."""
    name = name.lstrip(".- ").rstrip(". ") or "_"
    if _RESERVED.fullmatch(name):
        name = f"_{name}"
    raw = name.encode()
    if len(raw) <= _LONGEST_NAME:
        return name
    stem, dot, suffix = name.rpartition(".") if "." in name else (name, "", "")
    tail = f"-{hashlib.sha256(raw).hexdigest()[:_HASH_LENGTH]}{dot}{suffix[:16].rstrip()}"
    return stem.encode()[: _LONGEST_NAME - len(tail.encode())].decode(errors="ignore") + tail


def prepare_directory(directory: Path) -> None:
    """Make the output folder, and see that it can be written to.

    Raises
    ------
    OutputError
        If it can not.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe = directory / f".regionplot-{secrets.token_hex(8)}.tmp"
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise OutputError(f"{directory}: maps cannot be written there: {error.strerror or error}") from None


def new_run() -> str:
    """A name for a run, which its temporary files carry."""
    return f"{os.getpid()}-{secrets.token_hex(4)}"


def write_png(
    target: Path,
    pixels: NDArray[np.uint8],
    run: str,
    text: Mapping[str, str],
    *,
    palette: NDArray[np.uint8] | None = None,
    compression: int = 2,
) -> int:
    """Write an image: into a temporary file beside the target, read back, then put in its place.

    Parameters
    ----------
    target : Path
        The image; a reader sees the old one or the new one, never a part.
    pixels : ndarray, shape (height, width, 3) or (height, width)
        RGB, or rows of `palette`.
    run : str
        What `new_run` gives.
    text : Mapping
        PNG text chunks.
    palette : ndarray, shape (n, 3), optional
        RGB, at most 256 colours.
    compression : int
        zlib's level, 0 to 9.

    Returns
    -------
    int
        Size of the file in bytes.

    Raises
    ------
    RegionplotError
        If it cannot be written; the old image stays, and no temporary file.
    """
    temporary = target.with_name(f".{target.name}.{run}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not temporary.is_symlink():  # nobody's but of a worker that died over this image, which is tried again
            temporary.unlink(missing_ok=True)
        phases.reached("save", target.name)
        _encode(temporary, pixels, text, palette, compression)
        phases.reached("verify", target.name)
        size = _verify(temporary)
        phases.reached("replace", target.name)
        temporary.replace(target)
    except (OSError, SyntaxError) as error:  # Pillow calls a broken file a syntax error
        reason = getattr(error, "strerror", None) or error
        raise RegionplotError(f"{target}: cannot be written: {reason}") from error
    finally:
        with suppress(OSError):  # it is the first error that says what is wrong
            temporary.unlink(missing_ok=True)
    return size


def _encode(
    path: Path, pixels: NDArray[Any], text: Mapping[str, str], palette: NDArray[Any] | None, compression: int
) -> None:
    from PIL import Image, PngImagePlugin  # noqa: PLC0415 (only who writes maps needs it)

    chunks = PngImagePlugin.PngInfo()
    for key, value in text.items():
        chunks.add_itxt(key, value) if not value.isascii() else chunks.add_text(key, value)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(path, flags, 0o666), "wb") as file:
        mode = "RGB" if palette is None else "P"
        image = Image.frombuffer(mode, (pixels.shape[1], pixels.shape[0]), pixels, "raw", mode, 0, 1)
        if palette is not None:
            image.putpalette(palette.tobytes())
        image.save(file, "PNG", compress_level=compression, pnginfo=chunks)


def _verify(path: Path) -> int:
    """Read an image back; its size in bytes."""
    from PIL import Image  # noqa: PLC0415

    with Image.open(path) as written:
        written.verify()
    return path.stat().st_size


def sweep(directory: Path, run: str) -> None:
    """Remove the temporary files that killed workers of a run have left."""
    with suppress(OSError):  # what ended the run, such as a lack of descriptors, is the error to be told
        for leftover in directory.rglob(f".*.{run}.tmp"):
            leftover.unlink(missing_ok=True)
