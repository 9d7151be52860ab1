"""Create a new raster atomically: write it to a temporary file, read it back, then replace the target."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from regionplot.blocks.grid import Block
from regionplot.blocks.read_back import Comparison, verify
from regionplot.blocks.refusals import RefusedOptionError, refused_options
from regionplot.blocks.sinks import LOSSY_OPTIONS, DatasetSink, TileSink, write_error
from regionplot.blocks.sources import LOSSLESS, Labels
from regionplot.blocks.tiff_tiles import TiffTiles, are_whole_tiles, stores_plain_cells
from regionplot.errors import Place, Problem, RasterError
from regionplot.inputs.gdal import gdal_options, open_own_raster
from regionplot.system.files import atomic_replace, new_run, remove_stale_temporaries

NewSink = DatasetSink | TileSink
"""Sink of a new file."""
_SAMPLE = 8
"""Approximate number of blocks to read back with GDAL, if they were written without GDAL."""
_LARGE_NODATA = 10**17
"""Magnitude of a nodata value that GDAL does not write with all digits."""
_COG_PREDICTORS = {"1": "NO", "2": "STANDARD", "3": "FLOATING_POINT"}
"""Names of the predictors of GeoTIFF in GDAL's COG driver."""

_WARPING = {"tiling_scheme", "target_srs", "res", "extent", "zoom_level", "zoom_level_strategy", "aligned_levels",
            "add_alpha"}  # fmt: skip
"""Options of GDAL's COG driver that change the grid or the bands."""


def create_raster(path: Path, profile: Mapping[str, Any]) -> Any:
    """Create a raster file. The caller sets `gdal_options` and closes the dataset.

    Parameters
    ----------
    path : Path
        Path of the file. An existing file is overwritten.
    profile : mapping
        Keyword arguments of `rasterio.open`.

    Returns
    -------
    rasterio.DatasetWriter
    """
    import rasterio  # noqa: PLC0415 (imports GDAL)

    return rasterio.open(path, "w", **profile)


def open_for_update(path: Path) -> Any:
    """Open an existing GeoTIFF for reading and writing. The caller sets `gdal_options` and closes the dataset."""
    import rasterio  # noqa: PLC0415 (imports GDAL)

    return rasterio.open(path, "r+", driver="GTiff")


@contextmanager
def new_raster(
    path: Path, profile: Mapping[str, Any], labels: Labels | None, readers: int, blocks: Iterable[Block] = ()
) -> Iterator[NewSink]:
    """Create a raster. At the end, read it back and replace the old file.

    Parameters
    ----------
    path : Path
        Path of the raster. An old file stays until the new file is complete.
    profile : mapping
        Profile, as in rasterio. The driver is GTiff or COG.
    labels : Labels, optional
        Labels of the bands, and tags.
    readers : int
        Number of threads that read the raster back.
    blocks : BlockGrid, list of Block, or other iterable
        The blocks that will be written. Without compression, whole tiles are written without GDAL.

    Yields
    ------
    DatasetSink or TileSink
        Receives the blocks.

    Raises
    ------
    RasterError
        If the raster cannot be created, or the cells that are read back differ from the written cells.
    """
    run = new_run()
    options = dict(profile)
    driver = str(options.pop("driver", "GTiff")).upper()
    if driver not in ("GTIFF", "COG"):
        raise RasterError(Problem(f"the driver must be GTiff or COG, not {driver}", Place(file=str(path))))
    check_place(path)
    remove_stale_temporaries([path.parent])
    with removing_sidecars(path), os_errors_as_raster_errors(path), atomic_replace(path, run) as temporary:
        if driver == "GTIFF":
            with _new_geotiff(path, temporary, options, labels, readers, blocks) as sink:
                yield sink
            return
        check_creation(path, profile)
        tiles = path.with_name(f".{path.name}.tiles.{run}.tmp")
        try:
            with _new_geotiff(path, tiles, _temporary_options(options), labels, readers, blocks) as sink:
                yield sink
            _make_cog(tiles, temporary, options)
            verify(path, temporary, sink.written, readers, _comparison(options))
        finally:
            for left in [tiles, *path.parent.glob(f"{temporary.name}.*")]:
                left.unlink(missing_ok=True)


def check_place(path: Path) -> None:
    """Refuse a path that is not a regular file, such as a folder, a device or a pipe. The file does not have to exist.

    Raises
    ------
    RasterError
        If the path is not a regular file.
    """
    place = Place(file=str(path))
    try:
        if not path.name or (path.exists() and not path.is_file()):
            raise RasterError(
                Problem("it is not a regular file, so a raster cannot replace it; choose another output", place)
            )
    except OSError as error:  # the name is too long
        raise RasterError(Problem(error.strerror or str(error), place)) from None


@contextmanager
def removing_sidecars(path: Path) -> Iterator[None]:
    """After success, remove the sidecar files of the old raster: overviews, statistics and mask."""
    yield
    for suffix in (".ovr", ".aux.xml", ".msk"):
        with suppress(OSError):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


@contextmanager
def os_errors_as_raster_errors(path: Path) -> Iterator[None]:
    """Convert errors of the file system to a RasterError that names the raster."""
    try:
        yield
    except OSError as error:
        raise write_error(path, error) from error


@contextmanager
def _new_geotiff(
    path: Path,
    temporary: Path,
    options: dict[str, Any],
    labels: Labels | None,
    readers: int,
    blocks: Iterable[Block],
) -> Iterator[NewSink]:
    """Create a GeoTIFF under a temporary name. At the end, close it and read it back."""
    if not path.parent.is_dir():
        raise RasterError(Problem(f"there is no folder {path.parent}; create it first", Place(file=str(path))))
    with gdal_options():
        sink = _new_sink(path, temporary, options, labels, blocks)
        try:
            yield sink
        except BaseException:
            with suppress(OSError):  # an error here must not hide the first error
                sink.close()
            raise
        sink.close()
    if isinstance(sink, TileSink):
        _check_tiles(path, temporary, sink)
    else:
        verify(path, temporary, sink.written, readers, _comparison(options))


def _check_tiles(path: Path, temporary: Path, sink: TileSink) -> None:
    """Compare the places of the tiles, and some blocks, with a file whose tiles were read back when they were written.

    Raises
    ------
    RasterError
        If GDAL does not find the tiles in the file, or a checksum differs.
    """
    with os_errors_as_raster_errors(path), gdal_options(), open_own_raster(temporary) as dataset:
        if not np.array_equal(TiffTiles.of(temporary, dataset).offsets, sink.tiles.offsets):
            raise write_error(path, "its tiles are not where they were written")
    step = max(1, len(sink.written) // _SAMPLE)
    verify(path, temporary, [*sink.written[::step], *sink.written[-1:]], 1, Comparison.CHECKSUMS)


def _new_sink(
    path: Path, temporary: Path, options: dict[str, Any], labels: Labels | None, blocks: Iterable[Block]
) -> NewSink:
    """Create a GeoTIFF, and return its sink. If GDAL is not necessary to write the blocks, it closes the file."""
    import rasterio  # noqa: PLC0415

    dataset = _created(path, temporary, options)
    sink = DatasetSink(dataset, str(path), is_new=True)
    try:
        if labels is not None:
            _write_labels(dataset, labels)
        shape = dataset.height, dataset.width
        if stores_plain_cells(options) and are_whole_tiles(blocks, shape, dataset.block_shapes[0]):
            return _tile_sink(path, temporary, dataset)
    except (rasterio.errors.RasterioError, OSError) as error:
        sink.close()
        raise write_error(path, error) from error
    return sink


def _check_nodata(path: Path, dtype: Any, nodata: float | None) -> None:
    """Refuse a nodata value of 64-bit integers that rasterio would store as another value.

    rasterio converts it to a float, and GDAL writes 17 digits of the float.
    """
    if nodata is None or np.dtype(dtype).char not in "lLqQ" or not np.isfinite(nodata):
        return
    if abs(nodata) >= _LARGE_NODATA or int(float(nodata)) != nodata:
        message = (
            f'rasterio cannot store the nodata value {nodata} as {dtype}; set "nodata" in profile to another value'
        )
        raise RasterError(Problem(f"{message} or None", Place(file=str(path))))


def _created(path: Path, temporary: Path, options: Mapping[str, Any]) -> Any:
    """Return a new GeoTIFF that is open for writing."""
    import rasterio  # noqa: PLC0415

    _check_nodata(path, options["dtype"], options.get("nodata"))
    try:
        with refused_options(f"{path}: profile"):
            return create_raster(temporary, {"driver": "GTiff", "BIGTIFF": "IF_SAFER", **options})
    except RefusedOptionError:
        raise
    except (rasterio.errors.RasterioError, OSError, ValueError, TypeError) as error:
        raise write_error(path, str(error).replace(temporary.name, path.name)) from error


def _tile_sink(path: Path, temporary: Path, dataset: Any) -> TileSink:
    """Close a new GeoTIFF, so that GDAL reserves the space of all tiles. Return the sink of its tiles."""
    dtype, count, nodata = dataset.dtypes[0], dataset.count, dataset.nodata
    if nodata:  # GDAL would write this value to all cells
        dataset.nodata = None
    dataset.close()
    if nodata:
        with open_for_update(temporary) as again:
            again.nodata = nodata
    with open_own_raster(temporary) as again:
        if nodata is not None and not np.array_equal(again.nodata, nodata, equal_nan=True):
            raise write_error(path, "the nodata value was not written")
        tiles = TiffTiles.of(temporary, again)
    tiles.open()
    return TileSink(tiles, str(path), dtype, count, nodata)


def _write_labels(dataset: Any, labels: Labels) -> None:
    dataset.update_tags(**labels.tags)
    for number, (text, unit) in enumerate(zip(labels.descriptions, labels.units, strict=True), 1):
        if text:
            dataset.set_band_description(number, text)
        if unit:
            dataset.set_band_unit(number, unit)
    for number, tags in enumerate(labels.band_tags, 1):
        if tags:
            dataset.update_tags(number, **tags)
    if any(scale != 1 for scale in labels.scales) or any(labels.offsets):
        dataset.scales, dataset.offsets = labels.scales, labels.offsets


def _comparison(options: Mapping[str, Any]) -> Comparison:
    return Comparison.CHECKSUMS if _is_lossless(options) else Comparison.NONE


def _is_lossless(options: Mapping[str, Any]) -> bool:
    names = {str(key).lower(): value for key, value in options.items()}
    compression = str(names.get("compress") or "none").lower()
    return compression in {*LOSSLESS, "none"} and not names.keys() & LOSSY_OPTIONS


def _temporary_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of the temporary GeoTIFF for a COG. It is deleted soon, so it is not compressed."""
    kept = ("dtype", "count", "height", "width", "crs", "transform", "nodata")
    return {
        **{key: options[key] for key in kept if key in options},
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
    }


def _make_cog(source: Path, target: Path, options: Mapping[str, Any]) -> None:
    """Copy a GeoTIFF to a cloud-optimized GeoTIFF, with overviews and statistics."""
    import rasterio  # noqa: PLC0415
    import rasterio.shutil  # noqa: PLC0415

    with gdal_options():
        try:
            rasterio.shutil.copy(source, target, driver="COG", strict=False, **_cog_options(options))
        except (rasterio.errors.RasterioError, OSError) as error:
            raise write_error(target, error) from error


def check_creation(path: Path, profile: Mapping[str, Any]) -> None:
    """Create a raster of a few cells in memory, to find wrong values of a profile early.

    Parameters
    ----------
    path : Path
        Path for the message.
    profile : mapping
        Profile of a GeoTIFF or a COG.

    Raises
    ------
    ValueError
        If GDAL ignores an option, or an option of a COG changes the grid.
    """
    import rasterio  # noqa: PLC0415
    import rasterio.shutil  # noqa: PLC0415

    options = {**profile, "height": 16, "width": 16}
    is_cog = str(options.pop("driver", "GTiff")).upper() == "COG"
    kept = _temporary_options(options) if is_cog else options
    if is_cog and (warping := sorted(_WARPING & {key.lower() for key in options})):
        raise ValueError(f"{path}: {warping[0]} in profile would change the grid of the output; warp the inputs first")
    refused = refused_options(f"{path}: profile")
    other_errors = suppress(rasterio.errors.RasterioError, OSError, ValueError, TypeError)  # raised later with the path
    with gdal_options(), rasterio.MemoryFile() as source, rasterio.MemoryFile() as target, refused, other_errors:
        source.open(**{**kept, "driver": "GTiff"}).close()
        if is_cog:
            rasterio.shutil.copy(source.name, target.name, driver="COG", strict=False, **_cog_options(options))


def _cog_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the creation options of GDAL's COG driver for a profile. A GeoTIFF has other names for some of them."""
    kept = {"dtype", "count", "height", "width", "crs", "transform", "nodata"}
    gtiff_only = {"tiled", "interleave", "predictor", "zlevel", "zstd_level", "blockxsize", "blockysize"}
    given = {key: value for key, value in options.items() if key.lower() not in kept | gtiff_only}
    lower = {key.lower(): value for key, value in options.items()}
    given["LEVEL"] = lower.get("level", lower.get("zstd_level", lower.get("zlevel")))
    given["PREDICTOR"] = _COG_PREDICTORS.get(str(lower.get("predictor")), lower.get("predictor"))
    is_float = np.dtype(options["dtype"]).kind == "f"  # integers may be classes, which have no average
    defaults = {"COMPRESS": "DEFLATE", "PREDICTOR": "YES", "STATISTICS": "YES", "BIGTIFF": "IF_SAFER"}
    defaults["OVERVIEW_RESAMPLING"] = "AVERAGE" if is_float else "NEAREST"
    return {**defaults, **{key.upper(): value for key, value in given.items() if value is not None}}
