"""Create a new raster atomically: write it to a temporary file, read it back, then replace the target."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from regionplot.blocks.read_back import verify
from regionplot.blocks.sinks import LOSSY_OPTIONS, DatasetSink, write_error
from regionplot.blocks.sources import LOSSLESS, Labels
from regionplot.errors import Place, Problem, RasterError
from regionplot.geo.grid import Window
from regionplot.inputs.gdal import gdal_options
from regionplot.system.files import atomic_replace, new_run, remove_stale_temporaries


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
def new_raster(path: Path, profile: Mapping[str, Any], labels: Labels | None, readers: int) -> Iterator[DatasetSink]:
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

    Yields
    ------
    DatasetSink
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
            with _new_geotiff(path, temporary, options, labels, readers) as sink:
                yield sink
            return
        tiles = path.with_name(f".{path.name}.tiles.{run}.tmp")
        try:
            with _new_geotiff(path, tiles, _temporary_options(options), labels, readers) as sink:
                yield sink
            _make_cog(tiles, temporary, options)
            verify(
                path, temporary, sink.written if _is_lossless(options) else _without_checksums(sink.written), readers
            )
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
    path: Path, temporary: Path, options: dict[str, Any], labels: Labels | None, readers: int
) -> Iterator[DatasetSink]:
    """Create a GeoTIFF under a temporary name. At the end, close it and read it back."""
    import rasterio  # noqa: PLC0415

    if not path.parent.is_dir():
        raise RasterError(Problem(f"there is no folder {path.parent}; create it first", Place(file=str(path))))
    with gdal_options():
        try:
            dataset = create_raster(temporary, {"driver": "GTiff", "BIGTIFF": "IF_SAFER", **options})
        except (rasterio.errors.RasterioError, OSError, ValueError, TypeError) as error:
            raise write_error(path, error) from error
        try:
            if labels is not None:
                _write_labels(dataset, labels)
            sink = DatasetSink(dataset, str(path))
            yield sink
        finally:
            with suppress(rasterio.errors.RasterioError):  # verify detects the error
                dataset.close()
    verify(path, temporary, sink.written if _is_lossless(options) else _without_checksums(sink.written), readers)


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


def _is_lossless(options: Mapping[str, Any]) -> bool:
    names = {str(key).lower(): value for key, value in options.items()}
    compression = str(names.get("compress") or "none").lower()
    return compression in {*LOSSLESS, "none"} and not names.keys() & LOSSY_OPTIONS


def _without_checksums(written: list[tuple[Window, int | None]]) -> list[tuple[Window, int | None]]:
    return [(window, None) for window, _ in written]


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

    kept = {"dtype", "count", "height", "width", "crs", "transform", "nodata"}
    gtiff_only = {"tiled", "interleave", "predictor", "zlevel", "blockxsize", "blockysize"}
    given = {key: value for key, value in options.items() if key.lower() not in kept | gtiff_only}
    is_float = np.dtype(options["dtype"]).kind == "f"  # integers may be classes, which have no average
    defaults = {"COMPRESS": "DEFLATE", "PREDICTOR": "YES", "STATISTICS": "YES", "BIGTIFF": "IF_SAFER"}
    defaults["OVERVIEW_RESAMPLING"] = "AVERAGE" if is_float else "NEAREST"
    creation = {**defaults, **{key.upper(): value for key, value in given.items() if value is not None}}
    with gdal_options():
        try:
            rasterio.shutil.copy(source, target, driver="COG", strict=False, **creation)
        except (rasterio.errors.RasterioError, OSError) as error:
            raise write_error(target, error) from error
