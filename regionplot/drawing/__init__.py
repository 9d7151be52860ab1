"""Maps out of shared data: the only home of matplotlib (and, with `projections`, of cartopy)."""

from regionplot.drawing.colors import color_problems
from regionplot.drawing.digest import MapDigests
from regionplot.drawing.plain import plot_region
from regionplot.drawing.renderer import MapRenderer, Picture
from regionplot.drawing.sheet import title_fields

__all__ = ["MapDigests", "MapRenderer", "Picture", "color_problems", "plot_region", "title_fields"]
