"""File names that stay in the output folder, and images that appear whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regionplot import phases, templates
from regionplot.errors import NoSpaceError, OutputError, RegionplotError
from regionplot.files import create, replacing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DIGEST = "regionplot-digest"
"""The PNG text chunk that holds a map's digest."""
_LONGEST_NAME = 200
_HASH_LENGTH = 8
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
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


def check_folders(directory: Path, folders: Iterable[Path]) -> Iterator[str]:
    """Why maps may not be written into some folders: a link can lead a folder below the output folder elsewhere."""
    inside = directory.resolve()
    for folder in folders:
        try:
            place = folder.resolve()
        except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
            yield f"{folder}: {getattr(error, 'strerror', None) or error}"
            continue
        if not place.is_relative_to(inside):
            yield f"{folder}: the folder is a link out of the output folder, to {place}"


def _check_place(directory: Path, target: Path) -> None:
    """See that a target lies in the output folder, and that nothing stands there but an older image, or a link."""
    for problem in check_folders(directory, [target.parent]):
        raise RegionplotError(f"{target}: cannot be written: {problem}")
    with suppress(FileNotFoundError):
        kind = target.lstat().st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISLNK(kind)):
            what = os.strerror(errno.EISDIR) if stat.S_ISDIR(kind) else "a pipe, socket or device is in its place"
            raise RegionplotError(f"{target}: cannot be written: {what}")


def _make_folders(directory: Path, folder: Path) -> None:
    """The folders between the output folder and a map. If the output folder itself is gone, it was taken away."""
    missing = []
    while folder != directory and not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(exist_ok=True)


def write_png(
    target: Path,
    pixels: NDArray[np.uint8],
    run: str,
    text: Mapping[str, str],
    *,
    palette: NDArray[np.uint8] | None = None,
    compression: int = 2,
    within: Path | None = None,
) -> int:
    """Write an image: into a temporary file beside the target, read back, then put in its place.

    Parameters
    ----------
    target : Path
        The image; a reader sees the old one or the new one, never a part.
    pixels : ndarray, shape (height, width, 3) or (height, width)
        RGB, or rows of `palette`.
    run : str
        What `files.new_run` gives; temporary files carry it.
    text : Mapping
        PNG text chunks.
    palette : ndarray, shape (n, 3), optional
        RGB, at most 256 colours.
    compression : int
        zlib's level, 0 to 9.
    within : Path, optional
        The output folder, which must be there and which the image must not leave by a link; by default the target's
        own folder, which must be there then.

    Returns
    -------
    int
        Size of the file in bytes.

    Raises
    ------
    RegionplotError
        If it cannot be written; the old image stays, and no temporary file.
    NoSpaceError
        If that is for want of space.
    """
    try:
        _check_place(within or target.parent, target)
        _make_folders(within or target.parent, target.parent)
        with replacing(target, run) as temporary:
            phases.reached("save", target.name)
            _encode(temporary, pixels, text, palette, compression)
            phases.reached("verify", target.name)
            size = _verify(temporary)
            phases.reached("replace", target.name)
    except (OSError, SyntaxError) as error:  # Pillow calls a broken file a syntax error
        raise _write_error(target, error) from error
    return size


def _write_error(target: Path, error: Exception) -> RegionplotError:
    number = getattr(error, "errno", None) or 0
    name = f" ({errno.errorcode[number]})" if number in errno.errorcode else ""
    kind = NoSpaceError if number in _NO_SPACE else RegionplotError
    return kind(f"{target}: cannot be written: {getattr(error, 'strerror', None) or error}{name}")


def _encode(
    path: Path, pixels: NDArray[Any], text: Mapping[str, str], palette: NDArray[Any] | None, compression: int
) -> None:
    from PIL import Image, PngImagePlugin  # noqa: PLC0415 (only who writes maps needs it)

    chunks = PngImagePlugin.PngInfo()
    for key, value in text.items():
        chunks.add_itxt(key, value) if not value.isascii() else chunks.add_text(key, value)
    with create(path) as file:
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
