"""Describe and read the input rasters of blocks. GDAL handles are never shared.

Only the thread that opened a GDAL handle may use the handle. A forked process that uses an inherited handle reads wrong
cells without an error (https://gdal.org/en/stable/user/multithreading.html). So each thread and process opens its own
handles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.blocks.dropped import Extras
from regionplot.blocks.grid import Block, BlockGrid, Georeference
from regionplot.blocks.handles import Handles
from regionplot.blocks.input import Input, Inputs, inputs_of
from regionplot.blocks.readers import InputReader, placement_of
from regionplot.blocks.refusals import refused_options
from regionplot.blocks.tiff_tiles import are_whole_tiles, has_halo
from regionplot.errors import Problem, RasterError
from regionplot.geo.dtypes import cell_dtype
from regionplot.geo.grid import GridGeometry, Window
from regionplot.inputs.gdal import gdal_options, open_raster, options_without_place

_SIDE = 512
"""Minimum side of a merged block, in cells."""
_MAX_CELLS = 2**22
"""Maximum number of cells of a block."""
_MAX_VALUES = 2**24
"""Maximum number of cells of a block, times the number of bands. Blocks of `_SIDE` × `_SIDE` cells are always
allowed."""
_TILE = 256
"""Rows and columns of the tiles of an output, if the tiles of the input are not suitable."""
_MAX_TILE = 1024
"""Maximum number of rows or columns of an input tile whose size is also used for the output."""
_DIRECT = {"GTIFF_DIRECT_IO": "YES"}
"""Options with which GDAL reads uncompressed GeoTIFFs without its cache."""
LOSSLESS = {"deflate", "lzw", "zstd", "packbits", "lzma"}


@dataclass(frozen=True)
class Labels:
    """Labels of the bands of a raster, one entry per band, and its tags."""

    descriptions: tuple[str | None, ...]
    units: tuple[str | None, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    tags: dict[str, str] = field(default_factory=dict)
    band_tags: tuple[dict[str, str], ...] = ()
    """Tags of each band. Empty if no band has tags of its own."""


@dataclass(frozen=True)
class Sources:
    """The inputs of a run. The profile and the labels are taken from the first input."""

    readers: tuple[InputReader, ...]
    """Reader of each input."""
    open_options: tuple[Mapping[str, Any], ...]
    """Open options of each input."""
    profile: dict[str, Any]
    """Profile of an output with the properties of the first input, as in rasterio."""
    labels: Labels
    default_grid: BlockGrid
    """Blocks of the first input, merged to a size that is efficient for one job."""
    dropped: tuple[Extras, ...]
    """Parts of each input that are not copied to an output, or not read."""
    stored_blocks: tuple[tuple[int, int], ...]
    """Rows and columns of the stored blocks of each input."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """Paths of the inputs."""
        return tuple(reader.path for reader in self.readers)

    @property
    def is_boundless(self) -> bool:
        """True if all inputs can be read outside of their cells."""
        return all(reader.place is not None and reader.place.boundless for reader in self.readers)

    def handles(self, read: str, blocks: Iterable[Block] = ()) -> Handles:
        """Return handles for the inputs.

        Transform and CRS are left out if the function does not get the datasets. GDAL does not use its cache if each
        stored block is read once and completely.
        """
        if read == "datasets":
            return Handles(self.paths, self.open_options)
        own = zip(self.paths, self.open_options, strict=True)
        options = [{**options_without_place(path), **options} for path, options in own]
        return Handles(self.paths, options, _DIRECT if self._are_stored_blocks(blocks) else {})

    def _are_stored_blocks(self, blocks: Iterable[Block]) -> bool:
        """Return True if the blocks consist of whole stored blocks of all inputs."""
        if any(reader.place is not None for reader in self.readers) or has_halo(blocks):
            return False
        return all(are_whole_tiles(blocks, self.shape, stored) for stored in set(self.stored_blocks))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the first input."""
        return self.profile["height"], self.profile["width"]

    @classmethod
    def of(cls, inputs: Inputs, bands: Any = None) -> Sources:
        """Describe inputs. Their grids may differ.

        Parameters
        ----------
        inputs : path, Input, or sequence of both
            At least one raster.
        bands : sequence of int, or sequence of sequences, optional
            Numbers of the bands to read, counted from 1: of all inputs, or of each input. By default, all bands.

        Raises
        ------
        RasterError
            If inputs cannot be opened or lack a band. All problems are reported together.
        TypeError, ValueError
            If inputs or bands have another form, GDAL does not know an open option, or there are read options.
        """
        given = inputs_of(inputs, bands)
        for item in given:
            if item.read_options:
                raise ValueError(f"{item.path}: read_options have no effect if the function reads datasets itself")
        return cls._describe(given, lambda item, *_: (InputReader(Path(item.path), _tuple(item.bands)), []))

    @classmethod
    def on_one_grid(cls, inputs: Inputs, bands: Any = None) -> Sources:
        """Describe inputs like `of`. Raise RasterError, too, if their grids differ and no read options allow this."""
        return cls._describe(inputs_of(inputs, bands), _reader)

    @classmethod
    def _describe(
        cls, inputs: Sequence[Input], reader_of: Callable[[Input, Any, Any], tuple[InputReader, list[str]]]
    ) -> Sources:
        if not inputs:
            raise RasterError("no inputs: give at least one raster")
        readers, extras, stored = [], [], []
        problems: list[str | Problem] = []
        with gdal_options(), _open_first(inputs) as first:
            for number, item in enumerate(inputs):
                with nullcontext(first) if number == 0 else _opened(item, problems) as dataset:
                    if dataset is None:
                        continue
                    missing = _missing_bands(item, dataset)
                    reader, found = reader_of(replace(item, bands=None) if missing else item, dataset, first)
                    readers.append(reader)
                    extras.append(Extras.of(reader.path, dataset))
                    stored.append(dataset.block_shapes[0])
                    problems += missing + found
            if problems:
                raise RasterError(*problems)
            bands, options = _tuple(inputs[0].bands), tuple(item.open_options for item in inputs)
            profile, labels = _profile(first, bands), _labels(first, bands)
            return cls(tuple(readers), options, profile, labels, _default_grid(first), tuple(extras), tuple(stored))


def _tuple(bands: Sequence[int] | None) -> tuple[int, ...] | None:
    return None if bands is None else tuple(bands)


def _open(item: Input) -> Any:
    """Open an input. Raise ValueError if GDAL does not know one of its open options."""
    path = Path(item.path)
    with refused_options(f"{path}: open_options") if item.open_options else nullcontext():
        dataset = open_raster(path, None, item.open_options)
    check_axes(path, dataset)
    return dataset


def check_axes(path: Path, dataset: Any) -> None:
    """Refuse a NetCDF file whose axes GDAL ignores, and a file with several grids. Other files need no check.

    Raises
    ------
    RasterError
        If the file cannot be read in blocks.
    """
    if dataset.count and dataset.driver != "netCDF":
        return
    from regionplot.inputs.netcdf_grid import check_read_by_gdal  # noqa: PLC0415 (imports pyproj and pydantic)

    check_read_by_gdal(path, dataset)


def _open_first(inputs: Sequence[Input]) -> Any:
    """Open the first input. If this fails, the error also names the other inputs that cannot be opened."""
    try:
        return _open(inputs[0])
    except RasterError as error:
        problems: list[str | Problem] = list(error.problems)
    for item in inputs[1:]:
        with _opened(item, problems):
            pass
    raise RasterError(*problems)


@contextmanager
def _opened(item: Input, problems: list[str | Problem]) -> Iterator[Any]:
    """Yield an open input. If it cannot be opened, append the problems and yield None."""
    try:
        dataset = _open(item)
    except RasterError as error:
        problems += error.problems
        yield None
        return
    with dataset:
        yield dataset


def _reader(item: Input, dataset: Any, first: Any) -> tuple[InputReader, list[str]]:
    """Return the reader of an input on the grid of the first input, and the reasons why it cannot be read."""
    reader = InputReader(Path(item.path), _tuple(item.bands))
    if not item.read_options:
        return reader, _differences(reader.path, dataset, Path(first.name), first)
    place, problems = placement_of(item, dataset, first)
    return replace(reader, place=place), problems


def _missing_bands(item: Input, dataset: Any) -> list[str]:
    missing = ", ".join(str(band) for band in item.bands or () if not 1 <= band <= dataset.count)
    return [f"{item.path}: there is no band {missing}; the bands are 1 to {dataset.count}"] if missing else []


def _differences(path: Path, other: Any, first_path: Path, first: Any) -> list[str]:
    """Return a message for each difference between the grid of a raster and the grid of the first raster."""
    messages = {
        "shape": f"{path}: it has {other.shape} rows and columns, but {first_path} has {first.shape}",
        "transform": f"{path}: its transform is not that of {first_path}; resample it to the same grid first",
        "crs": f"{path}: its CRS is not that of {first_path}; reproject it first",
    }
    return [messages[difference] for difference in _geometry(other).differences(_geometry(first))]


def _geometry(dataset: Any) -> GridGeometry:
    """Return the geometry of a dataset. The CRS is an object of rasterio, so use it only for comparisons."""
    return GridGeometry(dataset.transform, dataset.height, dataset.width, dataset.crs)


def _profile(dataset: Any, bands: Sequence[int] | None) -> dict[str, Any]:
    tile, first = _output_tile(dataset), (bands[0] if bands else 1) - 1
    return {
        "driver": "GTiff",
        "dtype": str(cell_dtype(dataset.dtypes[first])),
        "count": len(bands) if bands else dataset.count,
        "height": dataset.height,
        "width": dataset.width,
        "crs": dataset.crs,
        "transform": dataset.transform,
        "nodata": dataset.nodatavals[first],
        "tiled": True,
        "blockysize": tile[0],
        "blockxsize": tile[1],
        **_compression(dataset),
    }


def _compression(dataset: Any) -> dict[str, Any]:
    """Return the compression of a GeoTIFF, if it is lossless or none. For all other inputs, return deflate."""
    stored = dataset.tags(ns="IMAGE_STRUCTURE")
    name = stored.get("COMPRESSION", "").lower()
    if dataset.driver == "GTiff" and not name:
        return {}
    if name not in LOSSLESS:
        return {"compress": "deflate"}
    return {"compress": name, **({"predictor": int(stored["PREDICTOR"])} if "PREDICTOR" in stored else {})}


def _labels(dataset: Any, bands: Sequence[int] | None) -> Labels:
    chosen = [band - 1 for band in bands] if bands else range(dataset.count)
    tags = {key: value for key, value in dataset.tags().items() if not key.startswith("TIFFTAG_SOFTWARE")}
    return Labels(
        tuple(dataset.descriptions[i] for i in chosen),
        tuple(dataset.units[i] for i in chosen),
        tuple(dataset.scales[i] for i in chosen),
        tuple(dataset.offsets[i] for i in chosen),
        tags,
        tuple(_kept_tags(dataset.tags(i + 1)) for i in chosen),
    )


def _kept_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of a band without statistics, which are wrong for new values."""
    return {key: value for key, value in tags.items() if not key.startswith("STATISTICS_")}


def _output_tile(dataset: Any) -> tuple[int, int]:
    """Return the tile size (rows, columns) of an output. It is the block size of the input, if GeoTIFF allows it."""
    height, width = dataset.block_shapes[0]
    fits = all(not side % 16 and side <= _MAX_TILE for side in (height, width))
    return (height, width) if fits and width < dataset.width else (_TILE, _TILE)


def _default_grid(dataset: Any) -> BlockGrid:
    """Return a grid of blocks that consist of whole blocks of the input, or of whole tiles of the output."""
    block_height, block_width = dataset.block_shapes[0]
    reference = Georeference(dataset.transform, dataset.crs)
    most = min(_MAX_CELLS, max(_SIDE**2, _MAX_VALUES // dataset.count))
    if block_width >= dataset.width or block_height * block_width > most:
        rows, columns = _output_tile(dataset)
        width = min(dataset.width, max(1, most // (rows * columns)) * columns)
        return BlockGrid(
            dataset.height, dataset.width, rows * -(-(_SIDE**2) // (rows * width)), width, reference=reference
        )
    rows, columns = (side * -(-_SIDE // side) for side in (block_height, block_width))
    return BlockGrid(dataset.height, dataset.width, rows, columns, reference=reference)


def read_block(dataset: Any, window: Window, bands: Sequence[int] | None) -> NDArray[Any]:
    """Return the stored values in a window, shape (bands, rows, columns)."""
    values: NDArray[Any] = dataset.read(list(bands) if bands else None, window=window.ranges)
    return np.atleast_3d(values) if values.ndim < 3 else values


def read_mask(dataset: Any, window: Window) -> NDArray[np.bool_]:
    """Return True for cells of a window that are valid in the mask of the dataset, shape (rows, columns)."""
    valid: NDArray[np.bool_] = dataset.read_masks(1, window=window.ranges) != 0
    return valid
