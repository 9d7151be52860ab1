"""Accumulate: combine the bands of a raster, or several rasters, into one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass

from regionplot.blocks.grid import Block
from regionplot.blocks.values import BandReader, Storage, Values
from regionplot.errors import ConfigError
from regionplot.geo.grid import GridGeometry
from regionplot.prepare.base import STEP_CONFIG, BlockContext, Operation, StepSettings
from regionplot.prepare.options import Option

if TYPE_CHECKING:
    from regionplot.prepare.plan import Plan

How = Literal["sum", "mean", "min", "max", "last"]


@dataclass(frozen=True, config=STEP_CONFIG)
class Accumulate(StepSettings, Operation):
    """Combine all inputs into one raster, or all bands of a single input into one band.

    The result is the sum, mean, minimum, maximum or last valid value. A cell is missing if it is missing in all inputs
    or bands. Sums are in double precision, in the order of the inputs.
    """

    step: ClassVar[str] = "accumulate"
    reads_all_bands: ClassVar[bool] = True
    option: ClassVar[Option] = Option(
        "HOW", "Combine all inputs, or all bands of one input: sum, mean, min, max or last."
    )

    how: How = "sum"
    """Statistic; `last` is the last valid value."""

    @classmethod
    def parse(cls, text: str) -> dict[str, Any]:
        """Return settings from the name of the statistic."""
        return {"how": text}

    def add_to(self, plan: Plan) -> None:
        """Add a pass that combines all inputs. With a single input, add an operation on its bands."""
        sources = list(plan.sources.values())
        if len(sources) == 1:
            units = sorted(set(plan.band_units()))
            if len(units) > 1:
                raise ConfigError(
                    f"the bands are in different units: {', '.join(map(repr, units))}; convert them first"
                )
            plan.add_operation(self)
            return
        _check_sources(plan)
        function = Accumulation(tuple(sources), self, Storage(sources[0].dtype.name))
        plan.update_descriptions(_latest_time([source.bands[0].description for source in sources]))
        plan.sources = {next(iter(plan.sources)): plan.add_stage(function, sources)}

    def bands(self, count: int) -> int:
        """Return 1, because all bands are combined into one band."""
        return 1

    def merged(self, descriptions: Sequence[Mapping[str, object]]) -> Mapping[str, object]:
        """Return the description of the first band, with the latest time of all bands."""
        return {**descriptions[0], **_latest_time(descriptions)}

    def apply(self, values: Values, context: BlockContext) -> Values:
        """Return one band in double precision. It is rounded only when it is stored."""
        return self.combine(band[None] for band in values)

    def combine(self, layers: Iterable[Values]) -> NDArray[np.float64]:
        """Combine arrays of the same shape. Each array is released before the next one is read."""
        total: NDArray[np.float64] | None = None
        count: Any = 0
        for layer in layers:
            valid = ~np.isnan(layer)
            count = count + valid
            total = layer.astype(np.float64) if total is None else self._added(total, layer, valid)
        assert total is not None, "there is at least one layer"
        return np.where(count > 0, total / np.maximum(count, 1), np.nan) if self.how == "mean" else total

    def _added(self, total: NDArray[np.float64], layer: Values, valid: NDArray[np.bool_]) -> NDArray[np.float64]:
        if self.how in ("sum", "mean"):
            return np.where(valid, np.where(np.isnan(total), 0.0, total) + layer, total)
        if self.how == "last":
            return np.where(valid, layer, total)
        extreme = np.fmin if self.how == "min" else np.fmax
        return np.asarray(extreme(total, layer), np.float64)


def _check_sources(plan: Plan) -> None:
    sources = list(plan.sources.values())
    if plan.has_operations:
        raise ConfigError(
            "the steps before accumulate apply to the first input only; put accumulate first, or prepare each input "
            "separately"
        )
    units = {str(source.bands[0].description.get("units", "")) for source in sources}
    if len(units) > 1:
        listed = ", ".join(sorted(map(repr, units)))
        raise ConfigError(f"the inputs are in different units: {listed}; convert them first")
    plan.check_same_grid(plan.sources)
    if unlike := [source.path for source in sources if len(source.bands) != len(sources[0].bands)]:
        raise ConfigError(f"{unlike[0]}: all inputs must have the same number of bands")


def _latest_time(descriptions: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Return the latest time. The accumulation is complete at this time."""
    times = [time for description in descriptions if isinstance(time := description.get("time"), datetime)]
    return {"time": max(times)} if times else {}


@dataclasses.dataclass(frozen=True)
class Accumulation:
    """Combine rasters with the same grid, band by band: a function for `process_blocks` with `read="datasets"`."""

    sources: Sequence[BandReader]
    """The rasters, in order. The bands of a single raster are combined."""
    operation: Accumulate
    storage: Storage

    @property
    def halo(self) -> int:
        """Return 0: a cell does not depend on its neighbors."""
        return 0

    @property
    def count(self) -> int:
        """Number of bands of the result."""
        return 1 if len(self.sources) == 1 else len(self.sources[0].bands)

    @property
    def geometry(self) -> GridGeometry:
        """Geometry of the rasters and of the result."""
        return self.sources[0].geometry

    def profile(self, profile: Mapping[str, Any]) -> dict[str, Any]:
        """Return the rasterio profile of the result, derived from the profile of the first raster."""
        return {**profile, "dtype": self.storage.dtype, "nodata": self.storage.nodata, "count": self.count}

    def __call__(self, datasets: Sequence[Any], block: Block, arguments: object) -> NDArray[Any]:
        """Return one block of the result, encoded for storage."""
        return self.storage.encode(self.operation.combine(self._layers(datasets, block)))

    def _layers(self, datasets: Sequence[Any], block: Block) -> Iterator[Values]:
        """Yield one layer at a time, so that memory does not grow with the number of layers."""
        if len(self.sources) > 1:
            for source, dataset in zip(self.sources, datasets, strict=True):
                yield source.read(dataset, block.core)
            return
        for info in self.sources[0].bands:
            yield dataclasses.replace(self.sources[0], bands=(info,)).read(datasets[0], block.core)
