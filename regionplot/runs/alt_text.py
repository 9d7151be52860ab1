"""Describe a map in words, from the statistics of its region."""

from __future__ import annotations

import math
import re

from regionplot.geo.region import Region
from regionplot.shared.data import SharedData
from regionplot.shared.numbers import Position, RegionNumbers
from regionplot.text import plain_text

_UNITS = {"degC": "°C", "degF": "°F", "degrees": "°", "1": ""}
_WHOLE = 100
"""Numbers of at least this size have no decimals."""
_NAMED = 3
"""Maximum number of classes to name."""


def alt_text(shared: SharedData, region: Region, found: RegionNumbers) -> str:
    """Return a description of a map for readers who cannot see it.

    Parameters
    ----------
    shared : SharedData
        The data of the map.
    region : Region
        Region of the map.
    found : RegionNumbers
        Statistics of the region.
    """
    description = shared.description
    label = re.sub(r"\s*\([^()]*\)$", "", shared.config.colors.label or "")  # without the units
    what = label or str(description.get("long_name") or description.get("raster") or "Map")
    time = found.time[:16].replace("T", " ")
    parts = [what[:1].upper() + what[1:], region.title, f"valid {time} UTC" if time else ""]
    return plain_text(f"{', '.join(filter(None, parts))}: {_contents(shared, found)}.", 1000)


def _contents(shared: SharedData, found: RegionNumbers) -> str:
    if not found.count:
        return "no data"
    missing = "" if found.valid > 1 - 5e-4 else f"{_percent(1 - found.valid)} without data"
    if found.classes:
        named = list(found.classes.items())[:_NAMED]
        return ", ".join(filter(None, (*(f"{name} {_percent(share)}" for name, share in named), missing)))
    if math.isnan(found.max):
        return "; ".join(filter(None, ("a picture in true color", missing)))
    unit = _UNITS.get(found.units, found.units)
    if found.min == found.max:
        return "; ".join(filter(None, (f"{_value(found.max, unit)} everywhere", missing)))
    parts = [
        f"highest {_value(found.max, unit)}{_near(found.max_at)}",
        f"lowest {_value(found.min, unit)}{_near(found.min_at)}",
        "" if math.isnan(found.mean) else f"mean {_value(found.mean, unit)}",  # the values include infinity
    ]
    limit = shared.config.statistics.above
    above = "" if limit is None else f"{_percent(found.above)} above {_value(limit, unit)}"
    return "; ".join(filter(None, (", ".join(filter(None, parts)), above, missing)))


def _value(value: float, unit: str) -> str:
    """Return a number with three digits, or a whole number, with its unit."""
    text = f"{value:.0f}" if _WHOLE <= abs(value) < 1e9 else f"{value + 0.0:.3g}"  # no negative zero
    return f"{text} {unit}".strip()


def _percent(share: float) -> str:
    """Return a share in percent. A small share is not 0 %, and a large share is not 100 %."""
    percent = 100 * share
    if 0 < percent < 1:
        return "less than 1 %"
    return f"{min(percent, 99.0) if percent < 100 else 100:.0f} %"


def _near(place: Position | None) -> str:
    """Return text for a place, such as ` near 33.4 N 112.1 W`."""
    if place is None:
        return ""
    lon, lat = place
    return f" near {abs(lat):.1f} {'N' if lat >= 0 else 'S'} {abs(lon):.1f} {'E' if lon >= 0 else 'W'}"
