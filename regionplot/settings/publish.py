"""The `[publish]` section."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from regionplot.settings.base import NOT_IN_DIGEST, Section, Text
from regionplot.settings.condition import Condition, check_condition, parse_condition


class PublishSettings(Section):
    """Checks of the data before a map is published, and the condition for drawing a map."""

    min_valid: Annotated[float, Field(ge=0, le=1)] | None = None
    """Minimum share of the pixels of the region that must show data, from 0 to 1."""
    min_value: float | None = None
    """Smallest plausible value, in the units of the color scale. A smaller value in the region fails the check."""
    max_value: float | None = None
    """Largest plausible value, in the units of the color scale. A larger value in the region fails the check."""
    blank: Literal["allow", "hold"] = "allow"
    """`hold`: a region fails the check if it has no data, or if all its pixels with data have the same color."""
    repeated: Literal["allow", "hold"] = "allow"
    """`hold`: a region fails the check if its cells are those of the last published map, although the raster is
    new."""
    when: Annotated[Text, AfterValidator(check_condition)] | None = None
    """Condition for drawing a map, such as `max > 25`. The names are count, valid, min, max, mean, and percentiles
    such as p90. Regions for which the condition is false are skipped."""
    no_event: Annotated[Literal["remove", "keep"], NOT_IN_DIGEST] = "remove"
    """Old map of a region that `when` skips: `remove` it or `keep` it."""

    @model_validator(mode="after")
    def _has_ordered_limits(self) -> PublishSettings:
        if self.min_value is not None and self.max_value is not None and self.min_value > self.max_value:
            raise ValueError(f"min_value ({self.min_value:g}) is larger than max_value ({self.max_value:g}); swap them")
        return self

    @property
    def condition(self) -> Condition | None:
        """The condition of `when`. None if all maps are drawn."""
        return None if self.when is None else parse_condition(self.when)

    @property
    def is_active(self) -> bool:
        """True if a key of this section asks for a check."""
        return self.when is not None or self.has_checks

    @property
    def has_checks(self) -> bool:
        """True if a map can be held back."""
        limits = (self.min_valid, self.min_value, self.max_value)
        return any(limit is not None for limit in limits) or "hold" in (self.blank, self.repeated)

    @property
    def keys_of_values(self) -> list[str]:
        """The keys that compare values, which packed colors do not have."""
        keys = [key for key in ("min_value", "max_value") if getattr(self, key) is not None]
        condition = self.condition
        return [*keys, "when"] if condition and condition.names - {"count", "valid"} else keys
