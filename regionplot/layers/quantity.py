"""Name the quantity of a raster as forecasters do, such as "850 hPa temperature"."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

TITLE_FIELDS = frozenset({"quantity"})
"""Fields of titles, in addition to the metadata of the raster."""
FRAME_FIELDS = frozenset({*TITLE_FIELDS, "contents"})
"""Fields of the other texts around the map."""
_ACRONYMS = frozenset({"SST", "SSH", "CAPE", "CIN", "MSL", "NDVI", "EVI", "LST", "UV", "QPF", "PM", "MSLP", "SWE"})
_NOTE = re.compile(r"\s*\([^()]*=[^()]*\)")
"""A note in a name, as in "Geopotential (at the surface = orography)"."""
_GEOPOTENTIAL = re.compile(r"\b([Gg]eopotential)(?=$|,)")
_SURFACE_NOTE = re.compile(r"\s*@\s*(ground or water surface|surface)$", re.IGNORECASE)
"""A level in a name, as in files of Unidata's servers."""
_LEVEL = re.compile(r"(?P<value>-?\d+(\.\d*)?)\s*(?P<unit>hPa|mb|mbar|millibars?|Pa|m|km|cm|ft|K)")
_CODE = re.compile(r"[\d.,-]+([A-Z].*)?")
"""A number, or a level with the short name of GDAL, such as `0-EATM`."""
_HECTOPASCAL = {"mb", "mbar", "millibar", "millibars"}
_SURFACE, _SEA_LEVEL = "ground or water surface", "mean sea level"


def readable_name(name: str) -> str:
    """Return the name of a quantity without notes of the file format. A name in capitals gets small letters.

    Examples
    --------
    >>> readable_name("SEA LEVEL PRESSURE"), readable_name("SST ANOMALY"), readable_name("NDVI")
    ('Sea level pressure', 'SST anomaly', 'NDVI')
    >>> readable_name("Geopotential (at the surface = orography)")
    'Geopotential'
    >>> readable_name("Total precipitation (1_Hour Accumulation) @ Ground or water surface")
    'Total precipitation (1 Hour Accumulation)'
    """
    name = _SURFACE_NOTE.sub("", _NOTE.sub("", name))
    name = name.replace("_", " ") if " " in name else name
    if not (name.isupper() and " " in name):
        return name
    words = [word if word in _ACRONYMS or any(map(str.isdigit, word)) else word.lower() for word in name.split(" ")]
    words[0] = words[0] if words[0].isupper() else words[0].capitalize()
    return " ".join(words)


def quantity_of(description: Mapping[str, object]) -> str:
    """Return the name and the level of a quantity.

    Parameters
    ----------
    description : mapping
        Metadata of a raster, with `long_name` and perhaps `level`.

    Examples
    --------
    >>> quantity_of({"long_name": "Temperature", "level": "850 hPa"})
    '850 hPa temperature'
    >>> quantity_of({"long_name": "Temperature", "level": "Ground or water surface"})
    'Surface temperature'
    >>> quantity_of({"long_name": "2 metre temperature", "level": "2 m"})
    '2 metre temperature'
    >>> quantity_of({"long_name": "Precipitable water", "level": "Entire atmosphere"})
    'Precipitable water, entire atmosphere'
    """
    name, level = readable_name(str(description.get("long_name", ""))), str(description.get("level", "")).strip()
    if not name or not level:
        return name
    if found := _LEVEL.fullmatch(level):
        height = _height(float(found["value"]), found["unit"])
        is_named = not height or re.search(rf"\b{re.escape(height.partition(' ')[0])}\b", name)
        return name if is_named else f"{height} {_small(name)}"
    if level.lower() == _SURFACE:
        return name if " " in name.partition(",")[0] else f"Surface {_small(name)}"
    if _CODE.fullmatch(level) or level.lower() in name.lower():
        return name
    if level.lower() == _SEA_LEVEL:
        return name if re.search(r"sea.level|\bMSL", name) else f"{name} at mean sea level"
    return f"{name}, {_small(level)}"


def _height(value: float, unit: str) -> str:
    """Return a level as text, or an empty text for the level 0."""
    if unit in _HECTOPASCAL or (unit == "Pa" and value >= 100):
        value, unit = (value / 100 if unit == "Pa" else value), "hPa"
    return f"{value:g} {unit}" if value else ""


def _small(name: str) -> str:
    """Return a name whose first letter is small, unless the first word is an abbreviation."""
    return name[:1].lower() + name[1:] if name[1:2].islower() or name[1:2] == "" else name


def wind_name(description: Mapping[str, object]) -> str:
    """Return the name of a wind or current from the metadata of its first component. Empty if it is unknown.

    Examples
    --------
    >>> wind_name({"long_name": "10 metre U wind component", "level": "10 m"})
    '10 m wind'
    """
    name = str(description.get("long_name", "")).lower()
    kind = next((kind for kind in ("wind", "current") if kind in name), "")
    return quantity_of({**description, "long_name": kind, "level": _of_height(description)}) if kind else ""


def _of_height(description: Mapping[str, object]) -> object:
    """Return the level, or an empty text for a level without a number.

    Wind at the ground means wind near the ground.
    """
    level = str(description.get("level", ""))
    return level if _LEVEL.fullmatch(level) else ""


_STATISTIC = re.compile(r", (?P<name>(?:mean|spread) of \d+ members)$")


def without_statistic(name: str) -> str:
    """Return the name of a quantity without the statistic of an ensemble.

    Examples
    --------
    >>> without_statistic("850 hPa temperature, mean of 10 members")
    '850 hPa temperature'
    """
    return _STATISTIC.sub("", name)


def height_name(name: str, units: str) -> str:
    """Return the name of a geopotential as a geopotential height if its units are those of a height.

    Examples
    --------
    >>> height_name("500 hPa geopotential", "dam")
    '500 hPa geopotential height'
    """
    return _GEOPOTENTIAL.sub(r"\1 height", name) if units in {"m", "dam"} else name


def contents_of(names: Iterable[str]) -> str:
    """Return the names of several quantities as one text. A statistic that all have is stated once.

    Examples
    --------
    >>> contents_of(["Temperature, mean of 10 members", "geopotential, mean of 10 members"])
    'Mean of 10 members: temperature; geopotential'
    >>> contents_of(["Temperature, mean of 10 members", "wind (kt)"])
    'Temperature, mean of 10 members; wind (kt)'
    """
    kept = list(dict.fromkeys(filter(None, names)))
    found = {match["name"] for name in kept if (match := _STATISTIC.search(name))}
    if len(kept) > 1 and len(found) == 1 and all(map(_STATISTIC.search, kept)):
        first, *others = map(without_statistic, kept)
        return f"{found.pop().capitalize()}: {'; '.join([_small(first), *others])}"
    return "; ".join(kept)
