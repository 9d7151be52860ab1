"""Draw the color bar."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from operator import itemgetter
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator, NullFormatter
from matplotlib.transforms import Bbox, IdentityTransform, ScaledTranslation

from regionplot.layers.colorbar import LIFT
from regionplot.render.fonts import FALLBACKS
from regionplot.render.text import fit_text
from regionplot.sheet.layout import POINTS_PER_INCH, Layout
from regionplot.sheet.marks import ColorBar
from regionplot.text import number_labels, plain_number_labels

_MIN_LABEL = 0.6
"""Minimum font size of a long label, as a fraction of its normal size. A label that is still too long is truncated."""
_MIN_TICKS = 2
"""Minimum number of labels that a reader needs to understand the scale."""
_MIN_STEPS = 2
"""Minimum number of steps between levels that can be found to be equal."""
_MAX_TICKS = 6
"""Maximum number of ticks that are used if matplotlib puts fewer than two labels on the bar."""
_MAX_DECADES = 100
"""Number of decades above which matplotlib can place ticks beyond the range of float64."""
_DIVIDER = "#ffffffb3"
"""Color of the lines between the classes of a short bar."""
_LEAST = 2.0
"""Minimum distance between the ticks of two numbers on a short bar, as a multiple of their height."""
_MAX_DIVIDED = 32
"""Maximum number of levels of a bar with such lines."""
_MINUS = "\N{MINUS SIGN}"
_ABOVE = 10 / 9
"""Font size of a label above the bar, as a multiple of the size of the numbers."""
_ARROW = 0.015
"""Length of an arrow, as a fraction of the bar."""
_SHORT_GAP = 0.7
"""Minimum gap between the labels of a short bar without levels, as a fraction of their height."""
_LEVEL_GAP = 0.3
"""Minimum gap between the labels of levels, as a fraction of their height."""


def add_colorbar(figure: Figure, layout: Layout, mark: ColorBar) -> None:
    """Add the color bar of a sheet to a figure."""
    key = mark.key
    axes = figure.add_axes(mark.box.fractions(layout.size))
    bar = figure.colorbar(
        ScalarMappable(key.norm, key.cmap),
        cax=axes,
        orientation="horizontal",
        extend=key.extend,
        extendfrac=_ARROW,
        ticks=key.ticks or key.levels,
        drawedges=mark.label_above and key.levels is not None and len(key.levels) <= _MAX_DIVIDED,
    )
    bar.dividers.set(color=_DIVIDER, linewidth=0.5)
    outline = mark.line_pixels * POINTS_PER_INCH / layout.dpi
    bar.outline.set(edgecolor=mark.line_color, linewidth=outline, antialiased=mark.label_above)
    axes.tick_params(labelsize=mark.points, width=0.6, length=3, pad=2, colors=mark.color, which="major")
    axes.tick_params(width=0.4, length=1.5, which="minor")
    _add_label(bar, axes, mark)
    if (ticks := key.ticks or key.levels) is None:
        _label_range(bar, axes)
    else:
        axes.minorticks_off()
        texts = number_labels(ticks)
        axes.set_xticklabels(_with_minus(texts) if mark.label_above else texts, parse_math=False)
    if families := FALLBACKS.families("", mark.font):
        axes.tick_params(which="both", labelfontfamily=families)
    labels = _shown_labels(figure, axes)
    limits = _label_limits(axes, key.extend) if mark.label_above else (0.0, figure.bbox.width)
    middles = [_middle(label.get_window_extent()) for label in labels]
    boxes = [_keep_between(limits, figure, label) for label in labels]
    if mark.label_above and (key.ticks or key.levels) is not None:
        _keep_round(labels, [_Spot(*spot) for spot in zip(boxes, middles, strict=True)])
    elif key.levels is None:
        _hide_overlapping(labels, boxes, _SHORT_GAP if mark.label_above else 0.0)
    else:
        _thin_labels(labels, boxes)


def _label_limits(axes: Axes, extend: str) -> tuple[float, float]:
    """Return the left and right limits of the numbers of a short bar. Numbers can lie under arrows."""
    arrow = _ARROW * axes.bbox.width
    left = arrow if extend in ("min", "both") else 0.0
    right = arrow if extend in ("max", "both") else 0.0
    return axes.bbox.x0 - left, axes.bbox.x1 + right


def _add_label(bar: Colorbar, axes: Axes, mark: ColorBar) -> None:
    style: dict[str, Any] = {"fontsize": mark.points, "color": mark.color, "parse_math": False}
    style["fontfamily"] = FALLBACKS.families(mark.label, mark.font)
    if mark.label_above:
        style |= {
            "fontsize": mark.points * _ABOVE,
            "transform": IdentityTransform(),
        }
        label = axes.text(mark.box.left, mark.box.top + LIFT * axes.figure.dpi, mark.label, **style)
    else:
        bar.set_label(mark.label, labelpad=2, **style)
        label = axes.xaxis.label
    fit_text(label, mark.max_width, _MIN_LABEL)


def _label_range(bar: Colorbar, axes: Axes) -> None:
    """Replace the labels of a continuous scale by plain numbers if the labels are hard to read.

    This is the case if the labels share an offset or a factor beside the bar, if they belong to minor ticks, or if
    there are fewer than two labels.
    """
    axis = axes.xaxis
    if axis.get_scale() == "log" and (decades := _far_decades(axis)):
        bar.set_ticks(decades, labels=plain_number_labels(decades))
        axes.minorticks_off()
        return
    major, minor = (_ticks(axis, which) for which in ("major", "minor"))
    if not minor and len(major) >= _MIN_TICKS and not axis.get_major_formatter().get_offset():
        return
    positions = sorted({*major, *minor})
    if len(positions) < _MIN_TICKS:
        low, high = sorted(axis.get_view_interval())
        found = MaxNLocator(_MAX_TICKS, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
        positions = [float(position) for position in found if low <= position <= high]
    texts = plain_number_labels(positions)
    bar.set_ticks(positions, labels=_with_minus(texts))
    axis.set_minor_formatter(NullFormatter())


def _with_minus(texts: Iterable[str]) -> list[str]:
    """Return numbers with a minus sign instead of a hyphen."""
    return [_MINUS + text[1:] if text.startswith("-") else text for text in texts]


def _far_decades(axis: Axis) -> list[float]:
    """Return powers of ten within a logarithmic scale whose ticks float64 cannot hold. Otherwise, return no ticks."""
    low, high = (math.log10(limit) for limit in sorted(axis.get_view_interval()))
    first, last = math.ceil(low), math.floor(high)
    step = -(-(last - first) // _MAX_TICKS)
    return [10.0**power for power in range(first, last + 1, step)] if last - first > _MAX_DECADES else []


def _ticks(axis: Axis, which: str) -> list[float]:
    """Return the positions of the major or minor ticks that have a label."""
    low, high = sorted(axis.get_view_interval())
    is_major = which == "major"
    positions = [float(p) for p in (axis.get_majorticklocs() if is_major else axis.get_minorticklocs())]
    formatter = axis.get_major_formatter() if is_major else axis.get_minor_formatter()
    texts = formatter.format_ticks(positions)
    return [position for position, text in zip(positions, texts, strict=True) if text and low <= position <= high]


def _shown_labels(figure: Figure, axes: Axes) -> list[Text]:
    """Return the labels of the ticks on the bar, from left to right."""
    figure.draw_without_rendering()
    ticks = axes.xaxis.get_major_ticks()
    pixels = [float(axes.transData.transform((float(tick.get_loc()), 0.0))[0]) for tick in ticks]
    bar, half = axes.bbox, 0.5
    shown = [(x, tick.label1) for x, tick in zip(pixels, ticks, strict=True) if bar.x0 - half <= x <= bar.x1 + half]
    return [label for _, label in sorted(shown, key=itemgetter(0)) if label.get_text()]


def _keep_between(limits: tuple[float, float], figure: Figure, label: Text) -> Bbox:
    """Move a label inward if it reaches beyond the limits: the edges of the sheet or of a short bar. Return its box."""
    box = label.get_window_extent()
    shift = max(0.0, limits[0] - box.x0) - max(0.0, box.x1 - limits[1])
    if not shift:
        return box
    label.set_transform(label.get_transform() + ScaledTranslation(shift / figure.dpi, 0, figure.dpi_scale_trans))
    return box.translated(shift, 0)


def _hide_overlapping(labels: Sequence[Text], boxes: Sequence[Bbox], gap: float) -> None:
    """Hide each label that is closer than a gap to a visible label, or has the same text.

    The gap is a fraction of the height of the label.
    """
    shown: list[int] = []
    for number, (label, box) in enumerate(zip(labels, boxes, strict=True)):
        wide = box.expanded(1 + 2 * gap * box.height / max(box.width, 1.0), 1)
        is_free = all(not wide.overlaps(boxes[n]) and label.get_text() != labels[n].get_text() for n in shown)
        label.set_visible(is_free)
        if is_free:
            shown.append(number)


def _thin_labels(labels: Sequence[Text], boxes: Sequence[Bbox]) -> None:
    """Show only every nth label of the levels. n is the smallest number for which labels do not touch."""
    step = next((step for step in range(1, len(labels) + 1) if _are_apart(boxes[::step])), 1)
    for number, label in enumerate(labels):
        label.set_visible(number % step == 0)


class _Spot(NamedTuple):
    """The place of a number on a short bar."""

    box: Bbox
    """The box of the number, which can be shifted."""
    middle: float
    """Pixels from the left edge of the sheet to the tick."""


def _middle(box: Bbox) -> float:
    return float(box.x0 + box.x1) / 2


def _keep_round(labels: Sequence[Text], spots: Sequence[_Spot]) -> None:
    """Show labels at equal steps, if the levels have equal steps.

    Otherwise, show the labels of round numbers first, and further labels where they do not touch: 0, then 1000, then
    500.
    """
    values = [float(label.get_text().replace(_MINUS, "-")) for label in labels]
    by_roundness = sorted(range(len(labels)), key=lambda number: _roundness(values[number]))
    shown = _even_choice(values, spots)
    for number in by_roundness if not shown else ():
        if all(_have_distance(spots[number], spots[n]) for n in shown):
            shown.append(number)
    for number, label in enumerate(labels):
        label.set_visible(number in shown)


def _even_choice(values: Sequence[float], spots: Sequence[_Spot]) -> list[int]:
    """Return every nth number, including the roundest one, if all numbers have the same step. Otherwise, return none.

    n is the smallest number for which labels have their distance.
    """
    steps = [right - left for left, right in pairwise(values)]
    if len(steps) < _MIN_STEPS or not all(math.isclose(step, steps[0], rel_tol=1e-6) for step in steps):
        return []
    count = len(values)
    roundest = min(range(count), key=lambda number: _roundness(values[number]))
    choices = ([*range(roundest % nth, count, nth)] for nth in range(1, count + 1))
    return next(
        chosen for chosen in choices if all(_have_distance(spots[one], spots[two]) for one, two in pairwise(chosen))
    )


def _have_distance(one: _Spot, other: _Spot) -> bool:
    """Return True if two numbers of a short bar do not touch, and if their ticks have some distance."""
    (box, middle), (far_box, far_middle) = one, other
    gap, distance = _LEVEL_GAP * box.height, abs(middle - far_middle)
    return bool((box.x1 + gap < far_box.x0 or far_box.x1 + gap < box.x0) and distance >= _LEAST * box.height)


def _roundness(value: float) -> tuple[bool, int, int]:
    """Return a key that sorts numbers: zero, then numbers with few digits, the largest powers of ten first."""
    digits, _, exponent = f"{abs(value):.6e}".partition("e")
    count = len(digits.replace(".", "").rstrip("0"))
    return value != 0, count, count - int(exponent)


def _are_apart(boxes: Iterable[Bbox]) -> bool:
    return all(left.x1 + _LEVEL_GAP * left.height < right.x0 for left, right in pairwise(boxes))
