"""Describe the maps of a run by the statistics of their regions, for the table, the manifest and the metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from regionplot.geo.region import Region
from regionplot.runs.alt_text import alt_text
from regionplot.shared.data import SharedData
from regionplot.shared.numbers import region_numbers

_MAX_KEPT = 64
"""Number of descriptions to keep. The digest of a map needs its description before the map does."""


class Description(NamedTuple):
    """The statistics of one region."""

    statistics: Mapping[str, Any]
    """Values for the manifest and the table."""
    alt: str
    """Alternative text. Empty if the settings do not ask for it."""


class Descriptions:
    """The descriptions of the maps of one field.

    Parameters
    ----------
    shared : SharedData
        Data of the field.
    """

    def __init__(self, shared: SharedData) -> None:
        self._shared = shared
        self._kept: dict[str, Description] = {}

    def of(self, region: Region) -> Description:
        """Return the description of the map of a region.

        Raises
        ------
        RegionError, RasterError
            If the region cannot be projected, or its cells cannot be read.
        """
        found = self._kept.pop(region.name, None)
        if found is None:
            numbers = region_numbers(self._shared, region)
            text = alt_text(self._shared, region, numbers) if self._shared.config.statistics.alt_text else ""
            found = Description({"title": region.title, **numbers.items()}, text)
        if len(self._kept) >= _MAX_KEPT:
            self._kept.clear()
        self._kept[region.name] = found
        return found
