"""Convert: change units."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic.dataclasses import dataclass

from regionplot.blocks.values import Values
from regionplot.errors import ConfigError
from regionplot.prepare.base import STEP_CONFIG, BlockContext, Operation, StepSettings
from regionplot.prepare.options import Option
from regionplot.prepare.steps.scale import Scale
from regionplot.settings.base import Text

if TYPE_CHECKING:
    from regionplot.prepare.plan import Plan

_DEGREES = {
    f"{degree}{letter}": name
    for degree in ("deg", "deg_", "degs_", "degree", "degree_", "degrees", "degrees_")
    for scale, name in (("celsius", "degC"), ("fahrenheit", "degF"), ("kelvin", "kelvin"))
    for letter in (scale[0], scale)
}
_ALIASES = {"c": "degC", "f": "degF", "celsius": "degC", "fahrenheit": "degF", "in": "inch", **_DEGREES}
"""Pint's names for units in files. The keys are in lower case. For example, `C` means degrees Celsius in files, but
coulomb in pint."""
_MAX_CHARACTERS = 60
"""Maximum length of units, in characters. Units come from files, and pint computes all powers in the units."""
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_EXPONENT = re.compile(
    r"\s*(\(\s*[-+]?\d{1,2}(\.\d{1,3}|\s*/\s*\d{1,2})?\s*\)|[-+]?\d{1,2}(\.\d{1,3})?)(?!\s*\*\*|[\w.])"
)
"""A number of one or two digits, or a fraction of such numbers in parentheses."""


@dataclass(frozen=True, config=STEP_CONFIG)
class Convert(StepSettings):
    """Convert units."""

    step: ClassVar[str] = "convert"
    requires: ClassVar[tuple[str, ...]] = ("pint",)
    option: ClassVar[Option] = Option(
        "FROM:TO", "Convert units, such as mm:inch. TO alone converts from the units of the raster."
    )

    units: Text
    """Units of the result."""
    from_units: Text | None = None
    """Units of the raster. By default, the units in its metadata."""

    @classmethod
    def parse(cls, text: str) -> dict[str, Any]:
        """Return settings from `FROM:TO` or `TO`."""
        before, _, after = text.rpartition(":")
        return {"units": after, **({"from_units": before} if before else {})}

    def add_to(self, plan: Plan) -> None:
        """Add the conversion. By default, convert each band from the units that it has at this point of the plan."""
        units = plan.band_units() if self.from_units is None else (self.from_units,)
        plan.add_operation(_conversion(units, self.units, plan.main.path))


@dataclass(frozen=True, config=STEP_CONFIG)
class BandScales(Operation):
    """A scale and an offset for each band."""

    scales: tuple[Scale, ...]

    def describe(self, description: Mapping[str, object]) -> dict[str, object]:
        """Return the description with the new units, which all bands share."""
        return self.scales[0].describe(description)

    def apply(self, values: Values, context: BlockContext) -> Values:
        """Return the scaled values."""
        bands = [scale.apply(band, context) for scale, band in zip(self.scales, values, strict=True)]
        return np.stack(bands)


def _conversion(units: Sequence[str], target: str, path: Path) -> Operation:
    """Return the conversion of bands, one unit for each band, or one unit for all bands."""
    if len(set(units)) == 1:
        return convert(units[0], target)
    try:
        return BandScales(tuple(convert(own, target) for own in units))
    except ConfigError as error:
        raise ConfigError(
            f"{path}: its bands have different units ({', '.join(sorted(set(units)))}); give the units to convert "
            f"from, or choose a band with an expression first: {error}"
        ) from None


def convert(source: str, target: str) -> Scale:
    """Return the conversion between two units (https://pint.readthedocs.io).

    Raises
    ------
    ConfigError
        If pint does not know the units, they have different dimensions, or the conversion is not linear.

    Examples
    --------
    >>> convert("K", "degC").offset
    -273.15
    """
    import pint  # noqa: PLC0415 (slow to import, optional)

    registry = _unit_registry()
    try:
        old, new = (registry.Unit(_pint_name(text)) for text in (source, target))
        with np.errstate(all="ignore"):
            zero, one, two = (float(registry.Quantity(value, old).to(new).magnitude) for value in (0.0, 1.0, 2.0))
    except ConfigError as error:
        raise ConfigError(f"convert {source[:_MAX_CHARACTERS]}:{target[:_MAX_CHARACTERS]}: {error}") from None
    except pint.UndefinedUnitError as error:
        raise ConfigError(f"convert {source}:{target}: {error}") from None
    except Exception as error:  # pint's parser raises many types of errors
        raise ConfigError(f"convert {source}:{target}: {error or type(error).__name__}") from None
    if not math.isclose(two - one, one - zero, rel_tol=1e-9, abs_tol=1e-9 * abs(zero)):
        raise ConfigError(
            f"convert {source}:{target}: the conversion is not linear (logarithmic units?); use an expression step"
        )
    if not (math.isfinite(zero) and math.isfinite(one - zero)):
        raise ConfigError(f"convert {source}:{target}: the factor is not a finite number")
    return Scale(one - zero, zero, target)


@cache
def _unit_registry() -> Any:
    """Return pint's units. Making them takes 0.2 s, so they are made once."""
    import pint  # noqa: PLC0415

    return pint.UnitRegistry()


def _pint_name(text: str) -> str:
    """Convert units in the notation of files, such as `kg m-2` or `C`, to the notation of pint."""
    name = text.strip().strip("[]").replace("^", "**")
    if not name:
        raise ConfigError("the raster states no units; give them as FROM:TO, or as from_units in the settings")
    if len(name) > _MAX_CHARACTERS:
        raise ConfigError(f"these units have more than {_MAX_CHARACTERS} characters")
    if name.lower() in _ALIASES:
        return _ALIASES[name.lower()]
    name = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺]+", lambda found: "**" + found[0].translate(_SUPERSCRIPTS), name)
    name = re.sub(r"(?<![\d.])([A-Za-z])([-+]?\d+)\b", r"\1**\2", name)
    _check_powers(name)
    return name


def _check_powers(name: str) -> None:
    """Refuse powers of powers and large powers. Pint would compute them for a very long time."""
    plain = all(_EXPONENT.match(name, power.end()) for power in re.finditer(r"\*\*", name))
    nested = re.search(r"\(.*\*\*.*\)\s*\*\*", name)
    if not plain or nested:
        raise ConfigError(
            f"{name!r}: exponents must be numbers of one or two digits, and powers of powers are not allowed"
        )
