"""Ready operations on rasters, block by block; each knows how far around a cell it looks."""

from regionplot.blocks.operations.accumulate import Accumulate, Accumulation
from regionplot.blocks.operations.base import Operation, Site
from regionplot.blocks.operations.cellwise import Linear, Reclassify, Rule, convert
from regionplot.blocks.operations.expression import Expression
from regionplot.blocks.operations.focal import Focal
from regionplot.blocks.operations.terrain import Hillshade, Slope
from regionplot.blocks.operations.vector import MaskByVector
from regionplot.blocks.operations.warp import Warp, target_geometry

__all__ = [
    "Accumulate",
    "Accumulation",
    "Expression",
    "Focal",
    "Hillshade",
    "Linear",
    "MaskByVector",
    "Operation",
    "Reclassify",
    "Rule",
    "Site",
    "Slope",
    "Warp",
    "convert",
    "target_geometry",
]
