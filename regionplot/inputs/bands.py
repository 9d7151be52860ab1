"""Find the bands that the settings select: by number, name, level, ensemble member and time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any

from regionplot.errors import RasterError
from regionplot.inputs.metadata import band_tags, describe_band
from regionplot.inputs.selection import GRIB, BandSelection
from regionplot.settings.raster import RasterSettings
from regionplot.text import plain_text

_LISTED = 20
"""Maximum number of bands to list in a message."""
_MAX_NAME = 60
"""Maximum number of characters of a name in a message."""
_MOST_KEPT = 8
"""Maximum number of files and selections whose times are kept."""
_kept_times: dict[tuple[object, ...], Mapping[int, datetime]] = {}
"""Times of bands, by the name and the state of the file and the selection."""


def find_bands(dataset: Any, settings: RasterSettings) -> list[int]:
    """Return the number of the band that the settings select, from 1.

    For the mean and the spread of an ensemble, return the numbers of the bands of all members.

    Parameters
    ----------
    dataset : rasterio.DatasetReader
        The file, or a subdataset of it.
    settings : RasterSettings
        `band`, `level`, `member` and `time` are used. By default, the first band is selected.

    Raises
    ------
    RasterError
        If there is no such band, several bands have the name, or no band is selected in a GRIB file with several
        messages.
    """
    if not settings.selects_band:
        return [_find_band(dataset, settings.band, settings.path)]
    selection = BandSelection(dataset, settings)
    found = _of_member(dataset, settings) if settings.time is None else selection.at_time(_times(dataset, settings))
    if len(found) == 1 or (isinstance(settings.member, str) and selection.has_each_member_once(found)):
        return found
    raise RasterError(
        f"{settings.path}: {len(found)} bands match; choose among them with band, level, member or time in [raster]: "
        f"{_listed(dataset, found, settings.path)}"
    )


def band_levels(dataset: Any, settings: RasterSettings) -> list[str]:
    """Return the levels of the bands that the settings select, such as `500 hPa`, each once, in the order of the file.

    `level` and `time` in the settings are ignored.

    Parameters
    ----------
    dataset, settings
        As for `find_bands`.

    Raises
    ------
    RasterError
        If no band has the name or the member.
    """
    bands = _of_member(dataset, settings.model_copy(update={"level": None}))
    levels = (str(describe_band(dataset, band, settings.path).get("level", "")) for band in bands)
    return list(dict.fromkeys(filter(None, levels)))


def band_times(dataset: Any, settings: RasterSettings) -> list[datetime]:
    """Return the times of the bands that the settings select, in ascending order. `time` in the settings is ignored.

    Parameters
    ----------
    dataset, settings
        As for `find_bands`.

    Raises
    ------
    RasterError
        If no band has the name, the level or the member.
    """
    return sorted(set(_times(dataset, settings).values()))


def _times(dataset: Any, settings: RasterSettings) -> Mapping[int, datetime]:
    """Return the times of the bands that the settings select at all times.

    The times are kept for a file that does not change. Each field of a file looks for its time, and reading the tags of
    all bands for each field would take a time that grows with the square of the number of times.
    """
    state = getattr(dataset, "state", None)
    if state is None:  # a remote raster, for example
        return BandSelection(dataset, settings).times(_of_member(dataset, settings))
    key = dataset.name, state, settings.band, settings.level, settings.member
    if key not in _kept_times:
        found = BandSelection(dataset, settings).times(_of_member(dataset, settings))
        if len(_kept_times) >= _MOST_KEPT:
            _kept_times.clear()
        _kept_times[key] = found
    return _kept_times[key]


def _of_member(dataset: Any, settings: RasterSettings) -> list[int]:
    """Return the bands with the number or name, the level and the member of the settings, at all times."""
    bands = [_find_band(dataset, settings.band, settings.path)] if isinstance(settings.band, int) else dataset.indexes
    if isinstance(settings.band, str):
        bands = _named(dataset, settings.band, settings.path)
        if not bands:
            raise _unknown_name(dataset, settings.band, settings.path)
    selection = BandSelection(dataset, settings)
    return selection.of_member(selection.on_level(bands))


def _find_band(dataset: Any, band: int | str | None, path: Path) -> int:
    if band is None:
        if dataset.driver == GRIB and dataset.count > 1:
            raise RasterError(
                f"{path}: the file holds {dataset.count} messages; choose one with band = NUMBER or band = NAME, or "
                f"with level, member and time, in [raster]: {_listed(dataset, dataset.indexes, path)}"
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
            f"{path}: {len(found)} bands have the name {band!r}; choose one by its number, or by level, member and "
            f"time: {_listed(dataset, found, path)}"
        )
    raise _unknown_name(dataset, band, path)


def check_no_variable(dataset: Any, settings: RasterSettings) -> None:
    """Check that the settings name no variable of a file that has bands only.

    Parameters
    ----------
    dataset : rasterio.DatasetReader
        The opened file.
    settings : RasterSettings
        The settings.

    Raises
    ------
    RasterError
        If the settings name a variable. The message lists the bands.
    """
    path, name = settings.path, settings.variable
    if name is None:
        return
    if _named(dataset, name, path):
        cure = f"write band = {json.dumps(name, ensure_ascii=False)} in [raster]"
        raise RasterError(f"{path}: the file has bands, but no variables; {cure}")
    raise RasterError(
        f"{path}: there is no variable {name!r} in the file, which has bands only; {_cure(dataset, path)}"
    )


def _unknown_name(dataset: Any, name: str, path: Path) -> RasterError:
    return RasterError(f"{path}: no band has the description {name!r}; {_cure(dataset, path)}")


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
