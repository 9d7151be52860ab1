"""Write images atomically and verify them."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from regionplot.errors import NoSpaceError, OutputError, RegionplotError
from regionplot.system import failpoints
from regionplot.system.files import atomic_replace
from regionplot.writers.png import encode_png, verify_png

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


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
        with atomic_replace(target, run) as temporary:
            failpoints.failpoint("save", target.name)
            encode_png(temporary, pixels, text, palette, compression)
            failpoints.failpoint("verify", target.name)
            size = verify_png(temporary)
            failpoints.failpoint("replace", target.name)
    except (OSError, SyntaxError) as error:  # Pillow calls a broken file a syntax error
        raise _write_error(target, error) from error
    return size


def _write_error(target: Path, error: Exception) -> RegionplotError:
    number = getattr(error, "errno", None) or 0
    name = f" ({errno.errorcode[number]})" if number in errno.errorcode else ""
    kind = NoSpaceError if number in _NO_SPACE else RegionplotError
    return kind(f"{target}: cannot be written: {getattr(error, 'strerror', None) or error}{name}")
