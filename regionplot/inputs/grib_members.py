"""Read the numbers of ensemble members from GRIB files.

GDAL reports the product definition of GRIB edition 2, which holds the number. For edition 1, it reports nothing. There,
centers that follow ECMWF's local definitions store the number in octet 50 of section 1
(https://codes.ecmwf.int/grib/format/grib1/local/).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from regionplot.errors import RasterError
from regionplot.inputs.grib_messages import messages, read_at
from regionplot.inputs.unpacked import opened_content

_SECTION_0 = 8
"""Length of section 0 of edition 1 in bytes."""
_NUMBER_BYTES = {1: 1, 30: 1, 36: 1, 15: 2, 16: 2, 26: 2}
"""Bytes of the number of the member, from octet 50, by local definition."""
_OCTET = 49
"""Position of octet 50 in section 1."""
_HEADER = _OCTET + 2
_ENSEMBLE_TEMPLATES = {1: 16, 11: 16}
"""Position of the number of the member in the values of the product definition templates of ensembles."""


def grib1_members(path: Path) -> Mapping[int, int]:
    """Return the member of each message of edition 1, by the number of the message from 1.

    Messages without a member are left out.

    Raises
    ------
    RasterError
        If the file cannot be read.
    """
    try:
        with opened_content(path) as file:
            return {number: member for number, member in enumerate(_members(file), 1) if member is not None}
    except OSError as error:
        raise RasterError(f"{path}: cannot be read: {error}") from error


def _members(file: BinaryIO) -> Iterator[int | None]:
    """Yield the member of each message, or None."""
    for message in messages(file):
        header = read_at(file, message.start + _SECTION_0, _HEADER) if message.edition == 1 else b""
        yield _local_member(header)


def _local_member(header: bytes) -> int | None:
    """Return the number in section 1 if its local definition says that the message belongs to an ensemble."""
    size = _NUMBER_BYTES.get(header[40], 0) if len(header) == _HEADER else 0
    if not size or int.from_bytes(header[:3], "big") < _OCTET + size:
        return None
    return int.from_bytes(header[_OCTET : _OCTET + size], "big")


def grib2_member(tags: Mapping[str, str]) -> int | None:
    """Return the member of a message of edition 2, or None if it does not belong to an ensemble.

    Parameters
    ----------
    tags : mapping
        Tags of the band.
    """
    position = _ENSEMBLE_TEMPLATES.get(_integer(tags.get("GRIB_PDS_PDTN", "")) or 0)
    values = tags.get("GRIB_PDS_TEMPLATE_ASSEMBLED_VALUES", "").split()
    return None if position is None or position >= len(values) else _integer(values[position])


def _integer(text: str) -> int | None:
    return int(text) if text.lstrip("-").isdecimal() else None
