"""Raster steps, one per module. Each operation knows how many cells around a cell it reads."""

from regionplot.prepare.steps.accumulate import Accumulate, Accumulation
from regionplot.prepare.steps.convert import Linear, convert
from regionplot.prepare.steps.expression import Expression
from regionplot.prepare.steps.focal import Focal
from regionplot.prepare.steps.mask import MaskByVector
from regionplot.prepare.steps.reclassify import Reclassify, Rule
from regionplot.prepare.steps.terrain import Hillshade, Slope
from regionplot.prepare.steps.warp import Warp, target_geometry

__all__ = [
    "Accumulate",
    "Accumulation",
    "Expression",
    "Focal",
    "Hillshade",
    "Linear",
    "MaskByVector",
    "Reclassify",
    "Rule",
    "Slope",
    "Warp",
    "convert",
    "target_geometry",
]
