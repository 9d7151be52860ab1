"""Streamlines follow the field, and keep a distance from each other."""

from __future__ import annotations

import numpy as np
import pytest

from regionplot.geo.streamlines import DirectionField, spaced_lines

SIZE, NODE = 400, 10.0


def field_of(vectors) -> DirectionField:
    """Return the field of a function of x and y in pixels from the center."""
    x, y = np.meshgrid(*2 * [np.arange(0, SIZE + 1, NODE) - SIZE / 2])
    found = np.stack(np.broadcast_arrays(*vectors(x, y)), axis=-1).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        return DirectionField((0.0, 0.0), NODE, found / np.hypot(found[..., 0], found[..., 1])[..., None])


def lines_of(field: DirectionField, spacing: float = 20, shortest: float = 40) -> list[np.ndarray]:
    seeds = np.stack(np.meshgrid(*2 * [np.arange(0.0, SIZE, spacing)]), axis=-1).reshape(-1, 2)
    groups = [group[np.isfinite(field.at(group)).all(axis=1)] for group in (seeds[::7], seeds)]
    return list(spaced_lines(field, groups, spacing, shortest, 600))


FIELDS = {
    "vortex": lambda x, y: (-y, x),
    "uniform": lambda x, y: (2.0 + 0 * x, 1.0 + 0 * y),
    "saddle": lambda x, y: (x, -y),
    "sink": lambda x, y: (-x, -y),
}


@pytest.mark.parametrize("name", FIELDS)
def test_lines_follow_the_field_and_cover_it_evenly(name: str) -> None:
    field = field_of(FIELDS[name])
    lines = lines_of(field)
    for line in lines:
        steps = np.diff(line, axis=0)
        assert np.hypot(*steps.T).sum() >= 40 - 8
        middle = (line[:-1] + line[1:]) / 2
        far = np.hypot(*(middle - SIZE / 2).T) > 20
        along = field.at(middle) * steps
        assert (along.sum(axis=1) / np.hypot(*steps.T))[far].min() > 0.99
    for number, line in enumerate(lines):
        others = np.concatenate([other for n, other in enumerate(lines) if n != number])
        distance = np.hypot(line[:, None, 0] - others[:, 0], line[:, None, 1] - others[:, 1]).min(axis=1)
        assert distance.min() > 8
    points = np.concatenate(lines)
    x, y = np.meshgrid(*2 * [np.arange(40.0, SIZE - 40, 20)])
    gaps = np.hypot(x.ravel()[:, None] - points[:, 0], y.ravel()[:, None] - points[:, 1]).min(axis=1)
    assert np.percentile(gaps, 95) < 32


def test_a_line_around_a_vortex_ends_after_one_turn() -> None:
    for line in lines_of(field_of(FIELDS["vortex"])):
        angle = np.unwrap(np.arctan2(*(line - SIZE / 2).T[::-1]))
        assert abs(angle[-1] - angle[0]) < 2 * np.pi + 0.6


def test_lines_end_at_missing_values_and_where_there_is_no_wind() -> None:
    field = field_of(lambda x, y: (np.where(x > 100, np.nan, np.where(x < -100, 0.0, 1.0)), 0 * y))
    points = np.concatenate(lines_of(field))
    assert points[:, 0].min() > 100 - NODE
    assert points[:, 0].max() < 300 + NODE
    nothing = field_of(lambda x, y: (0 * x, 0 * y))
    assert lines_of(nothing) == []
