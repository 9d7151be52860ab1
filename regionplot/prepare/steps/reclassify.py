"""Reclassify: map ranges of values to classes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from regionplot.blocks.values import Values
from regionplot.errors import ConfigError
from regionplot.prepare.base import BlockContext, Operation

MISSING = "missing"


KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Rule:
    """What values of a class become."""

    low: float
    """The class's least value."""
    high: float
    """The class ends before this value; if it is `low`, that one value is the class."""
    new: float
    """NaN makes them missing."""

    @classmethod
    def parse(cls, text: str) -> Rule:
        """A rule from `LOW:HIGH=NEW` (from LOW to below HIGH; either may be left out) or `OLD=NEW`.

        Raises
        ------
        ConfigError
            If it is neither.

        Examples
        --------
        >>> Rule.parse("10:20 = 2")
        Rule(low=10.0, high=20.0, new=2.0)
        """
        old, equals, new = text.partition("=")
        low, colon, high = old.partition(":")
        try:
            value = math.nan if new.strip() == MISSING else _finite(new)
            if not colon:
                return cls(_finite(old), _finite(old), value)
            bounds = _finite(low) if low.strip() else -math.inf, _finite(high) if high.strip() else math.inf
        except ValueError:
            equals = ""
        if not equals:
            raise ConfigError(f"{text!r} is no rule; write LOW:HIGH=NEW, OLD=NEW, or ...={MISSING}")
        if not bounds[0] < bounds[1]:
            raise ConfigError(f"{text!r}: {bounds[0]:g} is not less than {bounds[1]:g}")
        return cls(*bounds, value)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


@dataclass(frozen=True)
class Reclassify(Operation):
    """New values for classes of old ones; the first rule that fits counts."""

    rules: tuple[Rule, ...]
    otherwise: float | None = None
    """What values become that fit no rule: None keeps them, NaN makes them missing. Missing cells stay so."""

    @classmethod
    def parse(cls, rules: Sequence[str]) -> Reclassify:
        """From the texts of rules; the last may be `else=NUMBER`, `else=keep` or `else=missing`.

        Raises
        ------
        ConfigError
            If one is no rule.
        """
        found, otherwise = [], None
        for number, text in enumerate(rules, 1):
            name, _, value = (part.strip() for part in text.partition("="))
            if name != "else":
                found.append(Rule.parse(text))
            elif number != len(rules):
                raise ConfigError(f"{text!r} must be the last rule")
            elif value != KEEP:
                otherwise = Rule.parse(f"0={value}").new
        if not found:
            raise ConfigError("reclassify needs one rule at least, like 0:10=1")
        return cls(tuple(found), otherwise)

    def describe(self, description: Mapping[str, object]) -> dict[str, object]:
        """See `Operation`; classes have no units."""
        return {**description, "units": ""}

    def apply(self, values: Values, site: BlockContext) -> Values:
        """See `Operation`."""
        result = values.copy() if self.otherwise is None else np.full_like(values, self.otherwise)
        for rule in reversed(self.rules):
            exact = rule.low == rule.high
            fits = values == values.dtype.type(rule.low) if exact else (values >= rule.low) & (values < rule.high)
            result[fits] = rule.new
        result[np.isnan(values)] = np.nan
        return result
