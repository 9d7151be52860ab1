"""Numbers of ensemble members in GRIB files."""

from __future__ import annotations

import pytest

from regionplot.inputs.grib_members import grib1_members, grib2_member


def message(local: bytes, edition: int = 1) -> bytes:
    """Return a message whose section 1 ends with a local section."""
    section = (40 + len(local)).to_bytes(3, "big") + bytes(37) + local
    body = section + b"GRIB in the data" + b"7777"
    length = 8 + len(body)
    if edition == 2:
        return b"GRIB\0\0\0\2" + (length + 8).to_bytes(8, "big") + body
    return b"GRIB" + length.to_bytes(3, "big") + bytes([edition]) + body


def local(definition: int, number: int, size: int = 1) -> bytes:
    """Return a local section of ECMWF with the number of a member in octet 50."""
    return bytes([definition]) + bytes(8) + number.to_bytes(size, "big") + bytes(4)


@pytest.mark.parametrize(
    ("section", "member"),
    [
        (local(1, 7), 7), (local(30, 0), 0), (local(36, 9), 9), (local(16, 300, 2), 300),
        (local(5, 7), None), (b"", None), (local(1, 7)[:9], None),
    ],
)  # fmt: skip
def test_the_local_section_of_edition_1_states_the_member(tmp_path, section, member):
    path = tmp_path / "ensemble.grib"
    path.write_bytes(
        message(local(1, 3)) + bytes(5) + message(section) + message(b"", edition=2) + message(local(1, 4))
    )
    assert grib1_members(path) == {1: 3, 4: 4} | ({} if member is None else {2: member})


@pytest.mark.parametrize("content", [b"GRIB", b"GRIB\xff\xff\xff\1", b"GRIB\0\0\0\1" * 5, b"nothing"])
def test_damaged_messages_have_no_member(tmp_path, content):
    path = tmp_path / "damaged.grib"
    path.write_bytes(content)
    assert grib1_members(path) == {}


def test_the_product_definition_of_edition_2_states_the_member():
    values = "0 0 2 0 83 0 0 1 1 1 0 0 255 0 0 3 12 30"
    assert grib2_member({"GRIB_PDS_PDTN": "1", "GRIB_PDS_TEMPLATE_ASSEMBLED_VALUES": values}) == 12
    assert grib2_member({"GRIB_PDS_PDTN": "0", "GRIB_PDS_TEMPLATE_ASSEMBLED_VALUES": values}) is None
    assert grib2_member({"GRIB_PDS_PDTN": "11", "GRIB_PDS_TEMPLATE_ASSEMBLED_VALUES": "0 0"}) is None
    assert grib2_member({}) is None
