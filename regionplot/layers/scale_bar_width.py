"""Compute the space that a scale bar needs in the foot of the sheet."""

from __future__ import annotations

from regionplot.sheet.layout import POINTS_PER_INCH, Page

NARROW_GAP = 20
"""Points beside the bar on narrow sheets."""
_LONGEST = 137
"""Maximum length of the bar in points."""
SHORTEST, GAP, UNIT = 40, 36, 24
"""Space in points without which there is no bar, points between a color bar and the scale bar, and points for the
unit."""


def scale_bar_width(page: Page) -> int:
    """Return the pixels that the longest scale bar takes, with the gaps on both sides."""
    gaps = 2 * NARROW_GAP if page.is_narrow else 2 * GAP
    return longest_bar(page) + page.pixels(UNIT + gaps)


def longest_bar(page: Page) -> int:
    """Return the maximum length of the bar in pixels. It is shorter on narrow sheets."""
    if not page.is_narrow:
        return page.pixels(_LONGEST)
    return max(page.pixels(SHORTEST), round(_LONGEST * page.factor * page.dpi / POINTS_PER_INCH))
