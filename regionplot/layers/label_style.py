"""Size and weight of the names of points, by rank."""

from __future__ import annotations

from typing import Literal, NamedTuple

Weight = Literal["normal", "semibold"]


class Style(NamedTuple):
    """Style of the name of a point, on a sheet of 14 × 9 inches."""

    points: float
    """Font size in points."""
    weight: Weight
    dot: float
    """Diameter of the dot in pixels at 100 dpi."""
    halo: float
    """Width of the stroke of the halo in points. Half of it shows on each side."""
    color: str | None = None
    """Color of the letters. None: the color of the settings."""


_USUAL = (
    (2, Style(12.0, "semibold", 7.0, 2.4)),
    (4, Style(11.0, "semibold", 5.5, 2.2)),
    (7, Style(10.0, "normal", 4.5, 2.0)),
    (1e9, Style(9.0, "normal", 4.0, 1.8, "#33393f")),
)
"""Largest rank of each style."""
_COARSE = ((1, Style(10.5, "semibold", 5.0, 2.2)), (3, Style(9.5, "normal", 4.0, 2.0)))
_UNRANKED = Style(10.0, "normal", 4.5, 2.0)
_HAIR_SPACE = "\u200a"


def style_of(rank: float, *, coarse: bool) -> Style | None:
    """Return the style of a point. Return None if the map leaves out points of this rank.

    Parameters
    ----------
    rank : float
        Rank of the point. 0 is the most important. Infinite: unknown.
    coarse : bool
        True if a pixel of the map shows more than 3 km.
    """
    if rank == float("inf"):
        return _UNRANKED
    return next((style for largest, style in (_COARSE if coarse else _USUAL) if rank <= largest), None)


def hair_spaced(name: str) -> str:
    """Return a name in capitals with hair spaces between the letters."""
    return _HAIR_SPACE.join(name.upper()).replace(f"{_HAIR_SPACE} {_HAIR_SPACE}", "  ")
