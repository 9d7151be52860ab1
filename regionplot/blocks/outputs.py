"""Check and open the output of a run: a new raster file, an open dataset or bands of it, a function, or a reducer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from regionplot.blocks.arguments import check_grid_shape, check_profile, is_integer
from regionplot.blocks.grid import Block, BlockGrid, Georeference
from regionplot.blocks.new_raster import new_raster
from regionplot.blocks.profile import derive_profile
from regionplot.blocks.reducers import Reducer, Reduction, open_reducer
from regionplot.blocks.sinks import DatasetSink, FunctionSink, Sink
from regionplot.blocks.sources import Labels, Sources
from regionplot.system.machine import usable_cpus

Output = str | Path | Callable[[Block, NDArray[Any]], object] | Any
"""A path, a function, a `Reducer`, an open rasterio dataset, or `rasterio.band(dataset, number)`."""
_DEFAULT_BLOCK = 512
"""Rows and columns of a block, if the output is on another grid than the first input."""


@dataclass(frozen=True)
class Target:
    """A checked output, and the properties that it gets."""

    output: Output
    sources: Sources
    is_free: bool
    """True if blocks can be on another grid than the first input, because the function reads datasets itself."""
    profile: Mapping[str, Any]
    """Profile of a new file. A reducer leaves out cells with its nodata value."""
    labels: Labels | None

    @classmethod
    def of(
        cls, function: object, sources: Sources, output: Output, read: str, given: Mapping[str, Any] | None
    ) -> Target:
        """Check an output.

        Parameters
        ----------
        function : object
            Function over blocks. It may have a method `profile`.
        sources : Sources
            The inputs.
        output : path, dataset, bands of a dataset, function or Reducer
            The output.
        read : str
            The argument `read` of `process_blocks`.
        given : mapping, optional
            The argument `profile` of `process_blocks`.

        Raises
        ------
        TypeError, ValueError
            If the output has another type, cannot be written, or is also an input; or if the profile would be ignored,
            or has another height or width than the first input.
        """
        _check_profile(given, output)
        profile, labels = derive_profile(function, sources.profile, sources.labels, given)
        target = cls(_checked(output, sources), sources, read == "datasets", profile, labels)
        target._check_shape(given or {})
        return target

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns that blocks must not exceed."""
        if isinstance(self.output, str | Path):
            return int(self.profile["height"]), int(self.profile["width"])
        if isinstance(self.output, DatasetSink):
            return int(self.output.dataset.height), int(self.output.dataset.width)
        return self.sources.shape

    @property
    def reduction(self) -> Reduction | None:
        """The reduction that workers do, with the nodata value that an output file would have."""
        return Reduction(self.output, self.profile.get("nodata")) if isinstance(self.output, Reducer) else None

    @property
    def default_grid(self) -> BlockGrid:
        """Blocks of the first input, or blocks of the output if it is on another grid."""
        default = self.sources.default_grid
        if self.shape == (default.height, default.width):
            return default
        return BlockGrid(*self.shape, _DEFAULT_BLOCK, _DEFAULT_BLOCK, reference=self._reference())

    def check_grid(self, grid: object) -> None:
        """Raise ValueError if a BlockGrid is the grid of another raster than the output."""
        if not self.is_free or isinstance(self.output, str | Path | DatasetSink):
            check_grid_shape(grid, self.shape, "output" if self.is_free else "raster")

    def open(self, workers: int, blocks: Iterable[Block]) -> AbstractContextManager[Sink]:
        """Return a context manager that yields the sink of the output for the given blocks."""
        if isinstance(self.output, str | Path):
            readers = max(1, min(workers, usable_cpus()))
            return new_raster(Path(self.output), self.profile, self.labels, readers, blocks)
        if isinstance(self.output, Reducer):
            return open_reducer(self.output, self.sources.paths[0])
        sink: Sink = self.output  # type: ignore[assignment]  # `_checked` made it
        return nullcontext(sink)

    def _reference(self) -> Georeference | None:
        if isinstance(self.output, DatasetSink):
            return Georeference(self.output.dataset.transform, self.output.dataset.crs)
        return Georeference(self.profile["transform"], self.profile["crs"])

    def _check_shape(self, given: Mapping[str, Any]) -> None:
        if self.is_free or self.shape == self.sources.shape:
            return
        cure = "; leave height and width out of profile" if given.keys() & {"height", "width"} else ""
        raise ValueError(f"the output has {self.shape} rows and columns, but the raster has {self.sources.shape}{cure}")


def _check_profile(profile: Mapping[str, Any] | None, output: Output) -> None:
    """Refuse a profile that is not a mapping, or would be ignored."""
    check_profile(profile)
    if profile is None or isinstance(output, str | Path):
        return
    if not isinstance(output, Reducer):
        raise ValueError("profile sets the properties of a new file, but the output is not a path; leave profile out")
    if set(profile) - {"nodata"}:
        raise ValueError(f"a reducer takes only the key nodata of profile, not {', '.join(map(str, profile))}")


def _checked(output: Output, sources: Sources) -> Any:
    """Return a path, a reducer or a sink."""
    if _is_dataset(output):
        return _dataset_sink(output, None, sources)
    if isinstance(output, str | Path | Reducer | Sink):
        return output
    if isinstance(output, type) and issubclass(output, Reducer):
        raise TypeError(f"the output must be a reducer such as {output.__name__}(), not the class {output.__name__}")
    if hasattr(output, "ds") and hasattr(output, "bidx"):  # rasterio.band(dataset, number)
        return _dataset_sink(output.ds, output, sources)
    if callable(output):
        return FunctionSink(output)
    raise TypeError(
        "the output must be a path, a rasterio dataset, rasterio.band(dataset, number), a function or a reducer, "
        f"not {type(output).__name__}"
    )


def _is_dataset(output: object) -> bool:
    """Return True for a dataset of rasterio. A closed dataset raises an error if it is asked for an attribute."""
    return any(base.__name__ == "DatasetBase" and base.__module__ == "rasterio._base" for base in type(output).__mro__)


def _bands_of(output: Any) -> tuple[int, ...]:
    """Return the numbers of the bands of `rasterio.band(dataset, numbers)`."""
    listed = [output.bidx] if is_integer(output.bidx) else list(output.bidx)
    wrong = [band for band in listed if not is_integer(band) or not 1 <= band <= output.ds.count]
    if wrong or not listed:
        raise ValueError(f"{output.ds.name}: there is no band {output.bidx!r}; the bands are 1 to {output.ds.count}")
    if len(set(listed)) < len(listed):
        raise ValueError(f"{output.ds.name}: the output names a band twice: {output.bidx!r}")
    return tuple(map(int, listed))


def _dataset_sink(dataset: Any, bands: Any, sources: Sources) -> DatasetSink:
    """Return the sink of an open dataset. `bands` is a band of rasterio, or None for all bands."""
    name = dataset.name
    if dataset.closed:
        raise ValueError(f"{name}: the output dataset is closed; pass an open dataset, or the path")
    if not hasattr(dataset, "write") or dataset.mode == "r":
        raise ValueError(f"{name}: the output dataset is open for reading only; open it with mode 'w' or 'r+'")
    if any(_is_same_file(Path(name), path) for path in sources.paths):
        raise ValueError(f"{name}: the output dataset is also an input, which workers read; write to another file")
    if "complex_int16" in dataset.dtypes:
        raise ValueError(f"{name}: GDAL rounds what is written as complex_int16; use a dataset of the type complex64")
    return DatasetSink(dataset, str(name), bands=None if bands is None else _bands_of(bands))


def _is_same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return False
