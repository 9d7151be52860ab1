"""Read the color table, the class names, and the red, green and blue bands of a raster file."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from regionplot.geo.dtypes import fits_dtype
from regionplot.text import plain_text

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

logger = logging.getLogger(__name__)
_MAX_TABLE = 65_536
"""Maximum number of rows to read from an attribute table."""
_RED_GREEN_BLUE = ("red", "green", "blue")
_ALPHA = "alpha"
_DEPTHS = {"uint8": 8, "uint16": 16}
"""Bits per value of the data types that RGB bands can have."""
_SHALLOW_DEPTHS = [str(bits) for bits in range(9, 16)]
"""Values of the tag `NBITS` for 16-bit bands that use only 9 to 15 bits."""
_NAME_USAGE, _VALUE_USAGE, _TEXT_TYPE = "2", "5", "2"
"""GDAL's codes in attribute tables: the usage of name columns, the usage of value columns, the type of text columns."""


@dataclass(frozen=True, slots=True)
class RgbBands:
    """Bands of red, green and blue, and an alpha band if the file has one."""

    bands: tuple[int, ...]
    """Numbers of the three or four bands, from 1."""
    dtype: str
    """Type of the bands: `uint8` or `uint16`."""
    largest: int
    """Value of full brightness."""
    nodata: float | None
    """Nodata value. A cell is missing if it has this value in the red, green and blue bands."""
    has_mask: bool
    """True if a mask band marks missing cells."""


def color_table(dataset: Any, band: int) -> Mapping[int, tuple[int, ...]]:
    """Return red, green, blue and opacity (0 to 255) for each value of a band.

    The result is empty if the band has no color table, or if it has a scale or an offset.

    Parameters
    ----------
    dataset : rasterio.DatasetReader
        The file.
    band : int
        Number of the band, from 1.
    """
    is_scaled = (dataset.scales[band - 1], dataset.offsets[band - 1]) != (1, 0)
    if dataset.colorinterp[band - 1].name != "palette" or is_scaled:
        return {}
    try:
        table: dict[int, tuple[int, ...]] = dataset.colormap(band)
    except ValueError:  # the band declares a color table, but the file has none
        return {}
    return table


def mask_flags(dataset: Any, band: int) -> set[str]:
    """Return the names of GDAL's mask flags of a band: `all_valid`, `per_dataset`, `alpha` and `nodata`.

    Parameters
    ----------
    dataset, band
        As for `color_table`.
    """
    return {flag.name for flag in dataset.mask_flag_enums[band - 1]}


def class_names(dataset: Any, band: int) -> dict[int, str]:
    """Return the name of each value of a band, from the band's category names, or else from its attribute table.

    rasterio cannot read these names. Therefore, GDAL writes a VRT copy of the file to memory, and the names are read
    from the copy. GDAL reads no cells for the copy.

    Parameters
    ----------
    dataset, band
        As for `color_table`.
    """
    from xml.etree import ElementTree  # noqa: PLC0415 (only color tables need it)

    import rasterio.shutil  # noqa: PLC0415 (imports GDAL)
    from rasterio.io import MemoryFile  # noqa: PLC0415

    try:
        with MemoryFile(ext=".vrt") as memory:
            rasterio.shutil.copy(dataset, memory.name, driver="VRT")
            root = ElementTree.fromstring(memory.read())
        description = next(node for node in root.iter("VRTRasterBand") if node.get("band") == str(band))
        names = {value: node.text or "" for value, node in enumerate(description.iterfind("CategoryNames/Category"))}
        table = description.find("GDALRasterAttributeTable")
        names = names if names or table is None else dict(_names_in(table))
        return {value: plain_text(name) for value, name in names.items()}
    except (rasterio.errors.RasterioError, ElementTree.ParseError, ArithmeticError, ValueError, IndexError) as error:
        logger.warning("%s: the class names cannot be read: %s", dataset.name, error)
        return {}


def _names_in(table: Element) -> Iterator[tuple[int, str]]:
    """Yield the values and names in an attribute table.

    If the table has no column of values, each value is computed from the row number.
    """
    fields = table.findall("FieldDefn")
    usages, kinds = ([field.findtext(tag, "") for field in fields] for tag in ("Usage", "Type"))
    columns = [column for column, usage in enumerate(usages) if usage == _NAME_USAGE]
    columns += [column for column, kind in enumerate(kinds) if kind == _TEXT_TYPE]
    first, step = float(table.get("Row0Min", 0)), float(table.get("BinSize", 1))
    for number, row in enumerate(table.findall("Row")[:_MAX_TABLE] if columns else ()):
        cells = [cell.text or "" for cell in row.findall("F")]
        value = float(cells[usages.index(_VALUE_USAGE)]) if _VALUE_USAGE in usages else first + step * number
        yield int(value), cells[columns[0]].strip()


def rgb_bands(dataset: Any) -> RgbBands | None:
    """Return the red, green and blue bands of a file, or None if the file has no such bands with 8 or 16 bits.

    Parameters
    ----------
    dataset : rasterio.DatasetReader
        The file.
    """
    kinds = [kind.name for kind in dataset.colorinterp]
    if not set(_RED_GREEN_BLUE) <= set(kinds):
        return None
    bands = tuple(kinds.index(kind) + 1 for kind in (*_RED_GREEN_BLUE, _ALPHA) if kind in kinds)
    dtypes = {dataset.dtypes[band - 1] for band in bands}
    if len(dtypes) > 1 or not dtypes <= set(_DEPTHS):
        return None
    dtype = dtypes.pop()
    nodata, flags = dataset.nodatavals[bands[0] - 1], mask_flags(dataset, bands[0])
    is_value = nodata is not None and fits_dtype(np.dtype(dtype), nodata)
    return RgbBands(
        bands=bands,
        dtype=dtype,
        largest=2 ** _depth(dataset, bands[0], dtype) - 1,
        nodata=nodata if is_value else None,
        has_mask="per_dataset" in flags and "alpha" not in flags,
    )


def unmasked_rgb_bands(dataset: Any) -> RgbBands | None:
    """Return the bands of red, green and blue. Nodata value and mask are not set; `rgb_bands` sets them."""
    bands = rgb_bands(dataset)
    return bands and replace(bands, nodata=None, has_mask=False)


def _depth(dataset: Any, band: int, dtype: str) -> int:
    """Return the number of bits that a band uses."""
    bits = dataset.tags(band, ns="IMAGE_STRUCTURE").get("NBITS", "")
    return int(bits) if bits in _SHALLOW_DEPTHS and dtype == "uint16" else _DEPTHS[dtype]
