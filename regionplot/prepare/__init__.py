"""Apply raster steps before a raster is drawn.

The steps run over blocks. Their result is cached until an input or a step changes.
"""

from regionplot.prepare.cache import locked_in_cache
from regionplot.prepare.inputs import Input
from regionplot.prepare.report import PreparationObserver, PreparationReport
from regionplot.prepare.run import prepare_raster, prepared

__all__ = ["Input", "PreparationObserver", "PreparationReport", "locked_in_cache", "prepare_raster", "prepared"]
