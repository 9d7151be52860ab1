"""Draw the color bar."""

from __future__ import annotations

from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from regionplot.colors.numbers import ColorScale
from regionplot.render.text import INK, POINTS_PER_INCH, fit_text
from regionplot.sheet.layout import Layout


def add_colorbar(figure: Figure, layout: Layout, scale: ColorScale, label: str) -> None:
    """The colour bar below the panel, if the layout has one."""
    if layout.colorbar is None:
        return
    axes = figure.add_axes(layout.colorbar.fractions(layout.size))
    bar = figure.colorbar(
        ScalarMappable(scale.norm, scale.cmap),
        cax=axes,
        orientation="horizontal",
        extend=scale.extend,
        extendfrac=0.015,
        ticks=scale.levels,
    )
    bar.outline.set(edgecolor=INK, linewidth=whole_pixels(layout), antialiased=False)
    axes.tick_params(labelsize=layout.label_points, width=0.6, length=3, pad=2, colors=INK, which="major")
    axes.tick_params(width=0.4, length=1.5, which="minor")
    bar.set_label(label, fontsize=layout.label_points, color=INK, labelpad=2, parse_math=False)
    fit_text(axes.xaxis.label, layout)
    if scale.levels is not None:
        axes.minorticks_off()
        axes.set_xticklabels([f"{level:g}" for level in scale.levels], parse_math=False)
        _thin_labels(figure, axes)


def _thin_labels(figure: Figure, axes: Axes) -> None:
    """Keep every second, third ... label of the classes, so that no two touch."""
    figure.draw_without_rendering()
    labels = [label for label in axes.get_xticklabels() if label.get_text()]
    boxes = [label.get_window_extent() for label in labels]
    for step in range(1, len(labels) + 1):
        kept = boxes[::step]
        if all(left.x1 + 0.3 * left.height < right.x0 for left, right in pairwise(kept)):
            break
    for number, label in enumerate(labels):
        label.set_visible(number % step == 0)


def whole_pixels(layout: Layout) -> float:
    """The width of the frame's lines, in points."""
    return layout.neatline_pixels * POINTS_PER_INCH / layout.dpi
