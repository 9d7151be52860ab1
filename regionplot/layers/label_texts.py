"""Boxes and marks of labels that several kinds of labels share."""

from __future__ import annotations

import math
from collections.abc import Iterator

from regionplot.layers.label_style import Style
from regionplot.sheet.marks import Label, OnDark
from regionplot.sheet.placing import LabelBox
from regionplot.sheet.sheet import Sheet

INK, PAPER = "#1f2429", "#fffdf6cc"
REVERSED, REVERSED_HALO = "#ffffff", "#1f2429bf"
VALUE_GAP = (5.0, 3.0)
"""Pixels from a value and its name to other labels, along x and along y."""
VALUE_STYLE = Style(12.5, "semibold", 0.0, 2.4)


def text_in_box(
    sheet: Sheet, box: LabelBox, descent: float, text: str, points: float, style: Style, colors: tuple[str, str]
) -> Label:
    """Return the mark of a text in a box: dark letters on light colors, or white letters on dark colors.

    Parameters
    ----------
    sheet : Sheet
        The map.
    box : LabelBox
        The box.
    descent : float
        Pixels from the bottom of the box to the baseline.
    text : str
        The text.
    points : float
        Font size in points.
    style : Style
        Weight, width of the halo and color.
    colors : (str, str)
        Colors of letters and halo on light colors.
    """
    return Label(
        box.left, box.bottom + descent, text, points, style.color or colors[0], colors[1],
        style.halo / 2 * sheet.label_factor, weight=style.weight, align="left", vertical_align="baseline",
        font=sheet.layout.page.font, on_dark=OnDark(REVERSED, REVERSED_HALO, box),
    )  # fmt: skip


def under_and_over(box: LabelBox, width: float, height: float, x: float) -> Iterator[LabelBox]:
    """Yield the places of a name under and over a value: centered, then shifted to the sides."""
    for shift in (0.0, 0.4 * width, -0.4 * width):
        for middle in (box.bottom - height / 2 - 1, box.top + height / 2 + 2):
            yield LabelBox.around(x + shift, middle, width, height)


def rounded_box(box: LabelBox) -> LabelBox:
    """Return a box whose lower left corner is a whole pixel, because letters are drawn at whole pixels."""
    left, bottom = round(box.left), round(box.bottom)
    return LabelBox(left, bottom, left + math.ceil(box.right - box.left), bottom + math.ceil(box.top - box.bottom))


def checked_format(text: str) -> str:
    """Return a format of numbers, such as `{:.1f}`. Raise a ValueError for another text."""
    try:
        float(text.format(1.5).strip("%") or "nan")
    except (ValueError, IndexError, KeyError, AttributeError):
        raise ValueError(f"{text!r} is not a format of numbers; write, for example, '{{:.0f}}'") from None
    return text
