"""Write the mask of a file without a change of its cells: into a GeoTIFF, or beside files of other formats."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from affine import Affine
from numpy.typing import NDArray
from typing_extensions import override

from regionplot.blocks.checksums import checksum_of
from regionplot.blocks.new_raster import create_raster, open_for_update, os_errors_as_raster_errors
from regionplot.blocks.sinks import DatasetSink, write_error
from regionplot.blocks.sources import Sources, read_block
from regionplot.errors import RasterError
from regionplot.geo.grid import Window
from regionplot.inputs.drivers import raster_driver
from regionplot.inputs.gdal import gdal_options, open_raster
from regionplot.system.files import atomic_replace, new_run, remove_stale_temporaries

_SUFFIX = ".msk"
"""Suffix that GDAL appends to the name of a file to find its external mask."""


def can_keep_mask(path: Path) -> bool:
    """Return True if a mask can be stored in the file itself, and the stored cells stay the same bit by bit.

    This is true only for GeoTIFF. Other drivers have no masks, or compress all cells again.
    """
    return raster_driver(path) == "GTiff"


def mask_tags(bands: int) -> dict[str, str]:
    """Return the tags that tell GDAL that a file is one mask for all bands of another file."""
    return {f"INTERNAL_MASK_FLAGS_{band}": "2" for band in range(1, bands + 1)}


def external_mask(path: Path) -> Path:
    """Return the path of the external mask of a file. First, test that GDAL uses a mask at this path.

    The test uses a link to the file and an empty mask in a temporary folder, so no file beside `path` is created.

    Raises
    ------
    RasterError
        If GDAL would ignore the mask.
    """
    with os_errors_as_raster_errors(path), TemporaryDirectory(prefix="regionplot-mask-") as folder:
        probe = Path(folder) / path.name
        _link(probe, path.resolve())
        with gdal_options(GDAL_DISABLE_READDIR_ON_OPEN="FALSE"):
            with open_raster(probe) as dataset:
                _write_empty_mask(probe, dataset)
            with open_raster(probe) as dataset:
                is_used = all(_is_masked(dataset, band) for band in dataset.indexes)
                driver = dataset.driver
    if not is_used:
        raise RasterError(f"{path}: GDAL uses no mask with a file of the format {driver}; write it to another file")
    return path.with_name(path.name + _SUFFIX)


def _link(probe: Path, path: Path) -> None:
    try:
        probe.symlink_to(path)
    except OSError:  # Windows needs a privilege for links
        shutil.copy(path, probe)


def _write_empty_mask(probe: Path, dataset: Any) -> None:
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "height": dataset.height, "width": dataset.width}
    place = Affine(1, 0, 0, 0, -1, 1)  # without a transform, rasterio warns
    with create_raster(
        probe.with_name(probe.name + _SUFFIX), {**profile, "SPARSE_OK": True, "transform": place}
    ) as mask:
        mask.update_tags(**mask_tags(dataset.count))


def _is_masked(dataset: Any, band: int) -> bool:
    import rasterio  # noqa: PLC0415

    is_used = rasterio.enums.MaskFlags.per_dataset in dataset.mask_flag_enums[band - 1]
    return is_used and not dataset.read_masks(band, window=((0, 1), (0, 1))).any()


class MaskSink(DatasetSink):
    """Write results to the mask of an open dataset."""

    @property
    @override
    def dtype(self) -> str | None:
        return "uint8"

    @property
    @override
    def count(self) -> int | None:
        return 1

    @override
    def store(self, values: NDArray[Any], window: Window) -> None:
        self.dataset.write_mask(values, window=window.ranges)


@contextmanager
def new_mask(path: Path) -> Iterator[MaskSink]:
    """Write the mask of a GeoTIFF into a copy. At the end, read the copy back and replace the file.

    All cells of the copy are compared with the file. An external mask would hide the new mask, so it is then removed.

    Parameters
    ----------
    path : Path
        A GeoTIFF.

    Yields
    ------
    MaskSink
        Receives the blocks of the mask.

    Raises
    ------
    RasterError
        If the file is a COG, the mask cannot be written, the mask that is read back differs from the written mask, or
        a cell of the copy differs from the file. The file is then unchanged.
    """
    import rasterio  # noqa: PLC0415

    _refuse_cog(path)
    remove_stale_temporaries([path.parent])
    with os_errors_as_raster_errors(path), atomic_replace(path, new_run()) as temporary:
        shutil.copy(path, temporary)
        try:
            with gdal_options(GDAL_TIFF_INTERNAL_MASK="YES"), open_for_update(temporary) as dataset:
                sink = MaskSink(dataset, str(path))
                yield sink
            with gdal_options(), open_raster(temporary) as copy, open_raster(path) as original:
                _verify(path, sink, copy, original)
        except rasterio.errors.RasterioError as error:
            raise write_error(path, error) from error
    with suppress(OSError):
        path.with_name(path.name + _SUFFIX).unlink(missing_ok=True)


def _verify(path: Path, sink: MaskSink, copy: Any, original: Any) -> None:
    """Compare the mask of a copy with the written mask, and all cells of the copy with the original."""
    for window, checksum in sink.written:
        if checksum_of(copy.read_masks(1, window=window.ranges)) != checksum:
            raise write_error(path, "the mask that was read back differs from the mask that was written")
    for block in Sources.of(path).default_grid:
        if checksum_of(read_block(copy, block.core, None)) != checksum_of(read_block(original, block.core, None)):
            raise write_error(path, "the cells of the file with the mask differ from the cells of the file")


def _refuse_cog(path: Path) -> None:
    """Refuse a cloud-optimized GeoTIFF, which would lose its layout. GDAL refuses to change such a file, too."""
    with gdal_options(), open_raster(path) as dataset:
        if dataset.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == "COG":
            raise RasterError(
                f"{path}: a COG would lose its layout with a new mask; write the mask to another file, or convert the "
                "COG to an ordinary GeoTIFF first"
            )
