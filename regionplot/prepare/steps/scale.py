"""Scale: multiply by a factor and add an offset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from pydantic.dataclasses import dataclass

from regionplot.blocks.values import Values
from regionplot.prepare.base import STEP_CONFIG, BlockContext, Operation, StepSettings
from regionplot.prepare.options import Option, split_value
from regionplot.settings.base import Text


@dataclass(frozen=True, config=STEP_CONFIG)
class Scale(StepSettings, Operation):
    """Compute scale * value + offset, in double precision."""

    step: ClassVar[str] = "scale"
    option: ClassVar[Option] = Option("SCALE[:OFFSET]", "Compute SCALE * value + OFFSET.")

    scale: float = 1.0
    """Factor."""
    offset: float = 0.0
    """Number to add after scaling."""
    units: Text | None = None
    """Units of the result. By default, they do not change."""

    @classmethod
    def parse(cls, text: str) -> dict[str, Any]:
        """Return settings from `SCALE:OFFSET`."""
        return split_value(text, ("scale", "offset"), numbers=("scale", "offset"))

    def describe(self, description: Mapping[str, object]) -> dict[str, object]:
        """Return the description with the new units."""
        return dict(description) if self.units is None else {**description, "units": self.units}

    def apply(self, values: Values, context: BlockContext) -> Values:
        """Return the scaled values."""
        with np.errstate(over="ignore"):
            return (values.astype(np.float64) * self.scale + self.offset).astype(values.dtype)
