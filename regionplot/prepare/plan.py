"""Plan steps as passes over blocks. All errors in the steps are found before the first block is read.

Steps that need no new grid share one pass: each block is read once and written once. A pass writes its result
to a temporary file next to the output, and later passes read this file.
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
from regionplot.prepare.base import Operation, StageFunction, Step, table_without_defaults
from regionplot.prepare.chain import Chain, check_bands
from regionplot.prepare.inputs import Bands, Input
from regionplot.prepare.stages import DEFAULT_BLOCK, Stage, extract_subdataset, reader_of_result

_STEPS_TAG = "REGIONPLOT_STEPS"
_TAGS = {"GRIB_ELEMENT": "variable", "VALID_TIME": "time", "REF_TIME": "reference_time", "LEVEL": "level"}
"""Tags of a result, and the fields of its description that they hold."""


class Plan:
    """The passes over blocks that apply a sequence of steps. Steps add to a plan with `add_operation` or `add_stage`.

    Parameters
    ----------
    inputs : sequence of Input
        The rasters. The steps turn the first raster into the result.
    temporary : Path
        File to write the result to.
    stack : ExitStack
        Stack that removes the temporary files.
    bands : Bands
        Bands of the inputs to read.
    """

    def __init__(self, inputs: Sequence[Input], temporary: Path, stack: ExitStack, bands: Bands) -> None:
        self._temporary, self._stack = temporary, stack
        read = BandReader.of if bands is Bands.ALL else BandReader.of_band
        self._extractions: list[tuple[BandReader, Path]] = []
        self._stages: list[Stage] = []
        self._pending: list[Operation] = []
        self.sources: dict[str, BandReader] = {item.name: self._own_file(read(item.settings)) for item in inputs}
        """Current rasters by name: the inputs, or the results of passes. In the end, the first raster is the result."""
        self.descriptions: list[Mapping[str, object]] = [info.description for info in self.main.bands]
        """Description of each band of the result: `long_name`, `units`, `time` ..."""
        self.has_operations = False
        """True if a step has added an operation, which applies to the first input only."""

    @property
    def main(self) -> BandReader:
        """The first raster in its current state. After the last step, it is the result."""
        return next(iter(self.sources.values()))

    def add_steps(self, steps: Sequence[Step]) -> None:
        """Add steps, in order.

        Raises
        ------
        RegionplotError
            If a step cannot be applied. The error contains the number of the step.
        """
        for number, step in enumerate(steps, 1):
            with located(step=number, step_name=step.step):
                step.add_to(self)

    def add_operation(self, operation: Operation) -> None:
        """Add an operation to the current pass.

        Raises
        ------
        ConfigError, InputError
            If the operation cannot be applied to the first raster.
        """
        check_bands(self.main, [*self._pending, operation], self._extra_inputs)
        self.has_operations = True
        self._pending.append(operation.bind(self.main.geometry))
        count = operation.bands(len(self.descriptions))
        is_same = count == len(self.descriptions)
        before = self.descriptions if is_same else [operation.merged(self.descriptions)] * count
        self.descriptions = [operation.describe(description) for description in before]

    def update_descriptions(self, changes: Mapping[str, object]) -> None:
        """Change the description of each band."""
        self.descriptions = [{**description, **changes} for description in self.descriptions]

    def add_stage(self, function: StageFunction, sources: Sequence[BandReader]) -> BandReader:
        """Add a pass, and return the reader of its result.

        Parameters
        ----------
        function : StageFunction
            Function that computes the blocks of the result.
        sources : sequence of BandReader
            Rasters that the function reads.
        """
        path, geometry = self._temporary_file(), function.geometry
        grid = None
        if geometry != sources[0].geometry:
            grid = BlockGrid(geometry.height, geometry.width, DEFAULT_BLOCK, DEFAULT_BLOCK)
        self._stages.append(Stage(function, tuple(source.path for source in sources), path, grid))
        return reader_of_result(path, sources[0], geometry, function.count)

    def finish_chain(self) -> None:
        """Add a pass for the operations that were added since the last pass, if there are any."""
        if self._pending:
            self._add_chain()

    def finish(self, storage: Mapping[str, Any]) -> list[Stage]:
        """Return all passes. The last pass writes the result.

        Parameters
        ----------
        storage : mapping
            Storage options of the result: `dtype`, `nodata`, `scale`, `offset`. Missing keys have default values.
        """
        if self._pending or not self._stages or self._stages[-1].output != self.main.path:
            self._add_chain()
        last = self._stages[-1]
        stored = Storage(**{"dtype": last.function.storage.dtype, **storage})
        self._stages[-1] = replace(last, function=replace(last.function, storage=stored), output=self._temporary)
        return self._stages

    def band_units(self) -> tuple[str, ...]:
        """Return the units of each band of the first raster at this point of the plan."""
        return tuple(str(description.get("units", "")) for description in self.descriptions)

    def without_mask(self, source: BandReader) -> BandReader:
        """Return a raster that GDAL can decode. If needed, add a pass that replaces missing cells with NaN."""
        if all(info.is_plain for info in source.bands):
            return source
        return self.add_stage(Chain(source, (), Storage(source.dtype.name)), [source])

    def check_same_grid(self, sources: Mapping[str, BandReader]) -> None:
        """Check that rasters have the grid of the first raster, because cells are combined by row and column.

        Raises
        ------
        ConfigError
            If a raster has another grid.
        """
        main = self.main
        problems = [
            f"{source.path}: its grid differs from the grid of {main.path}; use a resample step before this one"
            for source in sources.values()
            if source.geometry.differences(main.geometry)
        ]
        if problems:
            raise ConfigError(*problems)

    def extract_subdatasets(self) -> None:
        """Copy each input that blocks cannot be read from to a separate file."""
        for source, path in self._extractions:
            extract_subdataset(source, path)

    def labels(self, steps: Sequence[Step], tag: str, key: str) -> dict[str, Any]:
        """Return names, units and tags of the result. Titles of maps use them.

        Parameters
        ----------
        steps : sequence of Step
            The steps. They are stored in a tag.
        tag, key : str
            Name and value of a further tag.
        """
        bands = [_band_tags(description) for description in self.descriptions]
        common = dict(set(bands[0].items()).intersection(*(band.items() for band in bands)))
        steps_text = json.dumps([table_without_defaults(step) for step in steps], default=str)
        return {
            "tags": {tag: key, _STEPS_TAG: steps_text, **common},
            "band_tags": tuple({key: text for key, text in band.items() if key not in common} for band in bands),
            "units": self.band_units(),
            "descriptions": tuple(str(description.get("long_name", "")) for description in self.descriptions),
        }

    @property
    def _extra_inputs(self) -> dict[str, BandReader]:
        return dict(list(self.sources.items())[1:])

    def _add_chain(self) -> None:
        used_names = frozenset[str]().union(*(operation.extra_inputs for operation in self._pending))
        used = {name: source for name, source in self._extra_inputs.items() if name in used_names}
        self.check_same_grid(used)
        main = self.main
        function = Chain(main, tuple(self._pending), Storage(main.dtype.name), tuple(used.items()))
        self._pending = []
        self.sources[next(iter(self.sources))] = self.add_stage(function, [main, *used.values()])

    def _own_file(self, source: BandReader) -> BandReader:
        """Return a reader of a file that holds only this raster."""
        if not source.needs_copy:
            return source
        path = self._temporary_file()
        self._extractions.append((source, path))
        return reader_of_result(path, source, source.geometry, len(source.bands))

    def _temporary_file(self) -> Path:
        number = len(self._stages) + len(self._extractions)
        name, _, run = self._temporary.name.removesuffix(".tmp").rpartition(".")
        path = self._temporary.with_name(f"{name}.{number}.{run}.tmp")
        self._stack.callback(path.unlink, missing_ok=True)
        return path


def _band_tags(description: Mapping[str, object]) -> dict[str, str]:
    """Return the tags from which `inputs.metadata` reads the description of a band."""
    found = {key: description[name] for key, name in _TAGS.items() if name in description}
    times = {key: f"{time:%Y-%m-%d %H:%M:%S}" for key, time in found.items() if isinstance(time, datetime)}
    return {**{key: str(text) for key, text in found.items()}, **times}
