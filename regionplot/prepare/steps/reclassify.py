"""Reclassify: map ranges of values to classes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from regionplot.blocks.values import Values
from regionplot.prepare.base import STEP_CONFIG, BlockContext, Operation, StepSettings
from regionplot.prepare.options import Option
from regionplot.settings.base import Text

MISSING = "missing"
KEEP = "keep"


class Rule(NamedTuple):
    """A range of values, and the new value for the range."""

    low: float
    """Lowest value of the range."""
    high: float
    """Upper limit of the range, excluded. If it equals `low`, the range is this single value."""
    new: float
    """New value. NaN makes the cells missing."""

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Return the rule for `LOW:HIGH=NEW` or `OLD=NEW`. Either LOW or HIGH can be left out, or both.

        Raises
        ------
        ValueError
            If the text is not a rule.

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
            raise ValueError(f"{text!r} is not a rule; write LOW:HIGH=NEW, OLD=NEW, or ...={MISSING}")
        if not bounds[0] < bounds[1]:
            raise ValueError(f"{text!r}: {bounds[0]:g} is not less than {bounds[1]:g}; swap the limits")
        return cls(*bounds, value)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


@dataclass(frozen=True, config=STEP_CONFIG)
class Reclassify(StepSettings, Operation):
    """Replace values according to rules. The first rule that matches is used. Missing cells stay missing.

    Raises
    ------
    ValueError
        If a text is not a rule, or `else` is not the last rule.
    """

    step: ClassVar[str] = "reclassify"
    option: ClassVar[Option] = Option("RULES", "Replace values, such as '0:10=1,10:20=2,99=missing,else=keep'.")

    rules: Annotated[tuple[Text, ...], Field(strict=False, min_length=1)]
    """`LOW:HIGH=NEW` or `OLD=NEW`. The last rule can be `else=NUMBER`, `else=keep` or `else=missing`."""

    def __post_init__(self) -> None:
        _ = self.parsed

    @classmethod
    def parse(cls, text: str) -> dict[str, Any]:
        """Return settings from rules that are separated by commas."""
        return {"rules": text.split(",")}

    @cached_property
    def parsed(self) -> tuple[tuple[Rule, ...], float | None]:
        """The rules, and the new value for values without a rule. None keeps such values. NaN makes them missing."""
        found, otherwise = [], None
        for number, text in enumerate(self.rules, 1):
            name, _, value = (part.strip() for part in text.partition("="))
            if name != "else":
                found.append(Rule.parse(text))
            elif number != len(self.rules):
                raise ValueError(f"{text!r} must be the last rule")
            elif value != KEEP:
                otherwise = Rule.parse(f"0={value}").new
        if not found:
            raise ValueError("reclassify needs at least one rule, such as 0:10=1")
        return tuple(found), otherwise

    def describe(self, description: Mapping[str, object]) -> dict[str, object]:
        """Return the description without units."""
        return {**description, "units": ""}

    def apply(self, values: Values, context: BlockContext) -> Values:
        """Return the new values."""
        rules, otherwise = self.parsed
        result = values.copy() if otherwise is None else np.full_like(values, otherwise)
        for rule in reversed(rules):
            exact = rule.low == rule.high
            fits = values == values.dtype.type(rule.low) if exact else (values >= rule.low) & (values < rule.high)
            result[fits] = rule.new
        result[np.isnan(values)] = np.nan
        return result
