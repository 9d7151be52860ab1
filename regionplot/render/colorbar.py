"""Draw the color bar."""

from __future__ import annotations

from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from regionplot.render.fonts import FALLBACKS
from regionplot.render.text import fit_text
from regionplot.sheet.layout import POINTS_PER_INCH, Layout
from regionplot.sheet.marks import INK, ColorBar

_SMALLEST_LABEL = 0.6
"""Smallest font size of a long label, as a fraction of its normal size. A label that is still too long is truncated."""


def add_colorbar(figure: Figure, layout: Layout, mark: ColorBar) -> None:
    """Add the color bar of a sheet to a figure."""
    key = mark.key
    axes = figure.add_axes(mark.box.fractions(layout.size))
    bar = figure.colorbar(
        ScalarMappable(key.norm, key.cmap),
        cax=axes,
        orientation="horizontal",
        extend=key.extend,
        extendfrac=0.015,
        ticks=key.levels,
    )
    outline = mark.line_pixels * POINTS_PER_INCH / layout.dpi
    bar.outline.set(edgecolor=INK, linewidth=outline, antialiased=False)
    axes.tick_params(labelsize=mark.points, width=0.6, length=3, pad=2, colors=INK, which="major")
    axes.tick_params(width=0.4, length=1.5, which="minor")
    bar.set_label(mark.label, fontsize=mark.points, color=INK, labelpad=2, parse_math=False)
    if families := FALLBACKS.families(mark.label):
        axes.xaxis.label.set_fontfamily(families)
    fit_text(axes.xaxis.label, mark.max_width, _SMALLEST_LABEL)
    if key.levels is not None:
        axes.minorticks_off()
        axes.set_xticklabels([f"{level:g}" for level in key.levels], parse_math=False)
        _thin_labels(figure, axes)


def _thin_labels(figure: Figure, axes: Axes) -> None:
    """Show only every nth label of the levels. n is the smallest number for which labels do not touch."""
    figure.draw_without_rendering()
    labels = [label for label in axes.get_xticklabels() if label.get_text()]
    boxes = [label.get_window_extent() for label in labels]
    for step in range(1, len(labels) + 1):
        kept = boxes[::step]
        if all(left.x1 + 0.3 * left.height < right.x0 for left, right in pairwise(kept)):
            break
    for number, label in enumerate(labels):
        label.set_visible(number % step == 0)
