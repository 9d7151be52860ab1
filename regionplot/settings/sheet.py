"""The `[sheet]` section: type, margins and colors around the map."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from regionplot.settings.base import Color, Section, Template, Text

Points = Annotated[float, Field(ge=0, le=500)]
"""A length in points, on a sheet of 14 × 9 inches. It grows and shrinks with the sheet."""
FontSize = Annotated[float, Field(gt=0, le=200)]
"""A font size in points, on a sheet of 14 × 9 inches."""
Weight = Literal["normal", "semibold", "bold"]
"""Weight of a font. A family without semibold letters uses bold letters instead."""
_MAX_PANELS = 36
"""Maximum number of panels on a sheet."""


class SheetSettings(Section):
    """Type, margins and colors of the sheet around the map. Lengths are in points on a sheet of 14 × 9 inches."""

    font: Text = "DejaVu Sans"
    """Font family of all texts: `DejaVu Sans`, `Source Sans 3`, or an installed font."""
    color: Color = "#222222"
    """Color of the texts on the sheet."""
    line_color: Color = "#222222"
    """Color of the line around the map and around the color bar."""
    faint_color: Color = "#222222"
    """Color of less important texts: the subtitle, the text at its right, and sources."""
    margin: Points = 9
    """Space on the left and on the right of the map."""
    title_size: FontSize = 14
    """Font size of the title."""
    title_weight: Weight = "normal"
    """Weight of the title."""
    title_height: Points = 28
    """Space above the map for the title."""
    label_size: FontSize = 9
    """Font size of the color bar and the legend."""
    colorbar: Literal["wide", "short"] = "wide"
    """`wide`: the color bar is as wide as the sheet, with its label below. `short`: it is at the left, with its label
    above."""
    panels: (
        Annotated[tuple[Annotated[tuple[Text, ...], Field(min_length=1, strict=False)], ...], Field(strict=False)]
        | None
    ) = None
    """Products or times to show side by side, row by row, such as `[["forecast", "analysis", "difference"]]`."""
    panel_title: Template | None = None
    """Template for the titles of panels. Default: the name of the product and the quantity."""

    @field_validator("panels")
    @classmethod
    def _has_few(cls, panels: tuple[tuple[str, ...], ...] | None) -> tuple[tuple[str, ...], ...] | None:
        if panels is not None and not 0 < len(panels) * max(map(len, panels), default=0) <= _MAX_PANELS:
            raise ValueError(f"a sheet has 1 to {_MAX_PANELS} panels")
        return panels
