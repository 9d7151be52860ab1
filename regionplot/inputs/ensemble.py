"""Compute the mean or the spread of the members of an ensemble, while their cells are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from regionplot.geo.grid import Window
from regionplot.inputs.source import RasterInfo, RasterSource


@dataclass(frozen=True)
class EnsembleSource:
    """A `RasterSource` whose cells are the mean or the standard deviation of the cells of all members.

    A cell is missing if it is missing in one of the members. The standard deviation is that of the members themselves:
    the sum of squares is divided by the number of members.
    """

    members: tuple[RasterSource, ...]
    statistic: Literal["mean", "spread"]
    info: RasterInfo

    @classmethod
    def of(cls, members: Sequence[RasterSource], statistic: Literal["mean", "spread"]) -> Self:
        """Return the source for members that have the same grid.

        Parameters
        ----------
        members : sequence of RasterSource
            One source for each member.
        statistic : {"mean", "spread"}
            The statistic.
        """
        first = members[0].describe()
        bands = [member.describe().band for member in members]
        name = f"{first.description.get('long_name', '')}, {statistic} of {len(members)} members"
        info = replace(
            first,
            gdal_name=f"{first.gdal_name} {statistic} of bands {bands}",
            dtype=np.result_type(first.dtype, np.float32),
            description={**first.description, "long_name": name.removeprefix(", ")},
            color_table={},
            class_names={},
            rgb=None,
        )
        return cls(tuple(members), statistic, info)

    def describe(self) -> RasterInfo:
        """Return the metadata of the statistic."""
        return self.info

    def read(self, window: Window, shape: tuple[int, int], resampling: str) -> NDArray[Any]:
        """Read a window. See `RasterSource.read`. The members are read one after the other (Welford's method)."""
        mean, squares = np.zeros(shape), np.zeros(shape)
        for count, member in enumerate(self.members, 1):
            difference = member.read(window, shape, resampling) - mean
            mean += difference / count
            squares += difference * difference * ((count - 1) / count)
        found = mean if self.statistic == "mean" else np.sqrt(squares / len(self.members))
        return found.astype(self.info.dtype)
