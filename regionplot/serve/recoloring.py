"""Colors that a request chooses: a named colormap, and limits of the scale. This module is pure.

The parameters are those of ncWMS: COLORSCALERANGE, NUMCOLORBANDS, ABOVEMAXCOLOR, BELOWMINCOLOR, LOGSCALE, and names of
colormaps in STYLES.
"""

from __future__ import annotations

from dataclasses import dataclass

from regionplot.serve.parameters import Parameters, RequestError, echo, parse_color, parse_number

COLORMAPS = (
    "viridis", "plasma", "inferno", "magma", "cividis", "turbo", "gray", "Blues", "Greens", "Greys", "Oranges",
    "Purples", "Reds", "YlGnBu", "YlOrRd", "BrBG", "PiYG", "PuOr", "RdBu", "RdYlBu", "RdYlGn", "Spectral", "coolwarm",
)  # fmt: skip
"""Colormaps of matplotlib that requests can name. `_r` at the end reverses a colormap."""
STYLES = {name: base for base in COLORMAPS for name in (base, f"{base}_r")}
_MAX_BANDS = 254
_GRADUAL = 250
"""From this number of classes on, the scale is continuous. Clients of ncWMS ask for 250 or 254 classes by default."""
_LIMIT = 1e30


@dataclass(frozen=True, slots=True)
class Recoloring:
    """Colors of a map that differ from the settings."""

    colormap: str = ""
    """Name of a colormap. Empty: as in the settings."""
    limits: tuple[float, float] | None = None
    """Limits of the scale in the units of the color bar."""
    is_automatic: bool = False
    """True: the cells that the map shows determine the limits."""
    bands: int = 0
    """Number of classes of equal width. 0: a continuous scale."""
    below: str = "lowest"
    """Color of values below the scale: `lowest`, `none` or `#rrggbb`."""
    above: str = "highest"
    is_logarithmic: bool = False

    @classmethod
    def of(cls, parameters: Parameters, style: str) -> Recoloring | None:
        """Return the colors that a request chooses, or None if it chooses none.

        Raises
        ------
        RequestError
            If a parameter is not valid.
        """
        if style and style not in STYLES:
            raise RequestError(f"there is no style {echo(style)}; use default", 400, "StyleNotDefined", "styles")
        text = parameters.text("colorscalerange").lower()
        limits = None if text in ("", "auto", "default") else _limits(text)
        bands = parameters.whole("numcolorbands", 2, _MAX_BANDS, 0)
        if bands and not text:
            raise RequestError("numcolorbands needs colorscalerange=LOW,HIGH or auto", locator="numcolorbands")
        found = cls(
            style,
            limits,
            text == "auto",
            bands if bands < _GRADUAL else 0,
            _end(parameters, "belowmincolor", "lowest"),
            _end(parameters, "abovemaxcolor", "highest"),
            parameters.flag("logscale", default=False),
        )
        if found.is_logarithmic and limits and limits[0] <= 0:
            raise RequestError("a logarithmic scale needs limits above zero", locator="colorscalerange")
        return None if found == cls() else found


def _limits(text: str) -> tuple[float, float]:
    parts = text.split(",")
    if len(parts) != 2:
        raise RequestError("colorscalerange is not LOW,HIGH or auto", locator="colorscalerange")
    low, high = (parse_number(part, "colorscalerange", -_LIMIT, _LIMIT) for part in parts)
    if not low < high or (high - low) < 1e-12 * max(abs(low), abs(high)):
        raise RequestError("colorscalerange is empty; write LOW,HIGH", locator="colorscalerange")
    return low, high


def _end(parameters: Parameters, name: str, usual: str) -> str:
    """Return the color of values beyond an end of the scale."""
    text = parameters.text(name).lower()
    if text in ("", "extend"):
        return usual
    return "none" if text == "transparent" else parse_color(text, name)
