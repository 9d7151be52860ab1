"""Plan steps as passes over blocks. All errors in the steps are found before the first block is read.

Steps that need no new grid are done in one stage: a block is read once and written once. Between stages there are
temporary files beside the output.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from regionplot.blocks.grid import BlockGrid
from regionplot.blocks.values import BandReader, Storage
from regionplot.errors import ConfigError, located
from regionplot.geo.crs import parse_crs
from regionplot.inputs.describe import inspect_raster
from regionplot.prepare.base import Operation
from regionplot.prepare.chain import Chain
from regionplot.prepare.inputs import Input
from regionplot.prepare.stages import DEFAULT_BLOCK, Stage, copy_input, count_values
from regionplot.prepare.steps.accumulate import Accumulate, Accumulation
from regionplot.prepare.steps.convert import Linear, convert
from regionplot.prepare.steps.expression import Expression
from regionplot.prepare.steps.focal import Focal
from regionplot.prepare.steps.mask import MaskByVector
from regionplot.prepare.steps.reclassify import Reclassify
from regionplot.prepare.steps.terrain import Hillshade, Slope
from regionplot.prepare.steps.warp import Warp, target_geometry
from regionplot.settings.raster import RasterSettings
from regionplot.settings.steps import (
    AccumulateStep,
    ConvertStep,
    ExpressionStep,
    FocalStep,
    HillshadeStep,
    MaskStep,
    ReclassifyStep,
    ScaleStep,
    SlopeStep,
    Step,
    WarpStep,
)

_STEPS_TAG = "REGIONPLOT_STEPS"


class Plan:
    """Steps as stages; all that can be wrong with them is found before the first block is read."""

    def __init__(self, inputs: Sequence[Input], temporary: Path, stack: ExitStack, *, whole: bool) -> None:
        self._temporary, self._stack = temporary, stack
        self._copies: list[tuple[BandReader, Path]] = []
        self._stages: list[Stage] = []
        self._pending: list[Operation] = []
        self.sources = {item.name: self._plain(BandReader.of(item.settings, whole=whole)) for item in inputs}
        self.description: dict[str, object] = dict(self._main.bands[0].description)
        self._first = self._main
        self._own_steps = False
        """Whether a step was done to the first input only."""

    @property
    def _main(self) -> BandReader:
        return next(iter(self.sources.values()))

    def stages(self, steps: Sequence[Step], storage: Mapping[str, Any]) -> list[Stage]:
        """All stages; the last one writes the result, as it is to be stored.

        Raises
        ------
        RegionplotError
            If a step cannot be done, with its number.
        """
        for number, step in enumerate(steps, 1):
            with located(step=number, step_name=step.step):
                self._add(step)
        self._chain(always=not self._stages or self._stages[-1].output != self._main.path)
        last = self._stages[-1]
        kept = Storage(**{"dtype": last.function.storage.dtype, **storage})
        self._stages[-1] = replace(last, function=replace(last.function, storage=kept), output=self._temporary)
        return self._stages

    def _add(self, step: Step) -> None:
        if isinstance(step, WarpStep):
            self._warp(step)
        elif isinstance(step, AccumulateStep) and len(self.sources) > 1:
            self._accumulate(Accumulate(step.how))
        else:
            self._operate(operation_of(step, self._units_for(step)))

    def _units_for(self, step: Step) -> str:
        """The units that a step finds."""
        units = {str(info.description.get("units", "")) for info in self._main.bands}
        if isinstance(step, ConvertStep) and not step.from_units and not self._pending and len(units) > 1:
            raise ConfigError(
                f"{self._main.path}: its bands are in {', '.join(sorted(units))}; name those to convert "
                "from, or choose a band with an expression first"
            )
        return str(self.description.get("units", ""))

    def copy_out(self) -> None:
        """Copy variables out of files that hold several."""
        for source, path in self._copies:
            copy_input(source, path)

    def labels(self, steps: Sequence[Step], tag: str, key: str) -> dict[str, Any]:
        """What the result says of itself, so that maps name it as they would name its source."""
        count, said = self._stages[-1].function.count, self.description
        moment = said.get("time")
        tags = {
            tag: key,
            _STEPS_TAG: json.dumps(
                [step.model_dump(mode="json", exclude_defaults=True) for step in steps], default=str
            ),
            "GRIB_ELEMENT": str(said.get("variable", "")),
            **({"VALID_TIME": moment.strftime("%Y-%m-%d %H:%M:%S")} if isinstance(moment, datetime) else {}),
        }
        return {"tags": tags, "units": self._said("units", count), "descriptions": self._said("long_name", count)}

    def _said(self, key: str, count: int) -> tuple[str, ...]:
        """What is said of each band: what its own band in the raster says, if no step has said otherwise."""
        own = [str(info.description.get(key, "")) for info in self._first.bands]
        said = str(self.description.get(key, ""))
        return tuple(own) if count == len(own) and said == own[0] else (said,) * count

    def _operate(self, operation: Operation) -> None:
        others = {name: len(source.bands) for name, source in list(self.sources.items())[1:]}
        if isinstance(operation, Expression):
            operation.check_others(others)
        count = len(self._main.bands)
        for earlier in self._pending:
            count = earlier.bands(count)
        operation.bands(count)
        self._own_steps = True
        self._pending.append(operation.on(self._main.geometry))
        self.description = operation.describe(self.description)

    def _chain(self, *, always: bool = False) -> None:
        """Make a stage of the operations that wait for one."""
        if not (self._pending or always):
            return
        (name, main), *others = self.sources.items()
        formulas = [operation for operation in self._pending if isinstance(operation, Expression)]
        asked = {band.rpartition("_")[0] for formula in formulas for band in formula.names}
        used = {other: source for other, source in others if other in asked}
        _check_alike(main, used)
        function = Chain(main, tuple(self._pending), Storage(main.dtype.name), tuple(used.items()))
        self._pending = []
        self.sources[name] = self._stage(function, [main, *used.values()])

    def _accumulate(self, operation: Accumulate) -> None:
        sources = list(self.sources.values())
        if self._own_steps:
            raise ConfigError(
                "the steps before it are done to the first input only; accumulate first, or prepare each by itself"
            )
        units = {str(source.bands[0].description.get("units", "")) for source in sources}
        if len(units) > 1:
            raise ConfigError(f"the inputs are in different units: {', '.join(sorted(map(repr, units)))}")
        _check_alike(sources[0], dict(list(self.sources.items())[1:]))
        if unlike := [source.path for source in sources if len(source.bands) != len(sources[0].bands)]:
            raise ConfigError(f"{unlike[0]}: all that is accumulated must have the same number of bands")
        function = Accumulation(tuple(sources), operation, Storage(sources[0].dtype.name))
        self.sources = {next(iter(self.sources)): self._stage(function, sources)}
        self.description = operation.describe({**self.description, **_latest(sources)})

    def _warp(self, step: WarpStep) -> None:
        """All inputs onto the new grid, so that expressions may join them there."""
        self._chain()
        like = None if step.like is None else inspect_raster(RasterSettings(path=step.like)).geometry
        sides = (step.resolution,) * 2 if isinstance(step.resolution, float) else step.resolution
        crs = None if step.crs is None else parse_crs(step.crs)
        target = target_geometry(self._main.geometry, crs, sides, like)
        for name, source in self.sources.items():
            plain = self._without_mask(source)
            function = Warp(plain, target, step.method, Storage(plain.dtype.name))
            grid = BlockGrid(target.height, target.width, DEFAULT_BLOCK, DEFAULT_BLOCK)
            self.sources[name] = self._stage(function, [plain], grid)

    def _without_mask(self, source: BandReader) -> BandReader:
        if not any(info.has_mask for info in source.bands):
            return source
        return self._stage(Chain(source, (), Storage(source.dtype.name)), [source])

    def _stage(
        self, function: Chain | Warp | Accumulation, sources: Sequence[BandReader], grid: BlockGrid | None = None
    ) -> BandReader:
        path = self._temporary_file()
        self._stages.append(Stage(function, tuple(source.path for source in sources), path, grid))
        geometry = function.target if isinstance(function, Warp) else sources[0].geometry
        return count_values(path, sources[0], geometry, function.count)

    def _plain(self, source: BandReader) -> BandReader:
        """A source that is a file of its own."""
        if not source.is_subdataset:
            return source
        path = self._temporary_file()
        self._copies.append((source, path))
        return count_values(path, source, source.geometry, len(source.bands))

    def _temporary_file(self) -> Path:
        number = len(self._stages) + len(self._copies)
        name, _, run = self._temporary.name.removesuffix(".tmp").rpartition(".")
        path = self._temporary.with_name(f"{name}.{number}.{run}.tmp")
        self._stack.callback(path.unlink, missing_ok=True)
        return path


def _latest(sources: Sequence[BandReader]) -> dict[str, object]:
    """The latest of their times, at which what is accumulated is complete."""
    times = [time for source in sources if isinstance(time := source.bands[0].description.get("time"), datetime)]
    return {"time": max(times)} if times else {}


def operation_of(step: Step, units: str = "") -> Operation:
    """The operation that a step names.

    Parameters
    ----------
    step : Step
        Any but those that need a new grid.
    units : str
        Those of the raster.

    Raises
    ------
    ConfigError
        If it cannot be done as asked.
    """
    match step:
        case ExpressionStep():
            return Expression(step.formula, step.long_name, step.units)
        case FocalStep():
            return Focal(step.kind, step.size, step.sigma, step.truncate, step.fill)
        case ReclassifyStep():
            return Reclassify.parse(step.rules)
        case MaskStep():
            return MaskByVector(step.path, step.keep, step.layer, step.crs, step.all_touched)
        case HillshadeStep():
            return Hillshade(step.azimuth, step.altitude, step.z_factor)
        case SlopeStep():
            return Slope(step.units, step.z_factor)
        case ConvertStep():
            return convert(step.from_units or units, step.units)
        case ScaleStep():
            return Linear(step.scale, step.offset, step.units)
        case AccumulateStep():
            return Accumulate(step.how)
    raise TypeError(f"{step!r} needs a new grid")


def _check_alike(main: BandReader, others: Mapping[str, BandReader]) -> None:
    """Cells are joined by their place in the grid."""
    geometry, problems = main.geometry, []
    tolerance = 1e-6 * abs(geometry.affine.determinant) ** 0.5
    for source in others.values():
        other = source.geometry
        same_place = other.affine.almost_equals(geometry.affine, tolerance)
        if (
            (other.height, other.width) != (geometry.height, geometry.width)
            or not same_place
            or other.crs != geometry.crs
        ):
            problems.append(
                f"{source.path}: its grid is not that of {main.path}; bring them onto one with a resample step"
            )
    if problems:
        raise ConfigError(*problems)
