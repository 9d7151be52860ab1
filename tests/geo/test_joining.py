"""Pieces that meet are joined without gaps, whether or not they have equal vertices where they meet."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from shapely.affinity import translate
from shapely.geometry import box

from regionplot.geo import joining
from regionplot.geo.joining import join_pieces

SIDE = 12


def squares() -> NDArray[Any]:
    """Return the squares of a grid, in random order."""
    found = [box(x, y, x + 1, y + 1) for x in range(SIDE) for y in range(SIDE)]
    return np.random.default_rng(2).permutation(np.array(found, dtype=object))


def with_rounding_errors(pieces: NDArray[Any]) -> NDArray[Any]:
    offsets = np.random.default_rng(3).uniform(-1e-12, 1e-12, (len(pieces), 2))
    return np.array([translate(piece, *offset) for piece, offset in zip(pieces, offsets, strict=True)], dtype=object)


def with_vertex(pieces: NDArray[Any]) -> NDArray[Any]:
    """Return pieces of which two have a vertex inside a side that they share with a neighbor without this vertex."""
    found = pieces.copy()
    for x in (3, 7):
        at = next(number for number, piece in enumerate(pieces) if piece.bounds[:2] == (x, 5))
        found[at] = shapely.Polygon([(x, 5), (x + 1, 5), (x + 1, 6), (x, 6), (x, 5.25)])
    return found


@pytest.mark.parametrize("change", [np.copy, with_rounding_errors, with_vertex])
def test_pieces_are_joined_without_gaps(change: Any) -> None:
    joined = join_pieces(change(squares()), 1e-6)
    assert joined.is_valid
    assert joined.geom_type == "Polygon"
    assert not len(joined.interiors)
    assert joined.symmetric_difference(box(0, 0, SIDE, SIDE)).area < 1e-9


def test_pieces_that_do_not_meet_and_holes_are_kept() -> None:
    ring = box(0, 0, 3, 3).difference(box(1, 1, 2, 2))
    pieces = np.array([ring, box(3, 0, 4, 3), box(9, 0, 10, 1)], dtype=object)
    joined = join_pieces(pieces, 1e-6)
    assert joined.area == pytest.approx(8 + 3 + 1)
    assert len(joined.geoms) == 2


def test_the_overlay_gets_only_the_pieces_whose_neighbors_have_other_vertices(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = []

    def union_all(pieces: Any, **options: Any) -> Any:
        counts.append(len(pieces))
        return real(pieces, **options)

    real = shapely.union_all
    monkeypatch.setattr(joining.shapely, "union_all", union_all)
    join_pieces(squares(), 1e-6)
    join_pieces(with_rounding_errors(squares()), 1e-6)
    assert not counts
    join_pieces(with_vertex(squares()), 1e-6)
    at_outside, at_vertices, core = 4 * SIDE - 4, 4, 1
    assert counts == [at_outside + at_vertices + core]
