"""Shade the relief of the earth, as if light fell on it from several directions.

::

    heights ─► smoothed within large cells ────► slopes ─► light ──────────► 60 % ─┐
       └─────► smoothed over 12 pixels ────────► slopes ─► light ─► enlarged ► 40 % ─┴─► levels

The light is computed on blocks of pixels if a cell of the raster covers many pixels, because it is then smooth.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.geo.strips import row_strips

FLAT = 128
"""Level of flat ground. Smaller levels are darker, larger levels are lighter."""
_LIGHTS = ((315.0, 0.6), (270.0, 0.2), (0.0, 0.2))
"""Azimuth of each light in degrees clockwise from the top, and its weight."""
_ALTITUDE = math.radians(45)
FAR_SHARE, FAR_EXAGGERATION = 0.4, 1.4
"""Weight of the light on smoothed heights, and its exaggeration relative to that of the other light."""
_PIXELS_PER_BLOCK = 3.0
"""Number of blocks along a cell, if a cell covers many pixels."""
CELL_BLUR = 0.3
"""Standard deviation of the Gaussian that smooths the heights of large cells, as a fraction of a cell."""
FAR_BLOCK = 4
"""Pixels along a block of the smoothed heights."""
_MIN_SIDE = 2
"""Minimum number of rows and of columns for slopes."""
REACH = 3
"""Distance over which a Gaussian smooths, in standard deviations."""
Heights = NDArray[np.float32]
Floats = NDArray[np.floating[Any]]


def relief_levels(
    heights: NDArray[Any], *, pixel: float, cell: float, exaggeration: float, blur: float, sea: float
) -> NDArray[np.uint8]:
    """Return the light on each pixel as a level: 0 is the darkest, `FLAT` is flat ground, 255 is the lightest.

    Parameters
    ----------
    heights : ndarray, shape (height, width)
        Heights in meters, row 0 at the top. NaN where the height is unknown. Such pixels count as flat.
    pixel : float
        Length of a side of a pixel on the ground, in meters.
    cell : float
        Number of pixels along a cell of the raster.
    exaggeration : float
        Factor for heights.
    blur : float
        Standard deviation of the Gaussian that smooths heights for broad forms, in pixels.
    sea : float
        Factor for heights below zero.
    """
    ground, missing = ground_heights(heights, sea)
    step = max(1, round(cell / _PIXELS_PER_BLOCK))
    near = smoothed(block_means(ground, step), CELL_BLUR * cell / step if cell > 1 else 0.0)
    far = smoothed(block_means(ground, FAR_BLOCK), blur / FAR_BLOCK)
    light = light_on(near, exaggeration / (pixel * step))
    far_light = light_on(far, exaggeration * FAR_EXAGGERATION / (pixel * FAR_BLOCK))
    light *= np.float32(1 - FAR_SHARE)
    for rows in row_strips(*light.shape):
        light[rows] += enlarged(far_light, FAR_BLOCK / step, light.shape, rows) * np.float32(FAR_SHARE)
        to_levels(light[rows])
    levels = np.empty(heights.shape, np.uint8)
    for rows in row_strips(*heights.shape):
        levels[rows] = enlarged(light, step, heights.shape, rows)
    if missing is not None:
        levels[missing] = FLAT
    return levels


def ground_heights(heights: NDArray[Any], sea: float) -> tuple[Heights, NDArray[np.bool_] | None]:
    """Return heights with factor for the sea, and a mask of unknown heights. The mask is None if all are known."""
    ground = np.empty(heights.shape, np.float32)
    is_complete = True
    for rows in row_strips(*heights.shape):
        part = heights[rows]
        np.minimum(part, 0, out=ground[rows], casting="unsafe")
        ground[rows] *= np.float32(sea)
        np.add(ground[rows], np.maximum(part, 0), out=ground[rows], casting="unsafe")
        is_complete = is_complete and not math.isnan(float(ground[rows].sum()))
    if is_complete:
        return ground, None
    missing = np.isnan(ground)
    ground[missing] = 0
    return ground, missing


def to_levels(light: Heights) -> None:
    """Replace light from 0 to 1 by levels. Half of the levels are for slopes that are darker than flat ground."""
    flat = math.sin(_ALTITUDE)
    light -= np.float32(flat)
    light *= np.where(light < 0, np.float32(FLAT / flat), np.float32((255 - FLAT) / (1 - flat)))
    light += np.float32(FLAT + 0.5)
    np.clip(light, 0, 255, out=light)


def light_on(heights: Heights, factor: float | Floats) -> Heights:
    """Return the weighted light on each pixel, 0 to 1.

    Parameters
    ----------
    heights : ndarray, shape (height, width)
        Heights.
    factor : float or ndarray, shape (height, 1)
        Factor that turns differences of heights into slopes. An array has a factor for each row.
    """
    light = np.empty_like(heights)
    if min(heights.shape) < _MIN_SIDE:  # too few pixels for slopes
        light[:] = math.sin(_ALTITUDE)
        return light
    for rows in row_strips(*heights.shape):
        first, last = max(0, rows.start - 1), min(len(heights), rows.stop + 1)  # slopes need the rows beside the strip
        if last - first < _MIN_SIDE:
            first -= 1
        light[rows] = _strip_light(heights[first:last], _of_rows(factor, slice(first, last)))[
            rows.start - first : rows.stop - first
        ]
    return light


def _strip_light(heights: Heights, factor: np.float32 | Heights) -> Heights:
    down, right = np.gradient(heights)
    down *= factor
    right *= factor
    length = np.sqrt(1 + right * right + down * down)
    total = np.zeros_like(heights)
    high, level = np.float32(math.sin(_ALTITUDE)), np.float32(math.cos(_ALTITUDE))
    for azimuth, weight in _LIGHTS:
        east, north = math.sin(math.radians(azimuth)), math.cos(math.radians(azimuth))
        facing = high - right * (level * np.float32(east)) + down * (level * np.float32(north))
        facing /= length
        np.maximum(facing, 0, out=facing)
        total += np.float32(weight) * facing
    return total


def block_means(values: Heights, step: int) -> Heights:
    """Return the means of square blocks. Blocks at the right and at the bottom are completed by repeating the edge.

    Examples
    --------
    >>> block_means(np.array([[1, 3, 5], [1, 3, 5]], np.float32), 2).tolist()
    [[2.0, 5.0]]
    """
    if step == 1:
        return values
    height, width = values.shape
    if height % step or width % step:
        values = np.pad(values, ((0, -height % step), (0, -width % step)), mode="edge")
    rows = values[::step].copy()
    for number in range(1, step):
        rows += values[number::step]
    means = rows[:, ::step].copy()
    for number in range(1, step):
        means += rows[:, number::step]
    means /= np.float32(step * step)
    return means


def enlarged(
    values: Heights, step: float, shape: tuple[int, ...], rows: slice, start: tuple[int, int] = (0, 0)
) -> Heights:
    """Return values of blocks at the pixels of the blocks, interpolated between the centers of the blocks.

    Parameters
    ----------
    values : ndarray
        Values of blocks.
    step : float
        Number of pixels along a block.
    shape : (int, int)
        Height and width in pixels.
    rows : slice
        Rows of pixels to return.
    start : (int, int)
        Row and column of the first pixel, counted from the first pixel of the blocks.
    """
    if step == 1:
        return values[rows.start + start[0] : rows.stop + start[0], start[1] : start[1] + shape[1]]
    for axis, wanted in ((0, np.arange(shape[0])[rows]), (1, np.arange(shape[1]))):
        position = np.clip((wanted + start[axis] + 0.5) / step - 0.5, 0, values.shape[axis] - 1)
        first = np.minimum(position.astype(np.intp), max(0, values.shape[axis] - 2))
        share = (position - first).astype(np.float32)
        share = share[:, None] if axis == 0 else share[None, :]
        lower = values.take(first, axis)
        upper = values.take(np.minimum(first + 1, values.shape[axis] - 1), axis)
        upper -= lower
        upper *= share
        upper += lower
        values = upper
    return values


def smoothed(values: Heights, sigma: float | Floats) -> Heights:
    """Return values smoothed by a Gaussian. The edges are repeated.

    Parameters
    ----------
    values : ndarray, shape (height, width)
        Values.
    sigma : float or ndarray, shape (height, 1)
        Standard deviation in pixels. An array has one for each row, and all are greater than zero.
    """
    reach = math.ceil(REACH * np.max(sigma))
    if reach == 0:
        return values
    weights = _gaussian(reach, sigma)
    padded = np.pad(values, ((reach, reach), (0, 0)), mode="edge")
    smoothed = np.empty_like(values)
    for rows in row_strips(*values.shape):
        strip = padded[rows.start : rows.stop + 2 * reach]
        own = weights if np.ndim(sigma) == 0 else weights[:, rows]
        down = _weighted_sum(own, (strip[number : number + rows.stop - rows.start] for number in range(len(own))))
        across = np.pad(down, ((0, 0), (reach, reach)), mode="edge")
        smoothed[rows] = _weighted_sum(own, (across[:, n : n + values.shape[1]] for n in range(len(own))))
    return smoothed


def _gaussian(reach: int, sigma: float | Floats) -> Heights:
    """Return the weights of the pixels from -reach to reach, shape (2 reach + 1,) or (2 reach + 1, height, 1)."""
    offsets = np.arange(-reach, reach + 1)
    if np.ndim(sigma) == 0:
        weights = np.exp(-0.5 * (offsets / sigma) ** 2)
        return np.asarray(weights / weights.sum(), np.float32)
    offsets = offsets[:, None, None]
    weights = np.where(abs(offsets) <= np.ceil(REACH * sigma), np.exp(-0.5 * (offsets / sigma) ** 2), 0)
    return np.asarray(weights / weights.sum(axis=0), np.float32)


def _of_rows(factor: float | Floats, rows: slice) -> np.float32 | Heights:
    """Return a factor, or the factors of some rows, in single precision."""
    return np.float32(factor) if isinstance(factor, float) else factor[rows].astype(np.float32)


def _weighted_sum(weights: Heights, parts: Iterable[Heights]) -> Heights:
    """Return the sum of arrays, each multiplied by its weight. It uses one array for all products."""
    total = product = np.empty(0, np.float32)
    for number, (weight, part) in enumerate(zip(weights, parts, strict=True)):
        if number == 0:
            total, product = weight * part, np.empty_like(part)
            continue
        total += np.multiply(weight, part, out=product)
    return total
