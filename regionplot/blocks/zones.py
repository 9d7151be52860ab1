"""Compute statistics of zones, which a raster of zone numbers defines."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regionplot.blocks.grid import Block
from regionplot.blocks.handles import Handles
from regionplot.blocks.input import inputs_of
from regionplot.blocks.reducers import Cells, Moments, Reducer, stored_cells, valid_cells
from regionplot.blocks.sources import Sources, read_block, read_mask
from regionplot.errors import BlockError
from regionplot.inputs.gdal import gdal_errors


class ZoneStatistics(NamedTuple):
    """Statistics of the valid cells of one zone. A zone without valid cells is left out of the results."""

    cells: int
    sum: float
    min: Any
    max: Any
    mean: float
    variance: float
    """Mean of the squared deviations from the mean."""


class _Zone(NamedTuple):
    """Summary of the cells of one zone in one block."""

    moments: Moments
    min: Any
    max: Any

    def merged(self, other: _Zone) -> _Zone:
        return _Zone(self.moments.merged(other.moments), min(self.min, other.min), max(self.max, other.max))


@dataclass
class ZonalStatistics(Reducer):
    """Statistics of the valid cells of each zone, as a dict of `ZoneStatistics` by zone number."""

    zones: str | Path
    """Raster of integers on the grid of the first input. Cells without data in its first band belong to no zone."""
    handles: Handles = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.handles = Handles([Path(item.path) for item in inputs_of(self.zones)])

    def open(self, first: Path) -> None:
        """Raise RasterError if the zones are not on the grid of the first input."""
        Sources.on_one_grid([first, *self.handles.paths])

    def close(self) -> None:
        """Close the zones in this process."""
        self.handles.close()

    def summarize(self, values: NDArray[Any], nodata: float | None, block: Block) -> list[dict[int, _Zone]]:
        """Return a dict of summaries by zone for each band. See `Reducer.summarize`."""
        with gdal_errors(Path(self.zones)):
            dataset = self.handles.get()[0]
            zones, has_zone = read_block(dataset, block.core, (1,))[0], read_mask(dataset, block.core)
        if zones.dtype.kind not in "iu":
            raise BlockError(f"{self.zones}: zones must be integers, not {zones.dtype}")
        bands = values if values.ndim == 3 else values[None]
        masks = [valid_cells(band, nodata) & has_zone for band in bands]
        return [_by_zone(stored_cells(band)[mask], zones[mask]) for band, mask in zip(bands, masks, strict=True)]

    def summary(self, cells: Cells) -> dict[int, _Zone]:
        """Return the summary of cells that are all in zone 0."""
        return _by_zone(cells, np.zeros(cells.shape, int))

    def merged(self, one: dict[int, _Zone], other: dict[int, _Zone]) -> dict[int, _Zone]:
        """Return the summaries of all zones of both summaries."""
        return {**one, **{zone: one[zone].merged(found) if zone in one else found for zone, found in other.items()}}

    def value(self, summary: dict[int, _Zone]) -> dict[int, ZoneStatistics]:
        """Return the statistics by zone, in the order of the zone numbers."""
        return {zone: _zone_statistics(summary[zone]) for zone in sorted(summary)}


def _zone_statistics(zone: _Zone) -> ZoneStatistics:
    count, mean, squares = zone.moments
    return ZoneStatistics(count, mean * count, zone.min, zone.max, mean, squares / count)


def _by_zone(cells: Cells, zones: NDArray[Any]) -> dict[int, _Zone]:
    order = np.argsort(zones, kind="stable")
    numbers, starts = np.unique(zones[order], return_index=True)
    parts = np.split(cells[order], starts[1:])
    return {
        int(number): _Zone(Moments.of(part), part.min(), part.max())
        for number, part in zip(numbers, parts, strict=False)  # without cells, there is one part and no number
    }
