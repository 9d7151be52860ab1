"""Expression: combine bands with a formula. The formula is evaluated by numexpr, not by Python."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import AfterValidator
from pydantic.dataclasses import dataclass

from regionplot.blocks.values import Values
from regionplot.errors import ConfigError
from regionplot.geo.grid import GridGeometry
from regionplot.prepare.base import STEP_CONFIG, BlockContext, Operation, StepSettings
from regionplot.prepare.options import Option
from regionplot.prepare.steps.formula import check_formula, parse_formula
from regionplot.settings.base import Text


@dataclass(frozen=True, config=STEP_CONFIG)
class Expression(StepSettings, Operation):
    """Compute a formula over bands: `b1`, `b2` ... of the raster, `NAME.b1` or `NAME_b1` of further inputs.

    A formula can contain arithmetic, comparisons, `&`, `|`, `~` and functions of numexpr
    (https://numexpr.readthedocs.io). It is computed in double precision. A cell of the result is missing if its value
    is not finite. It is also missing if any band in the formula is missing there, unless the formula uses `isnan`.

    Raises
    ------
    ValueError
        If the formula has other parts, such as attributes, indices, strings or other functions, or is too long.

    Examples
    --------
    >>> sorted(Expression("(b4 - b3) / (b4 + b3)").names)
    ['b3', 'b4']
    """

    step: ClassVar[str] = "expression"
    requires: ClassVar[tuple[str, ...]] = ("numexpr",)
    reads_all_bands: ClassVar[bool] = True
    option: ClassVar[Option] = Option("FORMULA", "Combine bands, such as '(b4 - b3) / (b4 + b3)'.")

    formula: Annotated[Text, AfterValidator(check_formula)]
    """Formula over bands, such as `"b1 * 10 / 25.4"`."""
    long_name: Text | None = None
    """Name of the result. By default, the name of the raster."""
    units: Text | None = None
    """Units of the result. By default, none, because a formula does not state them."""

    def __getstate__(self) -> dict[str, object]:
        return {"formula": self.formula, "long_name": self.long_name, "units": self.units}

    @classmethod
    def parse(cls, text: str) -> dict[str, Any]:
        """Return settings from the formula."""
        return {"formula": text}

    @cached_property
    def _parsed(self) -> tuple[str, frozenset[str]]:
        return parse_formula(self.formula)

    @property
    def names(self) -> frozenset[str]:
        """Names of the bands in the formula. Bands of further inputs have names such as `NAME_b1`."""
        return self._parsed[1]

    @property
    def extra_inputs(self) -> frozenset[str]:
        """Names of the further inputs in the formula."""
        return frozenset(input_name for name in self.names if (input_name := name.rpartition("_")[0]))

    def bands(self, count: int) -> int:
        """Return 1. Check that the raster has the bands in the formula."""
        missing = sorted(name for name in self.names if "_" not in name and int(name[1:]) > count)
        if missing:
            raise ConfigError(f"{self.formula!r}: there is no {', '.join(missing)}; the bands are b1 to b{count}")
        return 1

    def check_extra_inputs(self, counts: Mapping[str, int]) -> None:
        """Check that further inputs have the bands in the formula."""
        known = {f"{name}_b{band}" for name, count in counts.items() for band in range(1, count + 1)}
        missing = sorted(name for name in self.names if "_" in name and name not in known)
        if missing:
            listed = ", ".join(sorted(known)[:20]) or "none"
            raise ConfigError(
                f"{self.formula!r}: there is no {', '.join(missing)}; the bands of further inputs are: {listed}"
            )

    def bind(self, geometry: GridGeometry) -> Operation:
        """Test the formula on two cells, so that errors of numexpr appear before a block is read."""
        try:
            _evaluate(self._parsed[0], dict.fromkeys(self.names, np.ones(2)))
        except Exception as error:  # numexpr and Python's evaluation of constants raise many types of errors
            raise ConfigError(f"{self.formula[:200]!r} cannot be evaluated: {error or type(error).__name__}") from None
        return self

    def describe(self, description: Mapping[str, object]) -> dict[str, object]:
        """Return the description with the name and units of the result."""
        long_name = description.get("long_name", "") if self.long_name is None else self.long_name
        return {**description, "long_name": long_name, "units": self.units or ""}

    def merged(self, descriptions: Sequence[Mapping[str, object]]) -> Mapping[str, object]:
        """Return the description of the first band in the formula."""
        numbers = [int(name[1:]) for name in self.names if "_" not in name]
        return descriptions[min(numbers, default=1) - 1]

    def apply(self, values: Values, context: BlockContext) -> Values:
        """Return one band: the value of the formula."""
        bands = {name: _band(name, values, context.extra_inputs) for name in self.names}
        result = np.broadcast_to(np.asarray(_evaluate(self._parsed[0], bands), np.float64), values.shape[1:])
        missing = ~np.isfinite(result)
        if "isnan" not in self.formula:
            for band in bands.values():
                missing |= np.isnan(band)
        return np.where(missing, np.nan, result)[None].astype(values.dtype)


def _evaluate(formula: str, bands: Mapping[str, Values]) -> object:
    """Return the value of a formula. The formula can use only the names in `bands`."""
    numexpr = _numexpr()
    doubles = {name: np.ascontiguousarray(band, np.float64) for name, band in bands.items()}
    return numexpr.evaluate(formula, local_dict=doubles, global_dict={}, sanitize=True, truediv=True)


def _numexpr() -> Any:
    """Import numexpr and limit it to one thread: there is one worker per CPU, and threads make a fork unsafe.

    If the host program also uses numexpr, the number of threads is changed only in worker processes.
    """
    is_ours = "numexpr" not in sys.modules or multiprocessing.parent_process() is not None
    import numexpr  # noqa: PLC0415 (a large optional dependency)

    if is_ours and numexpr.get_num_threads() != 1:
        numexpr.set_num_threads(1)
    return numexpr


def _band(name: str, values: Values, extra_inputs: Mapping[str, Values]) -> Values:
    source, _, band = name.rpartition("_")
    found: Values = (extra_inputs[source] if source else values)[int(band[1:]) - 1]
    return found
