"""Axes are regular up to rounding errors, or are mapped to regular cells without moving a cell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from regionplot.geo.axes import Axis, fit_axes, float_error

EVEN = 20.0 + 0.25 * np.arange(200)
MERCATOR = np.degrees(np.arctan(np.sinh(np.linspace(-1.5, 1.5, 90))))
GAUSSIAN = np.degrees(np.arcsin(np.polynomial.legendre.leggauss(64)[0]))
FINE = (-120 + np.arange(3000) / 3600).astype(np.float32).astype(np.float64)
STRETCHED = np.cumsum(1.02 ** np.arange(80))


def rounded(values: np.ndarray, decimals: int) -> Axis:
    return Axis.of(np.round(values, decimals))


def single(values: np.ndarray) -> Axis:
    stored = values.astype(np.float32)
    return Axis.of(stored.astype(float), float_error(stored))


REGULAR = {
    "exact": Axis.of(EVEN),
    "descending": Axis.of(EVEN[::-1]),
    "float32": single(-120 + np.arange(3000) / 120),
    "float32, 1 arc second": single(-120 + np.arange(3000) / 3600),
    "24ths with two decimals": rounded(40 + np.arange(100) / 24, 2),
    "12ths with four decimals": rounded(40 + np.arange(100) / 12, 4),
    "float32 in float64": Axis.of(FINE, float_error(FINE)),
    "packed": Axis.of(np.rint((40 + np.arange(100) / 24) / 0.005) * 0.005, quantum=0.005),
    "one cell": Axis.of(np.array([3.0]), width=2.0),
    "two cells": Axis.of(np.array([3.0, 5.0])),
}
UNEVEN = {
    "Mercator": Axis.of(MERCATOR),
    "Mercator in float32": single(MERCATOR),
    "Mercator with two decimals": rounded(MERCATOR, 2),
    "Gaussian": Axis.of(GAUSSIAN),
    "stretched": Axis.of(STRETCHED[::-1]),
    "a gap": Axis.of(np.delete(EVEN, 50)),
    "whole numbers": Axis.of(np.array([0.0, 1, 3, 4, 6, 7, 9])),
    "packed in steps": Axis.of(np.array([0.0, 1, 3, 4, 6, 7, 9]), quantum=1.0),
}


@pytest.mark.parametrize("axis", REGULAR.values(), ids=REGULAR)
def test_a_regular_axis_stays_regular(axis: Axis) -> None:
    assert axis.is_regular
    columns, _ = fit_axes(axis, Axis.of(MERCATOR))
    assert columns.size == axis.size
    assert columns.step == abs(axis.step)
    assert not columns.is_resampled
    expected = np.arange(axis.size)
    np.testing.assert_array_equal(columns.source, expected if axis.step > 0 else expected[::-1])


@pytest.mark.parametrize("axis", UNEVEN.values(), ids=UNEVEN)
def test_an_uneven_axis_is_mapped_cell_by_cell(axis: Axis) -> None:
    assert not axis.is_regular
    rows, _ = fit_axes(axis, Axis.of(EVEN))
    edges = axis.edges()
    positions = rows.start + (np.arange(rows.size) + 0.5) * rows.step
    nearest = abs(positions[:, None] - axis.centers).min(axis=1)
    inner = (positions > axis.centers.min()) & (positions < axis.centers.max())
    np.testing.assert_allclose(abs(positions - axis.centers[rows.source])[inner], nearest[inner], atol=1e-9)
    assert set(rows.source) == set(range(axis.size))
    assert rows.step <= np.diff(edges).min() / 2
    assert rows.start == edges[0]
    np.testing.assert_allclose(rows.start + rows.size * rows.step, edges[-1])
    values = axis.centers[rows.below] * (1 - rows.weight) + axis.centers[rows.above] * rows.weight
    np.testing.assert_allclose(values[inner], positions[inner])


def test_longitudes_may_jump_by_a_turn() -> None:
    for values in ([358.0, 359, 0, 1], [178, 179, -180, -179], [1, 0, 359, 358]):
        axis = Axis.of(np.array(values), period=360)
        assert axis.is_regular
        np.testing.assert_allclose(np.mod(axis.centers, 360), np.mod(values, 360))
        with pytest.raises(ValueError, match="neither increase nor decrease"):
            Axis.of(np.array(values, float))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0, np.nan, 2], "1 of its 3 values are missing"),
        ([0, np.inf, 2], "1 of its 3 values are missing"),
        ([0, 1, 1, 2], r"neither increase nor decrease throughout \(value 3 is 1\)"),
        ([0, 1, 0.5, 2], r"value 3 is 0.5"),
    ],
)
def test_values_that_are_no_axis_are_refused(values: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Axis.of(np.array(values, float))


def test_edges_of_latitudes_stop_at_the_poles() -> None:
    edges = Axis.of(np.array([-90.0, -60, 0, 60, 90])).edges(-90, 90)
    np.testing.assert_array_equal(edges, [-90, -75, -30, 30, 75, 90])


def test_a_large_grid_gets_fewer_regular_cells_per_cell() -> None:
    small, _ = fit_axes(Axis.of(MERCATOR), Axis.of(EVEN))
    large, _ = fit_axes(Axis.of(MERCATOR), Axis.of(np.arange(40_000.0)))
    smallest = np.diff(Axis.of(MERCATOR).edges()).min()
    assert small.step < smallest / 60
    assert smallest / 3 < large.step < smallest / 1.9
