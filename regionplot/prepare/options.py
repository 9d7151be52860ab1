"""Describe command-line options of raster steps, and parse their values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from regionplot.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Option:
    """The option of `regionplot prepare` that adds a step, such as `--focal`."""

    metavar: str
    """Name of the value in the help text."""
    help: str
    default: str | None = None
    """Value for an option without a value, such as `--slope`. None if a value is required."""
    pattern: str = ""
    """Regular expression for the values of an option with a default. It detects a value that is given without `=`."""


@dataclass(frozen=True, slots=True)
class Modifier:
    """A further option of `regionplot prepare`, such as `--layer`. It sets one key of each step with this modifier."""

    name: str
    """Name of the option, without `--`."""
    key: str
    """Key of the settings that the option sets."""
    help: str
    metavar: str | None = None
    """Name of the value in the help text. None for an option without a value."""


def number_or_text(text: str) -> float | str:
    """Return a number, or the text if it is not a number. The validation of the settings then reports the text."""
    try:
        return float(text)
    except ValueError:
        return text


def split_value(text: str, names: Sequence[str], numbers: Sequence[str] = ()) -> dict[str, Any]:
    """Split a value such as `A:B`, and return its parts by name. Empty and missing parts are left out.

    Parameters
    ----------
    text : str
        Value of an option.
    names : sequence of str
        Key of each part, in order.
    numbers : sequence of str
        Keys whose values are numbers.

    Raises
    ------
    ConfigError
        If there are more parts than names.

    Examples
    --------
    >>> split_value("0.1:3", ("scale", "offset"), numbers=("scale", "offset"))
    {'scale': 0.1, 'offset': 3.0}
    """
    parts = text.split(":")
    if len(parts) > len(names):
        raise ConfigError(f"the value has more than {len(names)} parts; write {':'.join(names).upper()}")
    given = {name: part for name, part in zip(names, parts, strict=False) if part}
    return {name: number_or_text(part) if name in numbers else part for name, part in given.items()}
