"""The limits of the outline of a text are those that matplotlib finds by searching each curve."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import text_to_path

from regionplot.render.text import extents

PIECES = {"move": [Path.MOVETO], "line": [Path.LINETO], "quadratic": [Path.CURVE3] * 2, "cubic": [Path.CURVE4] * 3}


@pytest.mark.parametrize("family", ["DejaVu Sans", "DejaVu Serif", "cmr10", "STIXGeneral"])
@pytest.mark.parametrize("text", ["Grand Forks", "Øgso 3,68", "o", "l."])
def test_limits_of_letters(family: str, text: str) -> None:
    path = Path(*text_to_path.get_text_path(FontProperties(family), text))
    np.testing.assert_array_equal(extents(path).get_points(), path.get_extents().get_points())


@given(pieces=st.lists(st.sampled_from([*PIECES, "close"]), min_size=1, max_size=8), seed=st.integers(0, 10**6))
def test_limits_of_curves_of_any_shape(pieces: list[str], seed: int) -> None:
    """Most of these curves reach beyond their end points, and a closing vertex does not count."""
    codes = [Path.MOVETO, *(code for piece in pieces for code in PIECES.get(piece, [Path.CLOSEPOLY, Path.MOVETO]))]
    path = Path(np.random.default_rng(seed).normal(size=(len(codes), 2)), codes)
    np.testing.assert_array_equal(extents(path).get_points(), path.get_extents().get_points())


def test_limits_of_no_letters() -> None:
    path = Path(*text_to_path.get_text_path(FontProperties("DejaVu Sans"), " "))
    np.testing.assert_array_equal(extents(path).get_points(), path.get_extents().get_points())
