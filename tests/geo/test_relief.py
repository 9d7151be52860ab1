"""Light on relief: flat ground keeps its level, slopes toward the light are lighter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from regionplot.geo.relief import FLAT, block_means, enlarged, relief_levels

USUAL = {"pixel": 1000.0, "cell": 1.0, "exaggeration": 12.0, "blur": 12.0, "sea": 0.35}


def levels(heights: np.ndarray, **options: float) -> np.ndarray:
    chosen: dict[str, Any] = {**USUAL, **options}
    return relief_levels(heights.astype(np.float32), **chosen)


@pytest.mark.parametrize("height", [0.0, 3000.0, -5000.0])
@pytest.mark.parametrize("cell", [0.5, 2.0, 9.0])
def test_flat_ground_keeps_its_level(height: float, cell: float) -> None:
    assert (levels(np.full((60, 90), height), cell=cell) == FLAT).all()


def test_slopes_toward_the_upper_left_are_light_and_the_others_dark() -> None:
    rows, columns = np.mgrid[:80, :80] * 100.0
    assert levels(rows).mean() > FLAT + 20, "the ground rises to the south, and faces north"
    assert levels(-rows).mean() < FLAT - 20
    assert levels(columns).mean() > FLAT + 20, "the ground rises to the east, and faces west"
    assert levels(-columns).mean() < FLAT - 20


def test_the_light_on_a_plane_follows_from_its_normal() -> None:
    slope = 0.02
    _, columns = np.mgrid[:60, :200]
    found = levels(columns * USUAL["pixel"] * slope, blur=1.0)[20:-20, 60:-60]
    light = []
    for factor in (12.0, 12.0 * 1.4):
        normal = np.array([-slope * factor, 0, 1]) / np.hypot(1, slope * factor)
        suns = [
            np.array([np.sin(a), np.cos(a), 1]) / np.sqrt(2) for a in np.radians([315, 270, 0])
        ]  # x east, y north, z up
        light.append(np.dot([0.6, 0.2, 0.2], [max(0.0, float(normal @ sun)) for sun in suns]))
    flat = np.sqrt(0.5)
    expected = FLAT + (0.6 * light[0] + 0.4 * light[1] - flat) / (1 - flat) * (255 - FLAT)
    assert np.abs(found.astype(float) - expected).max() <= 1.5


def test_missing_heights_count_as_flat_and_the_sea_floor_is_gentle() -> None:
    rows, _ = np.mgrid[:60, :60] * 20.0
    holed = rows.copy()
    holed[20:30] = np.nan
    assert (levels(holed)[20:30] == FLAT).all()
    below = levels(rows - 1e5)
    assert FLAT < below.mean() < levels(rows).mean()


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (3, 2), (61, 83)])
def test_any_shape_gives_levels_of_the_same_shape(shape: tuple[int, int]) -> None:
    heights = np.random.default_rng(1).normal(0, 1000, shape)
    for cell in (1.0, 7.0, 200.0):
        assert levels(heights, cell=cell).shape == shape


def test_blocks_are_averaged_and_enlarged_without_a_shift() -> None:
    rows, columns = np.mgrid[:24, :36].astype(np.float32)
    values = rows + 2 * columns
    back = enlarged(block_means(values, 4), 4, values.shape)
    np.testing.assert_allclose(back[2:-2, 2:-2], values[2:-2, 2:-2], atol=1e-4)
