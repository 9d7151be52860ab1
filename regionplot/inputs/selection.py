"""Select bands by the level, member and time in their metadata."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from regionplot.errors import RasterError
from regionplot.inputs.grib_members import grib1_members, grib2_member
from regionplot.inputs.metadata import band_tags, band_time, describe_band
from regionplot.settings.raster import RasterSettings
from regionplot.settings.selection import TimeChoice
from regionplot.text import plain_text

GRIB = "GRIB"
"""GDAL's driver for GRIB files."""
_MEMBER_AXES = ("number", "member", "realization", "ensemble", "ens", "perturbation")
"""Names of dimensions that hold ensemble members, in lower case."""
_DIMENSION = "NETCDF_DIM_"
_LISTED = 12
"""Maximum number of levels or members to list in a message."""


@dataclass(frozen=True)
class BandSelection:
    """Bands of a file, and the settings that select among them.

    Parameters
    ----------
    dataset : rasterio.DatasetReader
        The file, or a subdataset of it.
    settings : RasterSettings
        `level`, `member` and `time` are used.
    """

    dataset: Any
    settings: RasterSettings

    @property
    def _path(self) -> Path:
        return self.settings.path

    def on_level(self, bands: Sequence[int]) -> list[int]:
        """Return the bands on the level of the settings, or all bands if the settings have no level.

        Raises
        ------
        RasterError
            If no band is on this level. The message lists the levels.
        """
        wanted = self.settings.level
        if wanted is None:
            return list(bands)
        levels = {band: self._levels(band) for band in bands}
        found = [band for band, names in levels.items() if _is_level(wanted, names)]
        if not found:
            listed = _listed((name[0] for name in levels.values() if name), "levels")
            raise RasterError(f"{self._path}: no band has the level {_level(wanted)}; {listed}")
        return found

    def _levels(self, band: int) -> list[str]:
        """Return the names of the level of a band: with its unit, and the short name in a GRIB file."""
        level = str(describe_band(self.dataset, band, self._path).get("level", ""))
        short = band_tags(self.dataset, band, self._path).get("GRIB_SHORT_NAME", "")
        return [name for name in (level, short) if name]

    def of_member(self, bands: Sequence[int]) -> list[int]:
        """Return the bands of the member of the settings. For `mean` and `spread`, return the bands of all members.

        Raises
        ------
        RasterError
            If there is no such member. The message lists the members.
        """
        wanted = self.settings.member
        if wanted is None:
            return list(bands)
        members = self.members(bands)
        found = [band for band, member in members.items() if member is not None]
        if isinstance(wanted, int):
            found = [band for band in found if members[band] == wanted]
        if not found:
            listed = _listed((str(member) for member in members.values() if member is not None), "members")
            raise RasterError(f"{self._path}: there is no member {wanted!r}; {listed}")
        return found

    def has_each_member_once(self, bands: Sequence[int]) -> bool:
        """Return True if the bands belong to different members."""
        return len(set(self.members(bands).values())) == len(bands)

    def members(self, bands: Sequence[int]) -> Mapping[int, int | None]:
        """Return the number of the ensemble member of each band, or None if the file does not state it."""
        if self.dataset.driver == GRIB:
            old = grib1_members(self._path)
            return {band: old.get(band, grib2_member(self.dataset.tags(band))) for band in bands}
        return {band: _axis_member(self.dataset.tags(band)) for band in bands}

    def times(self, bands: Sequence[int]) -> dict[int, datetime]:
        """Return the time of each band that states one."""
        found = {band: band_time(self.dataset, band, self._path) for band in bands}
        return {band: time for band, time in found.items() if time is not None}

    def at_time(self, times: Mapping[int, datetime]) -> list[int]:
        """Return the bands at the time of the settings.

        Parameters
        ----------
        times : mapping
            Result of `times`.

        Raises
        ------
        RasterError
            If the bands state no times, the time is not among them, or the settings select several times.
        """
        choice = TimeChoice(self.settings.time)
        axis = sorted(set(times.values()))
        if not axis:
            raise RasterError(f"{self._path}: the time of its bands is unknown, so {_setting(choice)} selects nothing")
        try:
            chosen = {axis[position] for position in choice.pick(axis)}
        except ValueError as error:
            raise RasterError(f"{self._path}: {error}") from None
        if len(chosen) > 1:
            raise RasterError(
                f"{self._path}: {_setting(choice)} selects {len(chosen)} times, but this function draws one; "
                "choose one time in [raster], or draw all with render_regions"
            )
        return [band for band, time in times.items() if time in chosen]


def _level(wanted: float | str) -> str:
    return repr(wanted) if isinstance(wanted, str) else f"{wanted:g}"


def _setting(choice: TimeChoice) -> str:
    return f"time = {choice.value!r}"


def _axis_member(tags: Mapping[str, str]) -> int | None:
    """Return the ensemble member of a band of a NetCDF file, or None if it has no such dimension."""
    for key, value in tags.items():
        if key.removeprefix(_DIMENSION).lower() in _MEMBER_AXES and key.startswith(_DIMENSION):
            try:
                return int(float(value))
            except ValueError:
                return None
    return None


def _is_level(wanted: float | str, names: Sequence[str]) -> bool:
    """Return True if a level has one of the names. Numbers are compared by value, with or without the unit."""
    given = _number_and_unit(str(wanted))
    for name in names:
        number, unit = _number_and_unit(name)
        if name.casefold() == str(wanted).casefold():
            return True
        if given[0] is not None and number == given[0] and given[1] in ("", unit):
            return True
    return False


def _number_and_unit(text: str) -> tuple[float | None, str]:
    found = re.fullmatch(r"\s*([-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)\s*([^\d\s-].*)?", text)
    return (None, "") if found is None else (float(found[1]), (found[2] or "").strip().casefold())


def _listed(names: Iterable[str], what: str) -> str:
    """Return text that lists the levels or members of a file, each once."""
    found = list(dict.fromkeys(plain_text(name, 40) for name in names))
    more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return f"the {what} are {', '.join(found[:_LISTED])}{more}" if found else f"the file states no {what}"
