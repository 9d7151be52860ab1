"""Open VRT files that `[raster] allow_vrt` allows. GDAL opens a copy in memory that holds only checked elements."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from regionplot.errors import RasterError, RegionplotError
from regionplot.geo.foreign_crs import parse_file_crs
from regionplot.inputs.copies import Copies
from regionplot.inputs.gdal import check_block, opened, options_without_place
from regionplot.system.vrt import Vrt, VrtError, read_vrt
from regionplot.text import plain_text

_SOURCE_DRIVER = "GTiff"
"""Driver of the sources. GDAL chooses it by the first bytes, and those of a TIFF are those of no other driver."""
_TYPES = {"uint8": "Byte", "complex64": "CFloat32", "complex128": "CFloat64", "complex_int16": "CInt16"}
"""GDAL's names of types whose names in rasterio differ in more than case."""
_MAX_ITEM = 16
"""Bytes of the largest cells."""
_copies = Copies()


def checked_vrt(path: Path) -> Any:
    """Return a copy in memory of a VRT, with only the elements and sources that are allowed.

    The VRT and each source are checked once while they are unchanged.

    Parameters
    ----------
    path : VrtPath
        The VRT. Its fingerprint covers its sources.

    Returns
    -------
    rasterio.MemoryFile
        GDAL opens it by its name.

    Raises
    ------
    RasterError
        If the VRT is damaged, or has an element or a source that is not allowed.
    """
    return _copies.of(path, lambda: _copied(path))


def _copied(path: Path) -> Any:
    from rasterio.io import MemoryFile  # noqa: PLC0415 (imports GDAL)

    try:
        vrt = read_vrt(Path(path))
    except VrtError as error:
        raise RasterError(f"{path}: the VRT is not read: {plain_text(str(error))}") from None
    except OSError as error:
        raise RasterError(f"{path}: cannot be read: {error.strerror or error}") from None
    _write_crs(path, vrt)
    _write_properties(path, vrt)
    return MemoryFile(ElementTree.tostring(vrt.root), ext=".vrt")


def _write_crs(path: Path, vrt: Vrt) -> None:
    """Replace the definition of the CRS by WKT that names no file."""
    for element in vrt.root.iter("SRS"):
        try:
            crs = parse_file_crs((element.text or "").strip())
        except RegionplotError as error:
            raise RasterError(f"{path}: the VRT is not read: <SRS>: {error}") from None
        element.text, element.attrib = crs.to_wkt(), {}


def _write_properties(path: Path, vrt: Vrt) -> None:
    """Write the true size and type of each source, so that GDAL opens a source only when its cells are read."""
    properties = {str(source): _properties(path, source) for source in vrt.sources}
    for tag in ("SimpleSource", "ComplexSource"):
        for element in vrt.root.iter(tag):
            name = element.find("SourceFilename")
            if name is None:
                raise RasterError(f"{path}: the VRT is not read: <{tag}> has no <SourceFilename>")
            element.append(ElementTree.Element("SourceProperties", properties[str(name.text)]))


def _properties(path: Path, source: Path) -> dict[str, str]:
    """Return the size, the type and the blocks of a source, which must be a raster that is drawn without the VRT."""
    if source.suffix.lower() == path.suffix.lower():
        raise RasterError(f"{path}: the VRT is not read: its source {source.name} is a VRT, too")
    try:
        with opened(source, None, options_without_place(source)) as dataset:
            return _facts(source, dataset)
    except RasterError as error:
        raise RasterError(*(f"{path}: the VRT is not read: {problem}" for problem in error.problems)) from None


def _facts(source: Path, dataset: Any) -> dict[str, str]:
    if dataset.driver != _SOURCE_DRIVER:
        raise RasterError(f"its source {source.name} is not a GeoTIFF")
    height, width = dataset.block_shapes[0]
    check_block(source, (height, width), _MAX_ITEM)
    return {
        "RasterXSize": str(dataset.width),
        "RasterYSize": str(dataset.height),
        "DataType": _TYPES.get(dataset.dtypes[0], dataset.dtypes[0]),
        "BlockXSize": str(width),
        "BlockYSize": str(height),
    }
