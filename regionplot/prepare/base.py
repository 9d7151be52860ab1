"""Define what a raster operation is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from regionplot.blocks.grid import Block
from regionplot.blocks.values import Values
from regionplot.geo.dtypes import float_dtype
from regionplot.geo.grid import GridGeometry


@dataclass(frozen=True)
class BlockContext:
    """Where the values that an operation is given lie, and what else is known there."""

    block: Block
    """Its padded window is where the values are."""
    geometry: GridGeometry
    """Of the whole grid."""
    others: Mapping[str, Values] = field(default_factory=dict)
    """The same cells of further inputs, by name."""


class Operation:
    """Base of the ready operations: frozen values that pickle, and give each cell the same result in any block.

    A cell's result may depend on the cells of the grid within `halo` of it and on where it lies in the grid, but not on
    where a block ends. Beyond the edges of the grid nothing is known; cells there count as missing.
    """

    @property
    def halo(self) -> int:
        """Cells around a cell that it depends on."""
        return 0

    def bands(self, count: int) -> int:
        """How many bands come out, of so many that go in.

        Raises
        ------
        ConfigError
            If the operation cannot be done on them.
        """
        return count

    def on(self, geometry: GridGeometry) -> Operation:
        """The operation, ready for a grid; what it needs is loaded now, once, so that forked workers inherit it.

        Raises
        ------
        ConfigError, InputError
            If it cannot be done on such a grid, or what it needs cannot be read.
        """
        return self

    def profile(self, profile: Mapping[str, Any]) -> dict[str, Any]:
        """The output's profile from that of the first input, as rasterio names it: values are floating, NaN missing."""
        dtype = float_dtype(np.dtype(profile["dtype"])).name
        return {**profile, "dtype": dtype, "count": self.bands(int(profile["count"])), "nodata": float("nan")}

    def describe(self, description: Mapping[str, object]) -> dict[str, object]:
        """What is to be said of the result (`long_name`, `units`, `time` ...), from what is said of the input."""
        return dict(description)

    def apply(self, values: Values, site: BlockContext) -> Values:
        """The results of a block's padded window; they are right in its core at least.

        Parameters
        ----------
        values : ndarray, shape (bands, rows, columns)
            NaN where missing; left as they are.
        site : Site
            Where they lie.
        """
        raise NotImplementedError

    def __call__(self, arrays: list[Values], block: Block, arguments: GridGeometry) -> Values:
        """Do it as a function of `process_blocks`, whose arguments then are the geometry of the grid.

        For rasters that hold values: floating, NaN where missing. `Chain` reads all others.
        """
        others = {f"in{number}": array for number, array in enumerate(arrays[1:], 2)}
        return self.apply(arrays[0], BlockContext(block, arguments, others))
