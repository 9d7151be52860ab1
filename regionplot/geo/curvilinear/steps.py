"""Measure the steps between neighboring source cells."""

from __future__ import annotations

import numpy as np

from regionplot.geo.curvilinear.space import Floats, Points


def is_closed(points: list[Floats]) -> bool:
    """Return True if the first column is one step after the last column, as in a grid around the earth."""
    step = [axis[:, -1] - axis[:, -2] for axis in points]
    error = [axis[:, 0] - axis[:, -1] - last for axis, last in zip(points, step, strict=True)]
    with np.errstate(invalid="ignore"):
        near = dot(tuple(error), tuple(error)) < dot(tuple(step), tuple(step)) / 4
    return bool(near.sum() > near.size / 2)


def dot(one: Points, other: Points) -> Floats:
    """Return the scalar products of vectors."""
    return np.asarray(sum(a * b for a, b in zip(one, other, strict=True)))


def closed_steps(coordinates: Floats) -> Floats:
    """Return steps along the rows of a closed grid, like `steps`."""
    around = np.concatenate([coordinates[:, -3:], coordinates, coordinates[:, :3]], axis=1)
    return np.ascontiguousarray(steps(around, 1)[:, 3:-3])


def steps(coordinates: Floats, axis: int) -> Floats:
    """Return the mean of the steps before and after each cell along an axis.

    A running median first removes outliers from the steps.
    """
    smooth = _running_medians(np.moveaxis(np.diff(coordinates, axis=axis), axis, 0))
    ends = np.concatenate([smooth[:1], smooth, smooth[-1:]])
    before, after = ends[:-1], ends[1:]
    mean = (before + after) / 2
    return np.ascontiguousarray(np.moveaxis(np.where(np.isnan(mean), np.fmax(before, after), mean), 0, axis))


def _running_medians(steps: Floats) -> Floats:
    """Return the median of each value and its two neighbors along the first axis. NaN is ignored."""
    if len(steps) < 3:
        return steps
    before, after = np.concatenate([steps[1:2], steps[:-1]]), np.concatenate([steps[1:], steps[-2:-1]])
    low, high = np.fmin(before, steps), np.fmax(before, steps)
    medians: Floats = np.fmax(low, np.fmin(high, after))
    return medians
