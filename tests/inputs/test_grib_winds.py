"""GRIB files say whether components are relative to the grid."""

from __future__ import annotations

from pathlib import Path

import pytest

from regionplot.inputs.grib_winds import is_relative_to_grid


def section(number: int, content: bytes) -> bytes:
    return (len(content) + 5).to_bytes(4, "big") + bytes([number]) + content


def grid(template: int, octet: int, flags: int) -> bytes:
    """Return section 3 with flags at an octet, counted from 1."""
    content = bytearray(80)
    content[7:9] = template.to_bytes(2, "big")
    content[octet - 6] = flags
    return section(3, bytes(content))


def second_edition(*sections: bytes) -> bytes:
    body = section(1, bytes(16)) + b"".join(sections) + b"7777"
    return b"GRIB\0\0\0\x02" + (16 + len(body)).to_bytes(8, "big") + body


def first_edition(flags: int, has_grid: int = 0x80) -> bytes:
    product = (28).to_bytes(3, "big") + bytes(4) + bytes([has_grid]) + bytes(20)
    definition = (32).to_bytes(3, "big") + bytes(13) + bytes([flags]) + bytes(15)
    body = product + (definition if has_grid else b"") + b"7777"
    return b"GRIB" + (8 + len(body)).to_bytes(3, "big") + b"\x01" + body


FIELD = section(4, bytes(30)) + section(7, b"GRIB in the values")
TEMPLATES = {"degrees": (0, 55), "rotated": (1, 55), "Mercator": (10, 47), "polar": (20, 47), "Lambert": (30, 47)}


@pytest.mark.parametrize(("template", "octet"), TEMPLATES.values(), ids=TEMPLATES)
def test_the_flags_of_each_field_of_each_message_are_found(tmp_path: Path, template: int, octet: int) -> None:
    path = tmp_path / "winds.grib2"
    relative, north = grid(template, octet, 0x38), grid(template, octet, 0x30)
    messages = [second_edition(relative, FIELD, FIELD, north, FIELD), second_edition(north, FIELD), first_edition(0x08)]
    path.write_bytes(b"header" + b"\0\0".join(messages))
    assert [is_relative_to_grid(path, band) for band in range(1, 7)] == [True, True, False, False, True, None]


def test_unknown_grids_and_damaged_files_say_nothing(tmp_path: Path) -> None:
    path = tmp_path / "winds.grib"
    path.write_bytes(second_edition(grid(204, 47, 0x08), FIELD) + first_edition(0x00) + first_edition(0x08, 0))
    assert [is_relative_to_grid(path, band) for band in (1, 2, 3)] == [None, False, None]
    whole = second_edition(grid(30, 47, 0x08), FIELD)
    for length in range(0, len(whole), 7):
        path.write_bytes(b"GRIB" + whole[:length])
        assert is_relative_to_grid(path, 1) in (None, True, False)
