"""Files beside an image that place it on the earth.

::

    map.pgw          world file: size of a pixel, and x and y of the center of the upper left pixel
    map.prj          CRS of the map
    map.png.aux.xml  both, for GDAL and QGIS, which do not read `.prj` files of images

A world file describes the whole image. It states the transform of the panel, so the title and the color bar lie around
the map as if they were on the earth.
"""

from __future__ import annotations

from functools import lru_cache
from xml.sax.saxutils import escape

from affine import Affine

from regionplot.writers.georeference import Georeference

_GEOTIFF = (".tif", ".tiff")
"""Suffixes of files that hold their own CRS."""
_FORMS = ("WKT1_ESRI", "WKT1_GDAL", "WKT2_2019")
"""Forms of WKT for `.prj` files. The first form that can express the CRS is used."""
_PAM = """<PAMDataset>
  <SRS>{crs}</SRS>
  <GeoTransform>{transform}</GeoTransform>
</PAMDataset>
"""


def world_suffix(suffix: str) -> str:
    """Return the suffix of a world file: the first and the last letter of the suffix of the image, and `w`.

    Examples
    --------
    >>> world_suffix(".png"), world_suffix(".tif"), world_suffix(".webp")
    ('.pgw', '.tfw', '.wpw')
    """
    return f".{suffix[1]}{suffix[-1]}w"


def world_files(name: str, place: Georeference, *, is_panel: bool) -> dict[str, bytes]:
    """Return the content of the files beside an image, by name.

    Parameters
    ----------
    name : str
        Name of the image, such as `map.png`.
    place : Georeference
        Place of the panel in the image and on the earth.
    is_panel : bool
        True if the image shows only the panel.
    """
    stem, dot, suffix = name.rpartition(".")
    transform = place.panel_transform if is_panel else place.sheet_transform
    files = {stem + world_suffix(dot + suffix): _world_file(transform), f"{stem}.prj": _prj(place.crs).encode()}
    if dot + suffix.lower() not in _GEOTIFF:
        numbers = ", ".join(f"{number:.17g}" for number in transform.to_gdal())
        files[f"{name}.aux.xml"] = _PAM.format(crs=escape(_wkt(place.crs)), transform=numbers).encode()
    return files


def _world_file(transform: Affine) -> bytes:
    """Return the six lines of a world file. Its position is the center of the upper left pixel."""
    a, b, c, d, e, f = transform[:6]
    numbers = a, d, b, e, c + (a + b) / 2, f + (d + e) / 2
    return "".join(f"{number:.17g}\n" for number in numbers).encode()


@lru_cache(maxsize=64)
def _prj(crs: str) -> str:
    """Return a CRS as WKT, in the oldest form that can express it."""
    import pyproj  # noqa: PLC0415 (only world files need it)

    found = pyproj.CRS.from_user_input(crs)
    for form in _FORMS:
        try:
            text = found.to_wkt(form)
        except pyproj.exceptions.CRSError:
            continue
        if text:
            return str(text) + "\n"
    return found.to_wkt() + "\n"


@lru_cache(maxsize=64)
def _wkt(crs: str) -> str:
    import pyproj  # noqa: PLC0415

    return str(pyproj.CRS.from_user_input(crs).to_wkt("WKT2_2019"))
