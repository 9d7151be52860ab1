"""Positions that are kept as few numbers give the same values as positions that were found anew."""

from __future__ import annotations

import json

import numpy as np
import pytest
from affine import Affine

from regionplot.geo.crs import parse_crs
from regionplot.geo.extent import Extent, PanelGrid
from regionplot.geo.grid import GridGeometry
from regionplot.geo.known_positions import (
    KnownPositions,
    can_sample,
    is_known,
    position_arrays,
    position_items,
    positions_from,
    values_at,
)
from regionplot.geo.sampling import known_positions, sample

LONLAT, ALBERS = parse_crs("EPSG:4326"), parse_crs("EPSG:5070")
GRID = GridGeometry(Affine(0.5, 0, -130, 0, -0.5, 55), 70, 140, LONLAT)
CELLS = np.random.default_rng(0).normal(size=(70, 140)).astype(np.float32)
FINE = PanelGrid(Extent(-110, -90, 30, 45), 120, 90)
COARSE = PanelGrid(Extent(-125, -65, 22, 52), 50, 25)
PROJECTED = PanelGrid(Extent(-9e5, 9e5, 8e5, 22e5), 90, 70)


def kept(positions: KnownPositions) -> KnownPositions:
    """Return positions as a record keeps them, followed by the numbers of other positions."""
    columns, rows = (np.append(array.ravel(), [7.0, 8.0]) for array in position_arrays(positions))
    return positions_from(json.loads(json.dumps(position_items(positions))), columns, rows)


@pytest.mark.parametrize("resampling", ["nearest", "bilinear", "cubic"])
@pytest.mark.parametrize(
    ("panel", "crs"), [(FINE, LONLAT), (COARSE, LONLAT), (PROJECTED, ALBERS)], ids=["fine", "coarse", "projected"]
)
def test_kept_positions_give_the_same_values(panel: PanelGrid, crs, resampling: str) -> None:
    positions = known_positions(GRID, panel, crs, resampling)
    assert positions is not None
    assert is_known(positions, GRID.lattice, resampling)
    assert can_sample(kept(positions), resampling)
    found = values_at(CELLS, GRID.lattice, kept(positions), resampling)
    np.testing.assert_array_equal(found, sample(CELLS, GRID, panel, crs, resampling).values)


def test_positions_that_need_gdal_are_not_known() -> None:
    wide = PanelGrid(Extent(-140, -50, 10, 60), 50, 25)  # coarser than the grid, and larger
    positions = known_positions(GRID, wide, LONLAT, "cubic")
    assert positions is not None
    assert not is_known(positions, GRID.lattice, "cubic")
    assert values_at(CELLS, GRID.lattice, positions, "cubic") is None


def test_damaged_positions_are_refused() -> None:
    positions = known_positions(GRID, PROJECTED, ALBERS, "bilinear")
    assert positions is not None
    columns, rows = (array.ravel() for array in position_arrays(positions))
    assert not can_sample(positions_from(position_items(positions), columns * np.nan, rows), "bilinear")
    assert not can_sample(known_positions(GRID, PROJECTED, ALBERS, "nearest"), "bilinear"), "not accurate enough"
    with pytest.raises(ValueError, match="reshape"):
        positions_from(position_items(positions), columns[:-1], rows)
    with pytest.raises(KeyError):
        positions_from(["other", *position_items(positions)[1:]], columns, rows)
