"""Rasters block by block, in parallel: what is done to a grid before it is drawn."""

from regionplot.blocks.grid import Block, BlockGrid
from regionplot.blocks.process import fill_array, process_blocks
from regionplot.blocks.report import BlocksReport

__all__ = ["Block", "BlockGrid", "BlocksReport", "fill_array", "process_blocks"]
