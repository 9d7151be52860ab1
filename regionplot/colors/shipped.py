"""Color scales and color tables that come with the package. They are data in the folder `palettes`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from regionplot.colors.names import rgba_of
from regionplot.colors.ramps import Ramp

_FOLDER = Path(__file__).parent / "palettes"
DIVERGING = "vik"
"""Default colormap of a scale with a center."""
_PALETTES = ("vik", "batlow", "thermal", "ice", "deep", "speed", "rain", "balance")
_SCALES = (
    "nws:temperature", "nws:precipitation", "nws:precipitation_rate", "nws:reflectivity", "snow", "snow_depth",
    "relief", "anomaly", "wind", "wind_component", "humidity", "pressure", "sea_temperature", "sea_ice", "depth",
    "waves",
)  # fmt: skip
REVERSED = "_r"
"""End of the name of a reversed colormap, as in matplotlib."""


def is_scale(name: str | None) -> bool:
    """Return True if the package has a scale of this name: limits, units and colors for one quantity."""
    return name in _SCALES


def scale_names() -> tuple[str, ...]:
    """Return the names of all scales."""
    return _SCALES


def palette_names() -> tuple[str, ...]:
    """Return the names of all color tables."""
    return _PALETTES


def scale_settings(name: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the keys of `[colors]` that a scale sets, for each of its units. The first units are the default."""
    found: Mapping[str, Mapping[str, Any]] = _scales()[name]
    return found


@cache
def _scales() -> Mapping[str, Any]:
    import json  # noqa: PLC0415 (scales of the settings need no file)

    text = (_FOLDER / "scales.json").read_text(encoding="utf-8")
    scales: Mapping[str, Any] = json.loads(text)
    return scales


def named_ramp(name: str) -> Ramp | None:
    """Return the colors of a color table or a scale, at equal distances from 0 to 1. Return None for another name."""
    base = name.removesuffix(REVERSED)
    if base in _PALETTES:
        colors = _palette(base)
    elif is_scale(base):
        first = next(iter(scale_settings(base).values()))
        if "colormap" in first:
            found = named_ramp(first["colormap"])
            return found if base == name or found is None else _turned(found)
        colors = tuple(first["colors"]) if "colors" in first else tuple(color for _, color in first["stops"])
    else:
        return None
    ramp = Ramp.of(np.linspace(0, 1, len(colors)).tolist(), [rgba_of(color) for color in colors])
    return ramp if base == name else _turned(ramp)


def _turned(ramp: Ramp) -> Ramp:
    return Ramp(ramp.positions, ramp.rgba[::-1])


@cache
def _palette(name: str) -> tuple[str, ...]:
    text = (_FOLDER / f"{name}.txt").read_text(encoding="ascii")
    return tuple(f"#{color}" for color in text.split())
