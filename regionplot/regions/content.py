"""Read the text of a table of regions. Files of other kinds are recognized by their first bytes."""

from __future__ import annotations

import io
import os
import re
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import BinaryIO

from regionplot.errors import RegionsError
from regionplot.text import path_hint, path_text

MAX_BYTES = 256 * 2**20
"""Maximum size of a table in bytes."""
_CHUNK = 2**20
"""Number of bytes to read at a time, so that a small file needs little memory."""
_EXPORT = "save the table as CSV (UTF-8)"
_FOREIGN = (
    (rb"PK\x03\x04", f"a zip archive, or a workbook of Excel or LibreOffice; {_EXPORT}"),
    (rb"\xd0\xcf\x11\xe0", f"an old Excel workbook; {_EXPORT}"),
    (rb"SQLite format 3\x00", f"a GeoPackage or another SQLite database; {_EXPORT}"),
    (rb"PAR1", f"a Parquet file; {_EXPORT}, or convert it to GeoPackage: ogr2ogr new.gpkg FILE"),
    (rb"\x00\x00\x27\x0a", f"a shapefile; {_EXPORT}, with a bounding box for each region"),
    (rb"\x1f\x8b|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd", "a compressed file; unpack the table"),
    (rb"%PDF", f"a PDF document; {_EXPORT}"),
    (
        rb"II[*+]\x00|MM\x00[*+]|\x89HDF|CDF[\x01\x02\x05]|GRIB",
        "a raster; give the table first, and the raster with --raster",
    ),
    (rb"\x89PNG|\xff\xd8\xff|GIF8|RIFF", "an image; give a table with a header line"),
    (rb"\s*<(!DOCTYPE|html|\?xml|kml)", f"HTML or XML; {_EXPORT}"),
    (rb"\s*\{", f"JSON or GeoJSON; {_EXPORT}, with a bounding box for each region"),
    (
        rb"\s*\[\[?[A-Za-z][\w.-]*\]\]?\s*(#[^\n]*)?\n",
        "a settings file; give the table first, and the settings file with --config",
    ),
)
"""Patterns of the first bytes of other kinds of files, and the name of each kind with a hint."""
_FIRST = 512
"""Number of bytes to search for a pattern."""
_MAX_WAIT = 10.0
"""Longest wait for a process that writes to a pipe, in seconds."""


def read_text(source: Path | BinaryIO, name: str) -> str:
    """Return the text of a table with all line endings converted to newlines.

    Parameters
    ----------
    source : Path or binary file
        File in UTF-8, with or without a byte-order mark.
    name : str
        Name of the file in messages.

    Raises
    ------
    RegionsError
        If the file cannot be read, is too large, or is not text in UTF-8.
    """
    try:
        raw = _read_path(source, name) if isinstance(source, Path) else _read_bounded(source, name)
    except OSError as error:
        raise RegionsError(f"{name}: {error.strerror or error}") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RegionsError(
            f"{name}: byte {error.start} is not UTF-8 (a Latin-1 or Windows file?); save the file as UTF-8"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _read_path(path: Path, name: str) -> bytes:
    if path.is_dir():
        raise RegionsError(f"{name}: Is a directory; give the table of regions, such as {path / 'regions.csv'}")
    if not path.exists() and (hint := path_hint(name)):
        raise RegionsError(f"{path_text(name)}: {hint}")
    with _open(path, name) as file:
        return _read_bounded(file, name)


def _open(path: Path, name: str) -> BinaryIO:
    """Open a file. If it is a pipe without a writer, wait at most `_MAX_WAIT` seconds for a writer."""
    if not path.is_fifo():
        return path.open("rb")
    opened: list[BinaryIO] = []
    thread = Thread(target=lambda: opened.append(path.open("rb")), daemon=True)
    thread.start()
    thread.join(_MAX_WAIT)
    if opened:
        return opened[0]
    with suppress(OSError):
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))  # lets the thread open the pipe
        thread.join()
        opened[0].close()
    raise RegionsError(f"{name}: no process writes to this pipe; start the writer first, or give a file")


def _read_bounded(file: BinaryIO, name: str) -> bytes:
    """Return the content of a file. Stop at the first chunk that shows that the file is not a table."""
    content = io.BytesIO()
    while chunk := file.read(_CHUNK):
        start = content.tell()
        if not start:
            _check_kind(chunk, name)
        if b"\0" in chunk:
            raise RegionsError(f"{name}: byte {start + chunk.index(0)}: a NUL byte; the file is not UTF-8 text")
        content.write(chunk)
        if content.tell() > MAX_BYTES:
            raise RegionsError(f"{name}: the file is larger than {MAX_BYTES:,} bytes; is it a table of regions?")
    return content.getvalue()


def _check_kind(content: bytes, name: str) -> None:
    """Raise RegionsError if the first bytes of a file show that it is not text in UTF-8, or not a table."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise RegionsError(f"{name}: byte 0: the file is UTF-16; save it as UTF-8")
    for pattern, kind in _FOREIGN:
        if re.match(pattern, content[:_FIRST], re.DOTALL | re.IGNORECASE):
            raise RegionsError(f"{name}: not a table: this is {kind}")
