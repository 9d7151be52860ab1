"""Raster steps, one per module. `registry.STEPS` gives their names."""

from regionplot.prepare.steps.accumulate import Accumulate, Accumulation
from regionplot.prepare.steps.convert import Convert, convert
from regionplot.prepare.steps.expression import Expression
from regionplot.prepare.steps.focal import Focal
from regionplot.prepare.steps.hillshade import Hillshade
from regionplot.prepare.steps.mask import MaskByVector
from regionplot.prepare.steps.reclassify import Reclassify
from regionplot.prepare.steps.reproject import Reproject
from regionplot.prepare.steps.resample import Resample
from regionplot.prepare.steps.scale import Scale
from regionplot.prepare.steps.slope import Slope
from regionplot.prepare.steps.warp import Warp, target_geometry

__all__ = [
    "Accumulate",
    "Accumulation",
    "Convert",
    "Expression",
    "Focal",
    "Hillshade",
    "MaskByVector",
    "Reclassify",
    "Reproject",
    "Resample",
    "Scale",
    "Slope",
    "Warp",
    "convert",
    "target_geometry",
]
