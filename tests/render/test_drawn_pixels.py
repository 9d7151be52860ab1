"""The pixels that lines cover are found as NumPy finds them."""

from __future__ import annotations

import numpy as np
import pytest

from regionplot.render.drawn_pixels import channel_of, pixels_except
from regionplot.render.ink import shaded_rows

RANDOM = np.random.default_rng(5)


@pytest.mark.parametrize("blank", [0, 7, 255])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 1.0])
@pytest.mark.parametrize("shape", [(0,), (1,), (7,), (8,), (9,), (30, 41), (64, 64)])
def test_all_pixels_but_the_blank_ones_are_found(shape: tuple[int, ...], share: float, blank: int) -> None:
    values = np.where(RANDOM.random(shape) < share, RANDOM.integers(0, 256, shape), blank).astype(np.uint8)
    pixels, found = pixels_except(blank, values)
    expected = np.flatnonzero(values != blank)
    np.testing.assert_array_equal(pixels, expected)
    np.testing.assert_array_equal(found, values.reshape(-1)[expected])
    assert (pixels.dtype, found.dtype) == (np.intp, np.uint8)


@pytest.mark.parametrize("channel", range(4))
def test_a_channel_of_a_part_of_a_sheet_is_one_array(channel: int) -> None:
    sheet = RANDOM.integers(0, 256, (20, 30, 4), dtype=np.uint8)
    found = channel_of(sheet[3:17, 5:28], channel)
    np.testing.assert_array_equal(found, sheet[3:17, 5:28, channel])
    assert found.flags.c_contiguous
    assert not np.shares_memory(found, sheet), "the sheet is drawn on again"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_rows_of_the_palette_are_those_of_code_and_value(dtype: type[np.unsignedinteger]) -> None:
    shaded = RANDOM.integers(0, 256, (200, 256), dtype=np.uint8)
    codes, values = RANDOM.integers(0, 200, 1000).astype(dtype), RANDOM.integers(0, 256, 1000, dtype=np.uint8)
    found = shaded_rows(shaded, codes, values)
    np.testing.assert_array_equal(found, shaded[codes, values])
    assert found.dtype == np.uint8
