"""Rasters block by block, in parallel: what is done to a grid before it is drawn."""

from regionplot.blocks.grid import Block, BlockGrid
from regionplot.blocks.masks import compute_mask, stack_arrays, valid_selector
from regionplot.blocks.mosaic import mosaic
from regionplot.blocks.process import fill_array, process_blocks
from regionplot.blocks.report import BlocksReport
from regionplot.blocks.tiles import process_tiles, split_tiles

__all__ = [
    "Block",
    "BlockGrid",
    "BlocksReport",
    "compute_mask",
    "fill_array",
    "mosaic",
    "process_blocks",
    "process_tiles",
    "split_tiles",
    "stack_arrays",
    "valid_selector",
]
