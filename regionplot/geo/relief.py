"""Shade the relief of the earth, as if light fell on it from several directions.

::

    heights ─► smoothed to the size of a cell ─► slopes ─► light ──────────► 60 % ─┐
       └─────► smoothed over 12 pixels ────────► slopes ─► light ─► enlarged ► 40 % ─┴─► levels

The light is computed on blocks of pixels if a cell of the raster covers many pixels, because it is then smooth.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

FLAT = 128
"""Level of flat ground. Smaller levels are darker, larger levels are lighter."""
_LIGHTS = ((315.0, 0.6), (270.0, 0.2), (0.0, 0.2))
"""Azimuth of each light in degrees clockwise from the top, and its weight."""
_ALTITUDE = math.radians(45)
_FAR_SHARE, _FAR_EXAGGERATION = 0.4, 1.4
"""Weight of the light on smoothed heights, and its exaggeration relative to that of the other light."""
_PIXELS_PER_BLOCK = 3.0
"""Number of blocks along a cell, if a cell covers many pixels."""
_FAR_BLOCK = 4
"""Pixels along a block of the smoothed heights."""
Heights = NDArray[np.float32]


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
    shape = heights.shape
    missing = np.isnan(heights)
    ground = np.where(missing, np.float32(0), heights).astype(np.float32, copy=False)
    ground = np.where(ground < 0, ground * np.float32(sea), ground)
    step = max(1, round(cell / _PIXELS_PER_BLOCK))
    near = _smoothed(block_means(ground, step), cell / step / 2 if cell > 1 else 0.0)
    light = enlarged(_light(near, exaggeration / (pixel * step)), step, shape)
    far = _smoothed(block_means(ground, _FAR_BLOCK), blur / _FAR_BLOCK)
    far_light = enlarged(_light(far, exaggeration * _FAR_EXAGGERATION / (pixel * _FAR_BLOCK)), _FAR_BLOCK, shape)
    light *= 1 - _FAR_SHARE
    light += _FAR_SHARE * far_light
    levels = _levels(light)
    levels[missing] = FLAT
    return levels


def _levels(light: Heights) -> NDArray[np.uint8]:
    """Return levels of light from 0 to 1. Half of the levels are for slopes that are darker than flat ground."""
    flat = math.sin(_ALTITUDE)
    share = light - np.float32(flat)
    share *= np.where(share < 0, np.float32(FLAT / flat), np.float32((255 - FLAT) / (1 - flat)))
    share += FLAT + 0.5
    return np.clip(share, 0, 255, out=share).astype(np.uint8)


def _light(heights: Heights, factor: float) -> Heights:
    """Return the weighted light on each pixel, 0 to 1. `factor` turns differences of heights into slopes."""
    down, right = np.gradient(heights) if min(heights.shape) > 1 else (np.zeros_like(heights),) * 2
    down *= np.float32(factor)
    right *= np.float32(factor)
    length = np.sqrt(1 + right * right + down * down)
    total = np.zeros_like(heights)
    for azimuth, weight in _LIGHTS:
        east, north = math.sin(math.radians(azimuth)), math.cos(math.radians(azimuth))
        facing = math.sin(_ALTITUDE) - math.cos(_ALTITUDE) * (right * np.float32(east) - down * np.float32(north))
        total += np.float32(weight) * np.clip(facing / length, 0, 1)
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
    padded = np.pad(values, ((0, -height % step), (0, -width % step)), mode="edge")
    rows = padded.reshape(padded.shape[0] // step, step, -1).mean(axis=1)
    means: Heights = rows.reshape(len(rows), -1, step).mean(axis=2)
    return means


def enlarged(values: Heights, step: int, shape: tuple[int, ...]) -> Heights:
    """Return values of blocks at the pixels of the blocks, interpolated between the centers of the blocks."""
    if step == 1:
        return values
    for axis in (0, 1):
        position = np.clip((np.arange(shape[axis]) + 0.5) / step - 0.5, 0, values.shape[axis] - 1)
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


def _smoothed(values: Heights, sigma: float) -> Heights:
    """Return values smoothed by a Gaussian. The edges are repeated."""
    reach = math.ceil(3 * sigma)
    if reach == 0:
        return values
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights = (weights / weights.sum()).astype(np.float32)
    padded = np.pad(values, ((reach, reach), (0, 0)), mode="edge")
    rows = np.zeros_like(values)
    for number, weight in enumerate(weights):
        rows += weight * padded[number : number + len(values)]
    padded = np.pad(rows, ((0, 0), (reach, reach)), mode="edge")
    smoothed = np.zeros_like(values)
    for number, weight in enumerate(weights):
        smoothed += weight * padded[:, number : number + values.shape[1]]
    return smoothed
