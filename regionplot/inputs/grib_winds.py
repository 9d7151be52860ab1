"""Find out from a GRIB file whether the components of vectors are relative to the grid or to north.

GDAL does not report the "resolution and component flags" of the grid definition. Bit 5 of these flags says that the
components are relative to the grid: flag table 3.3 of edition 2
(https://www.nco.ncep.noaa.gov/pmb/docs/grib2/grib2_doc/grib2_table3-3.shtml), and table 7 of edition 1
(https://www.nco.ncep.noaa.gov/pmb/docs/on388/table7.html).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from regionplot.errors import RasterError
from regionplot.inputs.grib_messages import messages, read_at
from regionplot.inputs.unpacked import opened_content

_RELATIVE_TO_GRID = 0x08
_MAX_SECTIONS = 100_000
_FLAG_OCTETS = {0: 55, 1: 55, 2: 55, 3: 55, 40: 55, 41: 55, 10: 47, 20: 47, 30: 47, 31: 47, 32768: 55, 32769: 55}
"""Octet of the flags in section 3 of edition 2, by grid definition template."""
_GRID, _DATA = 3, 7
"""Numbers of the sections that hold the grid definition and the values, in edition 2."""
_SECTION_HEAD = 60
"""Bytes that are read from the start of a section."""


def is_relative_to_grid(path: Path, band: int) -> bool | None:
    """Return True if the vector components in a band are relative to the grid, and False if relative to north.

    Return None if the file does not say it.

    Parameters
    ----------
    path : Path
        The GRIB file.
    band : int
        Number of the band, from 1, as GDAL counts bands.

    Raises
    ------
    RasterError
        If the file cannot be read.
    """
    try:
        with opened_content(path) as file:
            flags = next(islice(_flags(file), band - 1, None), None)
    except OSError as error:
        raise RasterError(f"{path}: cannot be read: {error}") from error
    return None if flags is None else bool(flags & _RELATIVE_TO_GRID)


def _flags(file: BinaryIO) -> Iterator[int | None]:
    """Yield the flags of each band, or None if they are unknown. The values are skipped, not read."""
    for message in messages(file):
        if message.edition == 2:
            yield from _flags_of_fields(file, message.start + 16, message.end)
        else:
            yield _first_edition(file, message.start + 8)


def _flags_of_fields(file: BinaryIO, position: int, end: int) -> Iterator[int | None]:
    """Yield the flags of each field of a message of edition 2. Fields can share a grid definition."""
    flags: int | None = None
    for _ in range(_MAX_SECTIONS):
        head = read_at(file, position, _SECTION_HEAD)
        length = int.from_bytes(head[:4], "big")
        if length < 5 or len(head) < 5 or position + length > end:
            return
        if head[4] == _GRID:
            octet = _FLAG_OCTETS.get(int.from_bytes(head[12:14], "big"), 0)
            flags = head[octet - 1] if 0 < octet <= min(length, len(head)) else None
        elif head[4] == _DATA:
            yield flags
        position += length


def _first_edition(file: BinaryIO, position: int) -> int | None:
    """Return the flags of a message of edition 1, or None if it has no grid definition."""
    product = read_at(file, position, 8)
    grid = read_at(file, position + int.from_bytes(product[:3], "big"), 17)
    has_grid = len(product) == 8 and product[7] & 0x80 and len(grid) == 17
    return grid[16] if has_grid else None
