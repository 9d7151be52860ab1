"""Convert units for the color scale. The cells keep their units. The limits of the scale are converted instead."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from regionplot.errors import ConfigError, Place, Problem
from regionplot.text import DELTA

_KINDS: dict[str, dict[str, tuple[float, float]]] = {
    "temperature": {"K": (1, 0), "degC": (1, 273.15), "degF": (5 / 9, 273.15 - 32 * 5 / 9)},
    "pressure": {"Pa": (1, 0), "hPa": (100, 0), "kPa": (1000, 0), "inHg": (3386.389, 0), "mmHg": (133.322387415, 0)},
    "length": {
        "m": (1, 0), "mm": (1e-3, 0), "cm": (1e-2, 0), "dm": (0.1, 0), "dam": (10, 0), "km": (1e3, 0),
        "in": (0.0254, 0), "ft": (0.3048, 0), "kft": (304.8, 0), "mi": (1609.344, 0), "nmi": (1852, 0),
    },
    "speed": {
        "m/s": (1, 0), "km/h": (1 / 3.6, 0), "kt": (1852 / 3600, 0), "mph": (0.44704, 0),
        "mm/s": (1e-3, 0), "mm/h": (1e-3 / 3600, 0), "mm/day": (1e-3 / 86400, 0), "in/h": (0.0254 / 3600, 0),
    },
    "share": {"1": (1, 0), "%": (0.01, 0)},
    "reflectivity": {"dBZ": (1, 0)},
}  # fmt: skip
"""Factor and offset from each unit to the first unit of its kind."""
_ALIASES = {
    "kelvin": "K", "degk": "K", "deg k": "K",
    "c": "degC", "°c": "degC", "celsius": "degC", "degree_c": "degC", "degrees_c": "degC", "degrees celsius": "degC",
    "degree_celsius": "degC", "degrees_celsius": "degC", "deg c": "degC", "deg_c": "degC",
    "f": "degF", "°f": "degF", "fahrenheit": "degF", "degree_f": "degF", "degrees_f": "degF", "deg f": "degF",
    "degree_fahrenheit": "degF", "degrees_fahrenheit": "degF", "degrees fahrenheit": "degF", "deg_f": "degF",
    "pascal": "Pa", "mbar": "hPa", "mb": "hPa", "millibar": "hPa", "millibars": "hPa", "hectopascal": "hPa",
    "kg m-2": "mm", "kg m^-2": "mm", "kg m**-2": "mm", "kg/m^2": "mm", "kg/m2": "mm", "kg/(m^2)": "mm",
    "mm h2o": "mm", "millimeter": "mm", "millimeters": "mm", "millimetre": "mm",
    "m of water equivalent": "m", "meter": "m", "meters": "m", "metre": "m", "metres": "m", "gpm": "m",
    "centimeter": "cm", "centimeters": "cm", "inch": "in", "inches": "in", "foot": "ft", "feet": "ft",
    "m s-1": "m/s", "m s^-1": "m/s", "m s**-1": "m/s", "meter second-1": "m/s", "m sec-1": "m/s",
    "km h-1": "km/h", "kph": "km/h", "knot": "kt", "knots": "kt", "kn": "kt", "kts": "kt", "mile/h": "mph",
    "kg m-2 s-1": "mm/s", "kg m^-2 s^-1": "mm/s", "kg m**-2 s**-1": "mm/s", "kg/m^2/s": "mm/s", "kg/(m^2 s)": "mm/s",
    "kg/(m^2*s)": "mm/s", "mm s-1": "mm/s",
    "mm h-1": "mm/h", "mm hr-1": "mm/h", "mm/hr": "mm/h", "mm d-1": "mm/day", "mm day-1": "mm/day", "in/hr": "in/h",
    "percent": "%", "fraction": "1", "dbz": "dBZ",
}  # fmt: skip
_KIND_OF = {name: kind for kind, names in _KINDS.items() for name in names}
_BY_LOWER = {name.lower(): name for name in _KIND_OF}


@dataclass(frozen=True, slots=True)
class Conversion:
    """A linear conversion from the units of the cells to the units of the color scale."""

    factor: float = 1.0
    offset: float = 0.0

    @property
    def is_identity(self) -> bool:
        """True if both units are the same."""
        return self == SAME

    @property
    def moves_zero(self) -> bool:
        """True if the units have different zeros, such as K and degC."""
        return self.offset != 0

    def shown(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values of cells in the units of the scale."""
        return values if self.is_identity else values * self.factor + self.offset

    def stored(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values of the scale in the units of the cells."""
        return values if self.is_identity else (values - self.offset) / self.factor


SAME = Conversion()


def unit_name(text: str) -> str:
    """Return the short name of units, or an empty text if the units are unknown.

    Examples
    --------
    >>> unit_name("kg m-2"), unit_name("[C]"), unit_name("furlong")
    ('mm', 'degC', '')
    """
    words = " ".join(re.sub(r"[\[\]]", "", text).split())
    return words if words in _KIND_OF else _ALIASES.get(words.lower(), _BY_LOWER.get(words.lower(), ""))


def conversion(source: str, target: str) -> Conversion | None:
    """Return the conversion between two units. Return None if the units are unknown, or measure different quantities.

    Examples
    --------
    >>> conversion("K", "degC").offset
    -273.15
    >>> conversion("delta K", "degC")
    Conversion(factor=1.0, offset=0.0)
    """
    if source.startswith(DELTA):
        found = conversion(source.removeprefix(DELTA), target)
        return None if found is None else Conversion(found.factor)
    old, new = unit_name(source), unit_name(target)
    if source == target or (old and old == new):
        return SAME
    kind = _KIND_OF.get(old)
    if kind is None or kind != _KIND_OF.get(new):
        return None
    (factor, offset), (new_factor, new_offset) = _KINDS[kind][old], _KINDS[kind][new]
    if offset == new_offset == 0:
        return Conversion(factor / new_factor)
    return Conversion(factor / new_factor, round((offset - new_offset) / new_factor, 10))


def needed_conversion(source: str, target: str | None) -> Conversion:
    """Return the conversion from the units of the raster to `[colors] units`.

    Raises
    ------
    ConfigError
        If there is no such conversion.
    """
    if target is None:
        return SAME
    if (found := conversion(source, target)) is not None:
        return found
    place = Place(section="colors", key="units")
    kind = _KIND_OF.get(unit_name(source.removeprefix(DELTA)), "")
    if not source:
        fault = "the raster states no units, so they cannot be converted; remove units, and set label"
    elif kind:
        fault = f"{source!r} cannot be converted to {target!r}; use one of {', '.join(_KINDS[kind])}"
    else:
        fault = f"{source!r} cannot be converted here; convert the raster with a [[prepare]] step, convert"
    raise ConfigError(Problem(fault, place))
