"""Read colors. matplotlib, which takes a tenth of a second to import, is asked only for rare forms of colors."""

from __future__ import annotations

import re

Rgba = tuple[float, float, float, float]
NONE = "none"
_HEX = re.compile(r"#[0-9a-fA-F]{6}(?:[0-9a-fA-F]{2})?")
_DEEP_HEX = re.compile(r"#[0-9a-fA-F]{12}")
"""A color with 16 bits per channel, as color files need it. matplotlib does not know this form."""
_NAMES = {
    "aqua": "#00ffff", "black": "#000000", "blue": "#0000ff", "fuchsia": "#ff00ff", "gray": "#808080",
    "green": "#008000", "grey": "#808080", "lime": "#00ff00", "maroon": "#800000", "navy": "#000080",
    "olive": "#808000", "orange": "#ffa500", "purple": "#800080", "red": "#ff0000", "silver": "#c0c0c0",
    "teal": "#008080", "white": "#ffffff", "yellow": "#ffff00",
}  # fmt: skip
"""The basic colors of CSS."""


def rgba_of(color: str) -> Rgba:
    """Return red, green, blue and opacity of a color, from 0 to 1, as `matplotlib.colors.to_rgba` does.

    Raises
    ------
    ValueError
        If matplotlib does not know the color.
    """
    if (found := _color_without_matplotlib(color)) is not None:
        return found
    if _DEEP_HEX.fullmatch(color):
        red, green, blue = (int(color[first : first + 4], 16) / 65535 for first in (1, 5, 9))
        return red, green, blue, 1.0
    from matplotlib import colors  # noqa: PLC0415 (takes a tenth of a second)

    red, green, blue, opacity = colors.to_rgba(color)
    return float(red), float(green), float(blue), float(opacity)


def is_color(color: str) -> bool:
    """Return True if matplotlib knows a color."""
    if _color_without_matplotlib(color) is not None:
        return True
    from matplotlib import colors  # noqa: PLC0415 (takes a tenth of a second)

    return bool(colors.is_color_like(color))


def _color_without_matplotlib(color: str) -> Rgba | None:
    """Return the color of `#rrggbb`, `#rrggbbaa`, `none` or a basic name. Return None for other forms."""
    if color == NONE:
        return 0.0, 0.0, 0.0, 0.0
    text = color if _HEX.fullmatch(color) else _NAMES.get(color)
    if text is None:
        return None
    red, green, blue, opacity = (part / 255 for part in bytes.fromhex(text[1:].ljust(8, "f")))
    return red, green, blue, opacity
