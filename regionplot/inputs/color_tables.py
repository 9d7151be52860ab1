"""Read how a raster wants to be drawn: its color table, class names or RGB bands.

::

    colour table, class names, bands' colours ─┐
                                               ├─► Classes | TrueColor | None, for numbers
    [colors], [raster] band, resampling ───────┘

It is found where a raster is inspected and stands in `RasterInfo`; a sheet's layout and its scale follow from it.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from regionplot.errors import ConfigError
from regionplot.settings.colors import ClassSettings, ColorSettings
from regionplot.settings.raster import RasterSettings
from regionplot.text import plain_text

logger = logging.getLogger(__name__)


_KEEPS_CLASSES = ("nearest", "mode", "max")
"""Resampling that makes no value which is not there."""


_FILLER = 4
"""So many entries of a colour table that share a colour are no classes, but fill the table up."""


_MOST_SHOWN = 64
"""More classes than these are a picture in few colours; nobody reads their legend."""


_LARGEST_TABLE = 65_536


_RED_GREEN_BLUE = ("red", "green", "blue")


_ALPHA = "alpha"


_DEPTHS = {"uint8": 8, "uint16": 16}


_FEWER_BITS = [str(bits) for bits in range(9, 16)]
"""That a file may say are used of sixteen."""


_NAME, _VALUE, _TEXT = "2", "5", "2"
"""What GDAL calls the usage of a table's columns, and the type of texts."""


@dataclass(frozen=True, slots=True)
class ValueClass:
    """What one value of a raster means."""

    value: int
    color: str
    """Any that matplotlib knows."""
    name: str = ""

    @property
    def label(self) -> str:
        """Its name, or else its number."""
        return self.name or str(self.value)


@dataclass(frozen=True, slots=True)
class Classes:
    """Values are categories, with a colour each."""

    drawn: tuple[ValueClass, ...]
    shown: tuple[ValueClass, ...]
    """Those in the legend: the same on all maps, whatever cells these show."""


@dataclass(frozen=True, slots=True)
class TrueColor:
    """Bands are red, green, blue, and maybe opacity."""

    bands: tuple[int, ...]
    """Three or four, from 1."""
    dtype: str
    """Of the bands: `uint8` or `uint16`."""
    largest: int
    """The value that is full brightness."""
    nodata: float | None
    """Missing is what has this value in all three bands."""
    has_mask: bool
    """A mask band says what is missing."""

    def read(self, dataset: Any, window: Any, shape: tuple[int, int], method: Any) -> NDArray[np.uint32]:
        """Read a window of an open dataset as packed colours.

        Parameters
        ----------
        dataset : rasterio.DatasetReader
            The file.
        window : rasterio.windows.Window
            The part to read.
        shape : (int, int)
            Rows and columns that it becomes.
        method : rasterio.enums.Resampling
            How it does.

        Returns
        -------
        ndarray of uint32, shape (rows, columns)
            The bytes of each are red, green, blue and opacity; all are 0 where there is nothing.
        """
        samples = np.empty((*shape, 4), self.dtype)
        samples[..., 3] = self.largest
        into = np.moveaxis(samples, -1, 0)[: len(self.bands)]  # all bands at once: a block holds them all
        dataset.read(list(self.bands), window=window, out=into, resampling=method)
        missing = self._missing(samples)
        if self.has_mask:
            missing |= dataset.read_masks(self.bands[0], window=window, out_shape=shape) == 0
        packed = self._bytes(samples).view(np.uint32)[..., 0]
        packed[missing] = 0
        return packed

    def _missing(self, samples: NDArray[Any]) -> NDArray[np.bool_]:
        """Where there is no colour; a pixel of four samples is compared as one number."""
        if len(self.bands) > len(_RED_GREEN_BLUE):
            return np.asarray(samples[..., 3] == 0)
        if self.nodata is None:
            return np.zeros(samples.shape[:2], np.bool_)
        nothing = np.array([self.nodata] * 3 + [self.largest]).astype(self.dtype)
        whole = np.dtype(f"u{nothing.nbytes}")
        return np.asarray(samples.view(whole)[..., 0] == nothing.view(whole)[0])

    def _bytes(self, samples: NDArray[Any]) -> NDArray[np.uint8]:
        """The samples as bytes: 0 stays 0, and the largest value becomes 255."""
        if samples.dtype == np.uint8:
            return samples
        table = np.minimum(np.rint(np.arange(2**16) * (255 / self.largest)), 255).astype(np.uint8)
        return np.concatenate([table[row][None] for row in samples])


Coloring = Classes | TrueColor


PACKED = np.dtype(np.uint32)
"""What cells in true colour are."""


def coloring_of(dataset: Any, band: int, raster: RasterSettings, colors: ColorSettings) -> Coloring | None:
    """How a band, or the raster as a whole, is drawn; None as numbers.

    Parameters
    ----------
    dataset : rasterio.DatasetReader
        The file.
    band : int
        The band to be drawn, from 1.
    raster, colors : RasterSettings, ColorSettings
        What is asked for.

    Raises
    ------
    ConfigError
        If classes cannot be drawn as asked.
    """
    if colors.are_for_numbers:
        return None
    table = _color_table(dataset, band)
    if table or colors.classes:
        if problem := resampling_problem(raster, f"{raster.path} holds classes"):
            raise ConfigError(problem)
        return _classes(dataset, band, table, colors.classes or ())
    return _true_color(dataset, raster) if raster.band is None else None


def resampling_problem(raster: RasterSettings, why: str) -> str | None:
    """What is wrong with the way in which classes become pixels."""
    if raster.resampling in _KEEPS_CLASSES:
        return None
    return (
        f"[raster] resampling: {raster.resampling!r} makes values between the classes, and {why}: take one of "
        f"{', '.join(_KEEPS_CLASSES)}, or draw it as numbers with [colors] colormap"
    )


def _color_table(dataset: Any, band: int) -> Mapping[int, tuple[int, ...]]:
    """Red, green, blue and opacity of each value; nothing for a band without a table, or of scaled values."""
    if dataset.colorinterp[band - 1].name != "palette" or (dataset.scales[band - 1], dataset.offsets[band - 1]) != (
        1,
        0,
    ):
        return {}
    try:
        table: dict[int, tuple[int, ...]] = dataset.colormap(band)
    except ValueError:  # it has none, whatever it says
        return {}
    return table


def _classes(
    dataset: Any, band: int, table: Mapping[int, tuple[int, ...]], given: tuple[ClassSettings, ...]
) -> Classes:
    """The file's own classes, under and beside those that the config names."""
    names = class_names(dataset, band) if table and not given else {}
    own = {
        value: ValueClass(value, "#{:02x}{:02x}{:02x}{:02x}".format(*color), plain_text(names.get(value, "")))
        for value, color in table.items()
    }
    named = {item.value: configured_class(item, number, own) for number, item in enumerate(given, 1)}
    drawn = {**own, **named}
    shown = tuple(named.values()) or legend_classes(own, dataset.nodatavals[band - 1])
    return Classes(tuple(drawn[value] for value in sorted(drawn)), shown)


def configured_class(item: ClassSettings, number: int, own: Mapping[int, ValueClass]) -> ValueClass:
    """A class of the config; its colour may be that of the file."""
    if item.color is None and item.value not in own:
        raise ConfigError(
            f"[colors] classes #{number} color: is needed, for the raster has no colour of its own for {item.value}"
        )
    color = own[item.value].color if item.color is None else item.color
    return ValueClass(item.value, color, plain_text(item.name))


def legend_classes(own: Mapping[int, ValueClass], nodata: float | None) -> tuple[ValueClass, ...]:
    """The classes of a colour table that belong in a legend: those with names; else those that do not fill it up."""
    visible = [item for item in own.values() if not item.color.endswith("00") and item.value != nodata]
    named = [item for item in visible if item.name]
    colors = Counter(item.color for item in visible)
    filler, count = colors.most_common(1)[0] if colors else ("", 0)
    shown = named or [item for item in visible if count < _FILLER or item.color != filler]
    return tuple(shown) if len(shown) <= _MOST_SHOWN else ()


def class_names(dataset: Any, band: int) -> dict[int, str]:
    """The names that a file gives to values: its category names, or those in its attribute table.

    rasterio has no call for them; but GDAL writes them into the description of a VRT, of which no cell is read.
    """
    import rasterio.shutil  # noqa: PLC0415
    from rasterio.io import MemoryFile  # noqa: PLC0415

    try:
        with MemoryFile(ext=".vrt") as memory:
            rasterio.shutil.copy(dataset, memory.name, driver="VRT")
            root = ElementTree.fromstring(memory.read())
        described = next(node for node in root.iter("VRTRasterBand") if node.get("band") == str(band))
        names = {value: node.text or "" for value, node in enumerate(described.iterfind("CategoryNames/Category"))}
        table = described.find("GDALRasterAttributeTable")
        return names if names or table is None else dict(_names_in(table))
    except (rasterio.errors.RasterioError, ElementTree.ParseError, ArithmeticError, ValueError, IndexError) as error:
        logger.warning("%s: the names of its classes cannot be read: %s", dataset.name, error)
        return {}


def _names_in(table: ElementTree.Element) -> Iterator[tuple[int, str]]:
    """The values and names of an attribute table; values count from 0, if no column has them."""
    fields = table.findall("FieldDefn")
    usages, kinds = ([field.findtext(tag, "") for field in fields] for tag in ("Usage", "Type"))
    places = [place for place, usage in enumerate(usages) if usage == _NAME]
    places += [place for place, kind in enumerate(kinds) if kind == _TEXT]
    first, step = float(table.get("Row0Min", 0)), float(table.get("BinSize", 1))
    for number, row in enumerate(table.findall("Row")[:_LARGEST_TABLE] if places else ()):
        cells = [cell.text or "" for cell in row.findall("F")]
        value = float(cells[usages.index(_VALUE)]) if _VALUE in usages else first + step * number
        yield int(value), cells[places[0]].strip()


def _true_color(dataset: Any, raster: RasterSettings) -> TrueColor | None:
    """The bands of red, green and blue, if there are such, of whole numbers of one type."""
    from rasterio.enums import MaskFlags  # noqa: PLC0415

    kinds = [kind.name for kind in dataset.colorinterp]
    if not set(_RED_GREEN_BLUE) <= set(kinds):
        return None
    bands = tuple(kinds.index(kind) + 1 for kind in (*_RED_GREEN_BLUE, _ALPHA) if kind in kinds)
    dtypes = {dataset.dtypes[band - 1] for band in bands}
    if len(dtypes) > 1 or not dtypes <= set(_DEPTHS):
        return None
    dtype = dtypes.pop()
    said = dataset.tags(bands[0], ns="IMAGE_STRUCTURE").get("NBITS", "")
    bits = int(said) if said in _FEWER_BITS and dtype == "uint16" else _DEPTHS[dtype]
    nodata, flags = dataset.nodatavals[bands[0] - 1], dataset.mask_flag_enums[bands[0] - 1]
    can_be = nodata is not None and nodata.is_integer() and 0 <= nodata < 2 ** _DEPTHS[dtype]
    return TrueColor(
        bands=bands,
        dtype=dtype,
        largest=2**bits - 1,
        nodata=nodata if can_be and raster.mask_and_scale else None,
        has_mask=raster.mask_and_scale and MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags,
    )
