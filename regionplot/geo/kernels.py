"""Weights of the cells beside a position, along one axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from regionplot.geo.mesh import Floats
from regionplot.geo.scratch import Scratch


@dataclass(frozen=True)
class Kernel:
    """Weights of cells along one axis.

    A value is the value of a base cell plus the weighted differences between the other cells and the base cell. Equal
    cells therefore give exactly their value. The base cell is the last cell whose center is not beyond the position.
    """

    base: int
    """Number of cells before the base cell."""
    others: tuple[int, ...]
    """The other cells, counted from the first cell."""
    weights: Callable[[Floats, Scratch], tuple[Floats, ...]]
    """Return the weights of the other cells for distances from the center of the base cell, 0 to 1."""

    @property
    def cells(self) -> tuple[int, ...]:
        """The base cell and the other cells, counted from the first cell."""
        return self.base, *self.others


def _linear(fraction: Floats, scratch: Scratch) -> tuple[Floats, ...]:  # noqa: ARG001 (needs no memory)
    return (fraction,)


def _catmull_rom(fraction: Floats, scratch: Scratch) -> tuple[Floats, ...]:
    """Return the weights of the cells at -1, 1 and 2, as in Keys (1981), doi:10.1109/TASSP.1981.1163711, a = -0.5.

    ::

        before = -f (1 - f)² / 2        last = -f² (1 - f) / 2        after = f + before - 2 last
    """
    before, after, last = (scratch.empty(fraction.shape, fraction.dtype) for _ in range(3))
    np.subtract(fraction, 1, out=after)
    after *= fraction
    after *= 0.5
    np.multiply(after, fraction, out=last)
    np.subtract(after, last, out=before)
    np.subtract(before, last, out=after)
    after -= last
    after += fraction
    return before, after, last


KERNELS = {"bilinear": Kernel(0, (1,), _linear), "cubic": Kernel(1, (0, 2, 3), _catmull_rom)}
"""The kernels by the names of resampling methods."""


def blend(cells: Sequence[Floats], weights: Sequence[Floats]) -> Floats:
    """Return the blended values of the cells of a kernel, the base cell first. The arrays of cells are overwritten."""
    base, *others = cells
    for other, weight in zip(others, weights, strict=True):
        other -= base
        other *= weight
    for other in others:
        base += other
    return base
