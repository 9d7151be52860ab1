"""Define the interfaces of raster steps.

::

    [[prepare]] table, or option ─► Step (settings) ─► Step.add_to(plan) ─► Operation (blocks) or StageFunction (a pass)

For most steps, one class is both the step and its operation. It derives from `StepSettings` and `Operation`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter

from regionplot.blocks.grid import Block
from regionplot.blocks.values import Storage, Values
from regionplot.geo.dtypes import float_dtype
from regionplot.geo.grid import GridGeometry
from regionplot.prepare.options import Modifier, Option

if TYPE_CHECKING:
    from regionplot.prepare.plan import Plan

STEP_CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)
"""Configuration of the pydantic dataclasses of all steps: only known keys, exact types and finite numbers."""


class Step(Protocol):
    """A raster step: a pydantic dataclass whose fields are the keys of its `[[prepare]]` table.

    To add a step, write one file with such a class, and one line in `registry.STEPS` or an entry point of the group
    `regionplot.steps`.
    """

    step: ClassVar[str]
    """Name of the step in settings, on the command line and in the registry."""
    requires: ClassVar[tuple[str, ...]]
    """Libraries that the step imports. They are in the extra `prepare`."""
    reads_all_bands: ClassVar[bool]
    """True if the step reads all bands of a raster. Otherwise, `[raster] band` selects the band."""
    option: ClassVar[Option]
    """Option of `regionplot prepare`."""
    modifiers: ClassVar[tuple[Modifier, ...]]
    """Further options of `regionplot prepare` that change the step."""

    @classmethod
    def parse(cls, text: str) -> dict[str, Any]:
        """Parse the value of the command-line option, and return the settings of the step.

        Raises
        ------
        ConfigError
            If the value cannot be split into settings.
        """

    def files(self) -> Iterator[Path]:
        """Yield all input files. Their content is part of the digest of the result."""

    def add_to(self, plan: Plan) -> None:
        """Add operations or passes to a plan.

        Raises
        ------
        RegionplotError
            If the step cannot be applied to the rasters of the plan.
        """


class StepSettings:
    """Base class of steps. It has defaults for all members of `Step` except `step`, `option`, `parse` and `add_to`."""

    step: ClassVar[str]
    option: ClassVar[Option]
    requires: ClassVar[tuple[str, ...]] = ()
    reads_all_bands: ClassVar[bool] = False
    modifiers: ClassVar[tuple[Modifier, ...]] = ()

    def files(self) -> Iterator[Path]:
        """Yield the values of all fields that are paths."""
        yield from (value for value in vars(self).values() if isinstance(value, Path))


def table_of(step: Step) -> dict[str, Any]:
    """Return the `[[prepare]]` table of a step, in types that JSON supports."""
    return {"step": step.step, **TypeAdapter(type(step)).dump_python(step, mode="json")}


def table_without_defaults(step: Step) -> dict[str, Any]:
    """Return the `[[prepare]]` table of a step, without the keys that have their default value."""
    return {"step": step.step, **TypeAdapter(type(step)).dump_python(step, mode="json", exclude_defaults=True)}


@dataclass(frozen=True)
class BlockContext:
    """Position of a block in the grid, and the further inputs for this block."""

    block: Block
    """The block. Values cover its padded window."""
    geometry: GridGeometry
    """Geometry of the whole grid."""
    extra_inputs: Mapping[str, Values] = field(default_factory=dict)
    """Values of further inputs in the same window, by name."""


class Operation:
    """Base class of operations on blocks. An operation is immutable and can be pickled.

    The result for a cell can depend on its position in the grid and on the cells within `halo`. It must not depend on
    the borders of blocks, so a cell has the same result in any block. Cells beyond the edges of the grid are missing.
    """

    @property
    def halo(self) -> int:
        """Distance of the farthest cell that a result depends on, in cells."""
        return 0

    @property
    def extra_inputs(self) -> frozenset[str]:
        """Names of the further inputs that the operation reads."""
        return frozenset()

    def bands(self, count: int) -> int:
        """Return the number of bands of the result.

        Parameters
        ----------
        count : int
            Number of bands of the input.

        Raises
        ------
        ConfigError
            If the operation needs bands that do not exist.
        """
        return count

    def check_extra_inputs(self, counts: Mapping[str, int]) -> None:
        """Check that further inputs have the bands that the operation reads.

        Parameters
        ----------
        counts : mapping
            Number of bands of each further input, by name.

        Raises
        ------
        ConfigError
            If a band does not exist.
        """

    def bind(self, geometry: GridGeometry) -> Operation:
        """Return the operation for one grid, and load its data. Workers that are forked later inherit the data.

        Raises
        ------
        ConfigError, InputError
            If the operation does not work on this grid, or its data cannot be read.
        """
        return self

    def profile(self, profile: Mapping[str, Any]) -> dict[str, Any]:
        """Return the rasterio profile of the result. It is the input's profile in floating point, with nodata NaN."""
        dtype = float_dtype(np.dtype(profile["dtype"])).name
        return {**profile, "dtype": dtype, "count": self.bands(int(profile["count"])), "nodata": float("nan")}

    def describe(self, description: Mapping[str, object]) -> dict[str, object]:
        """Return the description of the result (`long_name`, `units`, `time` ...) from the description of the input."""
        return dict(description)

    def merged(self, descriptions: Sequence[Mapping[str, object]]) -> Mapping[str, object]:
        """Return the description of one band that is computed from several bands. By default, use the first band."""
        return descriptions[0]

    def apply(self, values: Values, context: BlockContext) -> Values:
        """Return the results in the padded window of a block. Results outside the core can be wrong.

        Parameters
        ----------
        values : ndarray, shape (bands, rows, columns)
            Values in the padded window, NaN if missing. The operation does not change this array.
        context : BlockContext
            Position of the block, and further inputs.
        """
        raise NotImplementedError

    def add_to(self, plan: Plan) -> None:
        """Add this operation to a plan. See `Step`."""
        plan.add_operation(self)

    def __call__(self, arrays: list[Values], block: Block, arguments: GridGeometry) -> Values:
        """Apply the operation to one block. `process_blocks` passes the geometry of the grid as `arguments`.

        This method is for rasters in floating point whose missing cells are NaN. Use `Chain` for all other rasters.
        """
        extra_inputs = {f"in{number}": array for number, array in enumerate(arrays[1:], 2)}
        return self.apply(arrays[0], BlockContext(block, arguments, extra_inputs))


class StageFunction(Protocol):
    """The function of one pass over blocks. It is a frozen dataclass. `process_blocks` calls it with open datasets."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def halo(self) -> int:
        """Cells to read around each block."""

    @property
    def count(self) -> int:
        """Number of bands of the result."""

    @property
    def geometry(self) -> GridGeometry:
        """Geometry of the result."""

    @property
    def storage(self) -> Storage:
        """Storage of the result. A plan replaces this field in the function of its last pass."""

    def __call__(self, datasets: Sequence[Any], block: Block, arguments: object) -> NDArray[Any]:
        """Return the result for the core of one block, encoded for storage."""
