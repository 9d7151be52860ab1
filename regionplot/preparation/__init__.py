"""A raster prepared for its maps: steps planned, run over blocks, and kept until an input or a step changes."""

from regionplot.preparation.kept import held
from regionplot.preparation.plan import Input
from regionplot.preparation.run import PreparationObserver, PreparationReport, prepare_raster, prepared

__all__ = ["Input", "PreparationObserver", "PreparationReport", "held", "prepare_raster", "prepared"]
