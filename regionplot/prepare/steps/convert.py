"""Convert: change units, or apply a scale and an offset."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from regionplot.blocks.values import Values
from regionplot.errors import ConfigError
from regionplot.prepare.base import BlockContext, Operation

_DEGREES = {
    f"{degree}{letter}": name
    for degree in ("deg", "deg_", "degs_", "degree", "degree_", "degrees", "degrees_")
    for scale, name in (("celsius", "degC"), ("fahrenheit", "degF"), ("kelvin", "kelvin"))
    for letter in (scale[0], scale)
}


_ALIASES = {"c": "degC", "f": "degF", "celsius": "degC", "fahrenheit": "degF", "in": "inch", **_DEGREES}
"""How grids write units that mean something else to pint, `C` would be coulomb, or nothing; in lower case."""


_LONGEST = 60
"""Characters; units come from files, and pint works out whatever powers they hold."""


_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")


_EXPONENT = re.compile(
    r"\s*(\(\s*[-+]?\d{1,2}(\.\d{1,3}|\s*/\s*\d{1,2})?\s*\)|[-+]?\d{1,2}(\.\d{1,3})?)(?!\s*\*\*|[\w.])"
)
"""A plain number of one or two digits, or such a fraction in brackets."""


@dataclass(frozen=True)
class Linear(Operation):
    """A scale and an offset: scale * value + offset."""

    scale: float = 1.0
    offset: float = 0.0
    units: str | None = None
    """Of the result; as before by default."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and math.isfinite(self.offset)):
            raise ConfigError(f"scale {self.scale} and offset {self.offset} must be finite numbers")

    def describe(self, description: Mapping[str, object]) -> dict[str, object]:
        """See `Operation`."""
        return dict(description) if self.units is None else {**description, "units": self.units}

    def apply(self, values: Values, site: BlockContext) -> Values:
        """See `Operation`; in double precision."""
        with np.errstate(over="ignore"):
            return (values.astype(np.float64) * self.scale + self.offset).astype(values.dtype)


def convert(source: str, target: str) -> Linear:
    """The conversion from some units to others (https://pint.readthedocs.io).

    Raises
    ------
    ConfigError
        If pint does not know them, they are of different things, or a scale and an offset do not convert them.

    Examples
    --------
    >>> convert("K", "degC").offset
    -273.15
    """
    import pint  # noqa: PLC0415 (only who converts pays for its import)

    registry: Any = pint.UnitRegistry()
    try:
        old, new = (registry.Unit(_pint_name(text)) for text in (source, target))
        with np.errstate(all="ignore"):
            zero, one, two = (float(registry.Quantity(value, old).to(new).magnitude) for value in (0.0, 1.0, 2.0))
    except ConfigError as error:
        raise ConfigError(f"convert {source[:_LONGEST]}:{target[:_LONGEST]}: {error}") from None
    except pint.UndefinedUnitError as error:
        raise ConfigError(f"convert {source}:{target}: {error}") from None
    except Exception as error:  # pint raises whatever its parser does
        raise ConfigError(f"convert {source}:{target}: {error or type(error).__name__}") from None
    if not math.isclose(two - one, one - zero, rel_tol=1e-9, abs_tol=1e-9 * abs(zero)):
        raise ConfigError(
            f"convert {source}:{target}: such units, logarithms for example, are not converted by a scale and an "
            "offset; write it as an expression"
        )
    return Linear(one - zero, zero, target)


def _pint_name(text: str) -> str:
    """Units as pint writes them, from what stands in files: `kg m-2`, `C`."""
    name = text.strip().strip("[]").replace("^", "**")
    if not name:
        raise ConfigError("the raster names no units to convert from; give them as FROM:TO")
    if len(name) > _LONGEST:
        raise ConfigError(f"units of more than {_LONGEST} characters are none")
    if name.lower() in _ALIASES:
        return _ALIASES[name.lower()]
    name = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺]+", lambda found: "**" + found[0].translate(_SUPERSCRIPTS), name)
    name = re.sub(r"(?<![\d.])([A-Za-z])([-+]?\d+)\b", r"\1**\2", name)
    _check_powers(name)
    return name


def _check_powers(name: str) -> None:
    """Powers of powers, and large ones, would take pint for ever."""
    plain = all(_EXPONENT.match(name, power.end()) for power in re.finditer(r"\*\*", name))
    nested = re.search(r"\(.*\*\*.*\)\s*\*\*", name)
    if not plain or nested:
        raise ConfigError(f"{name!r}: an exponent must be a number of one or two digits, and no power be raised again")
