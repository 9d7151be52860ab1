"""Cells are classified by the levels that they reach, however many of the levels their strip spans."""

from __future__ import annotations

import numpy as np
import pytest

from regionplot.colors.classifier import LevelClassifier, classify, has_class

LEVELS = np.array([-1e300, -2.5, 0, 0.1, 1, 7, 1e300])
GRIDS = {
    "all levels": np.linspace(-9, 9, 60),
    "one class": np.full(60, 3.0),
    "on a level": np.full(60, 7.0),
    "below": np.full(60, -np.inf),
    "above": np.full(60, np.inf),
    "some missing": np.where(np.arange(60) % 7, np.linspace(0, 5, 60), np.nan),
    "all missing": np.full(60, np.nan),
    "empty": np.zeros(0),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_a_code_is_the_number_of_levels_that_the_value_reaches(grid, dtype):
    values = grid.astype(dtype).reshape(-1, 6)
    classifier = LevelClassifier(LEVELS)
    codes = np.full(values.shape, 99, np.uint8)
    classify(values, classifier, codes)
    with np.errstate(over="ignore"):
        levels = LEVELS.astype(dtype)
    expected = (values[..., None] >= levels).sum(axis=-1)
    assert codes.tolist() == np.where(np.isnan(values), classifier.nodata, expected).tolist()


@pytest.mark.parametrize(("code", "found"), [(0, False), (1, True), (2, True), (3, False), (4, False)])
def test_a_single_cell_with_a_class_is_found(code, found):
    codes = np.zeros((1500, 1500), np.uint8)
    codes[777, 1] = code
    assert has_class(codes, levels=3) is found
