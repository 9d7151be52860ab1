"""Read a VRT (GDAL's virtual raster) without GDAL: allow only known elements, and only local files as sources.

GDAL never opens the file itself. `inputs.virtual` writes a new VRT from the elements that this module has checked.
Therefore, an element or attribute that is not listed here is an error.

The format is described at https://gdal.org/en/stable/drivers/raster/vrt.html.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from regionplot.system.files import Fingerprint, NotBelowError, path_below

MAX_BYTES = 8 * 2**20
"""Maximum size of a VRT."""
_MAX_SOURCES = 10_000
_MAX_DEPTH = 6
"""Depth of the elements of a source of a mask band."""
_DECLARATION = re.compile(r"<!(?!--|\[CDATA\[)")
_NUMBERS = re.compile(r"[\w.,:;+\- \t\r\n]*", re.ASCII)
"""Numbers, names and lists of numbers, but no paths."""
_NUMBER = re.compile(r"\s*[+-]?\d{1,15}(\.\d{0,20})?(e[+-]?\d\d?)?\s*", re.ASCII | re.IGNORECASE)
_TEXTS = {"SRS", "Description", "UnitType", "Category", "MDI", "SourceFilename"}
"""Elements that can hold any text."""
_DOMAINS = ("", "IMAGE_STRUCTURE")
_SOURCES = ("SimpleSource", "ComplexSource")
_RECTANGLE = {"xOff", "yOff", "xSize", "ySize"}
_OF_BAND = {
    "Description", "UnitType", "Offset", "Scale", "NoDataValue", "HideNoDataValue", "ColorInterp", "ColorTable",
    "CategoryNames", "Metadata", "Histograms", "MaskBand", *_SOURCES,
}  # fmt: skip
_OF_SOURCE = {"SourceFilename", "SourceBand", "SourceProperties", "SrcRect", "DstRect"}
_CHILDREN: Mapping[str, set[str]] = {
    "VRTDataset": {"SRS", "GeoTransform", "Metadata", "OverviewList", "MaskBand", "VRTRasterBand"},
    "VRTRasterBand": _OF_BAND,
    "MaskBand": {"VRTRasterBand"},
    "SimpleSource": _OF_SOURCE,
    "ComplexSource": _OF_SOURCE | {"NODATA", "UseMaskBand", "ScaleOffset", "ScaleRatio", "LUT", "ColorTableComponent"},
    "ColorTable": {"Entry"},
    "CategoryNames": {"Category"},
    "Metadata": {"MDI"},
}
"""Elements that an element can have. Elements that are not named have none."""
_ATTRIBUTES: Mapping[str, set[str]] = {
    "VRTDataset": {"rasterXSize", "rasterYSize"},
    "VRTRasterBand": {"dataType", "band", "blockXSize", "blockYSize"},
    "SRS": {"dataAxisToSRSAxisMapping", "coordinateEpoch"},
    "Metadata": {"domain"},
    "MDI": {"key"},
    "OverviewList": {"resampling"},
    "Entry": {"c1", "c2", "c3", "c4"},
    "SourceFilename": {"relativeToVRT", "shared"},
    "SourceProperties": {"RasterXSize", "RasterYSize", "DataType", "BlockXSize", "BlockYSize"},
    "SrcRect": _RECTANGLE,
    "DstRect": _RECTANGLE,
    "SimpleSource": {"resampling"},
    "ComplexSource": {"resampling"},
}
_DROPPED = {"Histograms", "OverviewList", "SourceProperties"}
"""Elements that a map does not need. `inputs.virtual` writes the properties of the sources itself."""


class VrtError(ValueError):
    """The reason why a VRT is refused. The message does not name the VRT."""


@dataclass(frozen=True)
class Vrt:
    """A checked VRT.

    Attributes
    ----------
    root : Element
        The allowed elements. Each `SourceFilename` holds an absolute path.
    sources : tuple of Path
        Files of the sources, each once.
    """

    root: Element
    sources: tuple[Path, ...]


def read_vrt(path: Path) -> Vrt:
    """Return the elements and the sources of a VRT.

    Parameters
    ----------
    path : Path
        The VRT. Its sources must be in its folder or below, also if links are followed.

    Raises
    ------
    VrtError
        If the VRT is damaged, too large, or has an element, attribute or source that is not allowed.
    OSError
        If the VRT cannot be read.
    """
    root = _parsed(path)
    folder = path.resolve().parent
    found = {name: name.resolved(folder) for name in _names(root)}
    for element in root.iter("SourceFilename"):
        element.text = str(found[_Name.of(element)])
        element.attrib = {"relativeToVRT": "0", "shared": "0"}
    return Vrt(root, tuple(dict.fromkeys(found.values())))


def source_marks(path: Path) -> list[os.stat_result]:
    """Return sizes and times of the sources of a VRT that exist. Return none if the VRT is refused."""
    folder, found = os.path.dirname(os.path.realpath(path)), []  # noqa: PTH120 (this is faster for many sources)
    try:
        names = _known_names(path, Fingerprint.of(path))
    except (VrtError, OSError):
        return []
    for name in names:
        with suppress(OSError, ValueError):
            found.append(os.stat(os.path.join(folder, name.text)))  # noqa: PTH116, PTH118
    return found


@lru_cache(maxsize=16)
def _known_names(path: Path, _: Fingerprint | None) -> tuple[_Name, ...]:
    return _names(_parsed(path))


def _names(root: Element) -> tuple[_Name, ...]:
    """Check the elements of a VRT, and return the names of its sources, each once."""
    names = [_Name.of(element) for element in _checked(root, 0) if element.tag == "SourceFilename"]
    if len(names) > _MAX_SOURCES:
        raise VrtError(f"it has {len(names):,} sources, more than {_MAX_SOURCES:,}; build a GeoTIFF from it")
    if not names:
        raise VrtError("it has no <SimpleSource> or <ComplexSource>")
    return tuple(dict.fromkeys(names))


@dataclass(frozen=True)
class _Name:
    """The text of a `SourceFilename`."""

    text: str
    is_relative: bool

    @classmethod
    def of(cls, element: Element) -> _Name:
        return cls((element.text or "").strip(), element.get("relativeToVRT", "0").strip() == "1")

    def resolved(self, folder: Path) -> Path:
        """Return the real path of the file.

        Raises
        ------
        VrtError
            If it is not an existing file in the folder of the VRT or below it.
        """
        problem = f"<SourceFilename> {self.text[:200]!r}"
        if self.text.startswith("/vsi") or re.match(r"[A-Za-z_]\w+:|<", self.text):
            raise VrtError(f"{problem} is not the path of a local file")
        if not self.is_relative and not self.text.startswith("/"):
            raise VrtError(f'{problem} is relative to no folder; set relativeToVRT="1", or write an absolute path')
        try:
            real = path_below(folder, self.text)
            if real.is_file():
                return real
        except NotBelowError:
            raise VrtError(f"{problem} is not below the folder of the VRT; move the file or the VRT") from None
        except FileNotFoundError:
            pass
        except ValueError:
            raise VrtError(f"{problem} is not the path of a local file") from None
        raise VrtError(f"{problem} is not a file")


def _parsed(path: Path) -> Element:
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise VrtError(f"it is larger than {MAX_BYTES:,} bytes")
    try:
        text = content.decode("utf-8-sig")
        if _DECLARATION.search(text):
            raise VrtError("it has a document type or entities, which are not allowed")
        root = ElementTree.fromstring(text)
    except (UnicodeDecodeError, ElementTree.ParseError) as error:
        raise VrtError(f"it is not valid XML: {error}") from None
    if root.tag != "VRTDataset":
        raise VrtError(f"<{root.tag[:60]}> is not allowed; it must be a <VRTDataset>")
    return root


def _checked(element: Element, depth: int) -> Iterator[Element]:
    """Yield an element and all elements in it, after they have been checked. Remove elements that are not needed."""
    if depth > _MAX_DEPTH:
        raise VrtError(f"<{element.tag}> is nested too deeply")
    _check_element(element)
    yield element
    for child in list(element):
        if child.tag not in _CHILDREN.get(element.tag, ()):
            raise VrtError(f"<{child.tag[:60]}> in <{element.tag}> is not allowed")
        if child.tag in _DROPPED or (child.tag == "Metadata" and child.get("domain") == "IMAGE_STRUCTURE"):
            element.remove(child)
        else:
            yield from _checked(child, depth + 1)


def _check_element(element: Element) -> None:
    """Refuse attributes that are not allowed, and texts that could be paths."""
    unknown = sorted(set(element.attrib) - _ATTRIBUTES.get(element.tag, set()))
    if unknown:
        raise VrtError(f"the attribute {unknown[0][:60]!r} of <{element.tag}> is not allowed")
    if element.tag == "Metadata" and element.get("domain", "") not in _DOMAINS:
        raise VrtError(f"<Metadata> of the domain {element.get('domain', '')[:60]!r} is not allowed")
    texts = [value for key, value in element.attrib.items() if (element.tag, key) != ("MDI", "key")]
    texts += [] if element.tag in _TEXTS else [element.text or ""]
    if problem := next((text for text in texts if not _NUMBERS.fullmatch(text)), None):
        raise VrtError(f"<{element.tag}> has a value that is not allowed: {problem[:60]!r}")
    if element.tag in ("SrcRect", "DstRect") and not all(map(_NUMBER.fullmatch, element.attrib.values())):
        raise VrtError(f"<{element.tag}> has a value that is not a number")
    element.tail = None
