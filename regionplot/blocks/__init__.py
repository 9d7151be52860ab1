"""Rasters block by block, in parallel: what is done to a grid before it is drawn."""

from regionplot.blocks.grid import Block, BlockGrid

__all__ = ["Block", "BlockGrid"]
