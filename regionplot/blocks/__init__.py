"""Process rasters block by block, in parallel."""

from regionplot.blocks.grid import Block, BlockGrid
from regionplot.blocks.input import Input
from regionplot.blocks.masks import compute_mask
from regionplot.blocks.mosaic import mosaic
from regionplot.blocks.process import fill_array, process_blocks
from regionplot.blocks.reducers import (
    Count,
    Histogram,
    Maximum,
    Mean,
    Minimum,
    Quantiles,
    Reducer,
    Sum,
    Variance,
)
from regionplot.blocks.report import BlockObserver, BlocksReport
from regionplot.blocks.selectors import prepare_selector, stack_arrays, valid_selector
from regionplot.blocks.tile import Tile
from regionplot.blocks.tiles import map_tiles, process_tiles, split_tiles
from regionplot.blocks.zones import ZonalStatistics, ZoneStatistics
from regionplot.executors.base import WorkerSettings

__all__ = [
    "Block",
    "BlockGrid",
    "BlockObserver",
    "BlocksReport",
    "Count",
    "Histogram",
    "Input",
    "Maximum",
    "Mean",
    "Minimum",
    "Quantiles",
    "Reducer",
    "Sum",
    "Tile",
    "Variance",
    "WorkerSettings",
    "ZonalStatistics",
    "ZoneStatistics",
    "compute_mask",
    "fill_array",
    "map_tiles",
    "mosaic",
    "prepare_selector",
    "process_blocks",
    "process_tiles",
    "split_tiles",
    "stack_arrays",
    "valid_selector",
]
