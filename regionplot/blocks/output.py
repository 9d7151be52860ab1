"""Where results go: a raster file that appears whole or not at all, a dataset that is open already, or a function.

GDAL holds cells back until a file is closed, and rasterio tells nobody if that fails: on a full disk a file is cut and
no error comes. So a file is read back, and each block compared with a checksum of what was to be written, before it
takes the place of what was there.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from regionplot.blocks.grid import Block
from regionplot.blocks.sources import GDAL_OPTIONS, LOSSLESS, Labels, open_raster, read_block
from regionplot.blocks.task import checksum_of
from regionplot.errors import RasterError
from regionplot.executors.pool import thread_pool
from regionplot.files import new_run, replacing, sweep
from regionplot.grid import Window

_LABELS = ("descriptions", "units", "scales", "offsets", "tags")
_LOSSY_OPTIONS = {"nbits", "discard_lsb", "max_z_error"}
_FULL = 2**20
"""A disk with fewer bytes left is full."""


@runtime_checkable
class Sink(Protocol):
    """Who takes the blocks."""

    @property
    def dtype(self) -> str | None:
        """Of the values it takes; None: any."""

    @property
    def count(self) -> int | None:
        """Bands it takes; None: any."""

    @property
    def file(self) -> Path | None:
        """What it has open for writing."""

    def write(self, block: Block, values: NDArray[Any], checksum: int | None) -> None:
        """Take a block's values; they are good until this returns."""


@dataclass
class FunctionSink:
    """A function of the block and its values, which it may keep."""

    function: Callable[[Block, NDArray[Any]], object]
    dtype: str | None = None
    count: int | None = None
    file: Path | None = None

    def write(self, block: Block, values: NDArray[Any], checksum: int | None) -> None:  # noqa: ARG002
        """See `Sink`."""
        self.function(block, values if values.flags.owndata else values.copy())


@dataclass
class DatasetSink:
    """An open rasterio dataset."""

    dataset: Any
    name: str
    """What to call it in messages."""
    written: list[tuple[Window, int | None]] = field(default_factory=list)

    @property
    def dtype(self) -> str | None:
        """See `Sink`."""
        return str(self.dataset.dtypes[0])

    @property
    def count(self) -> int | None:
        """See `Sink`."""
        return int(self.dataset.count)

    @property
    def file(self) -> Path | None:
        """See `Sink`."""
        return Path(self.dataset.name)

    def write(self, block: Block, values: NDArray[Any], checksum: int | None) -> None:
        """See `Sink`."""
        import rasterio  # noqa: PLC0415
        from rasterio.windows import Window as RasterioWindow  # noqa: PLC0415

        core = block.core
        area = RasterioWindow(core.column, core.row, core.width, core.height)
        try:
            self.dataset.write(values if values.ndim == 3 else values[None], window=area)
        except (rasterio.errors.RasterioError, OSError) as error:
            raise unwritten(Path(self.name), error) from error
        self.written.append((core, checksum))


@contextmanager
def new_raster(path: Path, profile: Mapping[str, Any], labels: Labels | None, readers: int) -> Iterator[DatasetSink]:
    """A raster that takes its place when all blocks are written and read back.

    Parameters
    ----------
    path : Path
        Its place; what is there stays until then.
    profile : mapping
        What rasterio creates it with; the driver is GTiff or COG.
    labels : Labels, optional
        What is said of its bands.
    readers : int
        Threads that read it back.

    Raises
    ------
    RasterError
        If it cannot be created, or cannot be read back as it was meant.
    """
    run = new_run()
    options = dict(profile)
    driver = str(options.pop("driver", "GTiff")).upper()
    if driver not in ("GTIFF", "COG"):
        raise RasterError(f"{path}: a raster is written as GTiff or COG, not as {driver}")
    check_place(path)
    sweep([path.parent])
    with without_old_sidecars(path), told(path), replacing(path, run) as temporary:
        if driver == "GTIFF":
            with _written(path, temporary, options, labels, readers) as sink:
                yield sink
            return
        tiles = path.with_name(f".{path.name}.tiles.{run}.tmp")
        try:
            with _written(path, tiles, _intermediate(options), labels, readers) as sink:
                yield sink
            _make_cog(tiles, temporary, options)
            _verify(path, temporary, sink.written if _is_lossless(options) else _unchecked(sink.written), readers)
        finally:
            for left in [tiles, *path.parent.glob(f"{temporary.name}.*")]:
                left.unlink(missing_ok=True)


def check_place(path: Path) -> None:
    """Refuse a place that is no file's: a folder, a device, a pipe.

    Raises
    ------
    RasterError
        With the reason.
    """
    try:
        if not path.name or (path.exists() and not path.is_file()):
            raise RasterError(f"{path}: it is not a file, and no raster can take its place")
    except OSError as error:  # its name is too long
        raise RasterError(f"{path}: {error.strerror or error}") from None


@contextmanager
def without_old_sidecars(path: Path) -> Iterator[None]:
    """In the end, remove what GDAL has left beside the raster that was there: its overviews, statistics and mask."""
    yield
    for suffix in (".ovr", ".aux.xml", ".msk"):
        with suppress(OSError):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Errors of the file system as those of this raster."""
    try:
        yield
    except OSError as error:
        raise unwritten(path, error) from error


@contextmanager
def _written(
    path: Path, temporary: Path, options: dict[str, Any], labels: Labels | None, readers: int
) -> Iterator[DatasetSink]:
    """A GeoTIFF under a temporary name; in the end it is closed and read back."""
    import rasterio  # noqa: PLC0415

    if not path.parent.is_dir():
        raise RasterError(f"{path}: there is no folder {path.parent}")
    with rasterio.Env(**GDAL_OPTIONS):
        try:
            dataset = rasterio.open(temporary, "w", driver="GTiff", **{"BIGTIFF": "IF_SAFER", **options})
        except (rasterio.errors.RasterioError, OSError, ValueError, TypeError) as error:
            raise unwritten(path, error) from error
        try:
            if labels is not None:
                _label(dataset, labels)
            sink = DatasetSink(dataset, str(path))
            yield sink
        finally:
            with suppress(rasterio.errors.RasterioError):  # what is wrong is found when it is read back
                dataset.close()
    _verify(path, temporary, sink.written if _is_lossless(options) else _unchecked(sink.written), readers)


def _label(dataset: Any, labels: Labels) -> None:
    dataset.update_tags(**labels.tags)
    for number, (text, unit) in enumerate(zip(labels.descriptions, labels.units, strict=True), 1):
        if text:
            dataset.set_band_description(number, text)
        if unit:
            dataset.set_band_unit(number, unit)
    if any(scale != 1 for scale in labels.scales) or any(labels.offsets):
        dataset.scales, dataset.offsets = labels.scales, labels.offsets


def _is_lossless(options: Mapping[str, Any]) -> bool:
    names = {str(key).lower(): value for key, value in options.items()}
    compression = str(names.get("compress") or "none").lower()
    return compression in {*LOSSLESS, "none"} and not names.keys() & _LOSSY_OPTIONS


def _unchecked(written: list[tuple[Window, int | None]]) -> list[tuple[Window, int | None]]:
    return [(window, None) for window, _ in written]


def _intermediate(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of the GeoTIFF that a COG is made from: it is read once, so it is not compressed."""
    kept = ("dtype", "count", "height", "width", "crs", "transform", "nodata")
    return {
        **{key: options[key] for key in kept if key in options},
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
    }


def _make_cog(source: Path, target: Path, options: Mapping[str, Any]) -> None:
    """Copy a GeoTIFF into one laid out for reading parts of it over a network, with overviews and statistics."""
    import rasterio  # noqa: PLC0415
    import rasterio.shutil  # noqa: PLC0415

    kept = {"dtype", "count", "height", "width", "crs", "transform", "nodata"}
    of_gtiff = {"tiled", "interleave", "predictor", "zlevel", "blockxsize", "blockysize"}
    given = {key: value for key, value in options.items() if key.lower() not in kept | of_gtiff}
    mixes = np.dtype(options["dtype"]).kind == "f"  # whole numbers may be classes
    usual = {"COMPRESS": "DEFLATE", "PREDICTOR": "YES", "STATISTICS": "YES", "BIGTIFF": "IF_SAFER"}
    usual["OVERVIEW_RESAMPLING"] = "AVERAGE" if mixes else "NEAREST"
    creation = {**usual, **{key.upper(): value for key, value in given.items() if value is not None}}
    with rasterio.Env(**GDAL_OPTIONS):
        try:
            rasterio.shutil.copy(source, target, driver="COG", strict=False, **creation)
        except (rasterio.errors.RasterioError, OSError) as error:
            raise unwritten(target, error) from error


def _verify(path: Path, written: Path, blocks: list[tuple[Window, int | None]], readers: int) -> None:
    """Read a raster back, all of it."""
    parts = [blocks[start::readers] for start in range(readers)]
    with thread_pool(readers) as pool:
        for _ in pool.map(lambda part: _verify_part(path, written, part), parts):
            pass


def _verify_part(path: Path, written: Path, blocks: list[tuple[Window, int | None]]) -> None:
    import rasterio  # noqa: PLC0415

    try:
        with rasterio.Env(**GDAL_OPTIONS), open_raster(written) as dataset:
            for window, checksum in blocks:
                values = read_block(dataset, window, None)
                if checksum is not None and checksum_of(values) != checksum:
                    raise unwritten(path, "cells that were read back differ from those that were written")
    except (rasterio.errors.RasterioError, OSError) as error:
        raise unwritten(path, error) from error


def unwritten(path: Path, error: object) -> RasterError:
    """The error that tells why a raster is not in its place."""
    hint = ""
    with suppress(OSError):
        hint = "; the disk is full" if shutil.disk_usage(path.parent).free < _FULL else ""
    return RasterError(f"{path}: could not be written whole: {error}{hint}")


def derive_profile(
    function: object, first: Mapping[str, Any], labels: Labels, given: Mapping[str, Any] | None
) -> tuple[dict[str, Any], Labels | None]:
    """Profile and labels of an output: the first input's, as the function changes them, as the caller does.

    Parameters
    ----------
    function : object
        Its `profile` method, if it has one, takes a profile and gives another.
    first : mapping
        The first input's.
    labels : Labels
        The first input's; they are kept if the number of bands is.
    given : mapping, optional
        What the caller wants otherwise; beside rasterio's keys, `descriptions`, `units`, `scales`, `offsets`, `tags`.
    """
    derive = getattr(function, "profile", None)
    derived = dict(derive(dict(first))) if callable(derive) else dict(first)
    profile = {**derived, **(given or {})}
    asked = {name: profile.pop(name) for name in _LABELS if name in profile}
    try:
        np.dtype(profile["dtype"])
    except TypeError as error:
        raise RasterError(f"the output cannot have the data type {profile['dtype']!r}: {error}") from None
    if "predictor" in profile and "predictor" not in (given or {}) and profile["dtype"] != first["dtype"]:
        profile["predictor"] = 3 if np.dtype(profile["dtype"]).kind == "f" else 2
    if "nodata" not in (given or {}) and not _holds(profile["dtype"], profile.get("nodata")):
        profile["nodata"] = None
    return profile, _labels(profile["count"], labels, asked)


def _labels(count: int, first: Labels, asked: Mapping[str, Any]) -> Labels:
    same = count == len(first.descriptions)
    kept = first if same else Labels((None,) * count, (None,) * count, (1.0,) * count, (0.0,) * count, first.tags)
    values: dict[str, Any] = {name: tuple(asked.get(name, getattr(kept, name))) for name in _LABELS[:-1]}
    return Labels(**values, tags={**kept.tags, **asked.get("tags", {})})


def _holds(dtype: str, nodata: float | None) -> bool:
    """Whether a nodata value can be one of a type's values."""
    kind = np.dtype(dtype)
    if nodata is None or kind.kind not in "iu":
        return True
    limits = np.iinfo(kind)
    return float(nodata).is_integer() and limits.min <= nodata <= limits.max
