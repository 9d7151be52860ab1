"""Test files of named arrays."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from regionplot.system.array_file import read_arrays, write_arrays

ARRAYS = {
    "bytes": np.arange(7, dtype=np.uint8),
    "no values": np.empty((0, 3)),
    "one value": np.float32(2.5),
    "columns first": np.arange(6).reshape(2, 3).T,
    "big endian": np.arange(3, dtype=">i4"),
    "truth": np.array([True, False]),
    "texts": np.array(["ä", "bcd"]),
    "times": np.array(["2026-11-28T18:00"], "datetime64[s]"),
    "ümlaut": np.array([[np.nan, -np.inf]]),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with (tmp_path / "file").open("wb") as file:
        write_arrays(file, ARRAYS)
    return tmp_path / "file"


def test_arrays_come_back_with_type_and_shape_and_can_be_changed(path: Path) -> None:
    with path.open("rb") as file:
        found = read_arrays(file)
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found[name], array)
        assert found[name].flags.writeable
        assert found[name].flags.aligned


def test_each_changed_or_missing_byte_is_noticed(path: Path) -> None:
    content = path.read_bytes()
    damaged = [content[:length] for length in range(0, len(content), 7)]
    damaged += [content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :] for at in range(0, len(content), 5)]
    for each in damaged:
        path.write_bytes(each)
        with path.open("rb") as file, pytest.raises(ValueError, match=r"damaged|shorter"):
            read_arrays(file)


@pytest.mark.parametrize("array", [np.array([{}]), np.zeros(2, [("a", "f4")])], ids=["objects", "structure"])
def test_types_that_the_file_cannot_describe_are_refused(array: np.ndarray) -> None:
    with pytest.raises(ValueError, match="x: arrays of the type"):
        write_arrays(io.BytesIO(), {"x": array})
