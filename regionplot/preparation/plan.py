"""Steps as stages over blocks; all that can be wrong with them is found before the first block is read.

Steps that need no new grid are done in one stage: a block is read once and written once. Between stages there are
temporary files beside the output.
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from regionplot.blocks.chain import Chain
from regionplot.blocks.grid import BlockGrid
from regionplot.blocks.operations import (
    Accumulate,
    Accumulation,
    Expression,
    Focal,
    Hillshade,
    Linear,
    MaskByVector,
    Operation,
    Reclassify,
    Slope,
    Warp,
    convert,
    target_geometry,
)
from regionplot.blocks.values import Source, Storage
from regionplot.config import RasterSettings, read_config
from regionplot.errors import ConfigError, InputError, RasterError, RegionplotError
from regionplot.grid import GridGeometry, Window
from regionplot.projections import parse_crs
from regionplot.raster import RasterInfo, bands_on_regular_grid, inspect_raster
from regionplot.steps import (
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
_BLOCK = 512


@dataclass(frozen=True)
class Input:
    """A raster, and what expressions call it."""

    name: str
    settings: RasterSettings

    @classmethod
    def parse(cls, text: str | Path) -> Input:
        """From `PATH` or `NAME=PATH`; else the file's stem is the name, with `_` for what a name cannot hold.

        Raises
        ------
        InputError
            If there is no such file.
        """
        name, equals, path = str(text).partition("=")
        if not (equals and re.fullmatch(r"[A-Za-z]\w*", name)) or Path(text).exists():
            name, path = "", str(text)
        try:
            settings = read_config({"raster": {"path": path}}).raster
        except InputError as error:
            raise InputError(
                *(problem.removeprefix("settings: [raster] path: ") for problem in error.problems)
            ) from None
        stem = re.sub(r"\W|_+", "_", Path(path).stem, flags=re.ASCII).strip("_")
        return cls(name or (stem if stem[:1].isalpha() and not keyword.iskeyword(stem) else f"in_{stem}"), settings)


@dataclass(frozen=True)
class Stage:
    """One pass over blocks."""

    function: Chain | Warp | Accumulation
    inputs: tuple[Path, ...]
    output: Path
    grid: BlockGrid | None = None
    """The target's, where it is not that of the first input."""


def profile_of(stage: Stage) -> dict[str, Any]:
    """Of a stage's output, as `process_blocks` takes it."""
    function = stage.function
    geometry = function.target if isinstance(function, Warp) else _first(function).geometry
    storage = function.storage
    floats = np.dtype(storage.dtype).kind == "f"
    return {
        "height": geometry.height,
        "width": geometry.width,
        "transform": geometry.affine,
        "crs": geometry.crs.to_wkt(),
        "count": function.count,
        "dtype": storage.dtype,
        "nodata": storage.nodata,
        "tiled": True,
        "blockxsize": _BLOCK,
        "blockysize": _BLOCK,
        "compress": "deflate",
        "zlevel": 1,  # half the time of the usual level, for two percent more bytes
        "predictor": 3 if floats else 2,
        "scales": (storage.scale,) * function.count,
        "offsets": (storage.offset,) * function.count,
    }


def _first(function: Chain | Warp | Accumulation) -> Source:
    return function.sources[0] if isinstance(function, Accumulation) else function.source


class Plan:
    """Steps as stages; all that can be wrong with them is found before the first block is read."""

    def __init__(self, inputs: Sequence[Input], temporary: Path, stack: ExitStack, *, whole: bool) -> None:
        self._temporary, self._stack = temporary, stack
        self._copies: list[tuple[Source, Path]] = []
        self._stages: list[Stage] = []
        self._pending: list[Operation] = []
        self.sources = {item.name: self._plain(Source.of(item.settings, whole=whole)) for item in inputs}
        self.description: dict[str, object] = dict(self._main.bands[0].description)
        self._first = self._main
        self._own_steps = False
        """Whether a step was done to the first input only."""

    @property
    def _main(self) -> Source:
        return next(iter(self.sources.values()))

    def stages(self, steps: Sequence[Step], storage: Mapping[str, Any]) -> list[Stage]:
        """All stages; the last one writes the result, as it is to be stored.

        Raises
        ------
        RegionplotError
            If a step cannot be done, with its number.
        """
        for number, step in enumerate(steps, 1):
            try:
                self._add(step)
            except RegionplotError as error:
                error.args = tuple(f"step {number} ({step.step}): {problem}" for problem in error.problems)
                raise
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
            _copy(source, path)

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
            grid = BlockGrid(target.height, target.width, _BLOCK, _BLOCK)
            self.sources[name] = self._stage(function, [plain], grid)

    def _without_mask(self, source: Source) -> Source:
        if not any(info.has_mask for info in source.bands):
            return source
        return self._stage(Chain(source, (), Storage(source.dtype.name)), [source])

    def _stage(
        self, function: Chain | Warp | Accumulation, sources: Sequence[Source], grid: BlockGrid | None = None
    ) -> Source:
        path = self._temporary_file()
        self._stages.append(Stage(function, tuple(source.path for source in sources), path, grid))
        geometry = function.target if isinstance(function, Warp) else sources[0].geometry
        return _values_in(path, sources[0], geometry, function.count)

    def _plain(self, source: Source) -> Source:
        """A source that is a file of its own."""
        if not source.is_subdataset:
            return source
        path = self._temporary_file()
        self._copies.append((source, path))
        return _values_in(path, source, source.geometry, len(source.bands))

    def _temporary_file(self) -> Path:
        number = len(self._stages) + len(self._copies)
        name, _, run = self._temporary.name.removesuffix(".tmp").rpartition(".")
        path = self._temporary.with_name(f"{name}.{number}.{run}.tmp")
        self._stack.callback(path.unlink, missing_ok=True)
        return path


def _latest(sources: Sequence[Source]) -> dict[str, object]:
    """The latest of their times, at which what is accumulated is complete."""
    times = [time for source in sources if isinstance(time := source.bands[0].description.get("time"), datetime)]
    return {"time": max(times)} if times else {}


def _values_in(path: Path, source: Source, geometry: GridGeometry, count: int) -> Source:
    """A source for a file of values that a stage will have written."""
    first = source.bands[0]
    info = RasterInfo(
        path, str(path), "GTiff", None, 1, geometry, source.dtype, np.nan, 1.0, 0.0, has_mask=False, decode=True,
        description=first.description,
    )  # fmt: skip
    return Source(tuple(replace(info, band=band) for band in range(1, count + 1)))


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


def _check_alike(main: Source, others: Mapping[str, Source]) -> None:
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


def _copy(source: Source, path: Path) -> None:
    """A variable of a file that holds several, as a file of values."""
    import rasterio  # noqa: PLC0415

    geometry, storage = source.geometry, Storage(source.dtype.name)
    profile = {
        "driver": "GTiff", "height": geometry.height, "width": geometry.width, "count": len(source.bands),
        "dtype": storage.dtype, "nodata": storage.nodata, "crs": geometry.crs.to_wkt(), "transform": geometry.affine,
    }  # fmt: skip
    try:
        with rasterio.open(path, "w", **profile) as target:
            if source.bands[0].geolocation is None:
                _copy_cells(source, storage, target)
            else:
                for number, values in enumerate(bands_on_regular_grid(source.bands), 1):
                    target.write(storage.encode(values), number)
    except (rasterio.errors.RasterioError, OSError) as error:
        raise RasterError(f"{source.path}: cannot be read as a raster: {error}") from error


def _copy_cells(source: Source, storage: Storage, target: Any) -> None:
    import rasterio  # noqa: PLC0415

    geometry, first = source.geometry, source.bands[0]
    with rasterio.open(first.source, driver=first.driver) as dataset:
        for row in range(0, geometry.height, _BLOCK):
            window = Window(row, 0, min(_BLOCK, geometry.height - row), geometry.width)
            values = source.read(dataset, window)
            target.write(storage.encode(values), window=((row, row + window.height), (0, window.width)))
