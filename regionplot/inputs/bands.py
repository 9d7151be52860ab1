"""Find the band that the settings select by its number, description, or element and short name in a GRIB file."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any

from regionplot.errors import RasterError
from regionplot.inputs.metadata import band_tags, describe_band
from regionplot.text import plain_text

GRIB = "GRIB"
"""GDAL's driver for GRIB files."""
_LISTED = 20
"""Maximum number of bands to list in a message."""
_MAX_NAME = 60
"""Maximum number of characters of a name in a message."""


def find_band(dataset: Any, band: int | str | None, path: Path) -> int:
    """Return the number of the band that the settings select, from 1.

    Parameters
    ----------
    dataset : rasterio.DatasetReader
        The file, or a subdataset of it.
    band : int or str, optional
        Number or name of the band. By default, the first band.
    path : Path
        The file.

    Raises
    ------
    RasterError
        If there is no such band, several bands have the name, or no band is selected in a GRIB file with several
        messages.
    """
    if band is None:
        if dataset.driver == GRIB and dataset.count > 1:
            raise RasterError(
                f"{path}: the file holds {dataset.count} messages; choose one with band = NUMBER or band = NAME in "
                f"[raster]: {_listed(dataset, dataset.indexes, path)}"
            )
        return 1
    if isinstance(band, int):
        if not 1 <= band <= dataset.count:
            raise RasterError(f"{path}: there is no band {band}: the bands are 1 to {dataset.count}")
        return band
    found = _named(dataset, band, path)
    if len(found) == 1:
        return found[0]
    if found:
        raise RasterError(
            f"{path}: {len(found)} bands have the name {band!r}; choose one by its number: "
            f"{_listed(dataset, found, path)}"
        )
    raise RasterError(f"{path}: no band has the description {band!r}; {_cure(dataset, path)}")


def _named(dataset: Any, name: str, path: Path) -> Sequence[int]:
    """Return the numbers of the bands with a name. If no band has exactly this name, ignore the case."""
    names = {number: _names_of(dataset, number, path) for number in dataset.indexes}
    exact = [number for number, own in names.items() if name in own]
    folded = name.casefold()
    return exact or [number for number, own in names.items() if folded in {text.casefold() for text in own}]


def _names_of(dataset: Any, band: int, path: Path) -> list[str]:
    """Return the names of a band that are not empty.

    A band has its description, or the long name of its variable if it has no description. A message of a GRIB file also
    has an element (`HTSGW`), a short name of its level (`1-SFC`), both together, and a comment with and without units.
    """
    tags = band_tags(dataset, band, path)
    element, level, comment = (tags.get(f"GRIB_{key}", "") for key in ("ELEMENT", "SHORT_NAME", "COMMENT"))
    description = dataset.descriptions[band - 1] or tags.get("long_name", "")
    names = [description, element, level, f"{element} {level}".strip(), comment, comment.partition(" [")[0]]
    return list(dict.fromkeys(name for name in names if name))


def _cure(dataset: Any, path: Path) -> str:
    if dataset.driver == GRIB:
        return f"the bands are {_listed(dataset, dataset.indexes, path)}"
    names = list(dict.fromkeys(_title(dataset, number, path) for number in dataset.indexes[:_LISTED]))
    is_selective = any(names) and (len(names) > 1 or dataset.count == 1)
    listed = ", ".join(name for name in names if name)
    return f"the bands are {listed}" if is_selective else f"choose a band by its number, 1 to {dataset.count}"


def _listed(dataset: Any, bands: Sequence[int], path: Path) -> str:
    """Return the numbers and names of bands as one line. Only the first groups of equal names are listed."""
    titles = ((number, _title(dataset, number, path)) for number in bands)
    shown, last = [], 0
    for title, group in islice(groupby(titles, key=itemgetter(1)), _LISTED):
        first, *others = (number for number, _ in group)
        last = others[-1] if others else first
        shown.append(f"{first if first == last else f'{first} to {last}'} {title}".strip())
    rest = sum(number > last for number in bands)
    return ", ".join([*shown, *([f"{rest} more"] if rest else [])])


def _title(dataset: Any, band: int, path: Path) -> str:
    """Return the element, level and time of a message of a GRIB file, or the name of another band."""
    tags = band_tags(dataset, band, path)
    if "GRIB_ELEMENT" not in tags:
        return plain_text(next(iter(_names_of(dataset, band, path)), ""), _MAX_NAME)
    time = describe_band(dataset, band, path).get("time")
    parts = [tags["GRIB_ELEMENT"], tags.get("GRIB_SHORT_NAME", ""), f"{time:%Y-%m-%d %H:%M}" if time else ""]
    return plain_text(" ".join(part for part in parts if part), _MAX_NAME)
