"""Read the classes that CF attributes declare: `flag_values`, `flag_meanings` and `flag_colors`.

`flag_values` and `flag_meanings` are described in section 3.5 of the CF conventions
(https://cfconventions.org/Data/cf-conventions/cf-conventions-1.11/cf-conventions.html#flags). `flag_colors` is used by
many land cover products. It lists one `#rrggbb` per flag.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from regionplot.text import plain_text

_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_COLOR = re.compile(r"#[0-9a-fA-F]{6}\b")
_MAX_FLAGS = 1000
_DEFAULT_COLORS = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#595959",
    "#332288", "#88ccee", "#117733", "#ddcc77", "#882255", "#44aa99", "#aa4499", "#999933",
)  # fmt: skip
"""Colors of flags without `flag_colors`: the colors of Okabe and Ito (2008), then the muted colors of Paul Tol. Readers
with color blindness can tell the first eight apart."""
_DIMENSIONLESS = ("", "1")


@dataclass(frozen=True, slots=True)
class Flags:
    """The flags of a variable."""

    colors: Mapping[int, tuple[int, int, int, int]] = field(default_factory=dict)
    """Red, green, blue and opacity (0 to 255) of each value."""
    names: Mapping[int, str] = field(default_factory=dict)
    are_masks: bool = False
    """True if the values are combinations of bits (`flag_masks`), so that they are not classes."""


NO_FLAGS = Flags()


def flags_of(tags: Mapping[str, str], dtype: np.dtype[np.generic], units: str, valid: tuple[float, float]) -> Flags:
    """Return the flags of a variable.

    The result has no colors if the attributes declare no flags, if the lists have different lengths, or if the flags
    only mark special values of a quantity.

    Parameters
    ----------
    tags : mapping
        Attributes, as GDAL writes them: lists are in braces.
    dtype : dtype
        Type of the stored cells.
    units : str
        Units of the variable. A variable with units is a quantity.
    valid : (float, float)
        Smallest and largest valid stored value.
    """
    if units not in _DIMENSIONLESS or "flag_meanings" not in tags:
        return NO_FLAGS
    if "flag_masks" in tags:
        return Flags(are_masks=True)
    values = _whole_numbers(tags.get("flag_values", ""), dtype)
    names = tags["flag_meanings"].replace(",", " ").split()
    if not values or len(values) != len(names) or len(values) > _MAX_FLAGS or len(set(values)) < len(values):
        return NO_FLAGS
    if not any(valid[0] <= value <= valid[1] for value in values):  # the flags mark missing values of a quantity
        return NO_FLAGS
    given = _COLOR.findall(tags.get("flag_colors", ""))
    colors = given if len(given) == len(values) else [_default(number) for number in range(len(values))]
    return Flags(
        {value: _bytes(color) for value, color in zip(values, colors, strict=True)},
        {value: plain_text(name.replace("_", " ")) for value, name in zip(values, names, strict=True)},
    )


def _whole_numbers(text: str, dtype: np.dtype[np.generic]) -> list[int]:
    """Return the values in a list, or an empty list if a value is not whole.

    Signed values of an unsigned type are converted.
    """
    numbers = [float(number) for number in _NUMBER.findall(text)]
    if not all(number.is_integer() and abs(number) < 2**31 for number in numbers):
        return []
    size = 2 ** (8 * dtype.itemsize) if dtype.kind == "u" else 0
    return [int(number) + size if number < 0 else int(number) for number in numbers]


def _default(number: int) -> str:
    return _DEFAULT_COLORS[number % len(_DEFAULT_COLORS)]


def _bytes(color: str) -> tuple[int, int, int, int]:
    red, green, blue = bytes.fromhex(color[1:])
    return red, green, blue, 255
